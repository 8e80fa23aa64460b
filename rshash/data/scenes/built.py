"""Painters of storage tanks, courts, diamonds, houses and solar panels."""

from __future__ import annotations

from math import cos, pi, sin

from rshash.data.scenes.canvas import EDGE, Canvas, Colour, Point, box, place, shade, vary
from rshash.data.scenes.facts import Facts
from rshash.data.scenes.parts import (
    ASPHALT,
    MARK,
    PAINT,
    ROOF,
    SOIL,
    beside,
    ground,
    house,
    road,
    scatter_trees,
    tree,
    wavy,
)

SOLAR: dict[str, Colour] = {"blue": (42, 66, 132), "black": (34, 38, 50)}
COURT: dict[str, Colour] = {"green": (74, 146, 92), "blue": (54, 104, 178), "red": (186, 84, 60)}
INFIELD: dict[str, Colour] = {"brown": (160, 112, 76), "red": (176, 88, 62)}


def paint_tanks(canvas: Canvas, facts: Facts) -> None:
    """Draw n round tanks with lit tops and long shadows, pipes between them."""
    rng = canvas.rng
    ground(canvas, facts.ground)
    beside(canvas, facts.beside, 43)
    columns = 1 if facts.n == 1 else 2 if facts.n <= 4 else 3
    rows = -(-facts.n // columns)
    pitch = min(84 / columns, 80 / rows, 46)
    bare = SOIL[facts.ground][0]
    for row in range(rows):
        y = (row - (rows - 1) / 2) * pitch - 2 + pitch / 2
        canvas.line([(-EDGE, y), (EDGE, y)], 2.4, vary((150, 146, 140), rng, 6))
        canvas.line([(-EDGE, y + 2), (EDGE, y + 2)], 0.6, shade(bare, 0.7))
    radius = pitch * rng.uniform(0.3, 0.38)
    for i in range(facts.n):
        x, y = (i % columns - (columns - 1) / 2) * pitch, (i // columns - (rows - 1) / 2) * pitch - 2
        r, colour = radius * rng.uniform(0.9, 1.1), vary(PAINT[facts.colour], rng, 6)
        canvas.disc(x, y, r * 1.18, shade(bare, 0.86))
        canvas.disc(x, y, r, shade(colour, 0.66), height=r * 0.6)
        canvas.disc(x, y, r * 0.95, colour)
        canvas.disc(x + canvas.sun[0] * r * 0.08, y + canvas.sun[1] * r * 0.08, r * 0.8, shade(colour, 0.94))
        canvas.ring(x, y, r * 0.5, 0.4, shade(colour, 0.8))
        turn = rng.uniform(0, 2 * pi)
        canvas.line([(x, y), (x + cos(turn) * r, y + sin(turn) * r)], 0.8, shade(colour, 0.72))


def paint_tennis(canvas: Canvas, facts: Facts) -> None:
    """Draw n courts in a row or two, white lines and net, on a fenced surround of another colour."""
    rng = canvas.rng
    ground(canvas, facts.ground)
    beside(canvas, facts.beside, 44)
    columns, rows = min(facts.n, 3), -(-facts.n // 3)
    k = min(92 / columns / 16, 84 / rows / 31, 2.6)  # units of one metre
    wide, deep = 16 * k, 31 * k
    around = vary(rng.choice(((70, 108, 82), (88, 116, 84), (168, 104, 78), (96, 118, 120))), rng, 8)
    inside = vary(COURT[facts.colour], rng, 6)
    canvas.polygon(box(0, -2, wide * columns + 3, deep * rows + 3), (92, 96, 92))
    canvas.region(box(0, -2, wide * columns + 2, deep * rows + 2), around, "cloud", 0.2)
    for i in range(facts.n):
        _court(canvas, (i % 3 - (columns - 1) / 2) * wide, (i // 3 - (rows - 1) / 2) * deep - 2, k, inside)


def _court(canvas: Canvas, x: float, y: float, k: float, colour: Colour) -> None:
    """Draw one court, 11 by 24 metres at ``k`` units each."""
    canvas.rect(x, y, 11 * k, 24 * k, colour)
    w, d = 5.5 * k, 12 * k
    lines: list[list[Point]] = [[(-w, -d), (w, -d), (w, d), (-w, d), (-w, -d)], [(0, -6.4 * k), (0, 6.4 * k)]]
    lines += [[(side * 4.1 * k, -d), (side * 4.1 * k, d)] for side in (-1, 1)]
    lines += [[(-4.1 * k, side * 6.4 * k), (4.1 * k, side * 6.4 * k)] for side in (-1, 1)]
    for points in lines:
        canvas.line(place(points, x, y), 0.9, MARK)
    canvas.line([(x - w - k, y), (x + w + k, y)], 0.7, (40, 44, 46))


def paint_baseball(canvas: Canvas, facts: Facts) -> None:
    """Draw n diamonds: a fan of mown grass, a soil infield with a grass square, bases and foul lines."""
    rng = canvas.rng
    ground(canvas, facts.ground)
    beside(canvas, facts.beside, 46)
    spots = {1: [(0.0, 34.0)], 2: [(-40.0, 30.0), (40.0, 30.0)], 3: [(-42.0, 34.0), (42.0, 34.0), (0.0, -8.0)]}[facts.n]
    reach = {1: 76, 2: 52, 3: 42}[facts.n]
    soil, lawn = vary(INFIELD[facts.colour], rng, 8), vary((88, 138, 64), rng, 8)
    for x, y in spots:
        mid = -pi / 2 - (x / 44) * 0.4
        arc = [(cos(mid + a * pi / 40), sin(mid + a * pi / 40)) for a in range(-10, 11)]
        fan = [(x + ax * reach, y + ay * reach) for ax, ay in arc]
        canvas.disc(x, y, reach * 0.14, soil)
        canvas.region([(x, y), *fan], lawn, "mottle", 0.35)
        canvas.line(fan, reach * 0.035, soil)
        canvas.region(
            [(x, y), *((x + ax * reach * 0.55, y + ay * reach * 0.55) for ax, ay in arc)], soil, "mottle", 0.25
        )
        side = reach * 0.34
        inner = [(side * 0.12, 0), (side * 0.75, -side * 0.62), (side * 1.4, 0), (side * 0.75, side * 0.62)]
        canvas.region(place(inner, x, y, mid), shade(lawn, 1.04), "mottle", 0.3)
        canvas.disc(x + cos(mid) * side * 0.75, y + sin(mid) * side * 0.75, side * 0.16, soil)
        for end in (fan[0], fan[-1]):
            canvas.line([(x, y), end], 0.9, MARK)
        bases = [(1.5, 0), (side * 0.75, -side * 0.7), (side * 1.48, 0), (side * 0.75, side * 0.7)]
        for bx, by in place(bases, x, y, mid):
            canvas.rect(bx, by, 2, 2, MARK, turn=mid)
        canvas.polygon(place([(-8, -6), (-6, -6), (-6, 6), (-8, 6)], x, y, mid), (120, 122, 126), height=2)


def paint_dense(canvas: Canvas, facts: Facts) -> None:
    """Draw n streets with houses packed along both sides of each."""
    rng = canvas.rng
    ground(canvas, facts.ground)
    pitch, across = 96 / facts.n, rng.uniform(-30, 30)
    levels = [(street - (facts.n - 1) / 2) * pitch for street in range(-1, facts.n + 1)]
    for y in levels[1:-1]:
        road(canvas, [(-EDGE, y), (EDGE, y)], min(6.5, pitch * 0.2), centre=False)
    road(canvas, [(across, -EDGE), (across, EDGE)], 6, centre=False)
    for row in [y + side * pitch * 0.29 for y in levels for side in (-1, 1)]:
        x, depth = -EDGE, pitch * 0.27
        while x < EDGE:
            width = rng.uniform(8.5, 13)
            x += width + rng.uniform(0.8, 2.4)
            if abs(x - width / 2 - across) > width / 2 + 5:
                size, turn = ((width, depth), 0.0) if rng.random() < 0.7 else ((depth, width), pi / 2)
                house(canvas, x - width / 2, row, *size, turn, ROOF[facts.colour])
            if rng.random() < 0.14:
                tree(canvas, x, row + pitch * 0.17, 2.4)


def paint_sparse(canvas: Canvas, facts: Facts) -> None:
    """Draw n single houses with drives off one lane, far apart among grass and some trees."""
    rng = canvas.rng
    ground(canvas, facts.ground)
    lane = wavy(0, rng.uniform(2, 5), rng)
    scatter_trees(canvas, rng.randint(10, 24), (-90, -90), (90, -46), 4)
    scatter_trees(canvas, 70 if facts.beside == "trees" else 6, (-90, 46), (90, 90), 4)
    road(canvas, lane, 4.5, vary(rng.choice((ASPHALT, (168, 146, 112))), rng), centre=False)
    for column, side in rng.sample([(column, side) for column in (-1, 0, 1) for side in (-1, 1)], facts.n):
        x, y = column * 37 + rng.uniform(-3, 3), side * 26 + rng.uniform(-4, 4)
        canvas.line([(x + 3, y), (x + 3, 0)], 2.2, (178, 166, 142))
        canvas.region(box(x, y, 27, 23), vary((110, 138, 70), rng, 8), "mottle", 0.4)
        house(canvas, x, y, rng.uniform(15, 19), rng.uniform(10, 12), rng.uniform(-0.3, 0.3), ROOF[facts.colour])
        tree(canvas, x - 12, y + rng.uniform(-7, 7), rng.uniform(2.6, 4))


def paint_solar(canvas: Canvas, facts: Facts) -> None:
    """Draw n long rows of panels with cell lines and shadows."""
    rng = canvas.rng
    ground(canvas, facts.ground)
    beside(canvas, facts.beside, 45)
    pitch = 84 / facts.n
    depth, colour = pitch * rng.uniform(0.5, 0.66), vary(SOLAR[facts.colour], rng, 6)
    left, right = rng.uniform(-75, -46), rng.uniform(46, 75)
    for i in range(facts.n):
        y = (i - (facts.n - 1) / 2) * pitch - 2
        canvas.polygon(box((left + right) / 2, y, right - left, depth), colour, height=2.4)
        canvas.polygon(box((left + right) / 2, y - depth * 0.3, right - left, depth * 0.3), shade(colour, 1.22))
        canvas.line([(left, y), (right, y)], 0.5, (150, 160, 180), alpha=150)
        for seam in range(int(left), int(right), 6):
            canvas.line([(seam, y - depth / 2), (seam, y + depth / 2)], 0.5, (150, 160, 180), alpha=130)
    canvas.line([(right + 5, -45), (right + 5, 41)], 3, vary((176, 160, 130), rng))
