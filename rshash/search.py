"""The front door: packed codes and queries in, exact ranked `Hits` out.

The database is searched where it lies and never copied: an array of any strides, a memory-map, a CPU tensor.
"""

from typing import Any

import numpy as np

from rshash.codes import Codes, check_codes
from rshash.index.hits import Hits
from rshash.kernels import backend, threads

DEFAULT_K = 10


def search(
    codes: Any, query: Any, k: int | None = None, radius: int | None = None, *, n_threads: int | None = None
) -> Hits:
    """Find the nearest codes of each query by Hamming distance, exactly.

    Hits are in ascending distance, equal distances in ascending row: every backend, instruction set and
    number of threads returns the same bytes.

    Args:
        codes: (N, n_bytes) uint8 packed codes, the database.
        query: (Q, n_bytes) uint8, or (n_bytes,) for a single query.
        k: number of hits a query, at least 1, 10 unless a radius is given; more than N returns all N.
        radius: return instead every row at distance <= radius, 0..8 * n_bytes.
        n_threads: threads to use; None takes RSHASH_NUM_THREADS, else every core this process may use.

    Returns:
        `Hits` of shape (Q, min(k, N)), or in compressed rows for a radius. Ids are rows of ``codes``.

    Raises:
        TypeError: if codes or query are not uint8, or a number is not an integer.
        ValueError: if shapes, widths, k, radius or n_threads do not fit, or the database is empty.
        ImportError: if RSHASH_BACKEND or RSHASH_SIMD force what this machine does not have.

    >>> codes = np.array([[0b0000], [0b0111], [0b0001]], np.uint8)
    >>> search(codes, codes[0], k=2).ids.tolist()
    [[0, 2]]
    >>> search(codes, codes[0], radius=1).ids.tolist()
    [0, 2]
    """
    database, queries = check_codes(codes), _check_queries(query)
    if len(database) == 0:
        raise ValueError("the database is empty: search needs at least one code")
    n_bytes = database.shape[1]
    if queries.shape[1] != n_bytes:
        raise ValueError(
            f"queries have {queries.shape[1]} bytes per code, the database has {n_bytes}: "
            "encode them with the same hasher"
        )
    if k is not None and radius is not None:
        raise ValueError("k and radius were both given: choose the k nearest or all within the radius")
    used_threads = threads(n_threads)
    if radius is not None:
        limit = _check_integer("radius", radius, 0, 8 * n_bytes)
        offsets, distances, rows = backend().within_radius(database, queries, limit, used_threads)
        return Hits(distances, rows, offsets)
    count = min(_check_integer("k", DEFAULT_K if k is None else k, 1), len(database))
    distances, rows = backend().top_k(database, queries, count, used_threads)
    return Hits(distances, rows)


def _check_queries(query: Any) -> Codes:
    """View the queries as (Q, n_bytes); one code alone is one query."""
    if getattr(query, "ndim", None) == 1:
        query = query[None]
    return check_codes(query, name="queries")


def _check_integer(name: str, value: Any, least: int, most: int | None = None) -> int:
    """Return an integer argument inside its range, or say what it must be."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an integer, got {type(value).__name__} {value!r}")
    if value < least or (most is not None and value > most):
        allowed = f"at least {least}" if most is None else f"between {least} and {most}"
        raise ValueError(f"{name} must be {allowed}, got {value}")
    return int(value)
