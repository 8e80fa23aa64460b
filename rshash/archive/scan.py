"""Search over segments: each is searched where it lies, and their hits are merged by (distance, row)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rshash.archive.segment import Bitmap, Segment
from rshash.codes import Codes
from rshash.index.arguments import check_k_or_radius, check_queries
from rshash.index.hits import Hits
from rshash.index.scan import without_in_radius, without_in_top_k
from rshash.search import search


def search_segments(
    segments: Sequence[Segment],
    codes: Codes,
    k: int | None = None,
    radius: int | None = None,
    filters: Sequence[Bitmap | None] | None = None,
    *,
    exclude: Any = None,
    plan: str | None = None,
    n_threads: int | None = None,
) -> Hits:
    """Find the nearest living rows of each query; equal to one search over all rows that live and are admitted.

    Args:
        segments: in ascending ``first_row``.
        codes: (Q, n_bytes) uint8, the queries.
        k: number of hits a query, 10 unless a radius is given.
        radius: return instead every row within this distance.
        filters: for each segment a packed bitmap of admitted rows, as `Segment.alive`, or None for all.
        exclude: (Q,) int64, a global row that is no hit of its query, or -1.
        plan: as `rshash.search`.
        n_threads: as `rshash.search`.

    Returns:
        `Hits` whose ids are global rows, in ascending (distance, row).

    Raises:
        TypeError, ValueError, OSError: as `rshash.search`; ValueError if there is no segment.
    """
    if not segments:
        raise ValueError("the archive holds no items: append some before searching")
    queries = check_queries(codes, segments[0].codes.shape[1])
    count, _ = check_k_or_radius(k, radius, segments[0].codes.shape[1])
    excluded = None if exclude is None else _check_exclude(exclude, len(queries), segments)
    wanted = None if radius is not None else count + (excluded is not None)
    admitted = [
        segment.alive if bitmap is None else bitmap if segment.alive is None else bitmap & segment.alive
        for segment, bitmap in zip(segments, filters or [None] * len(segments), strict=True)
    ]
    asked = [(s, rows) for s, rows in zip(segments, admitted, strict=True) if rows is None or rows.any()]
    parts = []
    for segment, rows in asked or [(segments[0], admitted[0])]:  # one is asked for the shape of no hits
        first, end = (0, segment.n_rows) if rows is None else _stretch(rows, segment.n_rows)
        part = None if rows is None else rows[first // 8 : (end + 7) // 8]
        hits = search(segment.codes[first:end], queries, wanted, radius, filter=part, plan=plan, n_threads=n_threads)
        parts.append(Hits(hits.distances, hits.ids + (segment.first_row + first), hits.offsets, hits.plan))
    if radius is not None:
        merged = _merge_radius(parts)
        return merged if excluded is None else without_in_radius(merged, _offsets(merged), excluded)
    merged = _merge_top_k(parts, wanted or 0)
    return merged if excluded is None else without_in_top_k(merged, excluded)


def _stretch(rows: Bitmap, n_rows: int) -> tuple[int, int]:
    """Return where admitted rows begin and end, to whole bytes: short in an ordered segment, whatever its size."""
    set_bytes = np.flatnonzero(rows != 0)
    return (8 * int(set_bytes[0]), min(n_rows, 8 * int(set_bytes[-1]) + 8)) if len(set_bytes) else (0, n_rows)


def _merge_top_k(parts: list[Hits], k: int) -> Hits:
    """Merge tables of hits; rows of later parts are greater, so a stable sort by distance settles ties."""
    if len(parts) == 1:
        return parts[0]
    distances = np.concatenate([part.distances for part in parts], axis=1)  # (Q, sum of the parts' k)
    rows = np.concatenate([part.ids for part in parts], axis=1)
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return Hits(np.take_along_axis(distances, order, 1), np.take_along_axis(rows, order, 1), plan=parts[0].plan)


def _merge_radius(parts: list[Hits]) -> Hits:
    """Merge compressed rows of hits."""
    if len(parts) == 1:
        return parts[0]
    counts = np.array([np.diff(_offsets(part)) for part in parts])  # (parts, Q)
    queries = np.concatenate([np.repeat(np.arange(len(mine)), mine) for mine in counts])  # (H,)
    distances = np.concatenate([part.distances for part in parts])
    rows = np.concatenate([part.ids for part in parts])
    order = np.lexsort((distances, queries))  # stable: rows stay ascending where distances are equal
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts.sum(axis=0), dtype=np.int64)])
    return Hits(distances[order], rows[order], offsets, parts[0].plan)


def _offsets(hits: Hits) -> NDArray[np.int64]:
    return np.zeros(1, np.int64) if hits.offsets is None else hits.offsets


def _check_exclude(exclude: Any, n_queries: int, segments: Sequence[Segment]) -> NDArray[np.int64]:
    """Return one global row for each query, -1 for none."""
    array = np.asarray(exclude)
    if array.dtype.kind not in "iu" or array.shape != (n_queries,):
        raise ValueError(
            f"exclude must be integers of shape ({n_queries},), a row for each query or -1 for none, "
            f"got {array.dtype} of shape {array.shape}"
        )
    n_rows = segments[-1].first_row + segments[-1].n_rows
    if n_queries and (array.min() < -1 or array.max() >= n_rows):
        raise ValueError(f"exclude must name rows of the archive, 0..{n_rows - 1}, or -1 for none")
    return array.astype(np.int64)
