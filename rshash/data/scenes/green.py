"""Painters of orchards, farmland, forests and golf courses."""

from __future__ import annotations

from math import cos, pi, sin

from rshash.data.scenes.canvas import EDGE, Canvas, Colour, blob, box, shade, vary
from rshash.data.scenes.facts import Facts
from rshash.data.scenes.parts import beside, ground, scatter_trees, tree, wavy

CROPS: dict[str, tuple[Colour, ...]] = {
    "green": ((96, 142, 62), (74, 120, 58), (122, 154, 74)),
    "yellow": ((206, 186, 84), (194, 170, 88), (216, 200, 112)),
    "brown": ((146, 112, 78), (124, 94, 66), (164, 130, 92)),
}
CROWNS: dict[str, Colour] = {"dark green": (44, 76, 38), "light green": (108, 142, 62), "orange": (186, 116, 46)}


def paint_orchard(canvas: Canvas, facts: Facts) -> None:
    """Draw n straight rows of equal round trees."""
    rng = canvas.rng
    ground(canvas, facts.ground)
    beside(canvas, facts.beside, 46)
    pitch = 88 / facts.n
    radius, step = pitch * rng.uniform(0.34, 0.42), pitch * rng.uniform(0.6, 0.74)
    for i in range(facts.n):
        y = (i - (facts.n - 1) / 2) * pitch - 2
        canvas.line([(-EDGE, y), (EDGE, y)], pitch * 0.5, (96, 84, 58), alpha=70)
    for i in range(facts.n):
        y = (i - (facts.n - 1) / 2) * pitch - 2
        x = -EDGE
        while x < EDGE:
            tree(canvas, x + rng.uniform(-0.5, 0.5), y + rng.uniform(-0.5, 0.5), radius, CROWNS[facts.colour])
            x += step


def paint_farmland(canvas: Canvas, facts: Facts) -> None:
    """Draw n fields side by side, ploughed along or across, paths between them."""
    rng = canvas.rng
    canvas.ground(vary((150, 134, 100), rng), "mottle", 0.5)
    beside(canvas, facts.beside, 46)
    columns = 1 if facts.n <= 2 else 2 if facts.n <= 6 else 3
    heights = [facts.n // columns + (1 if column < facts.n % columns else 0) for column in range(columns)]
    cuts = [-EDGE, *((i / columns - 0.5) * 100 + rng.uniform(-5, 5) for i in range(1, columns)), EDGE]
    words, n_fields = rng.sample(sorted(CROPS), 3) if facts.colour == "mixed" else [facts.colour], 0
    for column, rows in enumerate(heights):
        left, right = cuts[column] + 0.9, cuts[column + 1] - 0.9
        levels = [-EDGE, *(-45 + 90 * (i / rows) + rng.uniform(-4, 4) for i in range(1, rows)), 45.0]
        for top, bottom in zip([level + 0.9 for level in levels], levels[1:], strict=False):
            _field(canvas, left, top, right, bottom - 0.9, words[n_fields % len(words)])
            n_fields += 1


def _field(canvas: Canvas, left: float, top: float, right: float, bottom: float, word: str) -> None:
    """Draw one field with its plough lines."""
    rng = canvas.rng
    colour = vary(rng.choice(CROPS[word]), rng, 8)
    middle = ((left + right) / 2, (top + bottom) / 2)
    canvas.region(box(*middle, right - left, bottom - top), colour, rng.choice(("mottle", "cloud")), 0.5)
    gap, tone = rng.uniform(2.2, 4.5), shade(colour, rng.choice((0.8, 0.86, 1.12)))
    if rng.random() < 0.2:
        return
    at, along_x = 1.0, rng.random() < 0.5
    while at < ((bottom - top) if along_x else (right - left)):
        ends = [(left, top + at), (right, top + at)] if along_x else [(left + at, top), (left + at, bottom)]
        canvas.line(ends, gap * 0.4, tone, alpha=170)
        at += gap


def paint_forest(canvas: Canvas, facts: Facts) -> None:
    """Draw a closed canopy with n clearings."""
    rng = canvas.rng
    colour = CROWNS[facts.colour]
    canvas.ground(shade(colour, 0.55), "rough", 0.5)
    start, n = rng.uniform(0, 2 * pi), facts.n
    spots = (
        [(cos(start + i * 2 * pi / n) * 30, sin(start + i * 2 * pi / n) * 30) for i in range(n)]
        if n > 1
        else [(0.0, 0.0)]
    )
    radius = rng.uniform(11, 14)
    crown = rng.uniform(4.6, 6.4)
    for x, y in spots:
        canvas.region(blob(x, y, radius + 3, rng, rough=0.15), vary((146, 152, 88), rng, 8), "mottle", 0.5)
    step = crown * 1.5
    for row in range(int(-EDGE / step), int(EDGE / step) + 1):
        for column in range(int(-EDGE / step), int(EDGE / step) + 1):
            x = (column + row % 2 / 2) * step + rng.uniform(-2, 2)
            y = row * step * 0.9 + rng.uniform(-2, 2)
            if all((x - cx) ** 2 + (y - cy) ** 2 > (radius + crown * 0.5) ** 2 for cx, cy in spots):
                tree(canvas, x, y, crown * rng.uniform(0.75, 1.25), colour)


def paint_golf(canvas: Canvas, facts: Facts) -> None:
    """Draw a mown fairway and green, n pale bunkers, and trees at the edges."""
    rng = canvas.rng
    canvas.ground(vary((82, 116, 56), rng, 8), "mottle", 0.5)
    beside(canvas, facts.beside, 46)
    scatter_trees(canvas, 50, (-95, -95), (95, -42), 5)
    course = wavy(0, rng.uniform(4, 9), rng, step=8)
    fairway = vary((124, 166, 84), rng, 8)
    width = rng.uniform(18, 24)
    canvas.region(
        [*((x, y - width) for x, y in course), *((x, y + width) for x, y in reversed(course))], fairway, "mottle", 0.25
    )
    for at in range(-112, 113, 14):
        canvas.line([(at, -width * 0.8), (at + 8, width * 0.8)], 5.5, shade(fairway, 1.1), alpha=90)
    gx, gy = rng.uniform(-10, 10), rng.uniform(-6, 6)
    canvas.polygon(blob(gx, gy, 15, rng, rough=0.12), shade(fairway, 0.92))
    canvas.polygon(blob(gx, gy, 12.5, rng, rough=0.1), vary((150, 196, 104), rng, 6))
    canvas.disc(gx + 3, gy, 0.8, (240, 240, 240), height=3)
    start = rng.uniform(0, 2 * pi)
    sand: Colour = {"white": (236, 228, 208), "yellow": (222, 196, 134)}[facts.colour]
    for i in range(facts.n):
        turn = start + i * 2 * pi / facts.n
        x, y = gx + cos(turn) * 30, gy + sin(turn) * 24
        outline = blob(x, y, rng.uniform(5, 6.5), rng, rough=0.22)
        canvas.polygon([(px + (px - x) * 0.2, py + (py - y) * 0.2) for px, py in outline], shade(fairway, 0.75))
        canvas.region(outline, vary(sand, rng, 6), "cloud", 0.2)
    for _ in range(rng.randint(3, 9)):
        tree(canvas, rng.choice((-1, 1)) * rng.uniform(44, 60), rng.uniform(-40, 40), rng.uniform(3, 5))
