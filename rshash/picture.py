"""A contact sheet: each query beside its hits, as a person looks at a retrieval result.

In: tiles (image, title, text). Out: a Pillow image. Needs Pillow (extra "train").
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rshash.extras import require

if TYPE_CHECKING:
    from PIL.Image import Image

MARGIN = 12
TEXT_SIZE = 13
LINE_HEIGHT = 16
TEXT_LINES = 3
PAPER, INK, FAINT = (250, 250, 248), (25, 25, 25), (115, 115, 115)
ACCENT, GOOD, BAD = (30, 80, 160), (40, 140, 70), (190, 60, 50)


@dataclass(frozen=True)
class Tile:
    """One picture of the sheet.

    Attributes:
        title: short line above, for example ``"distance 3"``.
        text: caption below (three lines at most) or, without an image, in its place.
        image: (H, W, 3) uint8 RGB, or None for a sentence.
        relevant: True draws a green frame, False a red one, None none.
    """

    title: str
    text: str = ""
    image: NDArray[np.uint8] | None = None
    relevant: bool | None = None


def contact_sheet(
    rows: Sequence[tuple[Tile, Sequence[Tile]]], *, columns: int = 5, side: int = 168, heading: str = ""
) -> "Image":
    """Draw queries on the left and their hits, best first, on the right.

    Args:
        rows: (query, hits) pairs; hits beyond ``columns`` go on in further lines.
        columns: hits in a line, at least 1.
        side: edge of a thumbnail in pixels.
        heading: a line above everything.

    Returns:
        A Pillow image in RGB; ``.save("hits.png")`` writes it.

    Raises:
        ImportError: if Pillow is missing.
        ValueError: if there is nothing to draw.

    >>> tile = Tile("distance 0", "a runway", np.zeros((8, 8, 3), np.uint8))
    >>> contact_sheet([(Tile("query", "runway"), [tile, tile])], columns=2, side=64).size
    (252, 152)
    """
    if not rows or columns < 1:
        raise ValueError("a contact sheet needs at least one query and one column")
    image, draw_module = require("PIL.Image", "train"), require("PIL.ImageDraw", "train")
    cell = side + MARGIN
    cell_height = side + LINE_HEIGHT * (TEXT_LINES + 1) + MARGIN
    lines = [max(1, -(-len(hits) // columns)) for _, hits in rows]
    top = MARGIN + (LINE_HEIGHT + MARGIN if heading else 0)
    size = (MARGIN + cell * (columns + 1) + MARGIN, top + cell_height * sum(lines))
    sheet: Image = image.new("RGB", size, PAPER)
    draw = draw_module.Draw(sheet)
    font = require("PIL.ImageFont", "train").load_default(TEXT_SIZE)
    if heading:
        draw.text((MARGIN, MARGIN), heading, fill=INK, font=font)
    for (query, hits), n_lines in zip(rows, lines, strict=True):
        _draw_tile(sheet, draw, font, query, MARGIN, top, side, ACCENT)
        for rank, hit in enumerate(hits):
            left = 2 * MARGIN + cell * (rank % columns + 1)
            _draw_tile(sheet, draw, font, hit, left, top + cell_height * (rank // columns), side, FAINT)
        top += cell_height * n_lines
    return sheet


def _draw_tile(sheet: "Image", draw: Any, font: Any, tile: Tile, left: int, top: int, side: int, ink: Any) -> None:
    """Draw title, picture (or sentence) and caption of one tile."""
    draw.text((left, top), tile.title, fill=ink, font=font)
    top += LINE_HEIGHT
    width = max(8, int(side / (TEXT_SIZE * 0.5)))
    box = (left, top, left + side - 1, top + side - 1)
    if tile.image is None:
        draw.rectangle(box, fill=(255, 255, 255), outline=ink)
        sentence = textwrap.wrap(tile.text, width - 2)[: side // LINE_HEIGHT - 1]
        draw.multiline_text((left + 8, top + 8), "\n".join(sentence), fill=INK, font=font, spacing=3)
        return
    thumbnail = require("PIL.Image", "train").fromarray(np.ascontiguousarray(tile.image))
    scale = side / max(thumbnail.size)
    thumbnail = thumbnail.resize([max(1, round(edge * scale)) for edge in thumbnail.size])
    sheet.paste(thumbnail, (left + (side - thumbnail.width) // 2, top + (side - thumbnail.height) // 2))
    if tile.relevant is not None:
        draw.rectangle(box, outline=GOOD if tile.relevant else BAD, width=3)
    caption = textwrap.wrap(tile.text, width, max_lines=TEXT_LINES, placeholder=" …")
    draw.multiline_text((left, top + side + 2), "\n".join(caption), fill=INK, font=font, spacing=2)
