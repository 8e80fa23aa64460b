"""Metrics in expectation over ties: the mean over every order of the hits that are at the same distance.

In: ``relevant_at`` and ``items_at``, both (Q, n_distances), how many relevant items and how many in all lie at each
distance, nearest first. Out: (Q,) float64. The order of rows plays no part, so these numbers can be compared between
systems that break ties in different ways, and they need counts only, never a ranking.

Source: McSherry and Najork, Computing information retrieval performance measures efficiently in the presence of tied
scores, ECIR 2008. There is none for DUCH's and DJSRH's average precision, whose papers break ties by sorting.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rshash.metrics.ranked import PerQuery, check_k, divide, summed_discounts

Counts = NDArray[np.int64]
Reals = NDArray[np.float64]


def expected_average_precision(relevant_at: Any, items_at: Any, k: int) -> PerQuery:
    """Return the expectation of `rshash.metrics.average_precision` (their section 2.3).

    Args:
        relevant_at: (Q, n_distances) integers, relevant items at each distance.
        items_at: (Q, n_distances) integers, items at each distance.
        k: cut of the ranking, at least 1; the size of the database for full mAP.

    Returns:
        (Q,) float64 in 0..1.

    Raises:
        ValueError: if the shapes differ, more items are relevant than there are, or ``k`` is below 1.

    >>> expected_average_precision([[1]], [[2]], k=2)   # one of two at the same distance: rank 1 or rank 2
    array([0.75])
    """
    ties = _ties(relevant_at, items_at, k)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, ties.last + 1))])
    inverse_ranks = harmonic[ties.before + ties.inside] - harmonic[ties.before]
    # at the i-th place of a tie, (i - 1) of the places before it are relevant with this probability each
    others = _ratio(ties.relevant - 1, ties.items - 1)
    precisions = (ties.found + 1) * inverse_ranks + others * (ties.inside - (ties.before + 1) * inverse_ranks)
    return divide((ties.share * precisions).sum(axis=1), np.minimum(k, ties.n_relevant))


def expected_precision_at_k(relevant_at: Any, items_at: Any, k: int) -> PerQuery:
    """Return the expectation of `rshash.metrics.precision_at_k`; arguments as `expected_average_precision`.

    >>> expected_precision_at_k([[1, 1]], [[1, 2]], k=2)
    array([0.75])
    """
    ties = _ties(relevant_at, items_at, k)
    return divide((ties.share * ties.inside).sum(axis=1), np.minimum(k, ties.n_items))


def expected_recall_at_k(relevant_at: Any, items_at: Any, k: int) -> PerQuery:
    """Return the expectation of `rshash.metrics.recall_at_k`; arguments as `expected_average_precision`.

    >>> expected_recall_at_k([[1, 1]], [[1, 2]], k=2)
    array([0.75])
    """
    ties = _ties(relevant_at, items_at, k)
    return divide((ties.share * ties.inside).sum(axis=1), ties.n_relevant)


def expected_hit_at_k(relevant_at: Any, items_at: Any, k: int) -> PerQuery:
    """Return the probability that at least one of the first k hits is relevant: R@K of caption retrieval under ties.

    Arguments as `expected_average_precision`.

    >>> expected_hit_at_k([[0, 1]], [[1, 4]], k=2).round(3)   # one of four equal ones gets the second rank
    array([0.25])
    """
    ties = _ties(relevant_at, items_at, k)
    rows = np.arange(len(ties.items))
    reached = (ties.inside > 0).sum(axis=1)
    cut = np.maximum((ties.inside > 0).cumsum(axis=1).argmax(axis=1), 0)  # the last tie that reaches into the first k
    items, relevant, drawn = (part[rows, cut] for part in (ties.items, ties.relevant, ties.inside))
    missed = np.where(reached > 0, 1.0, 0.0)
    for draw in range(int(drawn.max(initial=0))):
        wrong = np.maximum(items - relevant - draw, 0)
        missed *= np.where(draw < drawn, _ratio(wrong, items - draw), 1.0)
    found_before = ties.found[rows, cut] > 0
    return np.where(ties.n_relevant > 0, np.where(found_before, 1.0, 1.0 - missed), 0.0)


def expected_ndcg_at_k(relevant_at: Any, items_at: Any, k: int) -> PerQuery:
    """Return the expectation of `rshash.metrics.ndcg_at_k`; arguments as `expected_average_precision`.

    >>> expected_ndcg_at_k([[1]], [[2]], k=1)
    array([0.5])
    """
    ties = _ties(relevant_at, items_at, k)
    sums = summed_discounts(ties.last)
    gains = (ties.share * (sums[ties.before + ties.inside] - sums[ties.before])).sum(axis=1)
    return divide(gains, sums[np.minimum(k, ties.n_relevant)])


@dataclass(frozen=True)
class _Ties:
    """The ties of Q rankings that reach into the first k ranks, each array (Q, n_distances or fewer).

    Attributes:
        relevant: relevant items of the tie.
        items: items of the tie.
        before: items nearer than the tie, at most ``last``.
        found: relevant items nearer than the tie.
        inside: places of the tie among the first k ranks.
        share: relevant / items, 0 for an empty tie.
        n_items: (Q,) items in all, beyond these ties too.
        n_relevant: (Q,) relevant items in all.
        last: the last rank that counts in any ranking.
    """

    relevant: Counts
    items: Counts
    before: Counts
    found: Counts
    inside: Counts
    share: Reals
    n_items: Counts
    n_relevant: Counts
    last: int


def _ties(relevant_at: Any, items_at: Any, k: int) -> _Ties:
    relevant, items = check_counts(relevant_at, items_at)
    check_k(k)
    n_items, n_relevant = items.sum(axis=1), relevant.sum(axis=1)
    last = min(k, int(n_items.max(initial=0)))
    nearer = items.cumsum(axis=1) - items
    reached = slice(0, max(1, int((nearer < last).any(axis=0).sum())))  # nearer grows along a row
    items, relevant, nearer = items[:, reached], relevant[:, reached], nearer[:, reached]
    return _Ties(
        relevant,
        items,
        before=np.minimum(nearer, last),
        found=relevant.cumsum(axis=1) - relevant,
        inside=np.clip(k - nearer, 0, items),
        share=_ratio(relevant, items),
        n_items=n_items,
        n_relevant=n_relevant,
        last=last,
    )


def check_counts(relevant_at: Any, items_at: Any) -> tuple[Counts, Counts]:
    """Return counts by distance as int64, or say what does not fit.

    Raises:
        ValueError: as `expected_average_precision`.
    """
    relevant, items = np.asarray(relevant_at, np.int64), np.asarray(items_at, np.int64)
    if relevant.ndim != 2 or relevant.shape != items.shape or relevant.shape[1] == 0:
        raise ValueError(
            f"relevant_at and items_at must both have shape (Q, n_distances), got {relevant.shape} and {items.shape}"
        )
    if (relevant < 0).any() or (relevant > items).any():
        raise ValueError("relevant_at must lie between 0 and items_at: it counts the relevant ones among the items")
    return relevant, items


def _ratio(numerators: NDArray[Any], denominators: NDArray[Any]) -> Reals:
    """Divide, giving 0 where the denominator is not positive."""
    zeros = np.zeros(np.shape(numerators), np.float64)
    quotients: Reals = np.divide(numerators, denominators, out=zeros, where=denominators > 0)
    return quotients
