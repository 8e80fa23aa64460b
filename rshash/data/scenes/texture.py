"""Surfaces: grey noise of some textures, cut at random from tiles that are made once, and its colouring."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from rshash.extras import require

if TYPE_CHECKING:
    from PIL.Image import Image

TILE = 640
CUT = 256
GRAIN, CLOUD, MOTTLE, RIPPLE, ROUGH = "grain", "cloud", "mottle", "ripple", "rough"
_OCTAVES = {  # texture → (cells across the tile, cells down the tile, weight)
    GRAIN: ((TILE, TILE, 1.0),),
    CLOUD: ((6, 6, 1.0), (14, 14, 0.6), (160, 160, 0.15)),
    MOTTLE: ((14, 14, 0.7), (60, 60, 0.8), (220, 220, 0.9), (TILE, TILE, 0.4)),
    RIPPLE: ((7, 7, 0.6), (60, 200, 0.5), (130, 320, 0.4)),
    ROUGH: ((40, 40, 0.5), (130, 130, 1.0), (300, 300, 1.0)),
}
_CONTRAST = 34.0  # grey levels of one standard deviation


def noise(texture: str, side: int, rng: Random) -> Image:
    """Return a (side, side) grey image of a texture around 128, cut from its tile at a random place."""
    image = require("PIL.Image", "train")
    tile = _tile(texture)
    left, top = rng.randrange(TILE - CUT), rng.randrange(TILE - CUT)
    if side <= CUT:
        return tile.crop((left, top, left + side, top + side))
    return tile.resize((side, side), image.Resampling.BICUBIC, (left, top, left + CUT, top + CUT))


def textured(grey: Image, colour: tuple[int, int, int], strength: float) -> Image:
    """Colour a grey texture: 128 becomes ``colour``, the rest lighter or darker by ``strength``."""
    image = require("PIL.Image", "train")
    swing = (np.arange(256) - 128.0) * strength
    # Green vegetation, soil and water all vary in brightness more than in hue: every channel swings with its own level.
    bands = [
        grey.point(np.clip(level + swing * (0.35 + level / 255), 0, 255).astype(np.uint8).tolist()) for level in colour
    ]
    merged: Image = image.merge("RGB", bands)
    return merged


@cache
def _tile(texture: str) -> Image:
    image = require("PIL.Image", "train")
    rng = np.random.default_rng(sorted(_OCTAVES).index(texture))
    total = np.zeros((TILE, TILE), dtype=np.float32)
    for across, down, weight in _OCTAVES[texture]:
        cells = image.fromarray(rng.standard_normal((down, across), dtype=np.float32))
        octave = np.asarray(cells.resize((TILE, TILE), image.Resampling.BICUBIC))
        total += weight * octave / octave.std()
    grey = np.clip(128 + (total - total.mean()) / total.std() * _CONTRAST, 0, 255).astype(np.uint8)
    tile: Image = image.fromarray(grey)
    return tile
