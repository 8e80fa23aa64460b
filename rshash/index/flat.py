"""`FlatIndex`: the scan with its work on the database done beforehand, for few queries at a time.

The bit-sliced kernel (csrc/sliced.h) turns every 512 codes into bit planes before it compares them. For hundreds of
queries that costs little; for sixteen it is a good part of the time. A `FlatIndex` keeps the planes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rshash.codes import Codes, check_codes
from rshash.files import check_mapped
from rshash.index.device import DeviceIndex, check_device
from rshash.index.hits import Hits
from rshash.index.scan import scan
from rshash.kernels import backend


class FlatIndex:
    """Packed codes and their bit planes, scanned exactly.

    It pays for codes of up to 128 bits and batches of 4 to 64 queries. Fewer queries are answered from the codes, which
    are kept too. A backend that knows no planes (numba, numpy) makes none.

    Args:
        codes: (N, n_bytes) uint8 packed codes; kept, and copied only where their rows are not dense.

    Attributes:
        codes: the codes in the order of their rows. Writing to them would part them from their planes.

    Raises:
        TypeError, ValueError: if they are no packed codes.
        OSError: if they are mapped from a file that has become shorter.

    >>> codes = np.arange(5000, dtype=">u2").view(np.uint8).reshape(-1, 2)
    >>> hits = FlatIndex(codes).search(codes[:16], k=2)
    >>> hits.ids[7].tolist(), hits.distances[7].tolist()
    ([7, 3], [0, 1])
    """

    def __init__(self, codes: Any) -> None:
        self.codes: Codes = np.ascontiguousarray(check_codes(codes))
        native: Any = backend()
        self._planes: NDArray[np.uint8] | None = None
        if hasattr(native, "slice_codes"):
            check_mapped(self.codes)
            self._planes = native.slice_codes(self.codes)

    def __len__(self) -> int:
        """Number of codes N."""
        return len(self.codes)

    @property
    def memory_bytes(self) -> int:
        """Bytes of the planes, beside the codes themselves: n_bytes * 512 * ceil(N / 512), or 0 where none are made."""
        return 0 if self._planes is None else self._planes.nbytes

    def add(self, codes: Any) -> "FlatIndex":
        """Return a new index over these codes followed by ``codes``; the planes are made anew.

        Raises:
            TypeError, ValueError: if the new codes do not fit.
        """
        added = check_codes(codes)
        if added.shape[1] != self.codes.shape[1]:
            raise ValueError(f"new codes have {added.shape[1]} bytes, this index holds {self.codes.shape[1]}")
        return FlatIndex(np.concatenate([self.codes, added]))

    def to(self, device: Any) -> "FlatIndex | DeviceIndex":
        """Return an index over a copy of these codes in the memory of a GPU, or this one for "cpu".

        Args:
            device: "cuda", "cuda:<number>" or "cpu".

        Raises:
            TypeError, ValueError, ImportError, OSError, MemoryError: as `DeviceIndex`.
        """
        return self if check_device(device) is None else DeviceIndex(self.codes, device)

    def search(
        self,
        query: Any,
        k: int | None = None,
        radius: int | None = None,
        *,
        filter: Any = None,
        exclude: Any = None,
        plan: str | None = None,
        n_threads: int | None = None,
    ) -> Hits:
        """Find the nearest codes of each query; arguments, hits and errors are those of `rshash.search`."""
        return scan(self.codes, self._planes, query, k, radius, filter, exclude, plan, n_threads)
