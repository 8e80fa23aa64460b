"""What the numpy and the numba kernel share: blocks of the database as words, and the selection of hits.

Rows arrive in ascending order, block after block, so a later row enters only below the k-th distance so far: ties keep
the lower row.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rshash.codes import Codes

Distances = NDArray[np.int32]
Rows = NDArray[np.int64]
Offsets = NDArray[np.int64]
Bitmap = NDArray[np.uint8]
Words = NDArray[np.uint64]
FindBelow = Callable[[Words, Words, int], tuple[Rows, Distances]]

PLANS = ("popcount",)
"""Ways to scan that these kernels know: counting bits row by row."""

BLOCK_BYTES = 1 << 17
"""Codes copied and compared in one step; all the memory a scan takes beside its candidates."""


def choose_plan(n_queries: int) -> str:
    """Return the plan for a number of queries: there is one."""
    return PLANS[0]


class Selector:
    """Keeps the k smallest (distance, row) of one query.

    Attributes:
        limit: only rows at a smaller distance can still enter.
    """

    def __init__(self, k: int, limit: int) -> None:
        self.limit = limit
        self._k = k
        self._distances: list[Distances] = []
        self._rows: list[Rows] = []
        self._count = 0

    def take(self, rows: Rows, distances: Distances) -> None:
        """Offer candidates below the limit, rows ascending."""
        self._rows.append(rows)
        self._distances.append(distances)
        self._count += len(rows)
        if self._count >= 2 * self._k:
            distances, rows = self.ranked()
            self._distances, self._rows, self._count = [distances], [rows], len(rows)
            self.limit = int(distances[-1])

    def ranked(self) -> tuple[Distances, Rows]:
        """Return the kept hits in ascending (distance, row): a stable sort keeps the order of the rows."""
        distances, rows = np.concatenate(self._distances), np.concatenate(self._rows)
        order = np.argsort(distances, kind="stable")[: self._k]
        return distances[order], rows[order]


def select(
    codes: Codes, queries: Codes, k: int, limit: int, find_below: FindBelow, admitted: Bitmap | None
) -> list[Selector]:
    """Scan the database for all queries, block by block.

    Args:
        codes: (N, n_bytes) uint8, any strides.
        queries: (Q, n_bytes) uint8.
        k: most hits a query.
        limit: hits are at a smaller distance.
        find_below: (block (B, W), query (W,), limit) → rows of the block below the limit, and their distances.
        admitted: bitmap of the rows that may be hits, as in `rshash.kernels.Backend`, or None.

    Returns:
        Q selectors.
    """
    selectors = [Selector(k, limit) for _ in queries]
    query_words = _words(queries)
    step = 8 * max(1, BLOCK_BYTES // codes.shape[1] // 8)
    for first in range(0, len(codes), step):
        block = codes[first : first + step]
        rows = np.arange(first, first + len(block))
        if admitted is not None:
            bits = np.unpackbits(admitted[first // 8 : (first + step) // 8], count=len(block), bitorder="little")
            block, rows = block[bits.view(bool)], rows[bits.view(bool)]
        words = _words(block)
        for query, selector in zip(query_words, selectors, strict=True):
            near, distances = find_below(words, query, selector.limit)
            selector.take(rows[near], distances)
    return selectors


def to_table(selectors: Sequence[Selector], k: int) -> tuple[Distances, Rows]:
    """Return distances (Q, k) int32 and rows (Q, k) int64."""
    distances = np.empty((len(selectors), k), np.int32)
    rows = np.empty((len(selectors), k), np.int64)
    for i, selector in enumerate(selectors):
        distances[i], rows[i] = selector.ranked()
    return distances, rows


def to_compressed_rows(selectors: Sequence[Selector]) -> tuple[Offsets, Distances, Rows]:
    """Return offsets (Q + 1,) int64, distances (H,) int32 and rows (H,) int64."""
    found = [selector.ranked() for selector in selectors]
    offsets = np.zeros(len(found) + 1, np.int64)
    np.cumsum([len(rows) for _, rows in found], out=offsets[1:])
    distances = np.concatenate([np.empty(0, np.int32), *(distances for distances, _ in found)])
    return offsets, distances, np.concatenate([np.empty(0, np.int64), *(rows for _, rows in found)])


def _words(codes: Codes) -> Words:
    """Copy codes (B, n_bytes) into whole 64-bit words (B, W), padded with zeros."""
    padded = np.zeros((len(codes), -(-codes.shape[1] // 8) * 8), np.uint8)
    padded[:, : codes.shape[1]] = codes
    return padded.view(np.uint64)
