"""Exact search by the compiled extension; RSHASH_SIMD forces an instruction set and then fails loudly."""

import os

import numpy as np
from numpy.typing import NDArray

import rshash.kernels._native as _native
from rshash.codes import Codes

Distances = NDArray[np.int32]
Rows = NDArray[np.int64]
Offsets = NDArray[np.int64]
Bitmap = NDArray[np.uint8]
Planes = NDArray[np.uint8]
Tables = tuple[Codes, NDArray[np.uint32], NDArray[np.int64]]

PLANS = ("popcount", "sliced")
"""Counting bits row by row, or summing bit planes (csrc/sliced.h)."""

SIMD_LEVELS = ("portable", "neon", "avx2", "avx512")
"""Every instruction set a kernel is written for, slowest first."""


def simd_levels() -> list[str]:
    """Return the instruction sets this processor runs, slowest first."""
    return _native.simd_levels()


def simd() -> str:
    """Return the instruction set that searches: RSHASH_SIMD, else the fastest this processor runs.

    Raises:
        ValueError: if RSHASH_SIMD names no instruction set.
        ImportError: if this processor or this build lacks it.
    """
    forced, available = os.environ.get("RSHASH_SIMD", ""), simd_levels()
    if not forced:
        return available[-1]
    if forced not in SIMD_LEVELS:
        raise ValueError(f"RSHASH_SIMD must be one of {', '.join(SIMD_LEVELS)}, got {forced!r}")
    if forced not in available:
        raise ImportError(f"RSHASH_SIMD={forced} is not available here; available are {', '.join(available)}")
    return forced


def choose_plan(n_queries: int) -> str:
    """Return the faster plan for a number of queries."""
    return _native.choose_plan(n_queries)


def choose_plan_with_planes(n_queries: int, n_bytes: int) -> str:
    """Return the faster plan where `slice_codes` was done beforehand."""
    return _native.choose_plan_with_planes(n_queries, n_bytes)


def slice_codes(codes: Codes) -> Planes:
    """Turn codes (N, n_bytes) into the bit planes that the sliced plan sums.

    Returns:
        (ceil(N / 512), 8 * n_bytes, 64) uint8: bit r % 8 of byte r // 8 of ``[b, p]`` is bit p % 8 of byte p // 8 of
        row 512 b + r, zero where there is no such row.
    """
    return _native.slice_codes(codes, simd())


def top_k(
    codes: Codes,
    queries: Codes,
    k: int,
    n_threads: int,
    plan: str,
    admitted: Bitmap | None = None,
    planes: Planes | None = None,
) -> tuple[Distances, Rows]:
    """Return the k nearest rows of each query; see `rshash.kernels.Backend`. The sliced plan takes given planes."""
    return _native.top_k(codes, queries, k, n_threads, simd(), plan, admitted, planes)


def within_radius(
    codes: Codes,
    queries: Codes,
    radius: int,
    n_threads: int,
    plan: str,
    admitted: Bitmap | None = None,
    planes: Planes | None = None,
) -> tuple[Offsets, Distances, Rows]:
    """Return all rows within the radius; see `rshash.kernels.Backend`. The sliced plan takes given planes."""
    return _native.within_radius(codes, queries, radius, n_threads, simd(), plan, admitted, planes)


def multi_index_top_k(
    tables: Tables, queries: Codes, k: int, most_cost: int, n_threads: int
) -> tuple[Distances, Rows, NDArray[np.uint8]]:
    """Return the k nearest rows of each query through the tables of a `rshash.index.multi_index.MultiIndex`.

    Args:
        tables: codes (m, N, n_bytes) uint8, rows (m, N) uint32 and offsets (m, 65537) int64; see csrc/multi_index.h.
        queries: (Q, n_bytes) uint8.
        k: 1..N.
        most_cost: rows a query may look at.
        n_threads: at least 1.

    Returns:
        distances (Q, k) int32, rows (Q, k) int64, and (Q,) uint8: 0 for a query that would have cost more, whose
        distances and rows mean nothing.
    """
    return _native.multi_index_top_k(*tables, queries, k, most_cost, n_threads, simd())


def multi_index_within_radius(
    tables: Tables, queries: Codes, radius: int, most_cost: int, n_threads: int
) -> tuple[Offsets, Distances, Rows, NDArray[np.uint8]]:
    """Return all rows within the radius through tables, likewise; a query that was not answered has no hits."""
    return _native.multi_index_within_radius(*tables, queries, radius, most_cost, n_threads, simd())
