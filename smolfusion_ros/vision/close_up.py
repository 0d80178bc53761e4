"""A second look at the nearest person: small in the whole picture, large in a part of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from smolfusion_ros.vision.frames import Frame
from smolfusion_ros.vision.scene import Person, Roi, SceneDescription
from smolfusion_ros.vision.workers import encode_jpeg

# Around a face: a head's width of air above, raised hands on both sides, and the chest, in sizes of the face.
_SIDE, _ABOVE, _BELOW = 1.5, 1.0, 2.5
# A person who fills so much of the picture's width gains nothing.
_LARGEST_SHARE = 0.8
_LONGEST_PX, _QUALITY = 512, 90


def nearest(persons: Sequence[Person]) -> int | None:
    """The index of the person with the largest face; None where no face was found."""
    found = [(person.roi[2] * person.roi[3], -index) for index, person in enumerate(persons) if person.roi is not None]
    return -max(found)[1] if found else None


def close_up(frame: Frame, person: Person) -> bytes | None:
    """A person's part of the frame (HxWx3 uint8 BGR) as JPEG; None where that is nearly the whole of it."""
    if person.roi is None:
        return None
    region = _around(person.roi, frame.shape[1], frame.shape[0])
    if region[2] >= _LARGEST_SHARE * frame.shape[1]:
        return None
    return encode_jpeg(frame, _LONGEST_PX, _QUALITY, region)


def with_looks(scene: SceneDescription, index: int, seen: SceneDescription) -> SceneDescription:
    """The scene with a person's looks from a close-up; what that does not tell stays."""
    if not seen.persons:
        return scene
    persons, closer = list(scene.persons), seen.persons[0]
    told = {
        name: getattr(closer, name)
        for name in ("expression", "gesture", "clothing")
        if getattr(closer, name) not in ("", "unknown")
    }
    persons[index] = replace(persons[index], **told)
    return replace(scene, persons=tuple(persons))


def _around(face: Roi, width: int, height: int) -> Roi:
    x, y, face_width, face_height = face
    left, top = max(0, round(x - _SIDE * face_width)), max(0, round(y - _ABOVE * face_height))
    right = min(width, round(x + (1 + _SIDE) * face_width))
    bottom = min(height, round(y + (1 + _BELOW) * face_height))
    return left, top, right - left, bottom - top
