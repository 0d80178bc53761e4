"""What is drawn, as data: the truth of a rendered scene."""

from dataclasses import dataclass

from smolfusion_ros.errors import ConfigurationError

Colour = tuple[int, int, int]

COLOURS: dict[str, Colour] = {
    "red": (205, 35, 35),
    "green": (40, 150, 60),
    "blue": (40, 80, 205),
    "yellow": (235, 205, 40),
    "purple": (140, 60, 170),
    "white": (238, 238, 238),
    "black": (30, 30, 32),
    "orange": (240, 125, 25),
    "brown": (118, 70, 36),
    "pink": (242, 140, 185),
}
LABELS = ("cup", "bottle", "ball", "book", "box", "plant", "lamp", "chair", "phone")
HAND_SIZED = ("cup", "bottle", "ball", "book", "phone")
EXPRESSIONS = ("smiling", "neutral", "sad", "surprised", "angry")
GESTURES = ("none", "waving", "pointing")
SKINS: tuple[Colour, ...] = (
    (255, 219, 190),
    (241, 194, 155),
    (224, 172, 122),
    (198, 134, 86),
    (141, 85, 50),
    (92, 56, 36),
)
HAIRS: tuple[Colour, ...] = ((30, 22, 18), (70, 45, 25), (150, 110, 60), (190, 180, 170), (110, 50, 30))
_SIDE_WORDS = ("on the left", "in the center", "on the right")


@dataclass(frozen=True)
class HeldSpec:
    """A thing in a person's hand. Raises ConfigurationError for what fits in none, and for unknown colours."""

    label: str
    colour: str

    def __post_init__(self) -> None:
        _check("held label", self.label, HAND_SIZED)
        _check("colour", self.colour, tuple(COLOURS))


@dataclass(frozen=True)
class PersonSpec:
    """A drawn person. ``x`` (0 left to 1 right) is the head's centre and may lie outside the picture.

    ``head_width`` and ``chin_y`` are fractions of the picture; ``arm`` is the picture's side on which the arm waves
    or points, '' the one towards the middle (what is held is in the other hand, without a gesture in this one);
    ``wave_phase`` (radians) is where the waving hand is in its swing; ``skin``, ``hair`` and ``style`` choose the
    looks. Raises ConfigurationError for unknown words.
    """

    x: float = 0.5
    expression: str = "neutral"
    gesture: str = "none"
    shirt: str = "blue"
    holding: HeldSpec | None = None
    arm: str = ""
    wave_phase: float = 0.0
    chin_y: float = 0.5
    head_width: float = 0.23
    skin: int = 1
    hair: int = 0
    style: int = 0

    def __post_init__(self) -> None:
        _check("expression", self.expression, EXPRESSIONS)
        _check("gesture", self.gesture, GESTURES)
        _check("shirt", self.shirt, tuple(COLOURS))
        _check("arm", self.arm, ("", "left", "right"))

    @property
    def visible(self) -> bool:
        """Whether enough of the person is inside the picture to be described."""
        return -0.02 < self.x < 1.02

    @property
    def arm_direction(self) -> int:
        """-1 where the gesture's arm is on the picture's left of the body, 1 on its right."""
        if self.arm:
            return -1 if self.arm == "left" else 1
        return 1 if self.x < 0.5 else -1


@dataclass(frozen=True)
class ObjectSpec:
    """A drawn thing: ``x`` and ``y`` (fractions of the picture) are its foot, ``size`` its height or so."""

    label: str
    colour: str
    x: float
    y: float = 0.85
    size: float = 0.25

    def __post_init__(self) -> None:
        _check("label", self.label, LABELS)
        _check("colour", self.colour, tuple(COLOURS))


@dataclass(frozen=True)
class LightSpec:
    """How a scene is lit.

    brightness: a factor. warmth: -1 bluish to 1 reddish. from_side: -1 lit from the left to 1 from the right.
    vignette: how much darker the corners are, 0 to 1.
    """

    brightness: float = 1.0
    warmth: float = 0.0
    from_side: float = 0.0
    vignette: float = 0.0

    def __post_init__(self) -> None:
        within = {
            "brightness": 0 < self.brightness <= 4,
            "warmth": abs(self.warmth) <= 1,
            "from_side": abs(self.from_side) <= 1,
            "vignette": 0 <= self.vignette <= 1,
        }
        for name, is_within in within.items():
            if not is_within:
                raise ConfigurationError(f"light: {name} is {getattr(self, name)}, outside its range")


@dataclass(frozen=True)
class SceneSpec:
    """A whole picture: who and what is in it, the room (chosen by ``room``) it happens in, and how it is taken.

    ``blur`` is the lens's Gaussian sigma in 256ths of the picture, ``noise_sigma`` the sensor's noise in grey levels.
    """

    persons: tuple[PersonSpec, ...] = ()
    objects: tuple[ObjectSpec, ...] = ()
    room: int = 0
    light: LightSpec = LightSpec()
    blur: float = 0.0
    noise_sigma: float = 2.0

    @property
    def caption(self) -> str:
        """The truth in the words the tiny SmolVLM answers with."""
        sentences = [_told(person) for person in self.persons if person.visible] or ["No person is visible."]
        things = [f"{_article(o.colour)} {o.label} {_SIDE_WORDS[column_of(o.x)]}" for o in self.objects]
        sentences.append(f"There is {' and '.join(things)}." if things else "There are no objects.")
        return " ".join(sentences)


def column_of(x: float) -> int:
    """Give the third of the picture (0 left, 1 centre, 2 right) a position belongs to."""
    return min(2, max(0, int(3 * x)))


def _told(person: PersonSpec) -> str:
    doing = [] if person.gesture == "none" else [person.gesture]
    if person.holding is not None:
        doing.append(f"holding {_article(person.holding.colour)} {person.holding.label}")
    who = f"{_article(person.expression).capitalize()} person in {_article(person.shirt)} shirt"
    return ", ".join((f"{who} is {_SIDE_WORDS[column_of(person.x)]}", *doing)) + "."


def _article(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def _check(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigurationError(f"{name} is {value!r}: use one of {', '.join(filter(None, allowed))}")
