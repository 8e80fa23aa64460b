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

PLANS = ("popcount", "sliced")
"""Counting bits row by row, or summing bit planes (csrc/sliced.h)."""

SIMD_LEVELS = ("portable", "avx2", "avx512")
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


def top_k(
    codes: Codes, queries: Codes, k: int, n_threads: int, plan: str, admitted: Bitmap | None = None
) -> tuple[Distances, Rows]:
    """Return the k nearest rows of each query; see `rshash.kernels.Backend`."""
    return _native.top_k(codes, queries, k, n_threads, simd(), plan, admitted)


def within_radius(
    codes: Codes, queries: Codes, radius: int, n_threads: int, plan: str, admitted: Bitmap | None = None
) -> tuple[Offsets, Distances, Rows]:
    """Return all rows within the radius; see `rshash.kernels.Backend`."""
    return _native.within_radius(codes, queries, radius, n_threads, simd(), plan, admitted)
