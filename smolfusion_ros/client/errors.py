"""What may go wrong between a program and the robot; each message says what is missing and where to look."""

from smolfusion_ros.errors import SmolFusionError


class RobotError(SmolFusionError):
    """The robot could not be asked, or not be told."""


class RobotUnavailableError(RobotError):
    """Nobody serves what was asked for, or the connection was closed."""


class RobotTimeoutError(RobotError):
    """It was asked and did not answer in time."""


class RobotRefusedError(RobotError):
    """It heard the question and does not take it; the message is its own."""
