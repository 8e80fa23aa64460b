"""Exact search in plain numpy: the fallback that always works and the readable twin of the native kernels."""

import numpy as np

from rshash.codes import Codes
from rshash.kernels.selection import (
    PLANS,
    Bitmap,
    Distances,
    Offsets,
    Rows,
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
    """Return the k nearest rows of each query; see `rshash.kernels.Backend`. Always runs on one thread."""
    return to_table(select(codes, queries, k, 8 * codes.shape[1] + 1, _find_below, admitted), k)


def within_radius(
    codes: Codes, queries: Codes, radius: int, n_threads: int, plan: str, admitted: Bitmap | None = None
) -> tuple[Offsets, Distances, Rows]:
    """Return all rows within the radius; see `rshash.kernels.Backend`. Always runs on one thread."""
    return to_compressed_rows(select(codes, queries, len(codes) + 1, radius + 1, _find_below, admitted))


def _find_below(block: Words, query: Words, limit: int) -> tuple[Rows, Distances]:
    """Return the rows of a block (B, W) at distance < limit, and their distances."""
    distances = np.bitwise_count(block ^ query).sum(axis=1, dtype=np.int32)
    rows = np.flatnonzero(distances < limit)
    return rows, distances[rows]
