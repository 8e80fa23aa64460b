"""Compaction: living rows of all segments → one segment, ordered by month and place. Deleted rows leave the disk."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rshash.archive.entries import Bounds, SegmentEntry
from rshash.archive.items import Rows, name_of, reading
from rshash.archive.order import months_of, row_keys
from rshash.archive.parquet import bounds_of, copy_items
from rshash.archive.places import Moments, ends_of, span_of, write_places
from rshash.archive.placing import ROWS_AT_ONCE, read_boxes, read_moments, stream_boxes, stream_moments
from rshash.archive.segment import Segment
from rshash.archive.store import REMEDY, Draft, damage
from rshash.archive.writer import changing

if TYPE_CHECKING:
    from rshash.archive.reader import Archive


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
        rows, bounds, span = _ordered_rows(archive)
        has_places = segments[0].places is not None or (bounds is None and span is None)
        in_order = len(segments) == 1 and segments[0].alive is None and np.array_equal(rows, np.arange(len(rows)))
        if in_order and has_places:
            return False
        entry = SegmentEntry(draft.name, len(rows), len(rows), {}, bounds, span)
        entry = replace(entry, files=draft.sealed(*_write(archive, draft, entry, rows)))
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
    path, n_rows = draft.folder / entry.items, len(rows)
    boxes = None if entry.bounds is None else stream_boxes(connection, path, n_rows)
    moments = None if entry.datetime is None else stream_moments(connection, path, n_rows)
    return names + write_places(draft, n_rows, boxes, moments)


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


def _ordered_rows(archive: "Archive") -> tuple[Rows, Bounds | None, tuple[str, str] | None]:
    """Return the living global rows in their new order, and the bounds and the span of them all."""
    rows, keys, boxes, moments = [], [], [], []
    for segment in archive.segments:
        living = segment.living()
        for start in range(0, segment.n_rows, ROWS_AT_ONCE):
            stop = min(start + ROWS_AT_ONCE, segment.n_rows)
            kept = np.flatnonzero(living[start:stop])
            footprints, times = _places(archive, segment, start, stop)
            footprints, times = footprints.T[kept], times[kept]
            rows.append(kept + (segment.first_row + start))
            keys.append(row_keys(footprints, months_of(times)))
            boxes.append(bounds_of(footprints) or (np.nan,) * 4)
            moments.append(ends_of(times))
    order = np.argsort(np.concatenate(keys), kind="stable")
    return np.concatenate(rows)[order], bounds_of(np.array(boxes)), span_of(np.concatenate(moments))


def _places(archive: "Archive", segment: Segment, start: int, stop: int) -> tuple[NDArray[np.float64], Moments]:
    """Return boxes (4, n) and moments (n,) of some rows of a segment, from its items where it has no places."""
    if segment.places is not None:
        return segment.places.between(start, stop)
    with reading([segment]):
        return (
            read_boxes(archive.connection, segment.items_path, start, stop),
            read_moments(archive.connection, segment.items_path, start, stop),
        )
