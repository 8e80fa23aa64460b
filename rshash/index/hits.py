"""What a search found: distances and ids of each query, as a table (top-k) or in compressed rows (radius)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Distances = NDArray[np.int32]
Ids = NDArray[np.int64]
Offsets = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Hits:
    """Hits of Q queries, each query's in ascending (distance, id).

    Attributes:
        distances: (Q, k) int32 Hamming distances; (H,) for a radius search.
        ids: int64 of the same shape: rows of the database, or the ids an archive gave them.
        offsets: None for top-k; (Q + 1,) int64 for a radius search: query i owns hits
            offsets[i]..offsets[i + 1].
        plan: how the hits were found, for example "popcount" or "sliced"; every plan finds the same.

    >>> hits = Hits(np.array([0, 2, 1], np.int32), np.array([4, 1, 7]), offsets=np.array([0, 2, 3]))
    >>> hits.n_queries, hits.of(0)[1].tolist(), hits.of(1)[1].tolist()
    (2, [4, 1], [7])
    >>> distances, ids = hits
    """

    distances: Distances
    ids: Ids
    offsets: Offsets | None = None
    plan: str = ""

    def __iter__(self) -> Iterator[NDArray[np.signedinteger]]:
        """Unpack as ``distances, ids``."""
        yield self.distances
        yield self.ids

    @property
    def n_queries(self) -> int:
        """Number of queries Q."""
        return len(self.distances) if self.offsets is None else len(self.offsets) - 1

    def of(self, query: int) -> tuple[Distances, Ids]:
        """Return (distances, ids) of one query.

        Raises:
            IndexError: if ``query`` is outside 0..Q-1.
        """
        if not 0 <= query < self.n_queries:
            raise IndexError(f"query {query} is outside the {self.n_queries} queries of these hits")
        if self.offsets is None:
            return self.distances[query], self.ids[query]
        mine = slice(self.offsets[query], self.offsets[query + 1])
        return self.distances[mine], self.ids[mine]
