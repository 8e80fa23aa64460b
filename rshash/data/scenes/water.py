"""Painters of harbours, bridges, beaches and swimming pools."""

from __future__ import annotations

from math import pi

from rshash.data.scenes.canvas import EDGE, Canvas, Colour, blob, box, shade, vary
from rshash.data.scenes.facts import Facts
from rshash.data.scenes.parts import (
    ASPHALT,
    CONCRETE,
    PAINT,
    ROOF,
    WATER,
    along,
    beside,
    boat,
    car,
    ground,
    house,
    road,
    scatter_trees,
    tree,
    wavy,
)

BEACH: dict[str, Colour] = {"yellow": (222, 194, 128), "white": (236, 228, 208), "grey": (166, 160, 150)}


def paint_harbour(canvas: Canvas, facts: Facts) -> None:
    """Water with floating piers, n boats moored at them, a quay along one side."""
    rng = canvas.rng
    canvas.ground(vary(WATER[facts.ground.removesuffix(" water")], rng, 8), "ripple", 0.28)
    canvas.region(box(0, 81, 2 * EDGE, 86), vary(CONCRETE, rng, 8), "cloud", 0.3)
    canvas.line([(-EDGE, 38), (EDGE, 38)], 1.6, (120, 116, 108))
    beside(canvas, facts.beside, 44)
    n_piers = 2 if facts.n <= 5 else 3
    pier = vary((172, 160, 142), rng, 10)
    slots = []
    for i in range(n_piers):
        x = (i - (n_piers - 1) / 2) * (38 if n_piers == 2 else 32) + rng.uniform(-2, 2)
        canvas.rect(x, -4, 3.2, 86, pier, height=1.2)
        for y in range(-40, 32, 12):
            canvas.rect(x, y - 6, 20, 0.9, pier)
            slots += [(x + side * 8.5, y, 0.0 if side > 0 else pi) for side in (-1, 1)]
    for x, y, turn in rng.sample(slots, facts.n):
        facing = turn + (pi if rng.random() < 0.3 else 0) + rng.uniform(-0.05, 0.05)
        boat(canvas, x, y, facing, vary(PAINT[facts.colour], rng, 6), rng.uniform(11.5, 14))


def paint_beach(canvas: Canvas, facts: Facts) -> None:
    """Sand between land and sea, with n lines of breaking waves."""
    rng = canvas.rng
    ground(canvas, facts.ground)
    beside(canvas, facts.beside, 38)
    shore = wavy(0, rng.uniform(2, 6), rng, step=6)
    inland = rng.uniform(20, 32)
    canvas.region(
        [*[(x, y * 0.4 + inland) for x, y in shore], (EDGE, -EDGE), (-EDGE, -EDGE)],
        vary(BEACH[facts.colour], rng, 8),
        "cloud",
        0.3,
    )
    canvas.region(
        [*[(x, y + 3) for x, y in shore], (EDGE, -EDGE), (-EDGE, -EDGE)], shade(BEACH[facts.colour], 0.8), "cloud", 0.25
    )
    canvas.region([*shore, (EDGE, -EDGE), (-EDGE, -EDGE)], vary((84, 150, 158), rng, 12), "ripple", 0.3)
    deep = [(x, y - 14) for x, y in shore]
    canvas.region([*deep, (EDGE, -EDGE), (-EDGE, -EDGE)], vary((46, 104, 136), rng, 10), "ripple", 0.35)
    for i in range(facts.n):
        wave = [(x, y - 2 - i * 11 + rng.uniform(-0.8, 0.8)) for x, y in shore]
        canvas.line([(x, y - 1.2) for x, y in wave], rng.uniform(3.5, 5), (222, 232, 232), alpha=110)
        canvas.line(wave, rng.uniform(1.4, 2.2), (244, 248, 246), alpha=235)
    for _ in range(rng.randint(4, 26)):
        x, y = rng.uniform(-60, 60), rng.uniform(9, inland - 4)
        canvas.disc(x, y, 1.5, PAINT[rng.choice(("red", "blue", "white", "orange"))], height=1.5)


