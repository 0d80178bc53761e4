"""The whole stack: ros2 launch smolfusion_ros smolfusion.launch.py profile:=orin_nx."""

from smolfusion_ros.bringup.launching import stack_description


def generate_launch_description():
    return stack_description()
