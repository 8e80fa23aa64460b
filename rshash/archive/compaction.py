"""Compaction: living rows of all segments → one segment, ordered by month and place. Deleted rows leave the disk."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rshash.archive.geometry import SIDES
from rshash.archive.items import STANDARD, Rows, name_of, reading, union_sql
from rshash.archive.manifest import Bounds, SegmentEntry
from rshash.archive.order import row_keys
from rshash.archive.parquet import bounds_of, copy_items, datetime_range
from rshash.archive.segment import Segment
from rshash.archive.store import REMEDY, Draft, damage
from rshash.archive.writer import changing

if TYPE_CHECKING:
    from rshash.archive.reader import Archive

ROWS_AT_ONCE = 1 << 20


def compact(archive: "Archive") -> bool:
    """Rewrite all living rows as one segment, in one commit, and move the archive to it.

    Rows are ordered by month, then along a Hilbert curve (see `rshash.archive.order`), else as they came. Row numbers
    change, ids do not. Readers keep their snapshot; its files go when the last of them has closed it and the next
    change is made. The disk must hold both for that time.

    Args:
        archive: an open archive.

    Returns:
        Whether there was anything to do.

    Raises:
        BlockingIOError: if another process is writing it.
        OSError: if it cannot be read or written, or a file is damaged; the archive is untouched.
    """
    with changing(archive) as draft:
        segments = archive.segments
        if not segments:
            return False
        _check_bytes(archive)
        rows, bounds = _ordered_rows(archive)
        if len(segments) == 1 and segments[0].alive is None and np.array_equal(rows, np.arange(segments[0].n_rows)):
            return False
        entry = SegmentEntry(draft.name, len(rows), len(rows), {}, bounds)
        names = _write(archive, draft, entry, rows)
        entry = replace(
            entry,
            files=draft.sealed(*names),
            datetime=datetime_range(archive.connection, draft.folder / entry.items),
        )
        draft.commit(replace(archive.manifest, commit=draft.number, segments=(entry,)))
        return True


def _check_bytes(archive: "Archive") -> None:
    """Refuse to rewrite damaged rows: under a new checksum nobody could tell any more."""
    for segment in archive.manifest.segments:
        for name, file in segment.files.items():
            for problem in damage(archive.path, name, file):
                raise OSError(f"{archive.path} is damaged: {problem}; {REMEDY}")


def _write(archive: "Archive", draft: Draft, entry: SegmentEntry, rows: Rows) -> list[str]:
    """Write the files of the new segment and return their names."""
    segments = archive.segments
    codes = _gather([segment.codes for segment in segments], segments, rows)
    draft.write_array(entry.codes, codes, (len(rows), segments[0].codes.shape[1]), np.uint8)
    names = [entry.codes, entry.items]
    if segments[0].relaxed is not None:
        names.append(f"relaxed-{entry.name}.npy")
        relaxed = _gather([segment.relaxed for segment in segments], segments, rows)
        draft.write_array(names[-1], relaxed, (len(rows), archive.n_bits), np.float16)
    connection = archive.connection
    connection.register("ordered", {"row": rows, "position": np.arange(len(rows))})
    columns = ", ".join(f"items.{name_of(name)}" for name in archive.columns)
    try:
        with reading(segments):
            copy_items(
                connection,
                f"SELECT {columns} FROM items JOIN ordered USING (row) ORDER BY ordered.position",
                draft.path(entry.items),
                entry.bounds,
            )
    finally:
        connection.unregister("ordered")
    return names


def _gather(arrays: list[Any], segments: list[Segment], rows: Rows) -> Iterator[NDArray[Any]]:
    """Yield global rows of the segments' arrays, block by block."""
    starts = np.array([segment.first_row for segment in segments])
    for start in range(0, len(rows), ROWS_AT_ONCE):
        block = rows[start : start + ROWS_AT_ONCE]
        owner = np.searchsorted(starts, block, side="right") - 1
        gathered = np.empty((len(block), arrays[0].shape[1]), arrays[0].dtype)
        for position in np.unique(owner):
            mine = owner == position
            gathered[mine] = arrays[position][block[mine] - starts[position]]
        yield gathered


def _ordered_rows(archive: "Archive") -> tuple[Rows, Bounds | None]:
    """Return the living global rows in their new order, and the bounds of them all."""
    rows, keys, boxes = [], [], []
    for segment in archive.segments:
        living = segment.living()
        for start in range(0, segment.n_rows, ROWS_AT_ONCE):
            kept = np.flatnonzero(living[start : start + ROWS_AT_ONCE])
            footprints, months = _places(archive, segment, start)
            rows.append(kept + (segment.first_row + start))
            keys.append(row_keys(footprints[kept], months[kept]))
            boxes.append(bounds_of(footprints[kept]) or (np.nan,) * 4)
    order = np.argsort(np.concatenate(keys), kind="stable")
    return np.concatenate(rows)[order], bounds_of(np.array(boxes))


def _places(archive: "Archive", segment: Segment, start: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return footprints (n, 4), NaN for none, and months since year 0 of rows from ``start`` on, 0 for none."""
    stop = min(start + ROWS_AT_ONCE, segment.n_rows)
    sides = ", ".join(f"coalesce(bbox.{side}, 'nan'::DOUBLE) AS {side}" for side in SIDES)
    table = union_sql([segment], STANDARD | {"id": archive.columns["id"]})
    with reading([segment]):
        found = archive.connection.execute(
            f"SELECT row, {sides}, coalesce(12 * year(datetime::TIMESTAMP) + month(datetime::TIMESTAMP), 0) AS month "
            f"FROM ({table}) WHERE row BETWEEN {segment.first_row + start} AND {segment.first_row + stop - 1}"
        ).fetchnumpy()
    order = np.argsort(found["row"])
    boxes = np.column_stack([np.asarray(found[side], np.float64) for side in SIDES])
    return boxes[order], np.asarray(found["month"], np.int64)[order]
