import numpy as np
import pytest

from rshash.picture import Tile, contact_sheet

IMAGE = np.full((20, 40, 3), 200, np.uint8)


def test_hits_fill_lines_of_the_stated_width():
    hits = [Tile(f"{rank}", "a caption that is longer than the tile is wide " * 3, IMAGE) for rank in range(7)]
    one_line = contact_sheet([(Tile("query", "text"), hits[:3])], columns=3, side=60)
    three_lines = contact_sheet([(Tile("query", "text"), hits)], columns=3, side=60)
    assert one_line.width == three_lines.width
    assert three_lines.height - one_line.height == 2 * (one_line.height - 12)


def test_right_and_wrong_hits_are_framed_in_their_colours():
    def frame(relevant):
        sheet = contact_sheet([(Tile("q", "q"), [Tile("1", "", IMAGE, relevant)])], columns=1, side=60)
        return sheet.getpixel((24 + 72 + 1, 12 + 16 + 30))

    assert frame(True) == (40, 140, 70)
    assert frame(False) == (190, 60, 50)
    assert frame(None) not in [frame(True), frame(False)]


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="at least one query"):
        contact_sheet([])


def test_a_sheet_is_the_same_every_time():
    rows = [(Tile("query", "a runway"), [Tile("1", "x", IMAGE), Tile("2", "a sentence")])]
    assert contact_sheet(rows).tobytes() == contact_sheet(rows).tobytes()
