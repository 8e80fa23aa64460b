"""A canvas in ground units: turned, supersampled, lit by one sun; painters draw on it, an RGB array comes out.

Painters use local coordinates: the image is a square of half side `HALF` to `HALF` / 0.84 around (0, 0), turned by any
angle, so what lies within `HALF` of the middle is always seen and what reaches `EDGE` covers the corners too.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, hypot, pi, sin
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from rshash.data.scenes.texture import GRAIN, noise, textured
from rshash.extras import require

if TYPE_CHECKING:
    from PIL.Image import Image

HALF = 64.0
EDGE = 120.0
MIN_SIDE = 256  # pixels drawn per side, whatever the size: small images are reduced from it
SHADE = (12, 16, 34)

Point = tuple[float, float]
Colour = tuple[int, int, int]


class Canvas:
    """One scene in the making.

    Attributes:
        size: edge of the finished image in pixels.
        rng: the scene's own randomness.
        sun: where one unit of height throws its shadow, in ground units.
    """

    def __init__(self, size: int, rng: Random) -> None:
        self.size = size
        self.rng = rng
        self._side = max(MIN_SIDE, 2 * size)
        self._scale = self._side / (2 * HALF) * rng.uniform(0.84, 1.0)
        angle = rng.uniform(0, 2 * pi)
        self._cos, self._sin = cos(angle), sin(angle)
        direction, length = rng.uniform(0, 2 * pi), rng.uniform(0.6, 1.1)
        self.sun = (cos(direction) * length, sin(direction) * length)
        self._pillow, self._drawing = require("PIL.Image", "train"), require("PIL.ImageDraw", "train")
        self._image: Image = self._pillow.new("RGB", (self._side, self._side))
        self._draw: Any = self._drawing.Draw(self._image, "RGBA")

    def sees(self, x: float, y: float, reach: float) -> bool:
        """Tell whether anything within ``reach`` of (x, y) can be in the picture."""
        ((px, py),), pr = self._pixels([(x, y)]), reach * self._scale
        return -pr < px < self._side + pr and -pr < py < self._side + pr

    def ground(self, colour: Colour, texture: str, strength: float = 0.5) -> None:
        """Cover everything with a surface of a texture of `rshash.data.scenes.texture`."""
        self._image.paste(self._surface(colour, texture, strength), (0, 0))

    def region(self, points: Sequence[Point], colour: Colour, texture: str, strength: float = 0.5) -> None:
        """Cover a polygon with a textured surface."""
        mask = self._pillow.new("1", (self._side, self._side))
        self._drawing.Draw(mask).polygon(self._pixels(points), fill=1)
        self._image.paste(self._surface(colour, texture, strength), (0, 0), mask)

    def polygon(self, points: Sequence[Point], colour: Colour, height: float = 0.0, alpha: int = 255) -> None:
        """Draw a flat polygon; a convex one of some ``height`` throws its shadow first."""
        if height:
            self.shadow(points, height)
        self._draw.polygon(self._pixels(points), fill=(*colour, alpha))

    def shadow(self, points: Sequence[Point], height: float) -> None:
        """Darken where a convex thing of this height throws its shadow."""
        for share in (0.5, 1.0):
            x, y = self.sun[0] * height * share, self.sun[1] * height * share
            self._draw.polygon(self._pixels([(px + x, py + y) for px, py in points]), fill=(*SHADE, 80))

    def rect(
        self, x: float, y: float, width: float, depth: float, colour: Colour, *, turn: float = 0.0, height: float = 0.0
    ) -> None:
        """Draw a rectangle around (x, y), turned by ``turn`` radians."""
        self.polygon(box(x, y, width, depth, turn), colour, height)

    def line(self, points: Sequence[Point], width: float, colour: Colour, alpha: int = 255) -> None:
        """Draw a line of some width with rounded joints."""
        pixels = max(1, round(width * self._scale))
        joint = "curve" if pixels > 3 and len(points) > 2 else None
        self._draw.line(self._pixels(points), fill=(*colour, alpha), width=pixels, joint=joint)

    def dashes(self, start: Point, end: Point, width: float, colour: Colour, *, dash: float, gap: float) -> None:
        """Draw a dashed straight line."""
        (x, y), length = start, hypot(end[0] - start[0], end[1] - start[1])
        dx, dy = (end[0] - x) / length, (end[1] - y) / length
        at = 0.0
        while at < length:
            to = min(at + dash, length)
            self.line([(x + dx * at, y + dy * at), (x + dx * to, y + dy * to)], width, colour)
            at += dash + gap

    def disc(self, x: float, y: float, radius: float, colour: Colour, *, height: float = 0.0, alpha: int = 255) -> None:
        """Draw a filled circle."""
        if height:
            for share in (0.5, 1.0):
                self._ellipse(x + self.sun[0] * height * share, y + self.sun[1] * height * share, radius, (*SHADE, 80))
        self._ellipse(x, y, radius, (*colour, alpha))

    def ring(self, x: float, y: float, radius: float, width: float, colour: Colour) -> None:
        """Draw a circle's outline, inwards from ``radius``."""
        ((px, py),), pr = self._pixels([(x, y)]), radius * self._scale
        pixels = max(1, round(width * self._scale))
        self._draw.ellipse((px - pr, py - pr, px + pr, py + pr), outline=colour, width=pixels)

    def finish(self) -> np.ndarray:
        """Return (size, size, 3) uint8 RGB, with uneven light, a slight colour cast, haze and sensor noise."""
        rng = self.rng
        small = self._image.resize((self.size, self.size), self._pillow.Resampling.BOX)
        # Mostly brightness, little hue: the colours that captions name stay true.
        gain = np.array([rng.uniform(0.98, 1.02) for _ in range(3)], dtype=np.float32) * np.float32(
            rng.uniform(0.9, 1.06)
        )
        light = np.linspace(rng.uniform(0.93, 1.0), rng.uniform(1.0, 1.07), self.size, dtype=np.float32)
        slope = light[:, None, None] if rng.random() < 0.5 else light[None, :, None]
        grain = np.asarray(noise(GRAIN, self.size, rng), dtype=np.float32)[..., None] - np.float32(128)
        pixels = np.asarray(small, dtype=np.float32)
        grey = pixels.mean(axis=2, keepdims=True)
        lit = (grey + (pixels - grey) * np.float32(rng.uniform(0.7, 0.95))) * (gain * slope)  # colours fade through air
        lit += grain * np.float32(rng.uniform(0.05, 0.13)) + np.float32(rng.uniform(0, 10))
        finished: np.ndarray = np.clip(lit, 0, 255, out=lit).astype(np.uint8)
        return finished

    def _surface(self, colour: Colour, texture: str, strength: float) -> Image:
        return textured(noise(texture, self._side, self.rng), colour, strength)

    def _pixels(self, points: Sequence[Point]) -> list[Point]:
        c, s, middle = self._cos * self._scale, self._sin * self._scale, self._side / 2
        return [(x * c - y * s + middle, x * s + y * c + middle) for x, y in points]

    def _ellipse(self, x: float, y: float, radius: float, fill: tuple[int, int, int, int]) -> None:
        ((px, py),), pr = self._pixels([(x, y)]), radius * self._scale
        self._draw.ellipse((px - pr, py - pr, px + pr, py + pr), fill=fill)


