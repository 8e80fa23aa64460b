"""A segment that is open: its codes, its living rows and its relaxed codes, mapped from their files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rshash.archive.entries import Bounds, SegmentEntry
from rshash.archive.manifest import Manifest
from rshash.archive.places import Places
from rshash.archive.store import check_size, map_array
from rshash.codes import Codes, code_bytes

Bitmap = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Segment:
    """Rows that were committed together.

    Attributes:
        name: as in the manifest.
        first_row: global row of its first row.
        n_rows: rows in its files, deleted ones included.
        n_alive: rows that live.
        codes: (n_rows, n_bytes) uint8, memory-mapped.
        alive: (ceil(n_rows / 8),) uint8, bit ``i % 8`` (low first) of byte ``i // 8`` is 1 where row i lives; None
            where all do. This is what `rshash.search` takes as a filter.
        relaxed: (n_rows, n_bits) float16, memory-mapped, or None.
        items_path: Parquet file whose row i belongs to code i.
        bounds: xmin, ymin, xmax, ymax of all footprints, or None.
        datetime: first and last moment (ISO 8601, UTC), or None.
        places: where and when each item is, beside the Parquet file; None where only that tells.
    """

    name: str
    first_row: int
    n_rows: int
    n_alive: int
    codes: Codes
    alive: Bitmap | None
    relaxed: NDArray[np.float16] | None
    items_path: Path
    bounds: Bounds | None
    datetime: tuple[str, str] | None
    places: Places | None

    def living(self) -> NDArray[np.bool_]:
        """Return (n_rows,) bool, true where a row lives."""
        if self.alive is None:
            return np.ones(self.n_rows, bool)
        return np.unpackbits(self.alive, count=self.n_rows, bitorder="little").view(bool)


def open_segment(folder: Path, manifest: Manifest, entry: SegmentEntry, first_row: int) -> Segment:
    """Map a segment's files; their sizes and shapes are held against the manifest, their bytes are not read.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a file has another size or shape.
    """
    for name, file in entry.files.items():
        check_size(folder / name, file)

    def array(name: str, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
        return map_array(folder / name, np.dtype(dtype), shape)

    return Segment(
        name=entry.name,
        first_row=first_row,
        n_rows=entry.n_rows,
        n_alive=entry.n_alive,
        codes=array(entry.codes, np.uint8, (entry.n_rows, code_bytes(manifest.n_bits))),
        alive=entry.alive and array(entry.alive, np.uint8, ((entry.n_rows + 7) // 8,)),  # type: ignore[arg-type]
        relaxed=entry.relaxed and array(entry.relaxed, np.float16, (entry.n_rows, manifest.n_bits)),  # type: ignore[arg-type]
        items_path=folder / entry.items,
        bounds=entry.bounds,
        datetime=entry.datetime,
        places=entry.blocks and Places(folder, entry.name, entry.n_rows, entry.boxes, entry.moments),  # type: ignore[arg-type]
    )
