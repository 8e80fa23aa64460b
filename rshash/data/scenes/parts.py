"""What many scenes share: colours by their words, trees, houses, cars, planes, boats, roads, and what lies beside."""

from __future__ import annotations

from itertools import pairwise
from math import atan2, cos, hypot, pi, sin
from random import Random

from rshash.data.scenes.canvas import EDGE, Canvas, Colour, Point, blob, box, place, shade, vary

PAINT: dict[str, Colour] = {  # of made things: planes, cars, boats, roofs, tanks, courts
    "white": (236, 236, 232),
    "grey": (142, 144, 148),
    "black": (38, 38, 44),
    "red": (190, 52, 44),
    "blue": (48, 92, 182),
    "yellow": (226, 192, 54),
    "green": (56, 128, 72),
    "brown": (132, 88, 58),
    "orange": (214, 124, 48),
}
ROOF: dict[str, Colour] = {
    "white": (226, 222, 214),
    "grey": (132, 132, 134),
    "red": (176, 84, 62),
    "brown": (116, 84, 64),
}
SOIL: dict[str, tuple[Colour, str]] = {  # word for the ground → colour, texture
    "grass": ((98, 124, 66), "mottle"),
    "dry grass": ((160, 150, 96), "mottle"),
    "bare soil": ((158, 124, 88), "mottle"),
    "sand": ((212, 190, 146), "cloud"),
    "concrete": ((176, 174, 166), "cloud"),
    "asphalt": ((92, 94, 98), "cloud"),
}
WATER: dict[str, Colour] = {"blue": (44, 88, 130), "green": (62, 104, 84), "brown": (122, 104, 70)}
TREE = (52, 82, 42)
ASPHALT, CONCRETE, MARK = (88, 90, 94), (172, 170, 164), (226, 226, 218)
BESIDE = ("trees", "houses", "a road", "a lake", "bare soil", "warehouses")


def ground(canvas: Canvas, word: str) -> None:
    """Cover the scene with the ground of this word."""
    colour, texture = SOIL[word]
    canvas.ground(vary(colour, canvas.rng, 8), texture, canvas.rng.uniform(0.4, 0.7))


def tree(canvas: Canvas, x: float, y: float, radius: float, colour: Colour = TREE) -> None:
    """Draw a crown with its shadow, lit on the side of the sun."""
    if not canvas.sees(x, y, radius * 2):
        return
    rng = canvas.rng
    colour = vary(shade(colour, rng.uniform(0.8, 1.2)), rng, 6)
    canvas.disc(x, y, radius, shade(colour, 0.72), height=radius * 0.8)
    canvas.disc(x - canvas.sun[0] * radius * 0.22, y - canvas.sun[1] * radius * 0.22, radius * 0.72, colour)
    canvas.disc(x - canvas.sun[0] * radius * 0.4, y - canvas.sun[1] * radius * 0.4, radius * 0.36, shade(colour, 1.28))


def house(canvas: Canvas, x: float, y: float, width: float, depth: float, turn: float, colour: Colour) -> None:
    """Draw a gabled roof, one slope in the light and one out of it."""
    if not canvas.sees(x, y, width + depth):
        return
    colour = vary(colour, canvas.rng, 8)
    canvas.polygon(box(x, y, width, depth, turn), colour, height=3.5)
    facing = -sin(turn) * canvas.sun[0] + cos(turn) * canvas.sun[1]
    dim = [(-width / 2, 0), (width / 2, 0), (width / 2, depth / 2), (-width / 2, depth / 2)]
    canvas.polygon(place([(px, py if facing > 0 else -py) for px, py in dim], x, y, turn), shade(colour, 0.72))
    canvas.line(place([(-width / 2, 0), (width / 2, 0)], x, y, turn), 0.5, shade(colour, 1.25))


def warehouse(canvas: Canvas, x: float, y: float, width: float, depth: float, turn: float, colour: Colour) -> None:
    """Draw a large flat roof with a parapet and a few vents."""
    rng = canvas.rng
    canvas.polygon(box(x, y, width, depth, turn), shade(colour, 0.8), height=6)
    canvas.polygon(box(x, y, width - 1.6, depth - 1.6, turn), colour)
    for _ in range(rng.randint(1, 4)):
        (vx, vy), *_ = place([(rng.uniform(-0.35, 0.35) * width, rng.uniform(-0.3, 0.3) * depth)], x, y, turn)
        canvas.rect(vx, vy, 2.2, 1.8, shade(colour, 0.65), turn=turn, height=1)


def car(canvas: Canvas, x: float, y: float, turn: float, colour: Colour, length: float = 5.0) -> None:
    """Draw a car: body, dark windscreen and rear window."""
    width = length * 0.46
    canvas.polygon(box(x, y, length, width, turn), colour, height=1.0)
    for at in (0.16, -0.3):
        (wx, wy), *_ = place([(at * length, 0)], x, y, turn)
        canvas.rect(wx, wy, length * 0.13, width * 0.82, (44, 52, 62), turn=turn)


def plane(canvas: Canvas, x: float, y: float, turn: float, colour: Colour, length: float) -> None:
    """Draw an airliner seen from above; ``length`` from nose to tail."""
    k = length / 20
    wings = [(3, 0), (-3.4, 10), (-5.2, 10), (-2.2, 0), (-5.2, -10), (-3.4, -10)]
    tail = [(-7, 0), (-9.4, 3.8), (-10.4, 3.8), (-9.4, 0), (-10.4, -3.8), (-9.4, -3.8)]
    body = [(10, 0), (9, 0.9), (7, 1.3), (-6, 1.3), (-10, 0.4), (-10, -0.4), (-6, -1.3), (7, -1.3), (9, -0.9)]
    parts = [place([(px * k, py * k) for px, py in part], x, y, turn) for part in (wings, tail, body)]
    for part in parts:
        canvas.shadow(part, 2.2 * k)
    for part, light in zip(parts, (0.88, 0.84, 1.06), strict=True):
        canvas.polygon(part, shade(colour, light))
    for side in (-1, 1):
        for at in (3.6, 6.4):
            (ex, ey), *_ = place([((1.2 - at * 0.5) * k, side * at * k)], x, y, turn)
            canvas.rect(ex, ey, 2.2 * k, 0.9 * k, shade(colour, 0.6), turn=turn)


