"""A hasher and the query and database halves of a data set in, a `Report` out.

Both halves are encoded, each query ranks the whole database, and relevance is told by the class of the image or,
without classes, by belonging to the same image.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rshash.codes import pack_codes
from rshash.evaluation.rankings import Side, measure
from rshash.evaluation.report import Report
from rshash.names import unknown_name

if TYPE_CHECKING:
    from rshash.data.dataset import CaptionDataset
    from rshash.models.cache import FeatureCache
    from rshash.models.hasher import CrossModalHasher

DIRECTIONS = ("i2t", "t2i", "i2i", "t2t")
_WAYS = {
    "i2t": ("expanded", "dithered"),
    "t2i": ("expanded", "plain"),
    "i2i": ("plain", "plain"),
    "t2t": ("expanded", "dithered"),
}
"""How query and database are encoded, as `CrossModalHasher.encode_images` and `encode_captions` do."""

RELEVANCES = ("class", "pair")
RANKINGS = ("hamming", "cosine")
EXAMPLES = 5
"""Duplicate images that a report names."""

CAPTIONS_PER_IMAGE = 1 << 20
"""More than any image has; numbers captions apart as image × this + position."""


def evaluate(
    hasher: "CrossModalHasher",
    query: "CaptionDataset",
    database: "CaptionDataset",
    *,
    directions: Sequence[str] = DIRECTIONS,
    ks: Sequence[int] = (1, 5, 10, 20),
    radii: Sequence[int] = (2,),
    relevance: str | None = None,
    captions: str = "one",
    ranking: str = "hamming",
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
        radii: radii of Hamming balls.
        relevance: "class" (same class label) or "pair" (same image); None takes the class where labels are given.
        captions: "one" caption an image, drawn as DUCH does, or "all".
        ranking: "hamming" ranks packed codes; "cosine" the relaxed codes before their signs are taken, to see what the
            signs cost; those that ask are expanded in both.
        cache: folder that keeps features between runs; None computes them anew.
        progress: show progress on stderr.

    Returns:
        The report; columns are ``mAP@k``, ``DUCH mAP@k``, ``DJSRH mAP@k``, ``P@k``, ``recall@k``, ``R@k``, ``NDCG@k``
        and ``mAP`` (of the whole ranking), with ties by row; ``expected mAP@k``, ``expected mAP``, ``expected R@k`` and
        ``expected NDCG@k`` over the orders within ties; ``P within r``, ``recall within r`` and ``empty within r``.
        Images of equal content on both sides are counted in ``protocol["duplicates"]``.

    Raises:
        ValueError: if a half is empty, an argument is unknown, labels are asked of data without them, of one class or
            of halves with other classes, or relevance by pair of halves that share no image.

    Source:
        DUCH's protocol: Mikriukov et al., arXiv 2201.08125; caption retrieval: RemoteCLIP, arXiv 2306.11029.
    """
    _check_choice("direction", directions, DIRECTIONS)
    if not directions:
        raise ValueError(f"no direction was given: name at least one of {', '.join(DIRECTIONS)}")
    relevance = relevance or ("pair" if query.labels is None or database.labels is None else "class")
    _check_choice("relevance", [relevance], RELEVANCES)
    _check_choice("captions", [captions], ("one", "all"))
    _check_choice("ranking", [ranking], RANKINGS)
    for name, numbers, least in (("k", ks, 1), ("radius", radii, 0)):
        for number in numbers:
            if not isinstance(number, int | np.integer) or number < least:
                raise ValueError(f"{name} must be an integer of at least {least}, got {number!r}")
    for name, half in (("query", query), ("database", database)):
        if not len(half):
            raise ValueError(f"the {name} half of {half.name} is empty: give at least one image")
        if relevance == "class" and half.labels is None:
            raise ValueError(f"relevance by class needs class labels, {half.name} has none: use relevance='pair'")
    if relevance == "class" and len({*_labels(query), *_labels(database)}) < 2:
        raise ValueError(
            f"all images of {query.name} and {database.name} are of one class, so every hit would be relevant: use "
            "relevance='pair', or data of several classes"
        )
    if relevance == "class" and query.classes != database.classes:
        raise ValueError(
            f"{query.name} and {database.name} number other classes, so their labels cannot be compared: use halves of "
            "one data set"
        )
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
    item_numbers = {name: number for number, name in enumerate(dict.fromkeys([*query.ids, *database.ids]))}
    halves = {"query": query, "database": database}
    wanted: dict[tuple[str, str], set[str]] = {}
    for direction in directions:
        for name, modality, way in zip(halves, (direction[0], direction[-1]), _WAYS[direction], strict=True):
            wanted.setdefault((name, modality), set()).add(way)
    sides = {
        (name, modality): _encode(
            hasher,
            halves[name],
            modality,
            captions,
            relevance,
            {way: _packing(hasher, ranking, way) for way in sorted(ways)},
            item_numbers,
            cache,
            progress,
        )
        for (name, modality), ways in wanted.items()
    }
    ranked = {
        direction: (sides["query", direction[0]][asking], sides["database", direction[-1]][searched])
        for direction in directions
        for asking, searched in [_WAYS[direction]]
    }
    reports = {
        direction: measure(*pair, ks=ks, radii=radii, same_modality=direction[0] == direction[-1])
        for direction, pair in ranked.items()
    }
    return Report(
        scores={name: scores for name, (scores, _) in reports.items()},
        n_queries={name: len(queries.codes) for name, (queries, _) in ranked.items()},
        n_database={name: len(rows.codes) for name, (_, rows) in ranked.items()},
        n_unanswerable={name: missing for name, (_, missing) in reports.items()},
        protocol={
            "query": {"data": query.name, "images": len(query), "fingerprint": query.fingerprint()},
            "database": {"data": database.name, "images": len(database), "fingerprint": database.fingerprint()},
            "relevance": relevance,
            "captions": captions,
            "ranking": ranking,
            "ties": "by database row; the columns called expected: mean over the orders within ties",
            "duplicates": duplicates(query, database),
            "n_bits": hasher.n_bits,
            "hasher": {"fingerprint": hasher.fingerprint, **hasher.provenance},
        },
    )


