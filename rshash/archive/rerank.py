"""Ranking a shortlist once more, by what the query knows beyond its bits.

In: the nearest rows in Hamming space and the queries' relaxed codes. Out: the same rows in a finer order.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rshash.archive.segment import Segment
from rshash.codes import Codes
from rshash.index.hits import Hits
from rshash.names import unknown_name

MEASURES = ("asymmetric", "relaxed")
"""What may order a shortlist; see `rerank`."""

SHORTLIST_OF_K, LEAST_SHORTLIST = 10, 100
"""Rows a shortlist holds where nothing else is asked: ten for every hit, at least a hundred."""

Relaxed = NDArray[np.floating[Any]]
Scores = NDArray[np.float32]

_SIGNS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1) * 2.0 - 1.0  # (256, 8): bits of every byte


def asymmetric_distances(query: Relaxed, codes: Codes) -> NDArray[np.float64]:
    """Return how far codes are from a relaxed query: ``(n_bits - <query, signs of the code>) / 2``.

    It is the Hamming distance with every bit weighed by how sure the query is of it, and equals it for a query of -1
    and 1. The database needs no floats (Gordo et al., "Asymmetric Distances for Binary Embeddings", PAMI 2014, §3).

    Args:
        query: (n_bits,) relaxed code.
        codes: (n, n_bytes) uint8, packed.

    Returns:
        (n,) float64; equal codes get equal distances, however many others are asked with them.

    >>> asymmetric_distances(np.array([0.9, -0.2, 0.1]), np.array([[0b10000000], [0b11100000]], np.uint8)).round(6)
    array([1. , 1.1])
    """
    padded = np.zeros(8 * codes.shape[1])
    padded[: len(query)] = query
    table = np.zeros((codes.shape[1], 256))  # what each value of each byte adds
    for bit in range(8):
        table += padded[bit::8, None] * _SIGNS[:, bit]
    products = np.zeros(len(codes))
    for byte, values in enumerate(codes.T):
        products += table[byte][values]
    return (len(query) - products) / 2


def cosine_distances(query: Relaxed, relaxed: Relaxed) -> NDArray[np.float64]:
    """Return ``1 - cos`` between a relaxed query (n_bits,) and relaxed codes (n, n_bits), (n,) float64 in 0..2.

    One for a code of zeros. Measured on UCM-Captions, the cosine ranks better than product or Euclidean distance.

    >>> cosine_distances(np.array([1.0, 0.0]), np.array([[2.0, 0.0], [0.0, 1.0]]))
    array([0., 1.])
    """
    rows = relaxed.astype(np.float64)
    products = np.einsum("ij,j->i", rows, query.astype(np.float64))  # no BLAS: a row's sum does not depend on others
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows)) * np.sqrt(np.square(query, dtype=np.float64).sum())
    cosines: NDArray[np.float64] = np.divide(products, norms, out=np.zeros(len(rows)), where=norms > 0)
    return 1 - cosines


def shortlist_length(k: int | None, shortlist: int | None) -> int:
    """Return how many rows to find in Hamming space for k hits.

    >>> shortlist_length(20, None), shortlist_length(None, None), shortlist_length(5, 3)
    (200, 100, 5)
    """
    hits = 10 if k is None else k
    return max(hits, max(LEAST_SHORTLIST, SHORTLIST_OF_K * hits) if shortlist is None else shortlist)


def check_measure(measure: Any, segments: Sequence[Segment]) -> str:
    """Return the name of a measure that these segments can be ranked by.

    Raises:
        ValueError: if it is unknown, or needs relaxed codes that were not kept.
    """
    if measure not in MEASURES:
        raise unknown_name("re-ranking", measure, MEASURES)
    if measure == "relaxed" and any(segment.relaxed is None for segment in segments):
        raise ValueError(
            'rerank="relaxed" needs the relaxed codes of every row, this archive does not keep them: '
            'append with relaxed=... (rshash index --relaxed), or use rerank="asymmetric"'
        )
    return str(measure)


def rerank(
    hits: Hits, queries: Relaxed, segments: Sequence[Segment], measure: str, k: int | None = None
) -> tuple[Hits, Scores]:
    """Order hits by a finer distance; equal ones by their row.

    Args:
        hits: in Hamming space, their ids global rows.
        queries: (Q, n_bits) relaxed codes.
        segments: of the archive.
        measure: "asymmetric" compares with the rows' bits (`asymmetric_distances`), "relaxed" with the relaxed codes
            that were kept of them (`cosine_distances`).
        k: hits to keep a query; None keeps all.

    Returns:
        The hits, their distances still of Hamming, and the finer distances, float32 of the same shape.
    """
    distance: Callable[[Relaxed, Any], NDArray[np.float64]]
    distance = asymmetric_distances if measure == "asymmetric" else cosine_distances
    found = []
    for position, query in enumerate(queries):
        hamming, rows = hits.of(position)
        scores = distance(query, gather(segments, rows, "codes" if measure == "asymmetric" else "relaxed"))
        scores = scores.astype(np.float32)
        order = np.lexsort((rows, scores))[:k]
        found.append((hamming[order], rows[order], scores[order]))
    join = np.stack if hits.offsets is None else np.concatenate
    distances, ids, scores32 = (join(parts) for parts in zip(*found, strict=True)) if found else _nothing(hits)
    return Hits(distances, ids, hits.offsets, hits.plan), scores32


def gather(segments: Sequence[Segment], rows: NDArray[np.int64], array: str) -> NDArray[Any]:
    """Return the codes or relaxed codes of global rows, in their order; only these rows are read from the files."""
    whole = getattr(segments[0], array)
    found = np.empty((len(rows), whole.shape[1]), whole.dtype)
    owners = np.searchsorted([segment.first_row for segment in segments], rows, side="right") - 1
    for owner in np.unique(owners):
        mine = owners == owner
        found[mine] = getattr(segments[owner], array)[rows[mine] - segments[owner].first_row]
    return found


def _nothing(hits: Hits) -> tuple[Any, Any, Scores]:
    return hits.distances, hits.ids, np.empty(hits.distances.shape, np.float32)
