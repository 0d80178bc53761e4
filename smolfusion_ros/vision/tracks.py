"""Keeps a person's number from one scene to the next, so that a command can mean the one it was given for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.vision.scene import Person

_COLUMN = {"left": 0.0, "centre": 1.0, "right": 2.0}
# In thirds of the picture: somebody farther away is somebody else.
_MAX_COST = 1.6
_OTHER_CLOTHES = 1.0
_BEARING_PER_THIRD = 0.35


@dataclass
class _Track:
    person: Person
    missed: int = 0


class Tracker:
    """Gives persons the ``track_id`` of the nearest person of the scenes before, clothing counted in.

    An id is never given twice; it is forgotten after ``expire_scenes`` scenes without its person.
    """

    def __init__(self, expire_scenes: int = 3) -> None:
        if expire_scenes < 0:
            raise ConfigurationError(f"expire_scenes is {expire_scenes}: use 0 or more")
        self._expire_scenes = expire_scenes
        self._tracks: dict[int, _Track] = {}
        self._last_id = 0

    def assign(self, persons: Sequence[Person]) -> tuple[Person, ...]:
        """Number the persons of the next scene, in their order, matching the nearest pairs first."""
        pairs = sorted(
            (cost, index, track_id)
            for index, person in enumerate(persons)
            for track_id, track in self._tracks.items()
            if (cost := _cost(person, track.person)) <= _MAX_COST
        )
        ids: dict[int, int] = {}
        for _, index, track_id in pairs:
            if index not in ids and track_id not in ids.values():
                ids[index] = track_id
        for index in range(len(persons)):
            if index not in ids:
                self._last_id += 1
                ids[index] = self._last_id
        numbered = tuple(replace(person, track_id=ids[index]) for index, person in enumerate(persons))
        for track_id in list(self._tracks):
            self._tracks[track_id].missed += 1
            if self._tracks[track_id].missed > self._expire_scenes:
                del self._tracks[track_id]
        self._tracks.update({person.track_id: _Track(person) for person in numbered})
        return numbered


def _cost(now: Person, before: Person) -> float:
    if now.bearing_rad is not None and before.bearing_rad is not None:
        cost = abs(now.bearing_rad - before.bearing_rad) / _BEARING_PER_THIRD
    else:
        cost = abs(_COLUMN.get(now.position, 1.0) - _COLUMN.get(before.position, 1.0))
    if now.clothing and before.clothing and now.clothing != before.clothing:
        cost += _OTHER_CLOTHES
    return cost