def _packing(hasher: "CrossModalHasher", ranking: str, way: str) -> Callable[[NDArray[np.float32]], Any]:
    """Return what becomes of relaxed codes before they are ranked, see `_WAYS`."""
    if ranking == "cosine":
        return hasher.expand if way == "expanded" else np.asarray
    packings: dict[str, Callable[[NDArray[np.float32]], Any]] = {
        "plain": pack_codes,
        "expanded": lambda relaxed: pack_codes(hasher.expand(relaxed)),
        "dithered": hasher.pack_captions,
    }
    return packings[way]


def _encode(
    hasher: "CrossModalHasher",
    half: "CaptionDataset",
    modality: str,
    captions: str,
    relevance: str,
    packings: Mapping[str, Callable[[NDArray[np.float32]], NDArray[Any]]],
    item_numbers: Mapping[str, int],
    cache: "FeatureCache | None",
    progress: bool,
) -> dict[str, Side]:
    """Encode one modality of one half, packed in each of the ways, and note what tells relevance."""
    from rshash import encoding

    images = np.array([item_numbers[name] for name in half.ids])
    groups = images if relevance == "pair" or half.labels is None else half.labels
    if modality == "i":
        relaxed = encoding.relaxed_image_codes(hasher, half, cache=cache, progress=progress)
        return {way: Side(codes, groups, images) for way, codes in _pack(relaxed, packings).items()}
    sentences = one_caption_each(half) if captions == "one" else half
    relaxed = encoding.relaxed_caption_codes(hasher, sentences, cache=cache, progress=progress)
    packed = _pack(relaxed, packings)
    if not packed:
        raise ValueError(f"{half.name} has no captions: only direction i2i can be evaluated")
    counts = [len(own) for own in sentences.captions]
    owners = np.repeat(np.arange(len(half)), counts)
    positions = np.concatenate([np.arange(count) for count in counts])
    items = images[owners] * CAPTIONS_PER_IMAGE + positions
    return {way: Side(codes, groups[owners], items) for way, codes in packed.items()}


def _pack(
    relaxed: Iterable[NDArray[np.float32]], packings: Mapping[str, Callable[[NDArray[np.float32]], NDArray[Any]]]
) -> dict[str, NDArray[Any]]:
    """Pack blocks of relaxed codes in each of the ways, one block in memory at a time; nothing where there is none."""
    blocks = [{way: pack(block) for way, pack in packings.items()} for block in relaxed]
    return {way: np.concatenate([block[way] for block in blocks]) for way in packings} if blocks else {}


def duplicates(query: "CaptionDataset", database: "CaptionDataset") -> dict[str, Any] | None:
    """Find query images whose content is in the database under another name: they are found for free.

    Returns:
        images (number of such query images) and examples ((query, database) file names), or None where the data sets
        were read without images.
    """
    try:
        name_of = {database.image_key(row): name for row, name in enumerate(database.ids)}
        keys = [query.image_key(row) for row in range(len(query))]
    except ValueError:  # there are no files, or no longer
        return None
    pairs = [(name, name_of[key]) for name, key in zip(query.ids, keys, strict=True) if name_of.get(key, name) != name]
    return {"images": len(pairs), "examples": pairs[:EXAMPLES]}


def _labels(half: "CaptionDataset") -> list[int]:
    return [] if half.labels is None else half.labels.tolist()


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
