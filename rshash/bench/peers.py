"""The peers as contenders: faiss, usearch and scikit-learn, each at its best setting.

Packages are imported when a peer is built, so that a missing one costs only its own rows.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rshash.bench.contenders import Answer, Contender, Numpy, Rshash, RshashFlatIndex, RshashMultiIndex
from rshash.codes import Codes
from rshash.extras import require


class _Faiss(Contender):
    """What all binary indexes of faiss share."""

    module = "faiss"
    name = "faiss"

    def use_threads(self, n_threads: int) -> None:
        require("faiss", "bench").omp_set_num_threads(n_threads)

    def choose(self, variant: str) -> None:
        """Switch to the instruction set that a variant begins with, else to the one faiss takes itself."""
        faiss = require("faiss", "bench")
        if _can_switch(faiss):
            level = getattr(faiss, f"SIMDLevel_{variant.split()[0]}") if variant else None
            faiss.SIMDConfig.set_level(faiss.SIMDConfig.auto_detect_simd_level() if level is None else level)

    def build(self, codes: Codes) -> None:
        faiss = require("faiss", "bench")
        self.index = self.make(faiss, 8 * codes.shape[1], codes)
        self.index.add(np.ascontiguousarray(codes))

    def make(self, faiss: Any, n_bits: int, codes: Codes) -> Any:
        """Return the empty, trained index."""
        raise NotImplementedError

    def search(self, queries: Codes, k: int) -> Answer:
        distances, ids = self.index.search(queries, k)
        return distances, ids


class FaissFlat(_Faiss):
    """``IndexBinaryFlat``, at the fastest of its instruction sets and of its two ways to select."""

    name = "faiss IndexBinaryFlat"
    can_filter = True
    levels: ClassVar[tuple[str, ...]] = (
        "NONE",
        "AVX2",
        "AVX512",
        "AVX512_VPOPCNT",
        "AVX512_SPR",
        "ARM_NEON",
        "ARM_SVE",
    )

    def make(self, faiss: Any, n_bits: int, codes: Codes) -> Any:
        return faiss.IndexBinaryFlat(n_bits)

    def variants(self) -> list[str]:
        return [f"{level} {selection}" for level in self._levels() for selection in ("heap", "counting")]

    def choose(self, variant: str) -> None:
        super().choose(variant)
        self.index.use_heap = variant.endswith("heap")

    def search(self, queries: Codes, k: int) -> Answer:
        distances, ids = self.index.search(queries, k, params=self._parameters())
        return distances, ids

    def within_radius(self, queries: Codes, radius: int) -> NDArray[np.int64]:
        # faiss excludes the radius itself
        return _counts(self.index.range_search(queries, radius + 1, params=self._parameters())[0])

    def _parameters(self) -> Any:
        """Return the selector of the rows that may be hits."""
        if self.bitmap is None:
            return None
        faiss = require("faiss", "bench")
        self.selector = faiss.IDSelectorBitmap(self.bitmap)  # kept: faiss holds no reference
        return faiss.SearchParameters(sel=self.selector)

    @staticmethod
    def _levels() -> list[str]:
        """Return the instruction sets this build may be switched to on this processor."""
        faiss = require("faiss", "bench")
        if not _can_switch(faiss):
            return ["default"]
        known = {level: getattr(faiss, f"SIMDLevel_{level}", None) for level in FaissFlat.levels}
        return [
            level
            for level, number in known.items()
            if number is not None and faiss.SIMDConfig.is_simd_level_available(number)
        ]


class FaissMultiHash(_Faiss):
    """``IndexBinaryMultiHash`` over 16-bit substrings; exact by radius, where its number of flips follows from it."""

    name = "faiss IndexBinaryMultiHash"
    exact = False
    substring_bits: ClassVar[int] = 16

    @classmethod
    def expected_build_seconds(cls, n_rows: int, n_bits: int) -> float:
        return n_rows * n_bits / cls.substring_bits / 2e6

    def make(self, faiss: Any, n_bits: int, codes: Codes) -> Any:
        self.n_substrings = max(1, n_bits // self.substring_bits)
        return faiss.IndexBinaryMultiHash(n_bits, self.n_substrings, min(self.substring_bits, n_bits))

    def search(self, queries: Codes, k: int) -> Answer:
        self.index.nflip = 1
        return super().search(queries, k)

    def within_radius(self, queries: Codes, radius: int) -> NDArray[np.int64]:
        self.index.nflip = radius // self.n_substrings  # some substring of a hit differs in no more bits
        return _counts(self.index.range_search(queries, radius + 1)[0])


class FaissIvf(_Faiss):
    """``IndexBinaryIVF`` with 1024 lists, 32 of them visited."""

    name = "faiss IndexBinaryIVF (1024 lists, 32 visited)"
    exact = False
    n_lists: ClassVar[int] = 1024

    @classmethod
    def expected_build_seconds(cls, n_rows: int, n_bits: int) -> float:
        return n_rows / 40e3

    def make(self, faiss: Any, n_bits: int, codes: Codes) -> Any:
        n_lists = max(1, min(self.n_lists, len(codes) // 39))  # faiss asks for 39 rows a list
        self.quantizer = faiss.IndexBinaryFlat(n_bits)
        index = faiss.IndexBinaryIVF(self.quantizer, n_bits, n_lists)
        index.train(np.ascontiguousarray(codes[: 64 * n_lists]))
        index.nprobe = min(32, n_lists)
        return index


class FaissHnsw(_Faiss):
    """``IndexBinaryHNSW`` with 16 neighbours and a search list of 64."""

    name = "faiss IndexBinaryHNSW (M 16, ef 64)"
    exact = False

    @classmethod
    def expected_build_seconds(cls, n_rows: int, n_bits: int) -> float:
        return n_rows / 8e3

    def make(self, faiss: Any, n_bits: int, codes: Codes) -> Any:
        index = faiss.IndexBinaryHNSW(n_bits, 16)
        index.hnsw.efSearch = 64
        return index


class Usearch(Contender):
    """``usearch.index.search(exact=True)``; it keeps all distances of a call, so a call gets few queries."""

    name = "usearch exact"
    module = "usearch"
    max_pairs = 1 << 25

    def search(self, queries: Codes, k: int) -> Answer:
        index = require("usearch.index", "bench")
        found = index.search(
            self.codes, queries, k, index.MetricKind.Hamming, exact=True, threads=self.n_threads
        )  # one query comes back without its axis
        return np.atleast_2d(found.distances), np.atleast_2d(found.keys).astype(np.int64)


class ScikitLearn(Contender):
    """``NearestNeighbors(algorithm="brute", metric="hamming")`` on unpacked bits."""

    name = "scikit-learn brute force"
    module = "sklearn"
    max_rows = 50_000
    max_pairs = 1 << 24

    def build(self, codes: Codes) -> None:
        neighbors = require("sklearn.neighbors", "bench")
        self.n_bits = 8 * codes.shape[1]
        self.model = neighbors.NearestNeighbors(algorithm="brute", metric="hamming")
        self.model.fit(np.unpackbits(codes, axis=1).astype(bool))

    def use_threads(self, n_threads: int) -> None:
        self.model.set_params(n_jobs=n_threads)

    def search(self, queries: Codes, k: int) -> Answer:
        distances, ids = self.model.kneighbors(np.unpackbits(queries, axis=1).astype(bool), n_neighbors=k)
        return np.rint(distances * self.n_bits).astype(np.int32), ids


CONTENDERS: dict[str, type[Contender]] = {
    "rshash": Rshash,
    "rshash-flatindex": RshashFlatIndex,
    "rshash-multiindex": RshashMultiIndex,
    "faiss-flat": FaissFlat,
    "usearch": Usearch,
    "numpy": Numpy,
    "scikit-learn": ScikitLearn,
    "faiss-multihash": FaissMultiHash,
    "faiss-ivf": FaissIvf,
    "faiss-hnsw": FaissHnsw,
}
"""Short name → contender, `rshash.search` first; a new one is a class and a line here."""


def _can_switch(faiss: Any) -> bool:
    """Whether this faiss changes its instruction set when told; other builds have one, chosen when imported."""
    return hasattr(getattr(faiss, "SIMDConfig", None), "auto_detect_simd_level")


def _counts(offsets: NDArray[Any]) -> NDArray[np.int64]:
    """Return the hits of each query from where they begin."""
    starts = np.asarray(offsets, np.int64)
    return starts[1:] - starts[:-1]
