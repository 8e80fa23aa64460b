"""The front door: packed codes and queries in, exact ranked `Hits` out.

The database is searched where it lies and never copied: an array of any strides, a memory-map, a CPU tensor.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rshash.codes import check_codes
from rshash.files import check_mapped
from rshash.index.arguments import check_k_or_radius, check_queries
from rshash.index.hits import Hits
from rshash.index.multi_index import PLAN, MultiIndex
from rshash.kernels import backend, threads


def search(
    codes: Any,
    query: Any,
    k: int | None = None,
    radius: int | None = None,
    *,
    filter: Any = None,
    exclude: Any = None,
    plan: str | None = None,
    n_threads: int | None = None,
) -> Hits:
    """Find the nearest codes of each query by Hamming distance, exactly.

    Hits are in ascending distance, equal distances in ascending row: every backend, instruction set, plan and
    number of threads returns the same bytes.

    Args:
        codes: (N, n_bytes) uint8 packed codes, the database; or a `MultiIndex` over them, which is used where
            neither filter nor exclude is given.
        query: (Q, n_bytes) uint8, or (n_bytes,) for a single query.
        k: number of hits a query, at least 1, 10 unless a radius is given; more than N returns all N.
        radius: return instead every row at distance <= radius, 0..8 * n_bytes.
        filter: rows that may be hits: (N,) bool, or the same packed by ``np.packbits(..., bitorder="little")``
            into (ceil(N / 8),) uint8. None admits all.
        exclude: (Q,) integers, a row that is no hit of its query (itself, say), or -1 for none.
        plan: "popcount" or "sliced" forces how to scan; None chooses by the number of queries. ``Hits.plan``
            says which was used: these, or "multi-index".
        n_threads: threads to use; None takes RSHASH_NUM_THREADS, else every core this process may use.

    Returns:
        `Hits` of shape (Q, min(k, admitted rows)), or in compressed rows for a radius. Ids are rows of ``codes``.
        With ``exclude`` there are at most (admitted rows - 1) hits a query.

    Raises:
        TypeError: if codes or query are not uint8, or a number is not an integer.
        ValueError: if shapes, widths, k, radius, plan or n_threads do not fit, or the database is empty.
        OSError: if the codes are mapped from a file that has become shorter (see `rshash.files.check_mapped`).
        ImportError: if RSHASH_BACKEND or RSHASH_SIMD force what this machine does not have.

    >>> codes = np.array([[0b0000], [0b0111], [0b0001]], np.uint8)
    >>> search(codes, codes[0], k=2).ids.tolist()
    [[0, 2]]
    >>> search(codes, codes[0], k=2, exclude=[0]).ids.tolist()
    [[2, 1]]
    >>> search(codes, codes[0], radius=1, filter=np.array([True, True, False])).ids.tolist()
    [0]
    """
    if plan is not None and not isinstance(plan, str):
        raise TypeError(f"plan must be the name of one or None, got {type(plan).__name__}")
    if isinstance(codes, MultiIndex):
        if filter is None and exclude is None and plan in (None, PLAN):
            return codes.search(query, k, radius, n_threads=n_threads)
        codes = codes.codes
    database = check_codes(codes)
    if len(database) == 0:
        raise ValueError("the database is empty: search needs at least one code")
    queries = check_queries(query, database.shape[1])
    check_mapped(database)
    count, limit = check_k_or_radius(k, radius, database.shape[1])
    kernel, used_threads = backend(), threads(n_threads)
    used_plan = kernel.choose_plan(len(queries)) if plan is None else plan
    if used_plan not in kernel.PLANS:
        raise ValueError(f"plan must be one of {', '.join(kernel.PLANS)} with this backend, got {plan!r}")
    admitted, n_admitted = _check_filter(filter, len(database))
    excluded = None if exclude is None else _check_exclude(exclude, len(queries), len(database))
    if limit is not None:
        offsets, distances, rows = kernel.within_radius(database, queries, limit, used_threads, used_plan, admitted)
        hits = Hits(distances, rows, offsets, used_plan)
        return hits if excluded is None else _without_in_radius(hits, offsets, excluded)
    count = min(count if excluded is None else count + 1, n_admitted)
    if count == 0:
        distances, rows = np.empty((len(queries), 0), np.int32), np.empty((len(queries), 0), np.int64)
    else:
        distances, rows = kernel.top_k(database, queries, count, used_threads, used_plan, admitted)
    hits = Hits(distances, rows, plan=used_plan)
    return hits if excluded is None else _without_in_top_k(hits, excluded)


def _check_filter(filter: Any, n_rows: int) -> tuple[NDArray[np.uint8] | None, int]:
    """Return the filter as a bitmap, and the number of rows it admits."""
    if filter is None:
        return None, n_rows
    array = np.asarray(filter)
    n_packed = (n_rows + 7) // 8
    if array.dtype == bool and array.shape == (n_rows,):
        return np.packbits(array, bitorder="little"), int(np.count_nonzero(array))
    if array.dtype == np.uint8 and array.shape == (n_packed,):
        n_last = n_rows - 8 * (n_packed - 1)  # bits of the last byte that stand for a row
        n_surplus = int(array[-1] >> n_last).bit_count()
        n_admitted = int(np.bitwise_count(array).sum(dtype=np.int64)) - n_surplus
        return np.ascontiguousarray(array), n_admitted
    raise ValueError(
        f"filter must be bool of shape ({n_rows},), one for each code, or these packed into uint8 of shape "
        f"({n_packed},), got {array.dtype} of shape {array.shape}"
    )


def _check_exclude(exclude: Any, n_queries: int, n_rows: int) -> NDArray[np.int64]:
    """Return one row for each query, -1 for none."""
    array = np.asarray(exclude)
    if array.dtype.kind not in "iu" or array.shape != (n_queries,):
        raise ValueError(
            f"exclude must be integers of shape ({n_queries},), a row for each query or -1 for none, "
            f"got {array.dtype} of shape {array.shape}"
        )
    if n_queries and (array.min() < -1 or array.max() >= n_rows):
        raise ValueError(f"exclude must name rows of the database, 0..{n_rows - 1}, or -1 for none")
    return array.astype(np.int64)


def _without_in_top_k(hits: Hits, excluded: NDArray[np.int64]) -> Hits:
    """Drop the excluded row of each query, or its last hit where that row is not among its hits."""
    kept = hits.ids != excluded[:, None]  # (Q, k + 1)
    n_kept = max(0, kept.shape[1] - 1)
    kept[kept.all(axis=1), n_kept:] = False
    shape = (len(kept), n_kept)
    return Hits(hits.distances[kept].reshape(shape), hits.ids[kept].reshape(shape), plan=hits.plan)


def _without_in_radius(hits: Hits, offsets: NDArray[np.int64], excluded: NDArray[np.int64]) -> Hits:
    """Drop the excluded row of each query."""
    kept = hits.ids != np.repeat(excluded, np.diff(offsets))  # (H,)
    n_before = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)])  # (H + 1,)
    return Hits(hits.distances[kept], hits.ids[kept], n_before[offsets], hits.plan)
