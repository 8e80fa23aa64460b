"""Where and when items are, row by row beside the codes. In: a box and an interval. Out: a bitmap of rows.

Items files say the same, but Parquet takes longer to open than most searches take. Rows are judged in blocks first:
in an ordered segment nearly all lie wholly outside or wholly inside, and only rows of the others are looked at.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rshash.archive.box import Box
from rshash.archive.interval import Interval
from rshash.archive.store import Draft, map_array

Bounds = NDArray[np.float64]
Moments = NDArray[np.int64]

BLOCK_ROWS = 1024
"""Rows of a block: few enough to lie together in an ordered segment, enough that their bounds weigh nothing."""
BLOCK_BYTES = BLOCK_ROWS // 8
BLOCKS_AT_ONCE = 64
"""Blocks whose rows are looked at together, so that what is made of them stays in the cache."""

NEVER = np.iinfo(np.int64).min
"""The moment of an item without one."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


class Places:
    """Where and when the items of one segment are; files are mapped at first use.

    Args:
        folder: the archive.
        name: the segment.
        n_rows: its rows.
        boxes: name of the file of boxes, None if no item has one.
        moments: name of the file of moments, None if no item has one.
    """

    def __init__(self, folder: Path, name: str, n_rows: int, boxes: str | None, moments: str | None) -> None:
        self.n_rows = n_rows
        self._folder, self._name, self._boxes, self._moments = folder, name, boxes, moments

    @cached_property
    def boxes(self) -> NDArray[np.float64] | None:
        """(4, n_rows) float64 xmin, ymin, xmax, ymax in degrees, NaN where an item has none."""
        return self._boxes and map_array(self._folder / self._boxes, np.dtype(np.float64), (4, self.n_rows))  # type: ignore[return-value]

    @cached_property
    def moments(self) -> Moments | None:
        """(n_rows,) int64 microseconds since 1970 in UTC, `NEVER` where an item has none."""
        return self._moments and map_array(self._folder / self._moments, np.dtype(np.int64), (self.n_rows,))  # type: ignore[return-value]

    @cached_property
    def blocks(self) -> Bounds:
        """(10, n_rows // `BLOCK_ROWS`) float64, see `block_bounds`."""
        shape = (10, self.n_rows // BLOCK_ROWS)
        return map_array(self._folder / f"blocks-{self._name}.npy", np.dtype(np.float64), shape)

    def between(self, start: int, stop: int) -> tuple[NDArray[np.float64], Moments]:
        """Return boxes (4, stop - start) and moments (stop - start,) of some rows, NaN and `NEVER` for none."""
        return (
            np.full((4, stop - start), np.nan) if self.boxes is None else self.boxes[:, start:stop],
            np.full(stop - start, NEVER) if self.moments is None else self.moments[start:stop],
        )

    def admit(self, box: Box | None, interval: Interval | None) -> NDArray[np.uint8]:
        """Return the packed bitmap of the rows whose box touches ``box`` and whose moment lies in ``interval``.

        Returns:
            (ceil(n_rows / 8),) uint8, row i in bit ``i % 8`` (low first) of byte ``i // 8``.
        """
        bitmap = np.zeros((self.n_rows + 7) // 8, np.uint8)
        if (box is not None and self.boxes is None) or (interval is not None and self.moments is None):
            return bitmap
        some, every = judge_blocks(self.blocks, box, interval)
        n_blocks = len(some)
        table = bitmap[: n_blocks * BLOCK_BYTES].reshape(n_blocks, BLOCK_BYTES)  # a view
        table[every] = 255
        looked = np.flatnonzero(some & ~every)
        for start in range(0, len(looked), BLOCKS_AT_ONCE):
            chosen = looked[start : start + BLOCKS_AT_ONCE]
            rows = judge_rows(_blocks_of(self.boxes, chosen), _blocks_of(self.moments, chosen), box, interval)
            table[chosen] = np.packbits(rows, axis=1, bitorder="little")
        rest = slice(n_blocks * BLOCK_ROWS, None)
        rows = judge_rows(_rows_of(self.boxes, rest), _rows_of(self.moments, rest), box, interval)
        bitmap[n_blocks * BLOCK_BYTES :] = np.packbits(rows, bitorder="little")
        return bitmap


def judge_rows(boxes: Any, moments: Any, box: Box | None, interval: Interval | None) -> NDArray[np.bool_]:
    """Tell of each row whether it fulfils both conditions.

    Args:
        boxes: (4, ...) float64, as `Places.boxes`; not read without a box.
        moments: (...) int64, as `Places.moments`; not read without an interval.
        box: one or two conditions must be given.
        interval: the other.

    Returns:
        (...) bool.
    """
    found: Any = True
    if box is not None:
        xmin, ymin, xmax, ymax = boxes
        found = (ymin <= box.north) & (ymax >= box.south)
        reach: Any = False
        for half in box.halves():
            begins, ends = xmin <= half.east, xmax >= half.west
            reach = reach | (begins & ends) | ((begins | ends) & (xmin > xmax))
        found = found & reach
    if interval is not None:
        first, last = _span(interval)
        found = found & (moments >= max(first, NEVER + 1)) & (moments <= last)
    return np.asarray(found, bool)


def judge_blocks(blocks: Bounds, box: Box | None, interval: Interval | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Tell of each block whether some of its rows may fulfil the conditions, and whether all of them surely do."""
    lowest, highest = blocks[:5], blocks[5:]
    some, every = np.ones((2, blocks.shape[1]), bool)
    if box is not None:
        reach: Any = False
        within: Any = False
        for half in box.halves():
            reach = reach | (lowest[0] <= half.east) & (highest[2] >= half.west)
            within = within | (highest[0] <= half.east) & (lowest[2] >= half.west)
        some &= reach & (lowest[1] <= box.north) & (highest[3] >= box.south)
        every &= within & (highest[1] <= box.north) & (lowest[3] >= box.south)
    if interval is not None:
        first, last = map(float, _span(interval))
        some &= (lowest[4] <= last) & (highest[4] >= first)
        every &= (lowest[4] > first) & (highest[4] < last)  # rounded floats: equal ones do not tell
    return some, every


def block_bounds(boxes: NDArray[np.float64] | None, moments: Moments | None, n_rows: int) -> Bounds:
    """Return the bounds of every whole block of rows.

    Args:
        boxes: (4, n_rows) float64, as `Places.boxes`.
        moments: (n_rows,) int64, as `Places.moments`.
        n_rows: rows; those behind the last whole block have no bounds.

    Returns:
        (10, n_rows // `BLOCK_ROWS`) float64: lowest xmin, ymin, xmax, ymax, moment, then the highest of each. What is
        missing counts as infinity. Boxes across the antimeridian reach from minus infinity to infinity in x.
    """
    bounds = np.full((10, n_rows // BLOCK_ROWS), np.inf)
    for start in range(0, bounds.shape[1], BLOCKS_AT_ONCE):
        chosen = slice(start, start + BLOCKS_AT_ONCE)
        if boxes is not None:
            lower = _blocks_of(boxes, chosen).copy()
            lower[np.isnan(lower)] = np.inf
            upper, crossing = lower, lower[0] > lower[2]
            if crossing.any():
                upper = lower.copy()
                lower[::2, crossing], upper[::2, crossing] = -np.inf, np.inf
            bounds[:4, chosen], bounds[5:9, chosen] = lower.min(axis=2), upper.max(axis=2)
        if moments is not None:
            known = _blocks_of(moments, chosen)
            moment = np.where(known == NEVER, np.inf, known)
            bounds[4, chosen], bounds[9, chosen] = moment.min(axis=1), moment.max(axis=1)
    return bounds


def write_places(
    draft: Draft, n_rows: int, boxes: Iterable[NDArray[Any]] | None, moments: Iterable[NDArray[Any]] | None
) -> list[str]:
    """Write the places of the draft's segment and return the names of the files, none without boxes and moments.

    Args:
        draft: of the commit.
        n_rows: rows of the segment.
        boxes: parts of `Places.boxes` in C order, None if no item has one.
        moments: parts of `Places.moments`.
    """
    names = {what: f"{what}-{draft.name}.npy" for what in ("boxes", "moments", "blocks")}
    if boxes is None and moments is None:
        return []
    if boxes is None:
        del names["boxes"]
    else:
        draft.write_array(names["boxes"], boxes, (4, n_rows), np.float64)
    if moments is None:
        del names["moments"]
    else:
        draft.write_array(names["moments"], moments, (n_rows,), np.int64)
    places = Places(draft.folder, draft.name, n_rows, names.get("boxes"), names.get("moments"))
    bounds = block_bounds(places.boxes, places.moments, n_rows)
    draft.write_array(names["blocks"], [bounds], bounds.shape, np.float64)
    return list(names.values())


def ends_of(moments: Moments) -> Moments:
    """Return the first and the last moment, (2,), or (0,) if there is none."""
    known = moments[moments != NEVER]
    return np.array([known.min(), known.max()]) if len(known) else known


def span_of(moments: Moments) -> tuple[str, str] | None:
    """Return the first and the last moment as ISO 8601 in UTC, None if there is none.

    >>> span_of(np.array([NEVER, 0, 1_500_000]))
    ('1970-01-01T00:00:00.000000Z', '1970-01-01T00:00:01.500000Z')
    """
    ends = np.datetime_as_string(ends_of(moments).view("datetime64[us]"), timezone="UTC").tolist()
    return (ends[0], ends[1]) if ends else None


def _span(interval: Interval) -> tuple[int, int]:
    """Return first and last microsecond since 1970, those of int64 where it is open."""
    first, last = (None if end is None else (end - _EPOCH) // _TICK for end in (interval.first, interval.last))
    return (NEVER if first is None else first), (np.iinfo(np.int64).max if last is None else last)


def _blocks_of(array: Any, chosen: Any) -> Any:
    """Return the rows of blocks: (..., n_rows) in, (..., chosen, `BLOCK_ROWS`) out, None for None."""
    if array is None:
        return None
    n_blocks = array.shape[-1] // BLOCK_ROWS
    return array[..., : n_blocks * BLOCK_ROWS].reshape(*array.shape[:-1], n_blocks, BLOCK_ROWS)[..., chosen, :]


def _rows_of(array: Any, chosen: slice) -> Any:
    """Return some rows, None for None."""
    return None if array is None else array[..., chosen]
