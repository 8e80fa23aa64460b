"""The contenders on a GPU: rshash, what one writes in torch, and faiss; each with the codes in its memory beforehand.

Packages are imported when a contender is built, so that a missing one costs only its own rows.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rshash.bench.contenders import Answer, Contender, Rshash
from rshash.codes import Codes
from rshash.extras import require
from rshash.index.device import DeviceIndex
from rshash.kernels import cuda_backend


class OnDevice(Contender):
    """What runs on a GPU, so that a clock has to wait for it.

    Attributes:
        device: "cuda"; the tests put "cpu" here, for torch.
    """

    device: ClassVar[str] = "cuda"

    def wait(self) -> None:
        if self.device != "cpu":
            cuda_backend().synchronize()


class RshashDevice(OnDevice, Rshash):
    """`rshash.search` in a `DeviceIndex`, end to end: queries and hits are in host memory, and so is a filter."""

    def build(self, codes: Codes) -> None:
        self.codes: Any = DeviceIndex(codes, self.device)


class _Torch(OnDevice):
    """Blocks of the database against all queries, the nearest of each block merged with those before.

    Subclasses say what stands for a distance: a score that is smaller for nearer rows.
    """

    module = "torch"
    install = 'pip install "rshash[train]"'
    can_filter = True
    block_pairs: ClassVar[tuple[int, ...]] = (1 << 24, 1 << 26, 1 << 28)
    too_far: ClassVar[float]

    @classmethod
    def missing(cls) -> str | None:
        absent = super().missing()
        if absent is not None or cls.device == "cpu":
            return absent
        torch = require("torch", "train")
        return None if torch.cuda.is_available() else f"torch {torch.__version__} sees no GPU: install its CUDA build"

    def variants(self) -> list[str]:
        return [f"2^{pairs.bit_length() - 1} pairs" for pairs in self.block_pairs]

    def choose(self, variant: str) -> None:
        self.pairs = 1 << int(variant.removeprefix("2^").split()[0])

    def build(self, codes: Codes) -> None:
        self.torch = require("torch", "train")
        self.n_rows, self.n_bytes = len(codes), int(codes.shape[1])
        self.admitted: Any = None
        self.taken: Any = None

    def search(self, queries: Codes, k: int) -> Answer:
        asked = self.prepare(queries)
        best = ids = None
        for first, scores in self._blocks(asked, len(queries)):
            found, places = scores.topk(min(k, scores.shape[1]), dim=1, largest=False)  # (Q, k)
            if best is None:
                best, ids = found, places
            else:
                both = self.torch.cat([best, found], dim=1)  # (Q, 2k)
                best, chosen = both.topk(min(k, both.shape[1]), dim=1, largest=False)
                ids = self.torch.cat([ids, places + first], dim=1).gather(1, chosen)
        assert best is not None
        assert ids is not None
        return self.to_distances(best).int().cpu().numpy(), ids.cpu().numpy()

    def within_radius(self, queries: Codes, radius: int) -> NDArray[np.int64]:
        asked, counts = self.prepare(queries), np.zeros(len(queries), np.int64)
        for _, scores in self._blocks(asked, len(queries)):
            hits = (self.to_distances(scores) <= radius).nonzero()[:, 0]
            counts += np.bincount(hits.cpu().numpy(), minlength=len(queries))
        return counts

    def prepare(self, queries: Codes) -> Any:
        """Return queries (Q, n_bytes) as `scores` wants them, on the device."""
        raise NotImplementedError

    def scores(self, first: int, last: int, asked: Any) -> Any:
        """Return what stands for the distances of rows first..last-1, (Q, last - first)."""
        raise NotImplementedError

    def to_distances(self, scores: Any) -> Any:
        """Return the distances that scores stand for."""
        return scores

    def most_rows(self) -> int:
        """Return the rows of the largest block that takes no undue memory."""
        return self.n_rows

    def _blocks(self, asked: Any, n_queries: int) -> Any:
        """Yield the first row and the scores of every block, rows that are no hits moved beyond the widest code."""
        if self.taken is not self.bitmap:
            self.taken, self.admitted = self.bitmap, None
            if self.bitmap is not None:
                bits = np.unpackbits(self.bitmap, count=self.n_rows, bitorder="little")
                self.admitted = self.torch.from_numpy(bits).to(self.device).bool()  # (N,)
        n_block = max(1, min(self.pairs // n_queries, self.most_rows()))
        for first in range(0, self.n_rows, n_block):
            last = min(first + n_block, self.n_rows)
            scores = self.scores(first, last, asked)
            if self.admitted is not None:
                scores.masked_fill_(~self.admitted[first:last], self.too_far)
            yield first, scores


class TorchLookup(_Torch):
    """Exclusive or, and a table of the bits in 8 or in 16 of a code's bits, whichever is faster."""

    name = "torch xor + lookup"
    too_far = 1 << 14

    def variants(self) -> list[str]:
        widths = (8,) if self.n_bytes % 2 else (8, 16)
        return [f"{blocks}, {width} bits" for blocks in super().variants() for width in widths]

    def choose(self, variant: str) -> None:
        super().choose(variant)
        self.width = int(variant.split()[-2])

    def build(self, codes: Codes) -> None:
        super().build(codes)
        torch = self.torch
        bits = np.bitwise_count(np.arange(1 << 16, dtype=np.uint16)).astype(np.int16)
        self.tables = {8: torch.from_numpy(bits[:256]).to(self.device), 16: torch.from_numpy(bits).to(self.device)}
        self.columns = torch.from_numpy(np.ascontiguousarray(codes)).to(self.device).T.contiguous()  # (n_bytes, N)
        self.wide = self._widen(self.columns) if self.n_bytes % 2 == 0 else None

    def prepare(self, queries: Codes) -> Any:
        columns = self.torch.from_numpy(np.ascontiguousarray(queries)).to(self.device).T.contiguous()  # (n_bytes, Q)
        return columns if self.width == 8 else self._widen(columns)

    def scores(self, first: int, last: int, asked: Any) -> Any:
        rows, table = (self.columns, self.tables[8]) if self.width == 8 else (self.wide, self.tables[16])
        assert rows is not None
        distances = self.torch.zeros((asked.shape[1], last - first), dtype=self.torch.int16, device=self.device)
        for column, query in zip(rows, asked, strict=True):
            # A difference of 16 bits may be negative; it then counts from the end of the table, where it belongs.
            distances += table[(query[:, None] ^ column[None, first:last]).int()]
        return distances

    def _widen(self, columns: Any) -> Any:
        """Return bytes (n_bytes, N) as integers of 16 bits (n_bytes / 2, N)."""
        high, low = columns[::2].to(self.torch.int16), columns[1::2].to(self.torch.int16)
        return high << 8 | low


