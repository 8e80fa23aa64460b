"""Which rows may be hits: place, time and a condition in, one bitmap of rows a segment out.

Segments whose bounds cannot match are not asked at all. Place and time are judged by the `Places` of a segment; with a
condition in SQL, or without places, DuckDB finds the rows in the items files, where Parquet's statistics of row groups
let it leave most of an ordered file unread.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rshash.archive.box import Box, read_box
from rshash.archive.interval import Interval, format_moment, parse_interval
from rshash.archive.items import reading, union_sql
from rshash.archive.segment import Bitmap, Segment
from rshash.archive.where import check_where, depends_on_clock, where_failed
from rshash.extras import require

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Conditions:
    """What the items of hits must fulfil, all of it; None where anything goes.

    Attributes:
        box: their bbox touches it.
        interval: their datetime lies in it.
        where: an SQL expression, checked, that is true of their columns.
    """

    box: Box | None = None
    interval: Interval | None = None
    where: str | None = None

    def __bool__(self) -> bool:
        return not (self.box is None and self.interval is None and self.where is None)

    def may_match(self, segment: Segment) -> bool:
        """Tell from its bounds whether a segment can hold such items."""
        if self.box is not None and (segment.bounds is None or not self.box.touches(Box(*segment.bounds))):
            return False
        if self.interval is None:
            return True
        if segment.datetime is None:
            return False
        first, last = (dt.datetime.fromisoformat(end) for end in segment.datetime)
        return self.interval.touches(first, last)

    def way(self, segment: Segment) -> str:
        """Return what tells which rows of a segment fulfil them, as `SegmentShare.way`."""
        if not self:
            return ""
        if not self.may_match(segment):
            return "bounds"
        return "places" if self.where is None and segment.places is not None else "DuckDB"

    def depend_on_clock(self) -> bool:
        """Tell whether other rows may fulfil them later."""
        return self.where is not None and depends_on_clock(self.where)

    def to_sql(self, *, crossing: bool) -> list[str]:
        """Return SQL conditions; a row that fulfils one of them is meant.

        Each is a conjunction of comparisons with constants as far as can be, which is what statistics of row groups
        are compared with.

        Args:
            crossing: whether items may cross the antimeridian, their xmin greater than their xmax.
        """
        common = []
        if self.interval is not None and self.interval.first is not None:
            common.append(f"datetime >= TIMESTAMPTZ '{format_moment(self.interval.first)}'")
        if self.interval is not None and self.interval.last is not None:
            common.append(f"datetime <= TIMESTAMPTZ '{format_moment(self.interval.last)}'")
        if self.where is not None:
            common.append(f"(\n{self.where}\n)")  # as `check_where` tried it: a comment in it ends with its line
        if self.box is None:
            return [" AND ".join(common) or "true"]
        common = [f"bbox.ymin <= {self.box.north!r}", f"bbox.ymax >= {self.box.south!r}", *common]
        found = []
        for half in self.box.halves():
            found.append([f"bbox.xmin <= {half.east!r}", f"bbox.xmax >= {half.west!r}", *common])
            if crossing:
                reach = f"(bbox.xmin <= {half.east!r} OR bbox.xmax >= {half.west!r})"
                found.append(["bbox.xmin > bbox.xmax", reach, *common])
        return [" AND ".join(terms) for terms in found]

    def __str__(self) -> str:
        where = self.where and " ".join(self.where.split())
        named = {"bbox": self.box, "datetime": self.interval, "where": where}
        return ", ".join(f"{name} {value}" for name, value in named.items() if value is not None)


def read_conditions(bbox: Any, datetime: Any, where: Any, columns: Mapping[str, str]) -> Conditions:
    """Read and check what a search was given; see `Archive.search`.

    Raises:
        TypeError, ValueError: as `read_box`, `parse_interval` and `check_where`.

    >>> str(read_conditions((8, 49, 9, 50), "2023-01-01/..", None, {}))
    'bbox 8, 49, 9, 50, datetime 2023-01-01T00:00:00Z/..'
    """
    return Conditions(
        None if bbox is None else read_box(bbox),
        None if datetime is None else parse_interval(datetime),
        None if where is None else check_where(where, columns),
    )


def find_bitmaps(
    connect: "Callable[[], DuckDBPyConnection]",
    segments: Sequence[Segment],
    columns: Mapping[str, str],
    conditions: Conditions,
) -> list[Bitmap]:
    """Return for each segment the packed bitmap of the rows that fulfil the conditions, deleted ones included.

    Args:
        connect: gives the DuckDB that can read the items files, if it is needed.
        segments: in ascending ``first_row``, all of a snapshot.
        columns: column of the archive → DuckDB type.
        conditions: what is asked.

    Raises:
        ValueError, OSError: as `find_rows`.
    """
    ways = [conditions.way(segment) for segment in segments]
    asked = [segment for segment, way in zip(segments, ways, strict=True) if way == "DuckDB"]
    found = to_bitmaps(segments, find_rows(connect(), asked, columns, conditions) if asked else np.empty(0, np.int64))
    for position, segment in enumerate(segments):
        if ways[position] == "places" and segment.places is not None:
            found[position] = segment.places.admit(conditions.box, conditions.interval)
    return found


def find_rows(
    connection: "DuckDBPyConnection", segments: Sequence[Segment], columns: Mapping[str, str], conditions: Conditions
) -> Rows:
    """Return the global rows whose items fulfil the conditions, deleted ones included, in no order.

    Args:
        connection: DuckDB that can read the items files.
        segments: those to look at.
        columns: column of the archive → DuckDB type.
        conditions: what is asked.

    Raises:
        ValueError: if the condition cannot be worked out for some row, a cast of its words to numbers for example.
        OSError: if the items cannot be read.
    """
    if not segments:
        return np.empty(0, np.int64)
    crossing = any(segment.bounds is not None and _spans_world(segment.bounds) for segment in segments)
    table = union_sql(segments, columns)
    found = []
    duckdb = require("duckdb", "archive")
    with reading(segments):
        for condition in conditions.to_sql(crossing=crossing):
            try:
                cells = connection.execute(f"SELECT row FROM ({table}) WHERE {condition}").fetchnumpy()
            except duckdb.Error as error:
                if conditions.where is None or "items-" in str(error):  # of a file, not of the condition
                    raise
                raise where_failed(conditions.where, error) from None
            found.append(np.asarray(cells["row"], np.int64))
    return np.concatenate(found)


def _spans_world(bounds: Sequence[float]) -> bool:
    """Tell whether a segment may hold items that cross the antimeridian: its bounds then reach around the world."""
    return bounds[0] <= -180 and bounds[2] >= 180


def to_bitmaps(segments: Sequence[Segment], rows: Rows) -> list[Bitmap]:
    """Return for each segment its rows among global ``rows`` as the packed bitmap that kernels take.

    Args:
        segments: in ascending ``first_row``, all of a snapshot.
        rows: global rows in any order, possibly named twice.

    Returns:
        (ceil(n_rows / 8),) uint8 each, row i in bit ``i % 8`` (low first) of byte ``i // 8``.
    """
    ends = [len(rows)] * len(segments)
    if len(segments) > 1:
        rows = np.sort(rows)
        ends = np.searchsorted(rows, [s.first_row + s.n_rows for s in segments]).tolist()
    bitmaps = []
    start = 0
    for segment, end in zip(segments, ends, strict=True):
        bitmaps.append(_bitmap(rows[start:end] - segment.first_row, segment.n_rows))
        start = end
    return bitmaps


def _bitmap(rows: Rows, n_rows: int) -> Bitmap:
    """Pack local rows; time and memory go with the stretch they lie in, which is short in an ordered segment."""
    bitmap = np.zeros((n_rows + 7) // 8, np.uint8)
    if len(rows):
        first = int(rows.min()) // 8 * 8
        admitted = np.zeros(int(rows.max()) + 1 - first, bool)
        admitted[rows - first] = True
        packed = np.packbits(admitted, bitorder="little")
        bitmap[first // 8 : first // 8 + len(packed)] = packed
    return bitmap
