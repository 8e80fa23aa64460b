"""Exact search compiled by numba: the fallback where no compiler was at hand; same answers as the native kernels.

Threads take a share of the queries each, so one query runs on one thread.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
from numba.extending import intrinsic

from rshash.codes import Codes
from rshash.kernels.selection import (
    PLANS,
    Bitmap,
    Distances,
    Offsets,
    Rows,
    Selector,
    Words,
    choose_plan,
    select,
    to_compressed_rows,
    to_table,
)

__all__ = ["PLANS", "choose_plan", "top_k", "within_radius"]


def top_k(
    codes: Codes, queries: Codes, k: int, n_threads: int, plan: str, admitted: Bitmap | None = None
) -> tuple[Distances, Rows]:
    """Return the k nearest rows of each query; see `rshash.kernels.Backend`."""
    return to_table(_select(codes, queries, k, 8 * codes.shape[1] + 1, n_threads, admitted), k)


def within_radius(
    codes: Codes, queries: Codes, radius: int, n_threads: int, plan: str, admitted: Bitmap | None = None
) -> tuple[Offsets, Distances, Rows]:
    """Return all rows within the radius; see `rshash.kernels.Backend`."""
    return to_compressed_rows(_select(codes, queries, len(codes) + 1, radius + 1, n_threads, admitted))


def _select(
    codes: Codes, queries: Codes, k: int, limit: int, n_threads: int, admitted: Bitmap | None
) -> list[Selector]:
    """Select for every query, the queries split over threads."""

    def search(part: Codes) -> list[Selector]:
        return select(codes, part, k, limit, _find_below, admitted)

    n_parts = max(1, min(n_threads, len(queries)))
    if n_parts == 1:
        return search(queries)
    with ThreadPoolExecutor(n_parts) as pool:
        return [selector for part in pool.map(search, np.array_split(queries, n_parts)) for selector in part]


def _find_below(block: Words, query: Words, limit: int) -> tuple[Rows, Distances]:
    """Return the rows of a block (B, W) at distance < limit, and their distances."""
    rows, distances = np.empty(len(block), np.int64), np.empty(len(block), np.int32)
    n_found = _scan(block, query, limit, rows, distances)
    return rows[:n_found].copy(), distances[:n_found].copy()


def _popcount(_typing_context: Any, word: Any) -> Any:
    """Number of ones in a 64-bit word: the popcount instruction, which numba does not expose."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return numba.uint64(numba.uint64), generate


_count_bits: Any = intrinsic(_popcount)


def _scan_rows(block: Any, query: Any, limit: Any, rows: Any, distances: Any) -> Any:
    """Write the rows below the limit and their distances; return how many. Always writes, so nothing branches."""
    n_found = 0
    for row in range(block.shape[0]):
        distance = np.uint64(0)
        for word in range(block.shape[1]):
            distance += _count_bits(block[row, word] ^ query[word])
        rows[n_found] = row
        distances[n_found] = distance
        n_found += np.int64(distance) < limit
    return n_found


_array = numba.types.Array
_SIGNATURE = numba.int64(
    _array(numba.uint64, 2, "C"),
    _array(numba.uint64, 1, "C"),
    numba.int64,
    _array(numba.int64, 1, "C"),
    _array(numba.int32, 1, "C"),
)
_scan: Any = numba.njit(_SIGNATURE, nogil=True, cache=True)(_scan_rows)
