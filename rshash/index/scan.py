"""The scan behind every exact search: checks what is asked, looks at all codes, leaves excluded rows out."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rshash.codes import Codes
from rshash.files import check_mapped
from rshash.index.arguments import check_k_or_radius, check_queries
from rshash.index.hits import Hits
from rshash.kernels import Backend, backend, threads

Planes = NDArray[np.uint8]

WORK_PER_THREAD = {"popcount": 4 << 20, "sliced": 32 << 20}
"""Bytes of codes × queries that one more thread must get before it is started unasked: about 0.1 ms of scanning, three
times what starting it takes."""


def scan(
    database: Codes,
    planes: Planes | None,
    query: Any,
    k: int | None = None,
    radius: int | None = None,
    filter: Any = None,
    exclude: Any = None,
    plan: str | None = None,
    n_threads: int | None = None,
) -> Hits:
    """Search all codes of a database, (N, n_bytes) uint8; what is asked and the errors are those of `rshash.search`.

    The sliced plan of the native backend reads ``planes`` (see `rshash.kernels.native.slice_codes`) in place of the
    codes; None has it make them on the way.

    >>> scan(np.eye(3, dtype=np.uint8), None, np.zeros(3, np.uint8), k=2).ids.tolist()
    [[0, 1]]
    """
    if len(database) == 0:
        raise ValueError("the database is empty: search needs at least one code")
    queries = check_queries(query, database.shape[1])
    check_mapped(database)
    count, limit = check_k_or_radius(k, radius, database.shape[1])
    kernel = backend()
    native: Any = kernel  # only the native backend reads planes
    if planes is None or not hasattr(native, "slice_codes"):
        sliced, best_plan = {}, kernel.choose_plan(len(queries))
    else:
        sliced = {"planes": planes}
        best_plan = native.choose_plan_with_planes(len(queries), database.shape[1])
    used_plan = check_plan(best_plan if plan is None else plan, kernel)
    used_threads = threads(n_threads)
    if n_threads is None:
        used_threads = min(used_threads, max(1, database.size * len(queries) // WORK_PER_THREAD[used_plan]))
    how = {"plan": used_plan, "n_threads": used_threads, **sliced}
    return answer(kernel, database, queries, count, limit, filter, exclude, how)


def check_plan(plan: str, kernel: Backend) -> str:
    """Return a plan that the backend knows, or raise a ValueError that names those it knows."""
    if plan not in kernel.PLANS:
        raise ValueError(f"plan must be one of {', '.join(kernel.PLANS)} with this backend, got {plan!r}")
    return plan


def answer(
    kernel: Any,
    database: Any,
    queries: Any,
    k: int,
    radius: int | None,
    filter: Any,
    exclude: Any,
    how: dict[str, Any],
) -> Hits:
    """Have a backend answer checked queries and leave out what filter and exclude say.

    Args:
        kernel: the backend.
        database: its codes, of shape (N, n_bytes), N >= 1.
        queries: of shape (Q, n_bytes).
        k: at least 1; more than N means all.
        radius: 0..8 * n_bytes, or None for the k nearest.
        filter: as `rshash.search`.
        exclude: as `rshash.search`.
        how: further arguments of the backend, its plan among them.

    Raises:
        ValueError: if filter or exclude do not fit.
    """
    n_rows, n_queries = database.shape[0], queries.shape[0]
    admitted, n_admitted = _check_filter(filter, n_rows)
    excluded = None if exclude is None else _check_exclude(exclude, n_queries, n_rows)
    if radius is not None:
        offsets, distances, rows = kernel.within_radius(database, queries, radius, admitted=admitted, **how)
        hits = Hits(distances, rows, offsets, how["plan"])
        return hits if excluded is None else without_in_radius(hits, offsets, excluded)
    count = min(k if excluded is None else k + 1, n_admitted)
    if count == 0:
        distances, rows = np.empty((n_queries, 0), np.int32), np.empty((n_queries, 0), np.int64)
    else:
        distances, rows = kernel.top_k(database, queries, count, admitted=admitted, **how)
    hits = Hits(distances, rows, plan=how["plan"])
    return hits if excluded is None else without_in_top_k(hits, excluded)


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


def without_in_top_k(hits: Hits, excluded: NDArray[np.int64]) -> Hits:
    """Drop the excluded row of each query, or its last hit where that row is not among its hits."""
    kept = hits.ids != excluded[:, None]  # (Q, k + 1)
    n_kept = max(0, kept.shape[1] - 1)
    kept[kept.all(axis=1), n_kept:] = False
    shape = (len(kept), n_kept)
    return Hits(hits.distances[kept].reshape(shape), hits.ids[kept].reshape(shape), plan=hits.plan)


def without_in_radius(hits: Hits, offsets: NDArray[np.int64], excluded: NDArray[np.int64]) -> Hits:
    """Drop the excluded row of each query."""
    kept = hits.ids != np.repeat(excluded, np.diff(offsets))  # (H,)
    n_before = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)])  # (H + 1,)
    return Hits(hits.distances[kept], hits.ids[kept], n_before[offsets], hits.plan)
