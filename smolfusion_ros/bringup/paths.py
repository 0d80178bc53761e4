"""Where the package's own data (config/, models/) lies: in the source tree or in an installation."""

import importlib
from pathlib import Path

from smolfusion_ros.errors import ConfigurationError

PACKAGE = "smolfusion_ros"
MARKER = Path("config") / "profiles"


def share_directory() -> Path:
    """The directory that holds ``config/`` and ``models/``.

    The data must fit the code that runs, so a source tree around this module comes before an installed
    package of the same name. Raises ConfigurationError where there is none.
    """
    module = Path(__file__).absolute()
    source_tree = module.parents[2]
    if (source_tree / MARKER).is_dir():
        return source_tree
    candidates = [parent / "share" / PACKAGE for parent in module.parents]
    candidates += _from_ament_index()
    for candidate in candidates:
        if (candidate / MARKER).is_dir():
            return candidate
    raise ConfigurationError(f"the data of {PACKAGE} ({MARKER}) is neither in {source_tree} nor under share/{PACKAGE}")


def manifest_path() -> Path:
    """The package's model manifest."""
    return share_directory() / "models" / "manifest.yaml"


def profile_path(name_or_path: str) -> Path:
    """A profile by name (``embedded``) or path of a YAML file; ConfigurationError where it does not exist."""
    directory = share_directory() / MARKER
    given = Path(name_or_path).expanduser()
    path = given if given.suffix in (".yaml", ".yml") else directory / f"{name_or_path}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in directory.glob("*.yaml")))
        raise ConfigurationError(f"no profile {name_or_path!r}: {path} is not a file; there are {known}")
    return path


def _from_ament_index() -> list[Path]:
    try:
        index = importlib.import_module("ament_index_python.packages")
        return [Path(index.get_package_share_directory(PACKAGE))]
    except (ImportError, LookupError, OSError):
        return []
