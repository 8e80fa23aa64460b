"""Writes the golden archives that the tests read: ``python tests/golden_archives.py`` after a change of the format.

Archives of older versions are never written again: they show that what was written then is still read, or refused.
"""

import shutil
from pathlib import Path

import numpy as np

import rshash

GOLDEN = Path(__file__).parent / "golden"


def items_of_scenes(first, last):
    """Return items with every standard column and some others, a few of them missing."""
    return [
        {
            "id": f"scene-{row:02d}",
            "bbox": (169.0 + row, -10.0, 169.5 + row if row < 11 else -179.5, -9.5),
            "datetime": f"2024-{1 + row % 12:02d}-03T10:30:00.25Z" if row != 2 else None,
            "source": f"/data/{row}.tif",
            "caption": f"ships in harbour {row}" if row % 3 else None,
            "cloud_cover": row / 4,
            "tags": ["a", "b"][: row % 3],
        }
        for row in range(first, last)
    ]


def write_scenes(path):
    """Three segments, deletions, relaxed codes, a column that comes later, ids that are strings, 20 bits."""
    relaxed = np.random.default_rng(2).normal(size=(12, 20)).round(2).astype(np.float32)
    codes = rshash.pack_codes(relaxed)
    with rshash.create(path, n_bits=20, provenance={"made by": "tests/golden_archives.py"}) as archive:
        archive.append(codes[:5], items_of_scenes(0, 5), relaxed[:5])
        archive.append(codes[5:9], items_of_scenes(5, 9), relaxed[5:9])
        archive.append(codes[9:], [item | {"sensor": "S2"} for item in items_of_scenes(9, 12)], relaxed[9:])
        archive.delete(["scene-01", "scene-07"])


def write_integers(path):
    """A compacted archive of captions without places, ids that are integers, 64 bits."""
    codes = np.random.default_rng(3).integers(0, 256, (9, 8), dtype=np.uint8)
    with rshash.create(path, n_bits=64, kind="captions", id_type="integer") as archive:
        archive.append(codes, {"id": np.arange(9) - 4, "caption": [f"sentence {row}" for row in range(9)]})
        archive.delete([0])
        archive.compact()


def write_blocks(path):
    """A compacted segment of more than a block of rows, some without place or date, some across the antimeridian."""
    rows = np.arange(1030)
    boxes = np.column_stack(
        [rows % 36 * 10 - 180.0, rows % 17 * 10 - 90.0, rows % 36 * 10 - 175.5, rows % 17 * 10 - 85.0]
    )
    boxes[7::100, [0, 2]] = 175, -175
    boxes[::100] = np.nan
    moments = np.datetime64("2023-12-30", "us") + rows * np.timedelta64(6, "h")
    moments[::90] = np.datetime64("NaT")
    codes = np.random.default_rng(4).integers(0, 256, (len(rows), 1), dtype=np.uint8)
    with rshash.create(path, n_bits=8, id_type="integer") as archive:
        archive.append(codes, {"id": rows, "bbox": boxes, "datetime": moments})
        archive.compact()


def main():
    """Replace the archives of the current version."""
    for name, write in (("scenes-v3", write_scenes), ("integers-v3", write_integers), ("blocks-v3", write_blocks)):
        shutil.rmtree(GOLDEN / name, ignore_errors=True)
        GOLDEN.mkdir(exist_ok=True)
        write(GOLDEN / name)
        (GOLDEN / name / "lock").unlink()


if __name__ == "__main__":
    main()
