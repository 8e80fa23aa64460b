"""Metrics of a ranking as it stands: hits of equal distance count in the order they were given, by row in `rshash`.

In: ``relevant`` (Q, n_ranked) bool, column j tells whether the hit of rank j + 1 is relevant, and ``n_relevant`` (Q,),
how many relevant items the database holds. Out: (Q,) float64. Only relevant hits cost arithmetic, so that the ranking
of a database of millions is read at the speed of memory.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Relevance = NDArray[np.bool_]
PerQuery = NDArray[np.float64]


def average_precision(relevant: Any, n_relevant: Any, k: int) -> PerQuery:
    """Return AP@k of each query as textbooks define it: only hits inside rank k count.

    Args:
        relevant: (Q, n_ranked) bool, ranked best first.
        n_relevant: (Q,) integers, relevant items in the whole database.
        k: cut of the ranking, at least 1; larger than n_ranked uses all of it.

    Returns:
        (Q,) float64 in 0..1: sum of the precisions at the relevant hits inside k, over min(k, n_relevant).

    Raises:
        ValueError: if the shapes do not fit, ``k`` is below 1, or more hits are relevant than ``n_relevant`` says.

    >>> average_precision([[False, True, True]], [2], k=2)   # hit at rank 2: (1/2) / 2
    array([0.25])
    """
    hits, totals = _check(relevant, n_relevant, k)
    return divide(_sum_of_precisions(hits[:, :k]), np.minimum(k, totals))


def duch_average_precision(relevant: Any, n_relevant: Any, k: int) -> PerQuery:
    """Return the AP@k of DUCH's and CHNR's tables: the first k relevant items count, wherever they rank.

    Source: `calc_map_k` of the code released with Mikriukov et al., arXiv 2201.08125. A database item at rank 500 can
    raise it, so it is larger than `average_precision` and needs the whole ranking.

    Args:
        relevant: (Q, n_database) bool, the ranking of the whole database.
        n_relevant: (Q,) integers, relevant items in the database.
        k: number of relevant items that count, at least 1.

    Returns:
        (Q,) float64 in 0..1: mean over j = 1..min(k, n_relevant) of j / rank of the j-th relevant item.

    Raises:
        ValueError: as `average_precision`; also if the ranking stops before its relevant items do.

    >>> duch_average_precision([[False, True, True]], [2], k=2)   # (1/2 + 2/3) / 2
    array([0.58333333])
    """
    hits, totals = _check(relevant, n_relevant, k)
    wanted = np.minimum(k, totals)
    if (hits.sum(axis=1) < wanted).any():
        raise ValueError(
            f"the ranking of {hits.shape[1]} hits ends before its first {k} relevant items: "
            "DUCH's definition needs the whole ranking, search with k = the size of the database"
        )
    return divide(_sum_of_precisions(hits, first=k), wanted)


def djsrh_average_precision(relevant: Any, n_relevant: Any, k: int) -> PerQuery:
    """Return the AP@k of DJSRH's, DGCPN's and CIRH's tables: divided by the relevant hits found inside rank k.

    Source: `calculate_top_map` of the code released with Su et al., ICCV 2019. A single relevant hit at rank 1 scores 1
    however many others are missed.

    Args:
        relevant: (Q, n_ranked) bool, ranked best first.
        n_relevant: (Q,) integers, relevant items in the whole database.
        k: cut of the ranking, at least 1.

    Returns:
        (Q,) float64 in 0..1; 0 where nothing relevant lies inside rank k.

    Raises:
        ValueError: as `average_precision`.

    >>> djsrh_average_precision([[False, True, True]], [2], k=2)   # (1/2) / 1
    array([0.5])
    """
    hits, _ = _check(relevant, n_relevant, k)
    hits = hits[:, :k]
    return divide(_sum_of_precisions(hits), hits.sum(axis=1))


def precision_at_k(relevant: Any, n_relevant: Any, k: int) -> PerQuery:
    """Return the share of relevant hits among the first k (among all hits when there are fewer than k).

    Args:
        relevant: (Q, n_ranked) bool, ranked best first.
        n_relevant: (Q,) integers, relevant items in the whole database.
        k: cut of the ranking, at least 1.

    Returns:
        (Q,) float64 in 0..1.

    Raises:
        ValueError: as `average_precision`.

    >>> precision_at_k([[False, True, True]], [2], k=2)
    array([0.5])
    """
    hits, _ = _check(relevant, n_relevant, k)
    return divide(hits[:, :k].sum(axis=1), np.full(len(hits), min(k, hits.shape[1])))


def recall_at_k(relevant: Any, n_relevant: Any, k: int) -> PerQuery:
    """Return the share of the database's relevant items found among the first k hits.

    Args:
        relevant: (Q, n_ranked) bool, ranked best first.
        n_relevant: (Q,) integers, relevant items in the whole database.
        k: cut of the ranking, at least 1.

    Returns:
        (Q,) float64 in 0..1.

    Raises:
        ValueError: as `average_precision`.

    >>> recall_at_k([[False, True, True]], [4], k=3)
    array([0.5])
    """
    hits, totals = _check(relevant, n_relevant, k)
    return divide(hits[:, :k].sum(axis=1), totals)


def hit_at_k(relevant: Any, n_relevant: Any, k: int) -> PerQuery:
    """Return 1 where at least one of the first k hits is relevant, else 0: the R@K of caption retrieval.

    Args:
        relevant: (Q, n_ranked) bool, ranked best first.
        n_relevant: (Q,) integers, relevant items in the whole database.
        k: cut of the ranking, at least 1.

    Returns:
        (Q,) float64, 0 or 1.

    Raises:
        ValueError: as `average_precision`.

    >>> hit_at_k([[False, True, True], [False, False, False]], [2, 1], k=2)
    array([1., 0.])
    """
    hits, _ = _check(relevant, n_relevant, k)
    found: PerQuery = np.asarray(hits[:, :k].any(axis=1), dtype=np.float64)
    return found


def ndcg_at_k(relevant: Any, n_relevant: Any, k: int) -> PerQuery:
    """Return the normalised discounted cumulative gain of the first k hits: gain 1, discount log2(rank + 1).

    Source: Järvelin and Kekäläinen, ACM TOIS 20(4), 2002, with the discount of Burges et al., ICML 2005.

    Args:
        relevant: (Q, n_ranked) bool, ranked best first.
        n_relevant: (Q,) integers, relevant items in the whole database.
        k: cut of the ranking, at least 1.

    Returns:
        (Q,) float64 in 0..1; 1 where the first min(k, n_relevant) hits are relevant.

    Raises:
        ValueError: as `average_precision`.

    >>> ndcg_at_k([[True, False, True]], [2], k=3).round(4)   # (1 + 1/2) / (1 + 1/log2(3))
    array([0.9197])
    """
    hits, totals = _check(relevant, n_relevant, k)
    queries, columns = np.nonzero(hits[:, :k])
    gains = np.bincount(queries, 1 / np.log2(columns + 2), minlength=len(hits))
    return divide(gains, summed_discounts(min(k, int(totals.max(initial=0))))[np.minimum(k, totals)])


def summed_discounts(n: int) -> NDArray[np.float64]:
    """Return (n + 1,) float64: entry i is the gain of i relevant hits at the ranks 1..i."""
    sums: NDArray[np.float64] = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, n + 2)))])
    return sums


def _check(relevant: Any, n_relevant: Any, k: int) -> tuple[Relevance, NDArray[np.int64]]:
    """Return the two arrays in their dtypes, or say what does not fit."""
    hits, totals = np.asarray(relevant, dtype=bool), np.asarray(n_relevant, dtype=np.int64)
    if hits.ndim != 2 or hits.shape[1] == 0:
        raise ValueError(f"relevant must have shape (Q, n_ranked) with n_ranked >= 1, got {hits.shape}")
    if totals.shape != hits.shape[:1]:
        raise ValueError(f"n_relevant must have one number per query, {hits.shape[0]}, got shape {totals.shape}")
    check_k(k)
    if (hits.sum(axis=1) > totals).any():
        query = int((hits.sum(axis=1) > totals).argmax())
        raise ValueError(
            f"query {query} has {hits[query].sum()} relevant hits but n_relevant says {totals[query]}: "
            "n_relevant counts the whole database"
        )
    return hits, totals


def _sum_of_precisions(hits: Relevance, first: int | None = None) -> PerQuery:
    """Return for each query the sum of the precisions at its relevant hits, or at the first so many of them."""
    queries, columns = np.nonzero(hits)
    starts = np.searchsorted(queries, np.arange(len(hits)))
    found = np.arange(1, len(queries) + 1) - starts[queries]
    precisions = found / (columns + 1)
    if first is not None:
        precisions[found > first] = 0
    sums: PerQuery = np.bincount(queries, precisions, minlength=len(hits)).astype(np.float64, copy=False)
    return sums


def check_k(k: Any) -> None:
    """Refuse a cut of a ranking that is none.

    Raises:
        ValueError: if ``k`` is no integer or below 1.
    """
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise ValueError(f"k must be an integer of at least 1, got {k!r}")


def divide(sums: NDArray[Any], counts: NDArray[Any]) -> PerQuery:
    """Divide, giving 0 where there is nothing to divide by."""
    quotients: PerQuery = np.divide(sums, counts, out=np.zeros(len(sums), np.float64), where=counts > 0)
    return quotients
