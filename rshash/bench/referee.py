"""Answers in, a recall or a complaint out: nobody's distances are believed.

Every distance is computed again from the rows that were named, and every exact contender must return the distances of
the truth; rows may differ, as ties may be broken either way, but not those of rshash, which promises them.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rshash.bench.contenders import Answer, Contender, Numpy
from rshash.codes import Codes

CHECKED_HITS = 1 << 20
"""Hits whose distances are computed again, in whole queries."""

CHECKED_QUERIES = 3
"""Queries for which the truth itself is held against numpy."""


class WrongAnswer(Exception):
    """A contender did not find what it promised."""


@dataclass(frozen=True)
class Truth:
    """What has to be found: the k nearest rows of each query, or how many lie within a radius.

    Attributes:
        distances, ids: (Q, k), in the order of hits.
        counts: (Q,) rows within the radius.
    """

    distances: NDArray[Any] = field(default_factory=lambda: np.empty((0, 0), np.int32))
    ids: NDArray[Any] = field(default_factory=lambda: np.empty((0, 0), np.int64))
    counts: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))


def check_top_k(answer: Answer, truth: NDArray[Any], codes: Codes, queries: Codes, exact: bool) -> float:
    """Check the k nearest rows of each query.

    Args:
        answer: distances and ids, (Q, k); id -1 where an approximate contender found nothing.
        truth: (Q, k) distances of the k nearest, ascending.
        codes: (N, n_bytes) uint8.
        queries: (Q, n_bytes) uint8.
        exact: whether every distance must be the truth's.

    Returns:
        Recall: the part of the answer at most as far as the k-th nearest row, so that ties cost nothing.

    Raises:
        WrongAnswer: says which query, and how it is wrong.

    >>> codes = np.array([[0], [1], [3]], np.uint8)
    >>> check_top_k((np.array([[0, 2]]), np.array([[0, 2]])), np.array([[0, 1]]), codes, codes[:1], exact=False)
    0.5
    """
    distances, ids = (np.asarray(part) for part in answer)
    if distances.shape != truth.shape or ids.shape != truth.shape:
        raise WrongAnswer(f"answered with shapes {distances.shape} and {ids.shape}, asked for {truth.shape}")
    found = ids >= 0
    if exact:
        _refuse((distances != truth).any(axis=1) | ~found.all(axis=1), "has other distances than the truth")
    _refuse((ids >= len(codes)).any(axis=1), f"names rows beyond the {len(codes):,} there are")
    ordered = np.sort(ids, axis=1)
    _refuse(((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(axis=1), "names a row twice")
    _refuse(((np.diff(distances.astype(np.int64), axis=1) < 0) & found[:, 1:]).any(axis=1), "is not in order")
    checked = max(1, CHECKED_HITS // truth.shape[1])
    rows = codes[np.maximum(ids[:checked], 0)]  # (Q, k, n_bytes)
    recomputed = np.bitwise_count(rows ^ queries[:checked, None, : codes.shape[1]]).sum(axis=2, dtype=np.int64)
    differ = (recomputed != distances[:checked]) & found[:checked]
    _refuse(differ.any(axis=1), "states distances that its rows do not have")
    return float((found & (distances <= truth[:, -1:])).mean())


def check_rows(ids: NDArray[Any], truth: NDArray[Any]) -> None:
    """Check the rows of each query and their order, (Q, k) both.

    Raises:
        WrongAnswer: says for which query they differ.
    """
    _refuse((ids != truth).any(axis=1), "has other rows than the truth, or ties in another order")


def check_radius(counts: NDArray[np.int64], truth: NDArray[np.int64]) -> None:
    """Check how many rows were found within a radius of each query, (Q,) both.

    Raises:
        WrongAnswer: says for which query they differ.
    """
    if counts.shape != truth.shape:
        raise WrongAnswer(f"answered for {len(counts)} queries, asked {len(truth)}")
    _refuse(counts != truth, "has another number of rows within the radius than the truth")


def true_answer(ours: Contender, codes: Codes, queries: Codes, k: int, radius: int | None) -> Truth:
    """Return the answer of rshash on the CPU, under the filter it has, once numpy has confirmed its first queries.

    Raises:
        WrongAnswer: if the two differ.
    """
    referee = Numpy()
    referee.build(codes)
    referee.bitmap = ours.bitmap
    some = queries[:CHECKED_QUERIES]
    if radius is not None:
        counts = ours.within_radius(queries, radius)
        check_radius(counts[: len(some)], referee.within_radius(some, radius))
        return Truth(counts=counts)
    distances, ids = ours.search(queries, k)
    check_top_k((distances[: len(some)], ids[: len(some)]), referee.search(some, k)[0], codes, some, exact=True)
    return Truth(np.asarray(distances), np.asarray(ids))


def _refuse(wrong: Any, complaint: str) -> None:
    """Raise a complaint about the first query that deserves it."""
    if wrong.any():
        raise WrongAnswer(f"the answer to query {int(wrong.argmax())} {complaint}")
