"""A managed node: holds a backend or a device, and lets it go when it is told to.

States and services are ROS 2's (https://design.ros2.org/articles/node_lifecycle.html). Topics and services exist in
every state, as destroying a subscription of a spinning node is not safe in rclpy; a node that is not active ignores
them or answers why it does nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from smolfusion_ros.errors import ConfigurationError, SmolFusionError


class ManagedNode(LifecycleNode):
    """Subclasses fill in what each transition does; what that raises is logged and fails the transition.

    Attributes:
        configured, active: set by the transitions; read from any thread.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.configured = False
        self.active = False
        self._failure = ""
        description = "Configure and activate at start-up; false: wait for a lifecycle manager"
        descriptor = ParameterDescriptor(description=description, read_only=True)
        self._autostart = self.declare_parameter("autostart", True, descriptor).value

    def configure(self) -> None:
        """Read files, make clients."""

    def activate(self) -> None:
        """Begin to work."""

    def deactivate(self) -> None:
        """Stop working and leave the backend or device alone."""

    def cleanup(self) -> None:
        """Give back what ``configure`` took."""

    def start(self) -> None:
        """Become active, if ``autostart`` says so.

        Raises:
            ConfigurationError: a transition failed.
        """
        for step in (self.trigger_configure, self.trigger_activate) if self._autostart else ():
            if step() != TransitionCallbackReturn.SUCCESS:
                raise ConfigurationError(self._failure)

    def stop(self) -> None:
        """Leave whatever state the node is in; for the end of the process."""
        try:
            if self.active:
                self._deactivate()
        finally:
            if self.configured:
                self._cleanup()

    def on_configure(self, _state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt(self._configure)

    def on_activate(self, _state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt(self._activate)

    def on_deactivate(self, _state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt(self._deactivate)

    def on_cleanup(self, _state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt(self._cleanup)

    def on_shutdown(self, _state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt(self.stop)

    def on_error(self, _state: LifecycleState) -> TransitionCallbackReturn:
        return self._attempt(self.stop)

    def _configure(self) -> None:
        self.configure()
        self.configured = True

    def _activate(self) -> None:
        self.activate()
        self.active = True

    def _deactivate(self) -> None:
        self.active = False
        self.deactivate()

    def _cleanup(self) -> None:
        self.configured = False
        self.cleanup()

    def _attempt(self, step: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            step()
        except SmolFusionError as error:
            self._failure = str(error)
            self.get_logger().error(self._failure)
            return TransitionCallbackReturn.FAILURE
        except Exception as error:  # rclpy would swallow it without a word
            self._failure = f"{type(error).__name__}: {error}"
            self.get_logger().error(self._failure)
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS
