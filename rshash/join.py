"""Joins: all pairs of codes within a Hamming distance, exactly. In: one or two arrays of codes. Out: pairs of rows.

Three ways find the same pairs. Equal codes (radius 0) meet by sorting. Otherwise blocks of one side are searched among
the other, by a scan or through a `MultiIndex`, whichever `tables_pay` says costs less.
"""

from collections.abc import Iterator
from math import comb
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rshash.codes import Codes, check_codes
from rshash.files import check_mapped
from rshash.index.arguments import check_integer
from rshash.index.hits import Hits
from rshash.index.multi_index import MOST_ROWS, MOST_SUBSTRINGS, PLAN, MultiIndex
from rshash.index.scan import scan
from rshash.kernels import backend
from rshash.names import unknown_name

Rows = NDArray[np.int64]

PLANS = ("sort", "scan", PLAN)

PAIRS_A_BLOCK = 1 << 22
"""Pairs that a block of queries should find: 80 MB."""

LEAST_QUERIES, MOST_QUERIES = 256, 8192
"""Queries a block. The first has the fewest; what a block finds sets the size of the next."""

PAIR_NS, ROW_NS = 0.0023, 0.18
"""What a scan in batches takes for each byte of a pair, and a look into a bucket for each byte of a row in it."""

QUERY_NS, BUCKET_NS, TABLE_NS, HIT_NS = 450, 170, 80, 35
"""What tables take for each query, each bucket opened and each code in each table made; and for each hit of a self-join
beyond what a scan takes, which meets each pair once. All of Zen 5, 64 bits, 2e5 to 5e6 codes, one thread."""

SAMPLE = 64
"""Queries that tell how many hits there will be."""


class Pairs(NamedTuple):
    """Pairs of rows within a radius, in ascending (row of a, distance, row of b).

    Attributes:
        rows_a: (P,) int64.
        rows_b: (P,) int64.
        distances: (P,) int32.
    """

    rows_a: Rows
    rows_b: Rows
    distances: NDArray[np.int32]


def join(codes_a: Any, codes_b: Any, radius: int, *, plan: str | None = None, n_threads: int | None = None) -> Pairs:
    """Find every pair of a row of ``codes_a`` and a row of ``codes_b`` within a Hamming distance.

    Memory is that of the result, which `join_blocks` yields in parts, and of the tables of ``codes_b`` where they are
    used (`MultiIndex.memory_bytes`).

    Args:
        codes_a: (N, n_bytes) uint8 packed codes.
        codes_b: (M, n_bytes) uint8; None joins ``codes_a`` with itself: each pair comes once, with its smaller row
            first, and no row is paired with itself.
        radius: greatest distance, 0..8 * n_bytes.
        plan: "sort" (radius 0 only), "scan" or "multi-index" forces how; None takes the cheapest.
        n_threads: threads to use; None takes RSHASH_NUM_THREADS, else every core of this process.

    Returns:
        `Pairs` in ascending (row of a, distance, row of b), whatever the plan.

    Raises:
        TypeError, ValueError: if the codes are no packed codes of one width, or an argument does not fit.
        OSError: if codes are mapped from a file that has become shorter (see `rshash.files.check_mapped`).

    >>> codes = np.array([[0b000], [0b111], [0b001], [0b111]], np.uint8)
    >>> rows_a, rows_b, distances = join(codes, None, 1)
    >>> list(zip(rows_a.tolist(), rows_b.tolist(), distances.tolist()))
    [(0, 2, 1), (1, 3, 0)]
    """
    blocks = list(join_blocks(codes_a, codes_b, radius, plan=plan, n_threads=n_threads))
    if not blocks:
        return Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int32))
    return Pairs(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))


def join_blocks(
    codes_a: Any, codes_b: Any, radius: int, *, plan: str | None = None, n_threads: int | None = None
) -> Iterator[Pairs]:
    """Yield the pairs of `join` in their order, in parts of about `PAIRS_A_BLOCK`; arguments and errors as there.

    A part holds all pairs of its rows of a, so one row with very many neighbours makes a greater part.
    """
    a = check_codes(codes_a, name="codes_a")
    b = None if codes_b is None else check_codes(codes_b, name="codes_b")
    if b is not None and a.shape[1] != b.shape[1]:
        raise ValueError(f"codes_a have {a.shape[1]} bytes, codes_b {b.shape[1]}: encode them with the same hasher")
    radius = check_integer("radius", radius, 0, 8 * a.shape[1])
    if plan is not None and plan not in PLANS:
        raise unknown_name("plan", plan, PLANS)
    if plan == "sort" and radius:
        raise ValueError(f'plan "sort" finds equal codes only, the radius is {radius}: leave the plan out')
    for codes in (a,) if b is None else (a, b):
        check_mapped(codes)
    if not len(a) or (b is not None and not len(b)):
        return iter(())
    if plan is None:
        plan = "sort" if radius == 0 else PLAN if tables_pay(a, b, radius) else "scan"
    return _equal_pairs(a, b) if plan == "sort" else _near_pairs(a, b, radius, plan, n_threads)


