"""The protocol of the field: queries × database × direction → a report of metrics.

In: a hasher and the query and database halves of a data set. Out: `Report`. Both halves are encoded to packed codes,
each query ranks the whole database by (distance, row), and relevance is told by the class of the image or, without
classes, by belonging to the same image.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rshash import metrics
from rshash.codes import Codes
from rshash.files import write_atomically
from rshash.names import unknown_name
from rshash.search import search

if TYPE_CHECKING:
    from rshash.data.dataset import CaptionDataset
    from rshash.models.cache import FeatureCache
    from rshash.models.hasher import CrossModalHasher

DIRECTIONS = ("i2t", "t2i", "i2i", "t2t")
RELEVANCES = ("class", "pair")
METRICS: Mapping[str, Callable[[Any, Any, int], metrics.PerQuery]] = {
    "mAP": metrics.average_precision,
    "DUCH mAP": metrics.duch_average_precision,
    "DJSRH mAP": metrics.djsrh_average_precision,
    "P": metrics.precision_at_k,
    "recall": metrics.recall_at_k,
    "R": metrics.hit_at_k,
}
"""Column name → metric. R is the hit rate of caption retrieval, recall the share of the relevant items found."""

QUERIES_AT_ONCE = 256
"""Rankings of the whole database are made for this many queries at a time: 12 bytes × this × N of memory."""

CAPTIONS_PER_IMAGE = 1 << 20
"""More than any image has; numbers captions apart as image × this + position."""


@dataclass(frozen=True)
class Report:
    """What an evaluation found.

    Attributes:
        scores: direction → column, for example ``scores["i2t"]["mAP@20"]``; means over queries, 0..1.
        n_queries: direction → number of queries.
        n_database: direction → number of database rows.
        n_unanswerable: direction → queries without any relevant item in the database; they count as 0.
        protocol: how the numbers came about: data, split, relevance, ties, the hasher's provenance.
    """

    scores: dict[str, dict[str, float]]
    n_queries: dict[str, int]
    n_database: dict[str, int]
    n_unanswerable: dict[str, int]
    protocol: dict[str, Any]

    def table(self) -> str:
        """Return the scores as an aligned text table, a row for each direction."""
        columns = list(next(iter(self.scores.values())))
        head = ["", "queries", "database", *columns]
        rows = [
            [name, str(self.n_queries[name]), str(self.n_database[name]), *(f"{scores[c]:.3f}" for c in columns)]
            for name, scores in self.scores.items()
        ]
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in [head, *rows]
        )

    def to_json(self) -> str:
        """Return the whole report as JSON."""
        return json.dumps(asdict(self), indent=2, default=str)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the JSON, whole or not at all.

        Raises:
            OSError: if the place cannot be written.
        """
        with write_atomically(path) as draft:
            draft.write_text(self.to_json() + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Side:
    """One modality of one half: codes and what tells relevance.

    Attributes:
        codes: (N, n_bytes) uint8.
        groups: (N,) int64; a hit is relevant where its group equals the query's (a class, or an image).
        items: (N,) int64; a hit of the same item as the query is left out (an image does not find itself).
    """

    codes: Codes
    groups: NDArray[np.int64]
    items: NDArray[np.int64]


def evaluate(
    hasher: "CrossModalHasher",
    query: "CaptionDataset",
    database: "CaptionDataset",
    *,
    directions: Sequence[str] = DIRECTIONS,
    ks: Sequence[int] = (1, 5, 10, 20),
    relevance: str | None = None,
    captions: str = "one",
    cache: "FeatureCache | str | os.PathLike[str] | None" = None,
    progress: bool = True,
) -> Report:
    """Encode both halves, rank, and measure.

    Args:
        hasher: a trained hasher.
        query: the images and captions that ask.
        database: the images and captions that answer. An item in both halves is left out of its own ranking where
            query and database are of one modality.
        directions: any of "i2t", "t2i", "i2i", "t2t" (query modality 2 database modality).
        ks: cuts of the ranking.
        relevance: "class" (same class label) or "pair" (same image); None takes the class where labels are given.
        captions: "one" caption an image, drawn as DUCH does, or "all".
        cache: folder that keeps features between runs; None computes them anew.
        progress: show progress on stderr.

    Returns:
        The report; columns are ``mAP@k``, ``DUCH mAP@k``, ``DJSRH mAP@k``, ``P@k``, ``recall@k``, ``R@k``.

    Raises:
        ValueError: if a half is empty, an argument is unknown, labels are asked of data without them, or relevance by
            pair of halves that share no image.

    Source:
        DUCH's protocol: Mikriukov et al., arXiv 2201.08125; caption retrieval: RemoteCLIP, arXiv 2306.11029.
    """
    _check_choice("direction", directions, DIRECTIONS)
    if not directions:
        raise ValueError(f"no direction was given: name at least one of {', '.join(DIRECTIONS)}")
    relevance = relevance or ("pair" if query.labels is None or database.labels is None else "class")
    _check_choice("relevance", [relevance], RELEVANCES)
    _check_choice("captions", [captions], ("one", "all"))
    for k in ks:
        if not isinstance(k, int | np.integer) or k < 1:
            raise ValueError(f"k must be an integer of at least 1, got {k!r}")
    for name, half in (("query", query), ("database", database)):
        if not len(half):
            raise ValueError(f"the {name} half of {half.name} is empty: give at least one image")
        if relevance == "class" and half.labels is None:
            raise ValueError(f"relevance by class needs class labels, {half.name} has none: use relevance='pair'")
    if relevance == "pair":
        directions = [direction for direction in directions if direction != "i2i"]  # an image pairs with no other
        if not directions:
            raise ValueError("an image pairs with no other image: direction i2i needs relevance='class'")
        if set(query.ids).isdisjoint(database.ids):
            raise ValueError(
                "relevance by pair finds nothing where no image is in both halves: give class labels, or query and "
                "database halves that overlap, as the splits 'official' and 'all' do"
            )
    if isinstance(cache, str | os.PathLike):
        from rshash.models.cache import FeatureCache

        cache = FeatureCache(cache)
    modalities = {modality for direction in directions for modality in (direction[0], direction[-1])}
    item_numbers = {name: number for number, name in enumerate(dict.fromkeys([*query.ids, *database.ids]))}
    sides = {
        (name, modality): _encode(hasher, half, modality, captions, relevance, item_numbers, cache, progress)
        for name, half in (("query", query), ("database", database))
        for modality in sorted(modalities)
    }
    reports = {
        direction: measure(
            sides["query", direction[0]],
            sides["database", direction[-1]],
            ks=ks,
            same_modality=direction[0] == direction[-1],
        )
        for direction in directions
    }
    return Report(
        scores={name: scores for name, (scores, _) in reports.items()},
        n_queries={name: len(sides["query", name[0]].codes) for name in reports},
        n_database={name: len(sides["database", name[-1]].codes) for name in reports},
        n_unanswerable={name: missing for name, (_, missing) in reports.items()},
        protocol={
            "query": {"data": query.name, "images": len(query), "fingerprint": query.fingerprint()},
            "database": {"data": database.name, "images": len(database), "fingerprint": database.fingerprint()},
            "relevance": relevance,
            "captions": captions,
            "ties": "by database row",
            "n_bits": hasher.n_bits,
            "hasher": {"fingerprint": hasher.fingerprint, **hasher.provenance},
        },
    )


def measure(
    queries: Side, database: Side, *, ks: Sequence[int] = (1, 5, 10, 20), same_modality: bool = False
) -> tuple[dict[str, float], int]:
    """Rank the database for every query and average the metrics; needs no torch.

    Args:
        queries: the codes that ask.
        database: the codes that answer.
        ks: cuts of the ranking, each at least 1.
        same_modality: leave a query's own item out of its ranking.

    Returns:
        ``{"mAP@1": …, …}``, means over queries, and the number of queries that have no relevant item.

    Raises:
        ValueError: if the widths of the codes differ or a ``k`` is below 1.

    >>> codes = np.array([[0b11110000], [0b11111111], [0b00000000]], np.uint8)
    >>> side = Side(codes, groups=np.array([0, 0, 1]), items=np.arange(3))
    >>> scores, n_unanswerable = measure(side, side, ks=[1], same_modality=True)
    >>> round(scores["mAP@1"], 3), n_unanswerable
    (0.667, 1)
    """
    if not len(queries.codes):
        raise ValueError("there are no queries: give at least one")
    values: dict[str, list[NDArray[np.float64]]] = {}
    n_unanswerable = 0
    for start in range(0, len(queries.codes), QUERIES_AT_ONCE):
        block = slice(start, start + QUERIES_AT_ONCE)
        _, rows = search(database.codes, queries.codes[block], k=len(database.codes))
        relevant = database.groups[rows] == queries.groups[block, None]
        if same_modality:
            relevant = _drop_own(relevant, database.items[rows] == queries.items[block, None])
        n_relevant = relevant.sum(axis=1)
        n_unanswerable += int((n_relevant == 0).sum())
        for name, metric in METRICS.items():
            for k in ks:
                values.setdefault(f"{name}@{k}", []).append(metric(relevant, n_relevant, k))
    return {column: float(np.concatenate(blocks).mean()) for column, blocks in values.items()}, n_unanswerable


def _drop_own(relevant: NDArray[np.bool_], own: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Close the gaps that a query's own items leave in its ranking, filling up with irrelevant ranks at the end."""
    order = np.argsort(own, axis=1, kind="stable")
    return np.asarray(np.take_along_axis(relevant & ~own, order, axis=1))


def _encode(
    hasher: "CrossModalHasher",
    half: "CaptionDataset",
    modality: str,
    captions: str,
    relevance: str,
    item_numbers: Mapping[str, int],
    cache: "FeatureCache | None",
    progress: bool,
) -> Side:
    """Encode one modality of one half and note what tells relevance."""
    from rshash.encoding import caption_codes, image_codes

    images = np.array([item_numbers[name] for name in half.ids])
    groups = images if relevance == "pair" or half.labels is None else half.labels
    if modality == "i":
        codes = np.concatenate(list(image_codes(hasher, half, cache=cache, progress=progress)))
        return Side(codes, groups, images)
    sentences = one_caption_each(half) if captions == "one" else half
    blocks = list(caption_codes(hasher, sentences, cache=cache, progress=progress))
    if not blocks:
        raise ValueError(f"{half.name} has no captions: only direction i2i can be evaluated")
    counts = [len(own) for own in sentences.captions]
    owners = np.repeat(np.arange(len(half)), counts)
    positions = np.concatenate([np.arange(count) for count in counts])
    return Side(np.concatenate(blocks), groups[owners], images[owners] * CAPTIONS_PER_IMAGE + positions)


def one_caption_each(dataset: "CaptionDataset") -> "CaptionDataset":
    """Keep one caption an image, drawn as DUCH draws it for a query or database half; the images stay closed."""
    from rshash.data.dataset import CaptionDataset
    from rshash.data.splits import duch_caption_choice

    choice = duch_caption_choice([len(own) for own in dataset.captions])
    kept = [own and (own[pick],) for own, pick in zip(dataset.captions, choice, strict=True)]
    return CaptionDataset(dataset.name, dataset.ids, kept)


def _check_choice(name: str, chosen: Sequence[str], known: Sequence[str]) -> None:
    """Refuse a word that is not among the known ones."""
    for word in chosen:
        if word not in known:
            raise unknown_name(name, word, known)
