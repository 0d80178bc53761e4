"""Corrects build-time paths in the CMake files of the ROS wheels in this Python's environment. Idempotent.

The wheels were built with other Pythons and carry their include directories
(/opt/python/cp311-cp311/include/python3.11 and NumPy's below it).
"""

import re
import sys
import sysconfig
from pathlib import Path

import numpy

PYTHON_INCLUDE = re.compile(r"/opt/python/cp\d+-cp\d+/include/python3\.\d+")
NUMPY_INCLUDE = re.compile(r"/opt/python/[^;\"\s]*?/numpy/_core/include")


def main() -> None:
    for path in (Path(sys.prefix) / "share").rglob("*.cmake"):
        text = path.read_text(encoding="utf-8")
        mended = NUMPY_INCLUDE.sub(numpy.get_include(), text)
        mended = PYTHON_INCLUDE.sub(sysconfig.get_paths()["include"], mended)
        if mended != text:
            path.write_text(mended, encoding="utf-8")


if __name__ == "__main__":
    main()
