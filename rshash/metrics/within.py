"""Metrics of a Hamming ball, "hash lookup": everything within a radius of the query, in no order.

In: counts by distance as `rshash.metrics.expected` takes them, where column d is distance d. Out: (Q,) float64.
DUCH's code calls the precision "mAP HR r" (arXiv 2201.08125); it divides empty balls by 0.0001, which also gives 0.
"""

from typing import Any

import numpy as np

from rshash.metrics.expected import check_counts
from rshash.metrics.ranked import PerQuery, divide


def precision_within(relevant_at: Any, items_at: Any, radius: int) -> PerQuery:
    """Return the share of relevant items among those within the radius; 0 where there are none.

    Args:
        relevant_at: (Q, n_distances) integers, relevant items at distance 0, 1, ….
        items_at: (Q, n_distances) integers, items at each distance.
        radius: at least 0, inclusive.

    Returns:
        (Q,) float64 in 0..1. An empty ball scores 0 and counts; `empty_within` says which are.

    Raises:
        ValueError: if the shapes differ, more items are relevant than there are, or the radius is below 0.

    >>> precision_within([[1, 0, 1], [0, 0, 2]], [[1, 1, 1], [0, 0, 3]], radius=1)
    array([0.5, 0. ])
    """
    relevant, items = _ball(relevant_at, items_at, radius)
    return divide(relevant.sum(axis=1), items.sum(axis=1))


def recall_within(relevant_at: Any, items_at: Any, radius: int) -> PerQuery:
    """Return the share of all relevant items that lie within the radius; arguments as `precision_within`.

    >>> recall_within([[1, 0, 1]], [[1, 1, 1]], radius=1)
    array([0.5])
    """
    relevant, _ = _ball(relevant_at, items_at, radius)
    return divide(relevant.sum(axis=1), np.asarray(relevant_at, np.int64).sum(axis=1))


def empty_within(relevant_at: Any, items_at: Any, radius: int) -> PerQuery:
    """Return 1 where nothing at all lies within the radius, else 0; arguments as `precision_within`.

    >>> empty_within([[1, 0, 1], [0, 0, 2]], [[1, 1, 1], [0, 0, 3]], radius=1)
    array([0., 1.])
    """
    _, items = _ball(relevant_at, items_at, radius)
    return np.asarray(items.sum(axis=1) == 0, np.float64)


def _ball(relevant_at: Any, items_at: Any, radius: int) -> tuple[Any, Any]:
    relevant, items = check_counts(relevant_at, items_at)
    if isinstance(radius, bool) or not isinstance(radius, int | np.integer) or radius < 0:
        raise ValueError(f"radius must be an integer of at least 0, got {radius!r}")
    return relevant[:, : radius + 1], items[:, : radius + 1]