def place(points: Sequence[Point], x: float, y: float, turn: float = 0.0) -> list[Point]:
    """Turn points about the origin, then move them to (x, y)."""
    c, s = cos(turn), sin(turn)
    return [(x + px * c - py * s, y + px * s + py * c) for px, py in points]


def box(x: float, y: float, width: float, depth: float, turn: float = 0.0) -> list[Point]:
    """Return the corners of a rectangle around (x, y).

    >>> box(0, 0, 4, 2)
    [(-2.0, -1.0), (2.0, -1.0), (2.0, 1.0), (-2.0, 1.0)]
    """
    w, d = width / 2, depth / 2
    return place([(-w, -d), (w, -d), (w, d), (-w, d)], x, y, turn)


def shade(colour: Colour, factor: float) -> Colour:
    """Return a colour made darker (factor < 1) or lighter.

    >>> shade((100, 200, 50), 1.5)
    (150, 255, 75)
    """
    red, green, blue = (max(0, min(255, round(value * factor))) for value in colour)
    return red, green, blue


def vary(colour: Colour, rng: Random, spread: int = 10) -> Colour:
    """Return a colour a little off."""
    red, green, blue = (max(0, min(255, value + rng.randint(-spread, spread))) for value in colour)
    return red, green, blue


def blob(x: float, y: float, radius: float, rng: Random, *, rough: float = 0.25) -> list[Point]:
    """Return a smooth uneven round outline, within ``rough`` of the radius."""
    first, second = rng.uniform(0, 2 * pi), rng.uniform(0, 2 * pi)
    turns = [i * pi / 10 for i in range(20)]
    reach = [radius * (1 + rough * (0.6 * sin(2 * t + first) + 0.4 * sin(3 * t + second))) for t in turns]
    return [(x + cos(t) * r, y + sin(t) * r) for t, r in zip(turns, reach, strict=True)]
