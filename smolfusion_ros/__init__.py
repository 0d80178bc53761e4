"""Real-time human-robot interaction on the robot's own computer.

The generated interfaces (``smolfusion_ros.msg`` and friends) are installed beside these modules. From a
source tree or an editable install they lie in another directory of the same name, so the package's path
is extended to find both.
"""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
