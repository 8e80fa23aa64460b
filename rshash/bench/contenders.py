"""Codes and queries in, distances and ids out: the one contract of everything that is measured, and our own entries."""

from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

import rshash
from rshash.codes import Codes
from rshash.index.flat import FlatIndex
from rshash.index.multi_index import MultiIndex

Answer = tuple[NDArray[np.integer[Any] | np.floating[Any]], NDArray[np.integer[Any]]]
"""Distances and ids, both (Q, k), ascending distance; id -1 where nothing was found."""


class Contender:
    """Something that finds nearest codes. Subclasses say what it is and do `search`, and `within_radius` if it can.

    Attributes:
        name: what reports call it.
        exact: whether it promises the k nearest.
        ours: whether it is rshash, not a peer.
        module: the package it needs, and the command that installs it; "" needs none.
        max_rows: rows above which it is not tried, and the reason.
        max_pairs: most pairs of row and query in one call, because of the memory it takes for them.
        can_filter: whether it takes a bitmap of the rows that may be hits.
        bitmap: that bitmap, (ceil(N / 8),) uint8 with row 0 in the low bit, or None for all rows.
        plan: how it went about the last search, where it says.
    """

    name: ClassVar[str]
    exact: ClassVar[bool] = True
    ours: ClassVar[bool] = False
    module: ClassVar[str] = ""
    install: ClassVar[str] = 'pip install "rshash[bench]"'
    max_rows: ClassVar[int | None] = None
    max_pairs: ClassVar[int | None] = None
    can_filter: ClassVar[bool] = False
    bitmap: NDArray[np.uint8] | None = None
    plan: str = ""

    @classmethod
    def missing(cls) -> str | None:
        """Return how to install what is missing, or None."""
        return None if not cls.module or find_spec(cls.module) else f"{cls.module} is not installed: {cls.install}"

    @classmethod
    def expected_build_seconds(cls, n_rows: int, n_bits: int) -> float:
        """Return the order of magnitude on one core; it tells only whether a build is worth starting."""
        return 0.0

    def variants(self) -> list[str]:
        """Name the settings that change the speed and not the answer; the fastest is measured."""
        return [""]

    def choose(self, variant: str) -> None:
        """Switch to one of `variants`."""

    def use_threads(self, n_threads: int) -> None:
        """Search with so many threads from now on."""
        self.n_threads = n_threads

    def wait(self) -> None:
        """Return once all that was asked before is done; only what runs on a device has to wait."""

    def build(self, codes: Codes) -> None:
        """Take the database, (N, n_bytes) uint8, and make what searches of it need."""
        self.codes = codes

    def search(self, queries: Codes, k: int) -> Answer:
        """Return the k nearest rows of each query, k <= N."""
        raise NotImplementedError

    def within_radius(self, queries: Codes, radius: int) -> NDArray[np.int64]:
        """Return how many rows lie at distance <= radius of each query, (Q,), having found them all."""
        raise NotImplementedError

    @classmethod
    def can_radius(cls) -> bool:
        """Whether it searches by radius."""
        return cls.within_radius is not Contender.within_radius


class Rshash(Contender):
    """`rshash.search`, end to end, on the array as it is."""

    name = "rshash"
    ours = True
    can_filter = True

    def search(self, queries: Codes, k: int) -> Answer:
        hits = rshash.search(self.codes, queries, k=k, filter=self.bitmap, n_threads=self.n_threads)
        self.plan = hits.plan
        return hits.distances, hits.ids

    def within_radius(self, queries: Codes, radius: int) -> NDArray[np.int64]:
        hits = rshash.search(self.codes, queries, radius=radius, filter=self.bitmap, n_threads=self.n_threads)
        self.plan = hits.plan
        assert hits.offsets is not None
        return np.diff(hits.offsets)


class RshashFlatIndex(Rshash):
    """`rshash.FlatIndex`: the same scan, the database turned into bit planes beforehand."""

    name = "rshash FlatIndex"

    def build(self, codes: Codes) -> None:
        self.codes: Any = FlatIndex(codes)


class RshashMultiIndex(Contender):
    """`rshash.index.multi_index.MultiIndex`: tables of substrings, exact, and a scan where they do not pay."""

    name = "rshash MultiIndex"
    ours = True

    @classmethod
    def expected_build_seconds(cls, n_rows: int, n_bits: int) -> float:
        return n_rows * n_bits / 16 / 10e6

    def build(self, codes: Codes) -> None:
        self.index = MultiIndex(codes)

    def search(self, queries: Codes, k: int) -> Answer:
        hits = self.index.search(queries, k=k, n_threads=self.n_threads)
        self.plan = hits.plan
        return hits.distances, hits.ids

    def within_radius(self, queries: Codes, radius: int) -> NDArray[np.int64]:
        hits = self.index.search(queries, radius=radius, n_threads=self.n_threads)
        self.plan = hits.plan
        assert hits.offsets is not None
        return np.diff(hits.offsets)


class Numpy(Contender):
    """`numpy.bitwise_count` and `numpy.argpartition` on one thread: what one writes without a library; our referee."""

    name = "numpy"
    can_filter = True
    block_rows: ClassVar[int] = 1 << 16

    def search(self, queries: Codes, k: int) -> Answer:
        distances = np.empty((len(queries), k), np.int32)
        ids = np.empty((len(queries), k), np.int64)
        for i, query in enumerate(queries):
            found = self._distances(query)
            nearest = np.argpartition(found, k - 1)[:k]
            nearest = nearest[np.argsort(found[nearest], kind="stable")]
            distances[i], ids[i] = found[nearest], nearest
        return distances, ids

    def within_radius(self, queries: Codes, radius: int) -> NDArray[np.int64]:
        return np.array([np.flatnonzero(self._distances(query) <= radius).size for query in queries], np.int64)

    def _distances(self, query: Codes) -> NDArray[np.uint16]:
        """Return the distance of every row to one query."""
        n_bytes = len(query)
        word = next(size for size in (8, 4, 2, 1) if n_bytes % size == 0)
        wide = query.view(f"u{word}")
        found = np.empty(len(self.codes), np.uint16)
        for first in range(0, len(found), self.block_rows):
            block = self.codes[first : first + self.block_rows].view(f"u{word}")
            counts = np.bitwise_count(block ^ wide)
            found[first : first + len(block)] = counts[:, 0] if counts.shape[1] == 1 else counts.sum(1, np.uint16)
        if self.bitmap is not None:
            found[np.unpackbits(self.bitmap, count=len(found), bitorder="little") == 0] = np.iinfo(np.uint16).max
        return found
