"""Painters of runways, freeways, intersections, roundabouts, railway stations and parking lots."""

from __future__ import annotations

from math import cos, pi, sin

from rshash.data.scenes.canvas import EDGE, Canvas, box, shade, vary
from rshash.data.scenes.facts import Facts
from rshash.data.scenes.parts import (
    ASPHALT,
    CONCRETE,
    MARK,
    PAINT,
    ROOF,
    SOIL,
    beside,
    car,
    ground,
    house,
    plane,
    road,
    scatter_trees,
    tree,
    warehouse,
)

CAR_COLOURS = ("white", "grey", "black", "red", "blue")


def paint_runway(canvas: Canvas, facts: Facts) -> None:
    """A marked runway along the scene, an apron below it with n planes in a row."""
    rng = canvas.rng
    ground(canvas, facts.ground)
    beside(canvas, facts.beside, 42)
    surface = vary(rng.choice((ASPHALT, (120, 120, 120), (74, 76, 82))), rng, 6)
    top, width = rng.uniform(-46, -38), rng.uniform(16, 22)
    canvas.region(box(0, top, 2 * EDGE, width), surface, "cloud", 0.25)
    for side in (-1, 1):
        canvas.line([(-EDGE, top + side * (width / 2 - 1)), (EDGE, top + side * (width / 2 - 1))], 0.7, MARK)
    canvas.dashes((-EDGE, top), (EDGE, top), 1.0, MARK, dash=8, gap=6)
    at = rng.uniform(-45, 45)
    for i in range(8):
        canvas.rect(at, top + (i - 3.5) * width / 9.5, 9, width / 19, MARK)
    apron = vary(CONCRETE, rng, 8)
    canvas.region(box(0, 13, 130, 46), apron, "cloud", 0.3)
    for seam in range(-60, 61, 12):
        canvas.line([(seam, -10), (seam, 36)], 0.3, shade(apron, 0.82))
    taxi = rng.uniform(-40, 40)
    canvas.region(box(taxi, -20, 10, 30), surface, "cloud", 0.25)
    canvas.line([(taxi, top), (taxi, 0), (EDGE / 2, 0)], 0.8, PAINT["yellow"])
    columns = min(facts.n, 3)
    rows = -(-facts.n // 3)
    length = min(30.0 if rows == 1 else 20.0, 84 / columns) * rng.uniform(0.88, 1.0)
    heading = rng.choice((-pi / 2, pi / 2, pi / 4, -pi / 3))
    for i in range(facts.n):
        x = (i % 3 - (columns - 1) / 2) * 29 + rng.uniform(-1, 1)
        y = 13 + (i // 3 - (rows - 1) / 2) * 21 + rng.uniform(-1, 1)
        plane(canvas, x, y, heading + rng.uniform(-0.06, 0.06), PAINT[facts.colour], length)


def paint_freeway(canvas: Canvas, facts: Facts) -> None:
    """Two carriageways with lanes, a green median and n cars."""
    rng = canvas.rng
    ground(canvas, facts.ground)
    beside(canvas, facts.beside, 42)
    scatter_trees(canvas, rng.randint(4, 24), (-90, -90), (90, -44), 4)
    colour, lanes = vary(rng.choice((ASPHALT, (128, 128, 126))), rng, 6), rng.choice((2, 3, 4))
    width, gap = lanes * 6.0, rng.uniform(3, 9)
    slots = []
    for side in (-1, 1):
        middle = side * (gap + width) / 2 - 2
        canvas.line([(-EDGE, middle), (EDGE, middle)], width + 4, shade(colour, 1.12))
        canvas.region(box(0, middle, 2 * EDGE, width + 1), colour, "cloud", 0.2)
        for lane in range(lanes + 1):
            y = middle + (lane - lanes / 2) * 6
            if lane in (0, lanes):
                canvas.line([(-EDGE, y), (EDGE, y)], 0.6, MARK)
            else:
                canvas.dashes((-EDGE, y), (EDGE, y), 0.6, MARK, dash=4, gap=5)
        slots += [(x, middle + (lane + 0.5 - lanes / 2) * 6) for lane in range(lanes) for x in range(-50, 51, 10)]
    canvas.line([(-EDGE, -2), (EDGE, -2)], 0.9, (206, 206, 200))
    for x, y in rng.sample(slots, facts.n):
        shift = rng.uniform(-2, 2)
        length = 5.2 if rng.random() < 0.8 else 7.5
        car(canvas, x + shift, y, 0 if y > -2 else pi, vary(PAINT[facts.colour], rng, 8), length)


def paint_intersection(canvas: Canvas, facts: Facts) -> None:
    """Two roads that cross, zebra crossings, n cars, and buildings at the corners."""
    rng = canvas.rng
    ground(canvas, facts.ground)
    colour, width = vary(ASPHALT, rng, 8), rng.uniform(17, 23)
    half = width / 2
    for turn in (0.0, pi / 2):
        canvas.region(box(0, 0, 2 * EDGE, width + 7, turn), vary(CONCRETE, rng, 6), "cloud", 0.2)
    for turn in (0.0, pi / 2):
        canvas.region(box(0, 0, 2 * EDGE, width, turn), colour, "cloud", 0.2)
    for arm in range(4):
        dx, dy = round(cos(arm * pi / 2)), round(sin(arm * pi / 2))
        canvas.dashes((dx * (half + 9), dy * (half + 9)), (dx * EDGE, dy * EDGE), 0.7, PAINT["yellow"], dash=5, gap=3)
        for stripe in range(6):
            off, out = (stripe - 2.5) * width / 6.5, half + 4.5
            canvas.rect(dx * out - dy * off, dy * out + dx * off, 5, width / 13, MARK, turn=arm * pi / 2)
    for sx in (-1, 1):
        for sy in (-1, 1):
            if facts.beside == "trees":
                for x, y in ((22, 22), (34, 20), (48, 24), (20, 36), (34, 36), (24, 50), (60, 34), (46, 48), (70, 60)):
                    tree(canvas, sx * (x + rng.uniform(-3, 3)), sy * (y + rng.uniform(-3, 3)), rng.uniform(4, 6.5))
            elif facts.beside == "houses":
                roof = ROOF[rng.choice(("red", "grey", "brown"))]
                for x, y in ((25, 25), (43, 25), (61, 25), (25, 43), (43, 44), (25, 61), (62, 46), (80, 26), (26, 80)):
                    house(
                        canvas, sx * x, sy * y, rng.uniform(10, 13), rng.uniform(8, 10), rng.choice((0, pi / 2)), roof
                    )
            elif facts.beside == "tall buildings":
                roof = vary(ROOF[rng.choice(("white", "grey", "brown"))], rng, 14)
                warehouse(canvas, sx * 37, sy * 37, rng.uniform(28, 34), rng.uniform(28, 34), 0, roof)
                warehouse(canvas, sx * 76, sy * 40, 34, rng.uniform(28, 40), 0, shade(roof, 0.9))
    slots = [(arm, out, lane) for arm in range(4) for out in range(22, 59, 9) for lane in (-1, 1)]
    for arm, out, lane in rng.sample(slots, facts.n):
        turn, off = arm * pi / 2, lane * width * 0.25
        cx, cy = cos(turn) * out - sin(turn) * off, sin(turn) * out + cos(turn) * off
        car(canvas, cx, cy, turn + (pi if lane < 0 else 0), vary(PAINT[facts.colour], rng, 8), 7)


def paint_roundabout(canvas: Canvas, facts: Facts) -> None:
    """A ring road around an island with n roads leaving it."""
    rng = canvas.rng
    ground(canvas, facts.ground)
    radius, width = rng.uniform(25, 32), rng.uniform(9, 12)
    turns = [i * 2 * pi / facts.n + rng.uniform(-0.12, 0.12) for i in range(facts.n)]
    for turn in turns:
        between = turn + pi / facts.n
        for out in (46, 60, 76):
            x, y = cos(between) * out, sin(between) * out
            if facts.beside == "houses":
                house(canvas, x, y, rng.uniform(10, 13), 9, between, ROOF[rng.choice(("red", "grey", "brown"))])
            elif facts.beside == "trees":
                scatter_trees(canvas, 6, (x - 8, y - 8), (x + 8, y + 8), 4.5)
    colour = vary(ASPHALT, rng, 8)
    for turn in turns:
        road(canvas, [(0, 0), (cos(turn) * EDGE, sin(turn) * EDGE)], width, colour)
    canvas.disc(0, 0, radius + 0.8, shade(colour, 1.45))
    canvas.disc(0, 0, radius, colour)
    inner = radius - width * 1.25
    canvas.ring(0, 0, inner + width * 0.65, 0.5, shade(colour, 1.6))
    canvas.disc(0, 0, inner + 1, MARK)
    island = {"green": (84, 132, 62), "brown": (146, 112, 76), "grey": (156, 156, 154)}[facts.colour]
    canvas.disc(0, 0, inner, island)
    canvas.ring(0, 0, inner * 0.7, 0.6, shade(island, 0.85))
    if facts.colour == "grey":
        canvas.disc(0, 0, inner * 0.3, (92, 140, 170))
    else:
        for i in range(rng.randint(1, 6)):
            tree(canvas, cos(i * 1.05) * inner * 0.4, sin(i * 1.05) * inner * 0.4, inner * 0.18)
    for turn in turns:
        at, side = rng.uniform(38, 56), width * 0.25
        x, y = cos(turn) * at - sin(turn) * side, sin(turn) * at + cos(turn) * side
        car(canvas, x, y, turn, PAINT[rng.choice(CAR_COLOURS)])


def paint_railway(canvas: Canvas, facts: Facts) -> None:
    """Parallel tracks on ballast, platforms with roofs, and n trains, each on its own track."""
    rng = canvas.rng
    ground(canvas, facts.ground)
    beside(canvas, facts.beside, 40)
    n_tracks = max(facts.n + rng.randint(1, 3), 4)
    pitch = 72 / n_tracks
    canvas.region(box(0, -2, 2 * EDGE, 76), (128, 114, 102), "rough", 0.5)
    tracks = [-38 + pitch * (i + 0.5) for i in range(n_tracks)]
    for y in tracks:
        canvas.dashes((-EDGE, y), (EDGE, y), 5.0, (98, 82, 70), dash=1.0, gap=1.4)
        for side in (-1.5, 1.5):
            canvas.line([(-EDGE, y + side), (EDGE, y + side)], 0.5, (196, 190, 186))
    for i in range(0, n_tracks - 1, 2):
        y, x, length = (tracks[i] + tracks[i + 1]) / 2, rng.uniform(-8, 8), rng.uniform(70, 100)
        canvas.rect(x, y, length + 16, max(pitch - 6, 3), (186, 182, 172))
        roof = vary(ROOF[rng.choice(("grey", "brown"))], rng, 10)
        canvas.rect(x, y, length * 0.6, max(pitch - 8, 2.4), roof, height=3)
        canvas.line([(x - length * 0.3, y), (x + length * 0.3, y)], 0.5, shade(roof, 0.75))
    for y in rng.sample(tracks, facts.n):
        n_cars, start, colour = rng.randint(3, 5), rng.uniform(-48, -30), vary(PAINT[facts.colour], rng, 6)
        for i in range(n_cars):
            canvas.rect(start + i * 18 + 8.5, y, 17, 4.6, colour, height=2.5)
            canvas.rect(start + i * 18 + 8.5, y, 15, 2.0, shade(colour, 0.8))


def paint_parking(canvas: Canvas, facts: Facts) -> None:
    """Rows of marked bays on asphalt with n cars in them."""
    rng = canvas.rng
    ground(canvas, facts.ground)
    colour = vary(SOIL["asphalt"][0], rng, 10)
    canvas.region(box(0, -3, 2 * EDGE if rng.random() < 0.6 else 108, 86), colour, "cloud", 0.3)
    beside(canvas, facts.beside, 42)
    bay, depth, bays = 5.6, 10.0, []
    for row, sides in ((-27, (-1, 1)), (6, (-1, 1)), (38, (-1,))):
        for side in sides:
            for i in range(-8, 9):
                canvas.line([(i * bay, row), (i * bay, row + side * depth)], 0.5, MARK)
            bays += [((i + 0.5) * bay, row + side * depth / 2) for i in range(-8, 8)]
        canvas.line([(-8 * bay, row), (8 * bay, row)], 0.6, MARK)
        for end in (-1, 1):
            tree(canvas, end * 8.8 * bay, row, 3)
    words = rng.sample(CAR_COLOURS, len(CAR_COLOURS)) if facts.colour == "mixed" else [facts.colour]
    for i, (x, y) in enumerate(rng.sample(bays, facts.n)):
        turn = pi / 2 * rng.choice((-1, 1)) + rng.uniform(-0.05, 0.05)
        car(canvas, x, y + rng.uniform(-0.6, 0.6), turn, vary(PAINT[words[i % len(words)]], rng, 8), 8.0)