class TorchProduct(_Torch):
    """A product of codes of ±1 in half precision, which holds every even number to 4096 exactly.

    The database is kept packed and turned into ±1 block by block.
    """

    name = "torch ±1 product"
    too_far = float("inf")
    block_bits: ClassVar[int] = 1 << 30

    def build(self, codes: Codes) -> None:
        super().build(codes)
        self.kind = self.torch.float32 if self.device == "cpu" else self.torch.float16
        self.rows = self.torch.from_numpy(np.ascontiguousarray(codes)).to(self.device)

    def prepare(self, queries: Codes) -> Any:
        return -self._signs(self.torch.from_numpy(np.ascontiguousarray(queries)).to(self.device))

    def scores(self, first: int, last: int, asked: Any) -> Any:
        return asked @ self._signs(self.rows[first:last]).T

    def to_distances(self, scores: Any) -> Any:
        return (scores.float() + 8 * self.n_bytes) / 2

    def most_rows(self) -> int:
        return self.block_bits // (8 * self.n_bytes)

    def _signs(self, codes: Any) -> Any:
        """Return codes (N, n_bytes) as (N, 8 * n_bytes) of -1 and +1."""
        shifts = self.torch.arange(8, dtype=self.torch.uint8, device=self.device)
        return (codes[:, :, None] >> shifts & 1).flatten(1).to(self.kind) * 2 - 1


class FaissDevice(OnDevice):
    """``GpuIndexBinaryFlat``."""

    name = "faiss GpuIndexBinaryFlat"
    module = "faiss"
    install = "conda install -c pytorch -c nvidia faiss-gpu"

    @classmethod
    def missing(cls) -> str | None:
        absent = super().missing()
        if absent is not None:
            return absent
        faiss = require("faiss", "bench")
        if hasattr(faiss, "GpuIndexBinaryFlat"):
            return None
        return f"faiss {faiss.__version__} here is a build for the CPU, without GpuIndexBinaryFlat: {cls.install}"

    def build(self, codes: Codes) -> None:
        faiss = require("faiss", "bench")
        self.resources = faiss.StandardGpuResources()  # kept: the index holds no reference
        self.index = faiss.GpuIndexBinaryFlat(self.resources, 8 * codes.shape[1])
        self.index.add(np.ascontiguousarray(codes))

    def search(self, queries: Codes, k: int) -> Answer:
        distances, ids = self.index.search(queries, k)
        return distances, ids


DEVICE_CONTENDERS: dict[str, type[Contender]] = {
    "rshash": RshashDevice,
    "torch-lookup": TorchLookup,
    "torch-product": TorchProduct,
    "faiss-gpu": FaissDevice,
}
"""Short name → contender on a GPU, rshash first."""
