"""Retrieval metrics of ranked hits: one value per query; the reader of a table averages them.

In: ``relevant`` (Q, n_ranked) bool, column j tells whether the hit of rank j + 1 is relevant, and ``n_relevant`` (Q,),
how many relevant items the database holds. Out: (Q,) float64. Hits of equal distance stand in row order, as
`rshash.search` returns them; no metric here averages over ties. A query without any relevant item scores 0 and counts.

Three different numbers are called mAP@k in the literature of cross-modal hashing. They are never comparable:

========================== ===================================== =================================================
function                   hits that count                       divided by
========================== ===================================== =================================================
average_precision          relevant ones inside rank k           min(k, relevant items in the database)
duch_average_precision     the first k relevant, at any rank     min(k, relevant items in the database)
djsrh_average_precision    relevant ones inside rank k           relevant hits inside rank k
========================== ===================================== =================================================
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
    hits = hits[:, :k]
    return _divide((_precisions(hits) * hits).sum(axis=1), np.minimum(k, totals))


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
    counting = hits & (np.cumsum(hits, axis=1) <= k)
    wanted = np.minimum(k, totals)
    if (counting.sum(axis=1) < wanted).any():
        raise ValueError(
            f"the ranking of {hits.shape[1]} hits ends before its first {k} relevant items: "
            "DUCH's definition needs the whole ranking, search with k = the size of the database"
        )
    return _divide((_precisions(hits) * counting).sum(axis=1), wanted)


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
    return _divide((_precisions(hits) * hits).sum(axis=1), hits.sum(axis=1))


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
    return _divide(hits[:, :k].sum(axis=1), np.full(len(hits), min(k, hits.shape[1])))


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
    return _divide(hits[:, :k].sum(axis=1), totals)


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


def _check(relevant: Any, n_relevant: Any, k: int) -> tuple[Relevance, NDArray[np.int64]]:
    """Return the two arrays in their dtypes, or say what does not fit."""
    hits, totals = np.asarray(relevant, dtype=bool), np.asarray(n_relevant, dtype=np.int64)
    if hits.ndim != 2 or hits.shape[1] == 0:
        raise ValueError(f"relevant must have shape (Q, n_ranked) with n_ranked >= 1, got {hits.shape}")
    if totals.shape != hits.shape[:1]:
        raise ValueError(f"n_relevant must have one number per query, {hits.shape[0]}, got shape {totals.shape}")
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise ValueError(f"k must be an integer of at least 1, got {k!r}")
    if (hits.sum(axis=1) > totals).any():
        query = int((hits.sum(axis=1) > totals).argmax())
        raise ValueError(
            f"query {query} has {hits[query].sum()} relevant hits but n_relevant says {totals[query]}: "
            "n_relevant counts the whole database"
        )
    return hits, totals


def _precisions(hits: Relevance) -> NDArray[np.float64]:
    """Return the precision at every rank, (Q, n_ranked)."""
    precisions: NDArray[np.float64] = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return precisions


def _divide(sums: NDArray[Any], counts: NDArray[Any]) -> PerQuery:
    """Divide, giving 0 where there is nothing to divide by."""
    quotients: PerQuery = np.divide(sums, counts, out=np.zeros(len(sums), np.float64), where=counts > 0)
    return quotients
