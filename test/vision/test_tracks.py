"""A person keeps their number."""

import pytest

from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.vision.scene import Person
from smolfusion_ros.vision.tracks import Tracker


def ids(persons: tuple[Person, ...]) -> list[int]:
    return [person.track_id for person in persons]


def test_a_person_keeps_the_number_from_scene_to_scene():
    tracker = Tracker()
    assert ids(tracker.assign([Person("left")])) == [1]
    assert ids(tracker.assign([Person("left", "smiling")])) == [1]
    assert ids(tracker.assign([Person("centre")])) == [1]


def test_two_persons_are_not_mixed_up_when_named_in_another_order():
    tracker = Tracker()
    red, blue = Person("left", clothing="red shirt"), Person("right", clothing="blue shirt")
    assert ids(tracker.assign([red, blue])) == [1, 2]
    assert ids(tracker.assign([blue, red])) == [2, 1]


def test_someone_else_gets_another_number():
    tracker = Tracker()
    tracker.assign([Person("left", clothing="red shirt")])
    assert ids(tracker.assign([Person("right", clothing="blue shirt")])) == [2]
    assert ids(tracker.assign([Person("left"), Person("right")])) == [1, 2]


def test_bearings_decide_where_they_are_known():
    tracker = Tracker()
    tracker.assign([Person("centre", bearing_rad=0.15), Person("centre", bearing_rad=-0.15)])
    assert ids(tracker.assign([Person("centre", bearing_rad=-0.1), Person("centre", bearing_rad=0.1)])) == [2, 1]


def test_a_track_outlives_a_few_missed_scenes_and_then_expires():
    tracker = Tracker(expire_scenes=2)
    tracker.assign([Person("left")])
    for _ in range(2):
        tracker.assign([])
    assert ids(tracker.assign([Person("left")])) == [1]
    for _ in range(3):
        tracker.assign([])
    assert ids(tracker.assign([Person("left")])) == [2]


def test_a_negative_expiry_is_refused():
    with pytest.raises(ConfigurationError, match="-1"):
        Tracker(-1)
