"""Values become messages without losing their meaning."""

from math import isnan

import pytest
from smolfusion_ros.msg import Person, Scene

from smolfusion_ros.nodes._messages import duration_message, scene_message, stamp_ns, target_of, time_message
from smolfusion_ros.vision.scene import Person as SeenPerson
from smolfusion_ros.vision.scene import SceneDescription, SceneObject


@pytest.mark.parametrize("nanoseconds", [0, 1, 999_999_999, 1_000_000_000, 1_795_416_571_086_317_598])
def test_stamps_round_trip(nanoseconds: int) -> None:
    assert stamp_ns(time_message(nanoseconds)) == nanoseconds


def test_durations_are_whole_nanoseconds() -> None:
    message = duration_message(1.25)
    assert (message.sec, message.nanosec) == (1, 250_000_000)


def test_what_is_not_known_of_a_person_is_marked_so() -> None:
    scene = scene_message(SceneDescription(persons=(SeenPerson(position="left"),)), 0.1)
    person = scene.persons[0]
    assert person.track_id == -1
    assert isnan(person.bearing_rad)
    assert person.roi.width == 0
    assert scene.compact == "person left"


def test_a_located_person_and_an_object_keep_their_values() -> None:
    seen = SeenPerson("right", "smiling", "waving", "red shirt", (10, 20, 30, 40), -0.25, True, 0.9, 7)
    cup = SceneObject("cup", "blue", "left")
    scene = scene_message(SceneDescription(persons=(seen,), objects=(cup,)), 0.1)
    person = scene.persons[0]
    assert (person.roi.x_offset, person.roi.y_offset, person.roi.width, person.roi.height) == (10, 20, 30, 40)
    assert person.bearing_rad == pytest.approx(-0.25)
    assert (person.track_id, person.engaged, person.clothing) == (7, True, "red shirt")
    assert (scene.objects[0].label, scene.objects[0].colour, scene.objects[0].position) == ("cup", "blue", "left")


def test_a_command_about_a_person_aims_at_the_one_who_addresses_the_robot() -> None:
    bystander = Person(track_id=1, engaged=False, confidence=0.9, bearing_rad=0.5)
    visitor = Person(track_id=2, engaged=True, confidence=0.5, bearing_rad=-0.5)
    scene = Scene(persons=[bystander, visitor])
    assert target_of({"target": "person"}, False, scene) == (2, pytest.approx(-0.5))
    assert target_of({"target": "ball"}, False, scene)[0] == -1
    assert target_of({"hand": "left"}, False, scene)[0] == -1
    assert target_of({}, True, scene)[0] == 2
    assert target_of({"target": "person"}, True, None)[0] == -1
