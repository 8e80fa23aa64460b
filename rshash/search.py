"""The front door: packed codes and queries in, exact ranked `Hits` out.

The database is searched where it lies and never copied: an array of any strides, a memory-map, a CPU tensor; with
device="cuda" codes on that GPU, while those in host memory pass through its memory block by block.
"""

from typing import Any

from rshash.codes import check_codes
from rshash.index.device import DeviceIndex, check_device, scan_on_device
from rshash.index.flat import FlatIndex
from rshash.index.hits import Hits
from rshash.index.multi_index import PLAN, MultiIndex
from rshash.index.scan import scan


def search(
    codes: Any,
    query: Any,
    k: int | None = None,
    radius: int | None = None,
    *,
    filter: Any = None,
    exclude: Any = None,
    plan: str | None = None,
    n_threads: int | None = None,
    device: Any = None,
) -> Hits:
    """Find the nearest codes of each query by Hamming distance, exactly.

    Hits are in ascending distance, equal distances in ascending row: every backend, instruction set, plan, device and
    number of threads returns the same bytes.

    Args:
        codes: (N, n_bytes) uint8 packed codes, the database; or a `FlatIndex` over them; or a `MultiIndex`, whose
            tables are used where neither filter nor exclude is given; or a `DeviceIndex`, which has its own device.
        query: (Q, n_bytes) uint8, or (n_bytes,) for a single query.
        k: number of hits a query, at least 1, 10 unless a radius is given; more than N returns all N.
        radius: return instead every row at distance <= radius, 0..8 * n_bytes.
        filter: rows that may be hits: (N,) bool, or the same packed by ``np.packbits(..., bitorder="little")``
            into (ceil(N / 8),) uint8. None admits all.
        exclude: (Q,) integers, a row that is no hit of its query (itself, say), or -1 for none.
        plan: "popcount" or "sliced" forces how to scan; None chooses by the number of queries. ``Hits.plan``
            says which was used: these, or "multi-index".
        n_threads: threads to use; None takes as many as the work is worth, at most RSHASH_NUM_THREADS, else every
            core this process may use.
        device: "cuda" or "cuda:<number>" searches on that GPU: codes and queries that lie there (anything dense that
            has ``__cuda_array_interface__``, such as torch CUDA tensors) in place, those in host memory copied. Hits
            are in host memory. None or "cpu" searches on the CPU.

    Returns:
        `Hits` of shape (Q, min(k, admitted rows)), or in compressed rows for a radius. Ids are rows of ``codes``.
        With ``exclude`` there are at most (admitted rows - 1) hits a query.

    Raises:
        TypeError: if codes or query are not uint8, or a number is not an integer.
        ValueError: if shapes, widths, k, radius, plan or n_threads do not fit, or the database is empty.
        OSError: if the codes are mapped from a file that has become shorter (see `rshash.files.check_mapped`), or
            there is no such device.
        ImportError: if RSHASH_BACKEND or RSHASH_SIMD force what this machine does not have, or the CUDA kernels were
            not built.
        MemoryError: if the device has too little free memory.

    >>> import numpy as np
    >>> codes = np.array([[0b0000], [0b0111], [0b0001]], np.uint8)
    >>> search(codes, codes[0], k=2).ids.tolist()
    [[0, 2]]
    >>> search(codes, codes[0], k=2, exclude=[0]).ids.tolist()
    [[2, 1]]
    >>> search(codes, codes[0], radius=1, filter=np.array([True, True, False])).ids.tolist()
    [0]
    """
    if plan is not None and not isinstance(plan, str):
        raise TypeError(f"plan must be the name of one or None, got {type(plan).__name__}")
    number = None if device is None else check_device(device)
    if isinstance(codes, DeviceIndex):
        if device is not None and codes.device != f"cuda:{number}":
            raise ValueError(f"the index lies on {codes.device}, the search was asked for on {device}")
        return codes.search(query, k, radius, filter=filter, exclude=exclude, plan=plan, n_threads=n_threads)
    if number is not None:
        database = codes.codes if isinstance(codes, FlatIndex | MultiIndex) else codes
        return scan_on_device(database, query, k, radius, filter, exclude, plan, n_threads, number)
    if isinstance(codes, MultiIndex):
        if filter is None and exclude is None and plan in (None, PLAN):
            return codes.search(query, k, radius, n_threads=n_threads)
        codes = codes.codes
    if isinstance(codes, FlatIndex):
        return codes.search(query, k, radius, filter=filter, exclude=exclude, plan=plan, n_threads=n_threads)
    return scan(check_codes(codes), None, query, k, radius, filter, exclude, plan, n_threads)
