"""Exact search in plain numpy: the portable fallback and the readable twin of the native kernels.

Memory stays bounded: distances of one query to `BLOCK_BYTES` worth of rows at a time, and at most 2 k + one
block of candidates.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rshash.codes import Codes

Distances = NDArray[np.int32]
Rows = NDArray[np.int64]
Offsets = NDArray[np.int64]

BLOCK_BYTES = 1 << 20
"""Codes compared in one step."""


def top_k(codes: Codes, queries: Codes, k: int, n_threads: int) -> tuple[Distances, Rows]:
    """Return the k nearest rows of each query; see `rshash.kernels.Backend`. Always runs on one thread."""
    distances = np.empty((len(queries), k), np.int32)
    rows = np.empty((len(queries), k), np.int64)
    for i, query in enumerate(queries):
        distances[i], rows[i] = _nearest(codes, query, k)
    return distances, rows


def within_radius(
    codes: Codes, queries: Codes, radius: int, n_threads: int
) -> tuple[Offsets, Distances, Rows]:
    """Return all rows within the radius; see `rshash.kernels.Backend`. Always runs on one thread."""
    found = [_within(codes, query, radius) for query in queries]
    offsets = np.zeros(len(queries) + 1, np.int64)
    np.cumsum([len(rows) for _, rows in found], out=offsets[1:])
    if not found:
        return offsets, np.empty(0, np.int32), np.empty(0, np.int64)
    return offsets, np.concatenate([d for d, _ in found]), np.concatenate([r for _, r in found])


def _nearest(codes: Codes, query: Codes, k: int) -> tuple[Distances, Rows]:
    """Keep the k best so far; a later row enters only below the k-th distance, so ties keep the lower row."""
    best_distances, best_rows = np.empty(0, np.int32), np.empty(0, np.int64)
    limit = 8 * codes.shape[1] + 1
    for first, distances in _blocks(codes, query):
        below = np.flatnonzero(distances < limit)
        best_distances = np.concatenate([best_distances, distances[below]])
        best_rows = np.concatenate([best_rows, below + first])
        if len(best_rows) >= 2 * k:
            best_distances, best_rows = _ranked(best_distances, best_rows, k)
            limit = int(best_distances[-1])
    return _ranked(best_distances, best_rows, k)


def _within(codes: Codes, query: Codes, radius: int) -> tuple[Distances, Rows]:
    """Collect the rows within the radius, ranked."""
    distances, rows = [], []
    for first, block in _blocks(codes, query):
        near = np.flatnonzero(block <= radius)
        distances.append(block[near])
        rows.append(near + first)
    return _ranked(np.concatenate(distances), np.concatenate(rows), len(codes))


def _blocks(codes: Codes, query: Codes) -> Iterator[tuple[int, Distances]]:
    """Yield (first row, (B,) int32 distances) for block after block of the database."""
    step = max(1, BLOCK_BYTES // codes.shape[1])
    for first in range(0, len(codes), step):
        differing = np.bitwise_xor(codes[first : first + step], query)
        yield first, np.bitwise_count(differing).sum(axis=1, dtype=np.int32)


def _ranked(distances: Distances, rows: Rows, k: int) -> tuple[Distances, Rows]:
    """Return the first k in ascending (distance, row); rows arrive ascending, so a stable sort suffices."""
    order = np.argsort(distances, kind="stable")[:k]
    return distances[order], rows[order]
