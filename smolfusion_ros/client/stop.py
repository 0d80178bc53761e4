"""How the emergency stop stands, from two topics that may come in any order."""

from __future__ import annotations


class StopLatch:
    """Engaged from the first sign of a stop until the stack says that it was released.

    ``emergency_stop`` is the press itself, heard even where no dialogue runs; ``emergency_stop_engaged`` is what the
    dialogue holds. A press that the dialogue has not confirmed yet is not undone by its older word that nothing is
    engaged: press again and reset.
    """

    def __init__(self) -> None:
        self._told = False
        self._unconfirmed = False

    @property
    def engaged(self) -> bool:
        return self._told or self._unconfirmed

    def on_press(self, pressed: bool) -> bool:
        """``emergency_stop`` said so; True if the stop is engaged only now."""
        was = self.engaged
        if pressed and not self._told:
            self._unconfirmed = True
        return self.engaged and not was

    def on_told(self, engaged: bool) -> bool:
        """``emergency_stop_engaged`` said so; True if that changes anything."""
        was = self.engaged
        self._told = engaged
        if engaged:
            self._unconfirmed = False
        return self.engaged != was
