"""One search of an archive: query, filter, scan, re-ranking, in this order. Out: hits with their explanation."""

from functools import reduce
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rshash.archive.explain import Explanation, SegmentShare
from rshash.archive.filters import Conditions, find_bitmaps, read_conditions, to_bitmaps
from rshash.archive.hits import ArchiveHits, make_hits
from rshash.archive.query import encode_query
from rshash.archive.rerank import check_measure, rerank, shortlist_length
from rshash.archive.scan import search_segments
from rshash.archive.segment import Bitmap, Segment
from rshash.index.arguments import DEFAULT_K, check_integer, check_k_or_radius

if TYPE_CHECKING:
    from rshash.archive.reader import Archive

FILTERS_KEPT = 8
"""Conditions whose rows an open archive remembers, a bit for each row of it."""


def search_archive(
    archive: "Archive",
    query: Any,
    k: int | None,
    radius: int | None,
    *,
    bbox: Any,
    datetime: Any,
    where: str | None,
    ids: Any,
    filter: Any,
    exclude: Any,
    measure: str | None,
    shortlist: int | None,
    plan: str | None,
    n_threads: int | None,
) -> ArchiveHits:
    """Search an archive; arguments and errors are those of `Archive.search`, ``measure`` is its ``rerank``."""
    segments = archive.segments
    asked = encode_query(archive, query)
    check_k_or_radius(k, radius, asked.codes.shape[1])
    conditions = read_conditions(bbox, datetime, where, archive.columns)
    if measure is not None:
        check_measure(measure, segments)
        if asked.relaxed is None:
            raise ValueError(
                "rerank needs to know how sure the query is of its bits: ask with a sentence, an image or relaxed "
                "codes (floats) instead of packed codes"
            )
    if shortlist is not None:
        check_integer("shortlist", shortlist, 1)
        if measure is None or radius is not None:
            raise ValueError("shortlist is how many of the nearest rows are ranked again: give it with rerank and k")
    started = perf_counter()
    is_kept = conditions in archive.kept_filters
    filters = admit(archive, conditions, ids, filter)
    filtered = perf_counter()
    n_wanted = shortlist_length(k, shortlist) if measure is not None and radius is None else k
    hits = search_segments(
        segments, asked.codes, n_wanted, radius, filters, exclude=exclude, plan=plan, n_threads=n_threads
    )
    scanned = perf_counter()
    fine_distances, n_shortlist = None, hits.ids.size
    if measure is not None and asked.relaxed is not None:
        k_left = None if radius is not None else DEFAULT_K if k is None else k
        hits, fine_distances = rerank(hits, asked.relaxed, segments, measure, k_left)
    named = [str(conditions), "" if ids is None else f"ids ({len(ids):,})", "" if filter is None else "rows of filter"]
    explanation = Explanation(
        tuple(
            SegmentShare(s.name, s.n_alive, _n_admitted(s, rows), conditions.way(s))
            for s, rows in zip(segments, filters, strict=True)
        ),
        conditions=", ".join(part for part in named if part),
        filter_seconds=filtered - started,
        plan=hits.plan,
        n_queries=len(asked.codes),
        wanted=f"k = {n_wanted or DEFAULT_K}" if radius is None else f"radius {radius}",
        scan_seconds=scanned - filtered,
        kept=is_kept,
        rerank=measure,
        n_shortlist=n_shortlist,
        rerank_seconds=perf_counter() - scanned,
    )
    return make_hits(archive, hits, fine_distances, explanation, asked.shown)


def admit(archive: "Archive", conditions: Conditions, ids: Any, filter: Any) -> list[Bitmap | None]:
    """Return which rows of each segment may be hits, None for all.

    What was found for the last `FILTERS_KEPT` conditions is kept as long as the archive shows the same commit.

    Raises:
        ValueError: if an id does not exist, the filter has another shape, or a condition cannot be worked out.
    """
    segments, kept = archive.segments, archive.kept_filters
    found: list[list[Bitmap]] = []
    if conditions:
        bitmaps = kept.pop(conditions, None)
        lasts = bitmaps is not None or not conditions.depend_on_clock()
        if bitmaps is None:
            bitmaps = find_bitmaps(lambda: archive.database, segments, archive.columns, conditions)
        if lasts:
            kept[conditions] = bitmaps  # at the end, as the newest
        if len(kept) > FILTERS_KEPT:
            del kept[next(iter(kept))]
        found.append(bitmaps)
    if ids is not None:
        found.append(to_bitmaps(segments, archive.rows_of(ids)))
    if filter is not None:
        found.append(_split(filter, segments, archive.n_rows))
    if not found:
        return [None] * len(segments)
    return [reduce(np.bitwise_and, bitmaps) for bitmaps in zip(*found, strict=True)]


def _split(filter: Any, segments: list[Segment], n_rows: int) -> list[Bitmap]:
    """Return a filter over global rows, bool or packed, as one bitmap a segment."""
    array = np.asarray(filter)
    if array.dtype == np.uint8 and array.shape == ((n_rows + 7) // 8,):
        array = np.unpackbits(array, count=n_rows, bitorder="little").view(bool)
    if array.dtype != bool or array.shape != (n_rows,):
        raise ValueError(
            f"filter must be bool of shape ({n_rows},), one for each row of the archive, or these packed into uint8 "
            f"of shape ({(n_rows + 7) // 8},), got {array.dtype} of shape {array.shape}"
        )
    mine: list[NDArray[np.bool_]] = [array[s.first_row : s.first_row + s.n_rows] for s in segments]
    return [np.packbits(part, bitorder="little") for part in mine]


def _n_admitted(segment: Segment, rows: Bitmap | None) -> int:
    """Count the living rows that a bitmap admits."""
    if rows is None:
        return segment.n_alive
    living = rows if segment.alive is None else rows & segment.alive
    n_even = len(living) // 8 * 8  # counted eight bytes at a time, which takes a tenth of the time
    words = living[:n_even].view(np.uint64)
    counts = (np.bitwise_count(words).sum(dtype=np.int64), np.bitwise_count(living[n_even:]).sum(dtype=np.int64))
    return int(sum(counts))
