"""What is seen, in enumerated words: the value objects that perception publishes and dialogue reads."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from smolfusion_ros.errors import ConfigurationError
from smolfusion_ros.vision import vocabulary
from smolfusion_ros.vision.faces import Face

Roi = tuple[int, int, int, int]

MAX_PERSONS = 8
MAX_OBJECTS = 12
_MAX_SUMMARY = 300
_LINE_PERSONS = 3
_LINE_OBJECTS = 4
_LINE_TOKENS = 40
# Tokens of the words that take more than one, measured with SmolLM2's tokenizer.
_LONG_WORDS = {"nobody": 2, "sweater": 2}


@dataclass(frozen=True)
class Person:
    """A person in the picture; left and right are the picture's.

    ``clothing`` is '' or a colour and a garment ('red shirt'). ``roi`` is the face's box (x, y, width,
    height) in pixels, ``bearing_rad`` its direction from the optical axis, positive to the left (REP-103);
    both are None until a face was found. ``track_id`` is 0 until a tracker gave one. Raises
    ConfigurationError for a word outside the vocabularies.
    """

    position: str = "unknown"
    expression: str = "unknown"
    gesture: str = "none"
    clothing: str = ""
    roi: Roi | None = None
    bearing_rad: float | None = None
    engaged: bool = False
    confidence: float = 0.5
    track_id: int = 0

    def __post_init__(self) -> None:
        _check("position", self.position, vocabulary.POSITIONS)
        _check("expression", self.expression, vocabulary.EXPRESSIONS)
        _check("gesture", self.gesture, vocabulary.GESTURES)
        *colour, garment = self.clothing.split(" ")
        _check("garment", garment, ("", *vocabulary.CLOTHES))
        _check("clothing colour", " ".join(colour), ("", *vocabulary.COLOURS))
        _check_confidence(self.confidence)


@dataclass(frozen=True)
class SceneObject:
    """A thing in the picture: ``label`` is one of the object nouns, ``colour`` '' if it was not said."""

    label: str
    colour: str = ""
    position: str = "unknown"
    roi: Roi | None = None
    confidence: float = 0.5

    def __post_init__(self) -> None:
        _check("label", self.label, vocabulary.OBJECTS)
        _check("colour", self.colour, ("", *vocabulary.COLOURS))
        _check("position", self.position, vocabulary.POSITIONS)
        _check_confidence(self.confidence)


@dataclass(frozen=True)
class SceneDescription:
    """One look at the scene.

    ``source`` is 'vlm' or 'detector'. ``summary`` is free text for people to read: it must never reach a
    prompt (:func:`compact_line` is what does).
    """

    persons: tuple[Person, ...] = ()
    objects: tuple[SceneObject, ...] = ()
    source: str = "vlm"
    summary: str = ""

    def __post_init__(self) -> None:
        _check("source", self.source, ("vlm", "detector"))
        if len(self.persons) > MAX_PERSONS or len(self.objects) > MAX_OBJECTS:
            raise ConfigurationError(
                f"scene has {len(self.persons)} persons and {len(self.objects)} objects: at most {MAX_PERSONS} "
                f"and {MAX_OBJECTS}"
            )
        printable = "".join(c if c.isprintable() else " " for c in self.summary)
        object.__setattr__(self, "summary", " ".join(printable.split())[:_MAX_SUMMARY])


def compact_line(scene: SceneDescription) -> str:
    """Give the scene as the one line a prompt may hold, at most 40 tokens: the "compressed visual tokens".

    ``person left smiling waving red shirt; cup red right``, or ``nobody``; ``no face seen`` where only the face
    detector has looked, which may miss a person. At most 3 persons and 4 objects; what does not fit the budget is
    left out from the end.
    """
    parts = [
        told("person", person.position, person.expression, person.gesture, person.clothing)
        for person in scene.persons[:_LINE_PERSONS]
    ] or ["nobody" if scene.source == "vlm" else "no face seen"]
    parts += [told(thing.label, thing.colour, thing.position) for thing in scene.objects[:_LINE_OBJECTS]]
    line, left = "", _LINE_TOKENS
    for part in parts:
        left -= _tokens(part) + (1 if line else 0)
        if left < 0:
            break
        line += ("; " if line else "") + part
    return line


def locate(scene: SceneDescription, faces: Sequence[Face], frame_width: int, hfov_rad: float) -> SceneDescription:
    """Give persons the box and bearing of the face on their side of the picture, each face once.

    ``frame_width`` (pixels) is that of the frame the faces were found in, ``hfov_rad`` the camera's
    horizontal field of view. A person whose side was not said takes the largest face left over, and its side.
    """
    free = sorted(faces, key=lambda face: face.width * face.height, reverse=True)
    located = list(scene.persons)
    for index in sorted(range(len(located)), key=lambda i: located[i].position == "unknown"):
        person = located[index]
        for face in free:
            side = side_of(face.x + face.width / 2, frame_width)
            if person.position in (side, "unknown"):
                free.remove(face)
                located[index] = replace(
                    person,
                    position=side,
                    roi=(face.x, face.y, face.width, face.height),
                    bearing_rad=bearing(face.x + face.width / 2, frame_width, hfov_rad),
                    engaged=True,
                )
                break
    return replace(scene, persons=tuple(located))


def from_faces(faces: Sequence[Face], frame_width: int, hfov_rad: float) -> SceneDescription:
    """Describe a scene from face detection alone (source 'detector')."""
    persons = [
        Person(
            position=side_of(face.x + face.width / 2, frame_width),
            expression="smiling" if face.smiling else "unknown",
            gesture="unknown",
            roi=(face.x, face.y, face.width, face.height),
            bearing_rad=bearing(face.x + face.width / 2, frame_width, hfov_rad),
            engaged=True,
            confidence=min(1.0, max(0.0, face.score)),
        )
        for face in faces[:MAX_PERSONS]
    ]
    count = len(persons)
    summary = "No face is visible." if not count else f"{count} face{'s' if count > 1 else ''} visible."
    return SceneDescription(persons=tuple(persons), source="detector", summary=summary)


def side_of(x: float, frame_width: int) -> str:
    """Name the third of the picture that column ``x`` lies in."""
    return ("left", "centre", "right")[min(2, max(0, int(3 * x / frame_width)))]


def bearing(x: float, frame_width: int, hfov_rad: float) -> float:
    """Give column ``x``'s angle from the optical axis of a pinhole camera, radians, positive to the left."""
    if frame_width < 1 or not 0 < hfov_rad < math.pi:
        raise ConfigurationError(
            f"frame_width is {frame_width} and hfov_rad {hfov_rad}: use at least 1 pixel, and 0 to pi"
        )
    return math.atan((1 - 2 * x / frame_width) * math.tan(hfov_rad / 2))


def told(*words: str) -> str:
    """Those of a person's or a thing's words that tell something, in a row."""
    return " ".join(word for word in words if word not in ("", "unknown", "none"))


def _tokens(part: str) -> int:
    """Count a part's tokens: one a word in SmolLM2's tokenizer, but for the few measured otherwise."""
    return sum(_LONG_WORDS.get(word, 1) for word in part.split())


def _check(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ConfigurationError(f"{name} is {value!r}: use one of {', '.join(filter(None, allowed))}")


def _check_confidence(value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ConfigurationError(f"confidence is {value}: use 0 to 1")
