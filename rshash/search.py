"""The front door: packed codes and queries in, exact ranked `Hits` out.

The database is searched where it lies and never copied: an array of any strides, a memory-map, a CPU tensor.
"""

from typing import Any

from rshash.codes import check_codes
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
) -> Hits:
    """Find the nearest codes of each query by Hamming distance, exactly.

    Hits are in ascending distance, equal distances in ascending row: every backend, instruction set, plan and
    number of threads returns the same bytes.

    Args:
        codes: (N, n_bytes) uint8 packed codes, the database; or a `FlatIndex` over them; or a `MultiIndex`, whose
            tables are used where neither filter nor exclude is given.
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

    Returns:
        `Hits` of shape (Q, min(k, admitted rows)), or in compressed rows for a radius. Ids are rows of ``codes``.
        With ``exclude`` there are at most (admitted rows - 1) hits a query.

    Raises:
        TypeError: if codes or query are not uint8, or a number is not an integer.
        ValueError: if shapes, widths, k, radius, plan or n_threads do not fit, or the database is empty.
        OSError: if the codes are mapped from a file that has become shorter (see `rshash.files.check_mapped`).
        ImportError: if RSHASH_BACKEND or RSHASH_SIMD force what this machine does not have.

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
    if isinstance(codes, MultiIndex):
        if filter is None and exclude is None and plan in (None, PLAN):
            return codes.search(query, k, radius, n_threads=n_threads)
        codes = codes.codes
    if isinstance(codes, FlatIndex):
        return codes.search(query, k, radius, filter=filter, exclude=exclude, plan=plan, n_threads=n_threads)
    return scan(check_codes(codes), None, query, k, radius, filter, exclude, plan, n_threads)