def boat(canvas: Canvas, x: float, y: float, turn: float, colour: Colour, length: float) -> None:
    """Draw a boat: pointed hull, lighter deck, cabin."""
    hull = [(0.5, 0), (0.25, 0.15), (-0.5, 0.14), (-0.5, -0.14), (0.25, -0.15)]
    canvas.polygon(place([(px * length, py * length) for px, py in hull], x, y, turn), colour, height=1.2)
    deck = [(px * length * 0.76, py * length * 0.6) for px, py in hull]
    canvas.polygon(place(deck, x, y, turn), shade(colour, 0.8))
    (cx, cy), *_ = place([(-0.08 * length, 0)], x, y, turn)
    canvas.rect(cx, cy, length * 0.26, length * 0.15, shade(colour, 1.2), turn=turn, height=0.6)


def road(canvas: Canvas, points: list[Point], width: float, colour: Colour = ASPHALT, *, centre: bool = True) -> None:
    """Draw a road with pale kerbs and, if wanted, a dashed middle line."""
    canvas.line(points, width + 1.6, shade(colour, 1.45))
    canvas.line(points, width, vary(colour, canvas.rng, 4))
    if centre:
        for start, end in pairwise(points):
            canvas.dashes(start, end, 0.6, MARK, dash=4, gap=4)


def along(points: list[Point], share: float) -> tuple[float, float, float]:
    """Return x, y and direction at a share (0 to 1) of a polyline's length.

    >>> along([(0, 0), (4, 0), (4, 4)], 0.5)
    (4.0, 0.0, 0.0)
    """
    lengths = [hypot(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(points)]
    left = share * sum(lengths)
    for (x, y), (to_x, to_y), length in zip(points, points[1:], lengths, strict=False):
        if left <= length:
            part = left / length
            return x + (to_x - x) * part, y + (to_y - y) * part, atan2(to_y - y, to_x - x)
        left -= length
    (x, y), (to_x, to_y) = points[-2:]
    return to_x, to_y, atan2(to_y - y, to_x - x)


def wavy(y: float, sway: float, rng: Random, *, step: float = 15) -> list[Point]:
    """Return a line from left to right edge that swings about ``y``."""
    phase, length = rng.uniform(0, 2 * pi), rng.uniform(90, 170)
    n = int(2 * EDGE / step) + 1
    return [(-EDGE + i * step, y + sway * sin(phase + (i * step) * 2 * pi / length)) for i in range(n)]


def scatter_trees(canvas: Canvas, n: int, low: Point, high: Point, radius: float = 4.0) -> None:
    """Draw trees at random places of a rectangle."""
    rng = canvas.rng
    for _ in range(n):
        tree(canvas, rng.uniform(low[0], high[0]), rng.uniform(low[1], high[1]), radius * rng.uniform(0.7, 1.3))


def beside(canvas: Canvas, what: str, y: float) -> None:
    """Fill the side of the scene beyond ``y`` with one of `BESIDE`, nothing that is counted; "" leaves it as it is."""
    rng = canvas.rng
    far = 92.0
    if what == "trees":
        scatter_trees(canvas, 90, (-95, y + 4), (95, far), 5)
    elif what == "houses":
        road(canvas, [(-EDGE, y + 5), (EDGE, y + 5)], 5, centre=False)
        colour = ROOF[rng.choice(("red", "grey", "brown"))]
        for row in (y + 16, y + 34):
            for i in range(-6, 7):
                house(canvas, i * 15 + rng.uniform(-1, 1), row, rng.uniform(9, 11), rng.uniform(7, 9), 0, colour)
    elif what == "a road":
        road(canvas, [(-EDGE, y + 9), (EDGE, y + 9)], 9)
    elif what == "a lake":
        shore = [(px, min(py, y + 8)) for px, py in wavy(y + 5, 2.5, rng)]
        colour = vary(WATER[rng.choice(("blue", "green"))], rng, 8)
        canvas.region(
            [*[(px, py - 1.5) for px, py in shore], (EDGE, EDGE), (-EDGE, EDGE)], (170, 158, 124), "cloud", 0.4
        )
        canvas.region([*shore, (EDGE, EDGE), (-EDGE, EDGE)], colour, "ripple", 0.3)
    elif what == "bare soil":
        colour, texture = SOIL["bare soil"]
        canvas.region([(-EDGE, y), (EDGE, y), (EDGE, EDGE), (-EDGE, EDGE)], vary(colour, rng), texture, 0.6)
        for _ in range(14):
            x, at = rng.uniform(-80, 80), rng.uniform(y + 3, 80)
            canvas.polygon(blob(x, at, rng.uniform(1, 3), rng), shade(colour, rng.uniform(0.8, 0.95)), alpha=120)
    elif what == "warehouses":
        canvas.region([(-EDGE, y), (EDGE, y), (EDGE, EDGE), (-EDGE, EDGE)], CONCRETE, "cloud", 0.4)
        for i in range(-3, 4):
            colour = vary(PAINT[rng.choice(("white", "grey", "blue", "grey"))], rng, 12)
            warehouse(canvas, i * 34 + rng.uniform(-2, 2), y + 22, rng.uniform(24, 30), rng.uniform(18, 28), 0, colour)
