"""Queries and a database in, means of the metrics out: blocks of whole rankings, never a query × database matrix.

Every query ranks the whole database by (distance, row). A block of rankings takes `BLOCK_RANKS` × some 30 bytes,
whatever the number of queries; 1,000,000 rows × 10,000 queries need patience, not memory.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rshash import metrics
from rshash.codes import Codes
from rshash.search import search

Metric = Callable[[Any, Any, int], metrics.PerQuery]
Relaxed = NDArray[np.float32]

METRICS: Mapping[str, Metric] = {
    "mAP": metrics.average_precision,
    "DUCH mAP": metrics.duch_average_precision,
    "DJSRH mAP": metrics.djsrh_average_precision,
    "P": metrics.precision_at_k,
    "recall": metrics.recall_at_k,
    "R": metrics.hit_at_k,
    "NDCG": metrics.ndcg_at_k,
}
"""Column name → metric of a ranking, ties by row. R is the hit rate of caption retrieval, recall the share of the
relevant items found. The column "mAP" without a cut is of the whole ranking."""

EXPECTED: Mapping[str, Metric] = {
    "expected mAP": metrics.expected_average_precision,
    "expected R": metrics.expected_hit_at_k,
    "expected NDCG": metrics.expected_ndcg_at_k,
}
"""Column name → metric in expectation over the orders within ties, of counts by distance."""

WITHIN: Mapping[str, Metric] = {
    "P": metrics.precision_within,
    "recall": metrics.recall_within,
    "empty": metrics.empty_within,
}
"""Column name → metric of a Hamming ball. ``P within 2`` counts empty balls as 0; ``empty within 2`` is their share."""

QUERIES_AT_ONCE = 256
"""Most queries whose rankings are made together."""

BLOCK_RANKS = 1 << 23
"""Most ranks made together: queries at once × rows of the database."""

COSINE_STEPS = 1e6
"""Cosines nearer than one part of this tie: equal captions have equal codes, but sums of floats differ in the end."""


@dataclass(frozen=True)
class Side:
    """One modality of one half: codes and what tells relevance.

    Attributes:
        codes: (N, n_bytes) uint8, ranked by Hamming distance; or (N, n_bits) float32, ranked by cosine.
        groups: (N,) int64; a hit is relevant where its group equals the query's (a class, or an image).
        items: (N,) int64; a hit of the same item as the query is left out (an image does not find itself).
    """

    codes: Codes | Relaxed
    groups: NDArray[np.int64]
    items: NDArray[np.int64]


def measure(
    queries: Side,
    database: Side,
    *,
    ks: Sequence[int] = (1, 5, 10, 20),
    radii: Sequence[int] = (2,),
    same_modality: bool = False,
) -> tuple[dict[str, float], int]:
    """Rank the database for every query and average the metrics; needs no torch.

    Args:
        queries: the codes that ask.
        database: the codes that answer.
        ks: cuts of the ranking, each at least 1.
        radii: radii of Hamming balls, each at least 0; relaxed codes have none.
        same_modality: leave a query's own item out of its ranking.

    Returns:
        ``{"mAP@1": …, …}``, means over queries, and the number of queries that have no relevant item. The columns are
        those of `METRICS` at each k, "mAP", those of `EXPECTED` at each k, "expected mAP", and, of packed codes, those
        of `WITHIN`.

    Raises:
        ValueError: if the widths or kinds of the codes differ, relaxed codes are not finite or a ``k`` is below 1.

    >>> codes = np.array([[0b11110000], [0b11111111], [0b00000000]], np.uint8)
    >>> side = Side(codes, groups=np.array([0, 0, 1]), items=np.arange(3))
    >>> scores, n_unanswerable = measure(side, side, ks=[1], same_modality=True)
    >>> round(scores["mAP@1"], 3), n_unanswerable
    (0.667, 1)
    """
    if not len(queries.codes):
        raise ValueError("there are no queries: give at least one")
    values: dict[str, list[metrics.PerQuery]] = {}
    n_unanswerable = 0

    def note(column: str, of_queries: metrics.PerQuery) -> None:
        values.setdefault(column, []).append(of_queries)

    whole = len(database.codes)
    packed = database.codes.dtype == np.uint8
    for relevant, distances in _rankings(queries, database, same_modality):
        n_relevant = np.count_nonzero(relevant, axis=1)
        n_unanswerable += int((n_relevant == 0).sum())
        top = relevant[:, : max([1, *ks])]
        for name, metric in METRICS.items():
            ranking = relevant if name == "DUCH mAP" else top  # which alone looks beyond k
            for k in ks:
                note(f"{name}@{k}", metric(ranking, n_relevant, k))
        note("mAP", metrics.average_precision(relevant, n_relevant, whole))
        counts = _counts(relevant, distances, 8 * database.codes.shape[1] + 1 if packed else whole)
        for name, metric in EXPECTED.items():
            for k in ks:
                note(f"{name}@{k}", metric(*counts, k))
        note("expected mAP", metrics.expected_average_precision(*counts, whole))
        for name, metric in WITHIN.items():
            for radius in radii if packed else ():
                note(f"{name} within {radius}", metric(*counts, radius))
    return {column: float(np.concatenate(blocks).mean()) for column, blocks in values.items()}, n_unanswerable


def _rankings(
    queries: Side, database: Side, same_modality: bool
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.int32]]]:
    """Yield for blocks of queries: relevant (q, N) bool and distances (q, N) int32, nearest first.

    Ranks that a query's own items leave at the end are irrelevant and at distance -1.
    """
    if queries.codes.dtype != database.codes.dtype:
        raise ValueError(
            f"queries are {queries.codes.dtype}, the database is {database.codes.dtype}: expected both packed (uint8) "
            "or both relaxed (float32)"
        )
    for name, side in (("queries", queries), ("database", database)):
        if side.codes.dtype != np.uint8 and not np.isfinite(side.codes).all():
            raise ValueError(f"the relaxed codes of the {name} hold NaN or infinity, which have no cosine")
    rank = _by_distance if database.codes.dtype == np.uint8 else _by_cosine
    step = max(1, min(QUERIES_AT_ONCE, BLOCK_RANKS // max(1, len(database.codes))))
    for start in range(0, len(queries.codes), step):
        block = slice(start, start + step)
        rows, distances = rank(database.codes, queries.codes[block])
        relevant = database.groups[rows] == queries.groups[block, None]
        if same_modality:
            own = database.items[rows] == queries.items[block, None]
            if own.any():
                order = np.argsort(own, axis=1, kind="stable")
                relevant = np.take_along_axis(relevant & ~own, order, axis=1)
                distances = np.take_along_axis(np.where(own, np.int32(-1), distances), order, axis=1)
        yield relevant, distances


def _by_distance(codes: Any, queries: Any) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    hits = search(codes, queries, k=len(codes))
    return hits.ids, hits.distances


def _by_cosine(codes: Any, queries: Any) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Rank by descending cosine, those that agree to six digits by row; the distance is the number of the tie."""
    cosines = _unit(queries) @ _unit(codes).T
    steps = np.rint(cosines * -COSINE_STEPS).astype(np.int32)
    rows = np.argsort(steps, axis=1, kind="stable")
    ranked = np.take_along_axis(steps, rows, axis=1)
    ties = np.zeros(ranked.shape, np.int32)
    np.cumsum(ranked[:, 1:] != ranked[:, :-1], axis=1, out=ties[:, 1:])
    return rows, ties


def _unit(relaxed: Any) -> Any:
    lengths = np.linalg.norm(relaxed, axis=1, keepdims=True)
    return relaxed / np.maximum(lengths, np.finfo(np.float32).tiny)


def _counts(
    relevant: NDArray[np.bool_], distances: NDArray[np.int32], n_distances: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count the relevant items and all items of each query by distance, each (q, n_distances)."""
    shape = len(relevant), n_distances
    place = distances + np.arange(len(relevant), dtype=np.int64)[:, None] * n_distances
    items = place.ravel() if distances.min(initial=0) >= 0 else place[distances >= 0]
    return (
        np.bincount(place[relevant], minlength=shape[0] * shape[1]).reshape(shape),
        np.bincount(items, minlength=shape[0] * shape[1]).reshape(shape),
    )
