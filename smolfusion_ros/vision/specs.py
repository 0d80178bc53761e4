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
}
LABELS = ("cup", "bottle", "ball", "book", "box", "plant")
EXPRESSIONS = ("smiling", "neutral", "sad")
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
class PersonSpec:
    """A drawn person. ``x`` (0 left to 1 right) is the head's centre and may lie outside the picture.

    ``head_width`` and ``chin_y`` are fractions of the picture; ``wave_phase`` (radians) is where the
    waving hand is in its swing; ``skin``, ``hair`` and ``style`` choose the looks. Raises
    ConfigurationError for unknown words.
    """

    x: float = 0.5
    expression: str = "neutral"
    waving: bool = False
    shirt: str = "blue"
    wave_phase: float = 0.0
    chin_y: float = 0.5
    head_width: float = 0.23
    skin: int = 1
    hair: int = 0
    style: int = 0

    def __post_init__(self) -> None:
        _check("expression", self.expression, EXPRESSIONS)
        _check("shirt", self.shirt, tuple(COLOURS))

    @property
    def visible(self) -> bool:
        """Whether enough of the person is inside the picture to be described."""
        return -0.02 < self.x < 1.02


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
class SceneSpec:
    """A whole picture: who and what is in it, and the room (chosen by ``room``) it happens in.

    ``noise_sigma`` is the sensor's noise in grey levels.
    """

    person: PersonSpec | None = None
    objects: tuple[ObjectSpec, ...] = ()
    room: int = 0
    noise_sigma: float = 2.0

    @property
    def caption(self) -> str:
        """The truth in the words the tiny SmolVLM answers with."""
        person = "No person is visible."
        if self.person is not None and self.person.visible:
            waving = ", waving" if self.person.waving else ""
            person = (
                f"A {self.person.expression} person in a {self.person.shirt} shirt is "
                f"{_SIDE_WORDS[column_of(self.person.x)]}{waving}."
            )
        things = [f"a {o.colour} {o.label} {_SIDE_WORDS[column_of(o.x)]}" for o in self.objects]
        return f"{person} There is {' and '.join(things)}." if things else f"{person} There are no objects."


def column_of(x: float) -> int:
    """Give the third of the picture (0 left, 1 centre, 2 right) a position belongs to."""
    return min(2, max(0, int(3 * x)))


def _check(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigurationError(f"{name} is {value!r}: use one of {', '.join(allowed)}")
