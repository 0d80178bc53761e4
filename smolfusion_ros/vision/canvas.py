"""A surface to draw on in units of a 256th of the picture, and what is done to colours."""

from PIL import Image, ImageDraw

from smolfusion_ros.vision.specs import Colour

Point = tuple[float, float]

UNITS = 256.0


class Canvas:
    """Draws in units of a 256th of the picture, whatever its shape."""

    def __init__(self, image: Image.Image, bgr: bool = False) -> None:
        self._draw = ImageDraw.Draw(image)
        self._scale = image.width / UNITS, image.height / UNITS
        self._bgr = bgr

    def _box(self, x0: float, y0: float, x1: float, y1: float) -> list[float]:
        sx, sy = self._scale
        return [x0 * sx, y0 * sy, x1 * sx, y1 * sy]

    def _pen(self, width: float) -> int:
        return max(1, round(width * (self._scale[0] + self._scale[1]) / 2))

    def _ink(self, colour: Colour) -> Colour:
        return (colour[2], colour[1], colour[0]) if self._bgr else colour

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour, radius: float = 0.0) -> None:
        corner = radius * self._scale[1]
        self._draw.rounded_rectangle(self._box(x0, y0, x1, y1), corner, fill=self._ink(colour))

    def ellipse(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        self._draw.ellipse(self._box(x0, y0, x1, y1), fill=self._ink(colour))

    def polygon(self, points: list[Point], colour: Colour) -> None:
        sx, sy = self._scale
        self._draw.polygon([(x * sx, y * sy) for x, y in points], fill=self._ink(colour))

    def line(self, points: list[Point], colour: Colour, width: float) -> None:
        sx, sy = self._scale
        scaled = [(x * sx, y * sy) for x, y in points]
        self._draw.line(scaled, fill=self._ink(colour), width=self._pen(width), joint="curve")

    def arc(self, box: tuple[float, float, float, float], angles: Point, colour: Colour, width: float) -> None:
        self._draw.arc(self._box(*box), *angles, fill=self._ink(colour), width=self._pen(width))

    def pie(self, box: tuple[float, float, float, float], angles: Point, colour: Colour) -> None:
        self._draw.pieslice(self._box(*box), *angles, fill=self._ink(colour))


def shade(colour: Colour, factor: float, plus: int = 0) -> Colour:
    """Make a colour darker or lighter by a factor, and by some grey levels more."""
    red, green, blue = (min(255, int(value * factor) + plus) for value in colour)
    return red, green, blue


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Give a colour on the way from the first (share 0) to the second (1)."""
    red, green, blue = (int((1 - share) * a + share * b) for a, b in zip(first, second, strict=True))
    return red, green, blue
