"""What may be asked of a search: the checks that every kind of index shares."""

from typing import Any

import numpy as np

from rshash.codes import Codes, check_codes
from rshash.files import check_mapped

DEFAULT_K = 10
"""Hits a query when neither k nor a radius is given."""


def check_queries(query: Any, n_bytes: int) -> Codes:
    """View the queries as (Q, n_bytes) uint8; one code alone is one query.

    Raises:
        TypeError: if they are not uint8.
        ValueError: if their shape or width does not fit.
        OSError: if they are mapped from a file that has become shorter.

    >>> check_queries(np.zeros(8, np.uint8), 8).shape
    (1, 8)
    """
    if getattr(query, "ndim", None) == 1:
        query = query[None]
    queries = check_codes(query, name="queries")
    check_mapped(queries, "queries")
    if queries.shape[1] != n_bytes:
        raise ValueError(
            f"queries have {queries.shape[1]} bytes per code, the database has {n_bytes}: "
            "encode them with the same hasher"
        )
    return queries


def check_integer(name: str, value: Any, least: int, most: int | None = None) -> int:
    """Return an integer argument inside its range, or say what it must be.

    Raises:
        TypeError: if it is not an integer.
        ValueError: if it is out of range.

    >>> check_integer("k", 3, 1)
    3
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an integer, got {type(value).__name__} {value!r}")
    if value < least or (most is not None and value > most):
        allowed = f"at least {least}" if most is None else f"between {least} and {most}"
        raise ValueError(f"{name} must be {allowed}, got {value}")
    return int(value)


def check_k_or_radius(k: Any, radius: Any, n_bytes: int) -> tuple[int, int | None]:
    """Return (k, radius), radius None for a top-k search.

    Raises:
        TypeError, ValueError: as `check_integer`, or if both are given.

    >>> check_k_or_radius(None, None, 8)
    (10, None)
    """
    if k is not None and radius is not None:
        raise ValueError("k and radius were both given: choose the k nearest or all within the radius")
    if radius is not None:
        return DEFAULT_K, check_integer("radius", radius, 0, 8 * n_bytes)
    return check_integer("k", DEFAULT_K if k is None else k, 1), None
