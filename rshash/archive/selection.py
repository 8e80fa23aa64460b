"""Which rows of an archive are meant: those that live and fulfil conditions. Out: their global rows, or their codes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rshash.archive.asking import admit
from rshash.archive.filters import read_conditions
from rshash.archive.items import Rows
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
    if not archive.segments:
        return np.empty(0, np.int64)
    filters, _ = admit(archive, read_conditions(bbox, datetime, where, archive.columns), ids, None)
    found = []
    for segment, admitted in zip(archive.segments, filters, strict=True):
        rows = segment.living()
        if admitted is not None:
            rows = rows & np.unpackbits(admitted, count=segment.n_rows, bitorder="little").view(bool)
        found.append(np.flatnonzero(rows) + segment.first_row)
    return np.concatenate(found)


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
