"""The Python part for pip and editable installs; colcon builds the whole package from CMakeLists.txt."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent


def lines(name):
    """Lines of a text file that are not empty or comments."""
    text = (HERE / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def tree(folder):
    """data_files entries that put a folder under share/, as CMake does."""
    directories = sorted({path.parent for path in (HERE / folder).rglob("*") if path.is_file()})
    return [
        (
            f"share/smolfusion_ros/{directory.relative_to(HERE)}",
            [str(path.relative_to(HERE)) for path in sorted(directory.iterdir()) if path.is_file()],
        )
        for directory in directories
    ]


setup(
    name="smolfusion_ros",
    version="0.1.0",
    description="Real-time human-robot interaction on the robot's own computer",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["smolfusion_ros", "smolfusion_ros.*"]),
    package_data={"smolfusion_ros.gateway": ["page/*", "page/*/*", "page/*/*/*", "page/*/*/*/*"]},
    install_requires=[*lines("requirements.txt"), *lines("requirements-without-rosdep.txt")],
    extras_require={"llama-cpp": lines("requirements-llama-cpp.txt")},
    entry_points={"console_scripts": [line.replace(" ", " = ", 1) for line in lines("executables.txt")]},
    data_files=[
        ("share/smolfusion_ros", ["package.xml"]),
        *tree("launch"),
        *tree("msg"),
        *tree("config"),
        *tree("models"),
    ],
    zip_safe=False,
)
