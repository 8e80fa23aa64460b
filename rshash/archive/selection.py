"""Which rows of an archive are meant: those that live and fulfil conditions. Out: global rows; their ids and codes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rshash.archive.asking import admit
from rshash.archive.filters import read_conditions
from rshash.archive.items import Rows, reading, union_sql
from rshash.codes import Codes, code_bytes

if TYPE_CHECKING:
    from rshash.archive.reader import Archive


def select_rows(
    archive: "Archive", *, bbox: Any = None, datetime: Any = None, where: str | None = None, ids: Any = None
) -> Rows:
    """Return the living global rows that fulfil every condition given, ascending, (n,) int64.

    Args:
        archive: an open archive.
        bbox: as `Archive.search`, and so are the others.
        datetime: a moment or interval.
        where: an SQL expression.
        ids: only these.

    Raises:
        TypeError, ValueError, ImportError, OSError: as `Archive.search`.
    """
    conditions = read_conditions(bbox, datetime, where, archive.columns)
    if not archive.segments:
        return np.empty(0, np.int64) if ids is None else archive.rows_of(ids)
    filters = admit(archive, conditions, ids, None)
    found = []
    for segment, admitted in zip(archive.segments, filters, strict=True):
        rows = segment.living()
        if admitted is not None:
            rows = rows & np.unpackbits(admitted, count=segment.n_rows, bitorder="little").view(bool)
        found.append(np.flatnonzero(rows) + segment.first_row)
    return np.concatenate(found)


def ids_at(archive: "Archive", rows: Rows) -> NDArray[Any]:
    """Return the ids of global rows in their order, (n,) int64, or strings as objects.

    Raises:
        OSError: if the items cannot be read.
    """
    if not len(rows):
        return np.empty(0, np.int64 if archive.manifest.id_type == "integer" else object)
    items = union_sql(archive.segments, {"id": archive.columns["id"]})
    connection = archive.database
    connection.register("wanted", {"row": rows, "position": np.arange(len(rows))})
    try:
        with reading(archive.segments):
            select = f"SELECT id FROM ({items}) JOIN wanted USING (row) ORDER BY position"
            return np.asarray(connection.execute(select).fetchnumpy()["id"])
    finally:
        connection.unregister("wanted")


def codes_at(archive: "Archive", rows: Rows) -> Codes:
    """Return the codes of ascending global rows, (n, n_bytes) uint8: the archive's own map where that is all of it."""
    segments: Sequence[Any] = archive.segments
    if len(segments) == 1 and len(rows) == segments[0].n_rows:
        codes: Codes = segments[0].codes
        return codes
    parts = [np.empty((0, code_bytes(archive.n_bits)), np.uint8)]
    for segment in segments:
        start, stop = np.searchsorted(rows, (segment.first_row, segment.first_row + segment.n_rows))
        parts.append(segment.codes[rows[start:stop] - segment.first_row])
    return np.concatenate(parts)