def tables_pay(codes_a: Codes, codes_b: Codes | None, radius: int) -> bool:
    """Tell whether a join through the tables of a `MultiIndex` takes less time than a scan.

    What the tables will look at is not guessed: the number of codes in each bucket gives it exactly; how much they find
    is told by a sample. Measured for 1,000,000 codes of 64 bits with themselves: CPU seconds of one thread on a machine
    that others used, tables with their making, by ``benchmarks/join.py``, which says what was extrapolated:

    =======================  ====  ====  ====  ====  ====  ====  ====
    radius                      0     1     2     3     4     5     6
    =======================  ====  ====  ====  ====  ====  ====  ====
    clustered: scan           9.2   9.0   9.1   9.5   9.3    10    10
    clustered: multi-index    0.9   1.3   1.9   2.4   6.5    11    17
    uniform: scan             9.0   8.9   9.0   8.8   8.9   9.1   8.9
    uniform: multi-index      0.9   1.3   1.6   1.9   4.9   8.7    12
    =======================  ====  ====  ====  ====  ====  ====  ====

    The rule takes tables up to radius 5 in both. Sorting answers radius 0 in 0.2. Where codes crowd (a hundred or more
    within the radius of each) the finding costs more than the looking, and the scan, which finds each pair once, wins
    earlier: with 130 neighbours a code at radius 2 tables took 11 and the scan 15, with 230 at radius 4 29 and 15.
    """
    b = codes_a if codes_b is None else codes_b
    n_bytes = b.shape[1]
    if not hasattr(backend(), "multi_index_top_k") or len(b) > MOST_ROWS:
        return False
    n_tables = min((n_bytes + 1) // 2, MOST_SUBSTRINGS)
    left: float = len(codes_a) * len(b) * n_bytes * PAIR_NS / (2 if codes_b is None else 1)  # nanoseconds
    left -= len(codes_a) * QUERY_NS + n_tables * len(b) * TABLE_NS
    for look in range(radius + 1):  # the order of csrc/multi_index.cpp: table after table, then one more flip
        n_flips, table = divmod(look, n_tables)
        n_bits = min(16, 8 * (n_bytes - 2 * table))
        left -= len(codes_a) * comb(n_bits, n_flips) * BUCKET_NS
        if left <= 0:
            return False
        left -= _rows_looked_at(codes_a, b, table, n_bits, n_flips) * n_bytes * ROW_NS
    if codes_b is None and left > 0:
        asked = codes_a[:: max(1, len(codes_a) // SAMPLE)]
        left -= len(scan(b, None, asked, radius=radius).ids) * len(codes_a) / len(asked) * HIT_NS
    return left > 0


def first_equal(codes: Codes) -> Rows:
    """Return for each row the first row whose code is equal, (N,) int64.

    >>> first_equal(np.array([[7], [9], [7]], np.uint8)).tolist()
    [0, 1, 0]
    """
    n_rows, n_bytes = codes.shape
    words = np.zeros((n_rows, -(-n_bytes // 8) * 8), np.uint8)
    words[:, :n_bytes] = codes
    keys = words.view(np.uint64)  # (N, ceil(n_bytes / 8))
    order = np.lexsort(keys.T)  # stable: of equal codes the first row comes first
    keys = keys[order]
    starts = np.flatnonzero(np.concatenate([np.ones(min(1, n_rows), bool), (keys[1:] != keys[:-1]).any(axis=1)]))
    first = np.empty(n_rows, np.int64)
    first[order] = np.repeat(order[starts], np.diff(starts, append=n_rows))
    return first


def _equal_pairs(a: Codes, b: Codes | None) -> Iterator[Pairs]:
    """Yield the pairs of equal codes: those of b lie side by side once they are sorted by what they are equal to."""
    first = first_equal(a if b is None else np.concatenate([a, b]))
    label_a, label_b = (first, first) if b is None else (first[: len(a)], first[len(a) :])
    order = np.argsort(label_b, kind="stable")
    ordered = label_b[order]
    stops = np.searchsorted(ordered, label_a, side="right")
    if b is None:
        starts = np.empty(len(a), np.int64)
        starts[order] = np.arange(1, len(a) + 1)  # behind the row itself
    else:
        starts = np.searchsorted(ordered, label_a, side="left")
    totals = np.cumsum(stops - starts)
    done = 0
    while done < len(a):
        found = totals[done - 1] if done else 0
        end = max(done + 1, int(np.searchsorted(totals, found + PAIRS_A_BLOCK, side="right")))
        counts = stops[done:end] - starts[done:end]
        rows_a = np.repeat(np.arange(done, end), counts)
        within = np.arange(len(rows_a)) - np.repeat(totals[done:end] - counts - found, counts)
        yield Pairs(rows_a, order[starts[rows_a] + within], np.zeros(len(rows_a), np.int32))
        done = end


def _near_pairs(a: Codes, b: Codes | None, radius: int, plan: str, n_threads: int | None) -> Iterator[Pairs]:
    """Yield the pairs of one block of queries after the other."""
    index = MultiIndex(a if b is None else b) if plan == PLAN else None
    done, n_queries = 0, LEAST_QUERIES
    while done < len(a):
        queries = a[done : done + n_queries]
        first = 0  # row of the first code that is looked at
        if index is not None:
            hits = index.search(queries, radius=radius, n_threads=n_threads)
        else:
            first = done if b is None else 0
            hits = scan(a[first:] if b is None else b, None, queries, radius=radius, n_threads=n_threads)
        yield _pairs_of(hits, done, first, b is None)
        done += len(queries)
        fitting = len(queries) * PAIRS_A_BLOCK // max(1, len(hits.ids))
        n_queries = min(max(fitting, 1), 2 * n_queries, MOST_QUERIES)


def _pairs_of(hits: Hits, row_a: int, first: int, itself: bool) -> Pairs:
    """Return the hits of queries ``row_a``, ``row_a + 1``, … among the codes from row ``first`` on as pairs."""
    assert hits.offsets is not None  # a search by radius
    rows_a = np.repeat(np.arange(row_a, row_a + hits.n_queries), np.diff(hits.offsets))
    rows_b = hits.ids + first
    if not itself:
        return Pairs(rows_a, rows_b, hits.distances)
    later = rows_b > rows_a
    return Pairs(rows_a[later], rows_b[later], hits.distances[later])


def _rows_looked_at(a: Codes, b: Codes, table: int, n_bits: int, n_flips: int) -> int:
    """Count the rows of b in the buckets that differ in ``n_flips`` bits from those of the rows of a, over all of a."""
    n_a, n_b = (np.bincount(_substring(codes, table), minlength=1 << n_bits) for codes in (a, b))
    values = np.arange(1 << n_bits)
    flips = values[np.bitwise_count(values.astype(np.uint16)) == n_flips]
    return sum(int(n_a @ n_b[values ^ flip]) for flip in flips)


def _substring(codes: Codes, table: int) -> NDArray[np.uint16]:
    """Return the bits of every code that a table sorts by."""
    pair = codes[:, 2 * table : 2 * table + 2].astype(np.uint16)
    return pair[:, 0] if pair.shape[1] == 1 else pair[:, 0] | pair[:, 1] << np.uint16(8)
