"""The robot for programs that know nothing of ROS: ``with Robot() as robot: robot.chat("hello")``."""

from smolfusion_ros.client.conversation import Conversation
from smolfusion_ros.client.errors import RobotError, RobotRefusedError, RobotTimeoutError, RobotUnavailableError
from smolfusion_ros.client.robot import Robot
from smolfusion_ros.client.values import Analysis, Answer, Command, Person, Scene, Thing

__all__ = [
    "Analysis",
    "Answer",
    "Command",
    "Conversation",
    "Person",
    "Robot",
    "RobotError",
    "RobotRefusedError",
    "RobotTimeoutError",
    "RobotUnavailableError",
    "Scene",
    "Thing",
]