def paint_pools(canvas: Canvas, facts: Facts) -> None:
    """Draw n pools, each on paving in a garden beside its house."""
    rng = canvas.rng
    ground(canvas, facts.ground)
    water: Colour = {"blue": (52, 136, 206), "turquoise": (74, 200, 196)}[facts.colour]
    columns = 1 if facts.n == 1 else 2
    rows = -(-facts.n // columns)
    wide, deep = 84 / columns, 84 / rows
    roof = ROOF[rng.choice(("red", "grey", "brown", "white"))]
    for i in range(facts.n):
        x = (i % columns - (columns - 1) / 2) * wide
        y = (i // columns - (rows - 1) / 2) * deep
        k = min(wide, deep) / 42
        canvas.line([(x - wide / 2, y - deep / 2), (x + wide / 2, y - deep / 2)], 0.8, (120, 110, 92))
        canvas.line([(x - wide / 2, y - deep / 2), (x - wide / 2, y + deep / 2)], 0.8, (120, 110, 92))
        side = rng.choice((-1, 1))
        px, py = x + side * wide * 0.2, y + rng.uniform(-2, 2)
        canvas.region(box(px, py, 19 * k, 27 * k), vary((198, 186, 164), rng, 10), "cloud", 0.3)
        colour = vary(water, rng, 8)
        if rng.random() < 0.6:
            canvas.rect(px, py, 11 * k, 20 * k, (232, 232, 226))
            canvas.rect(px, py, 9.6 * k, 18.6 * k, colour)
            canvas.rect(px - 1.6 * k, py, 3 * k, 17 * k, shade(colour, 1.1))
        else:
            outline = blob(0, 0, 1, rng, rough=0.12)
            for grow, paint in ((1.12, (232, 232, 226)), (1.0, colour)):
                canvas.polygon([(px + ox * 6 * k * grow, py + oy * 9.5 * k * grow) for ox, oy in outline], paint)
        house(canvas, x - side * wide * 0.24, y, 24 * k, 15 * k, pi / 2, roof)
        for _ in range(rng.randint(1, 4)):
            edge = rng.choice((-1, 1)) * deep * 0.42
            tree(canvas, x + rng.uniform(-0.45, 0.45) * wide, y + edge, rng.uniform(2.5, 4))
    for side in (-1, 1):
        if facts.beside == "trees":
            scatter_trees(canvas, 34, (-90, 50) if side > 0 else (-90, -90), (90, 90) if side > 0 else (90, -50), 4.5)
        elif facts.beside == "a road":
            road(canvas, [(-EDGE, side * 52), (EDGE, side * 52)], 8)


def paint_bridge(canvas: Canvas, facts: Facts) -> None:
    """A winding river with n bridges across it."""
    rng = canvas.rng
    ground(canvas, facts.ground)
    width = rng.uniform(24, 38)
    course = wavy(rng.uniform(-6, 6), rng.uniform(4, 9), rng, step=8)
    banks = [[(x, y + side * (width / 2 + extra)) for x, y in course] for extra in (3.5, 0) for side in (-1, 1)]
    if facts.beside == "houses":
        roof = ROOF[rng.choice(("red", "grey", "brown"))]
        for side in (-1, 1):
            for i in range(-6, 7):
                for out in (40, 54, 68):
                    house(canvas, i * 15 + rng.uniform(-2, 2), side * out, rng.uniform(9, 11), 8, 0, roof)
    elif facts.beside == "trees":
        scatter_trees(canvas, 60, (-95, -90), (95, -width / 2 - 8), 4.5)
        scatter_trees(canvas, 60, (-95, width / 2 + 8), (95, 90), 4.5)
    canvas.region([*banks[0], *reversed(banks[1])], (150, 138, 106), "mottle", 0.4)
    canvas.region([*banks[2], *reversed(banks[3])], vary(WATER[facts.colour], rng, 6), "ripple", 0.35)
    for i in range(facts.n):
        x = (i - (facts.n - 1) / 2) * 80 / facts.n + rng.uniform(-4, 4)
        lean, deck = rng.uniform(-6, 6), rng.uniform(7, 10)
        ends = [(x - lean, -EDGE), (x - lean, -width), (x + lean, width), (x + lean, EDGE)]
        road(canvas, ends, deck, vary(ASPHALT, rng, 8))
        span = [
            (x - lean - deck / 2, -width * 0.72),
            (x - lean + deck / 2, -width * 0.72),
            (x + lean + deck / 2, width * 0.72),
            (x + lean - deck / 2, width * 0.72),
        ]
        canvas.polygon(span, (184, 182, 174), height=4)
        canvas.line([(x - lean * 0.8, -width * 0.72), (x + lean * 0.8, width * 0.72)], deck - 2, ASPHALT)
        for share in (rng.uniform(0.3, 0.47), rng.uniform(0.53, 0.7)):
            cx, cy, turn = along(ends, share)
            car(canvas, cx + 1.8, cy, turn, PAINT[rng.choice(("white", "grey", "black", "red", "blue"))])
