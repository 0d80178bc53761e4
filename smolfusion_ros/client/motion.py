"""How fast to go so that a distance or an angle is covered within a speed and an acceleration, by time alone."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, sqrt

from smolfusion_ros.errors import ConfigurationError


@dataclass(frozen=True)
class Ramp:
    """A trapezoidal speed profile: up, level, down; a triangle where the way is too short for full speed.

    Attributes:
        amount: to be covered, metres or radians, 0 or more.
        top_speed: never exceeded, units per second.
        acceleration: of both slopes, units per second squared.
    """

    amount: float
    top_speed: float
    acceleration: float

    def __post_init__(self) -> None:
        if not (isfinite(self.amount) and self.amount >= 0.0):
            raise ConfigurationError(f"the amount to cover is {self.amount}: use a number that is not negative")
        for name in ("top_speed", "acceleration"):
            if not (isfinite(getattr(self, name)) and getattr(self, name) > 0.0):
                raise ConfigurationError(f"{name} is {getattr(self, name)}: use a number above 0")

    @property
    def peak_speed(self) -> float:
        """The highest speed that is reached."""
        return min(self.top_speed, sqrt(self.amount * self.acceleration))

    @property
    def duration_s(self) -> float:
        """From standing to standing."""
        peak = self.peak_speed
        return self.amount / peak + peak / self.acceleration if peak else 0.0

    def speed_at(self, elapsed_s: float) -> float:
        """The speed so long after the start; 0 before it and behind the end."""
        left_s = self.duration_s - elapsed_s
        return max(0.0, min(self.peak_speed, self.acceleration * elapsed_s, self.acceleration * left_s))
