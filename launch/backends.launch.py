"""The llama servers alone: ros2 launch smolfusion_ros backends.launch.py profile:=orin_nx."""

from smolfusion_ros.bringup.launching import backends_description


def generate_launch_description():
    return backends_description()
