"""Wrong captions on purpose: a data set in, the same images with some captions of others and the truth out."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from itertools import islice

import numpy as np

from rshash.data.dataset import CaptionDataset


@dataclass(frozen=True)
class Corruption:
    """A data set with wrong pairs, and which they are.

    Attributes:
        dataset: images, classes and splits as they were; captions partly of other images.
        wrong: (N,) bool, True where the captions of an image were replaced.
        sources: (N,) int64, the image whose captions image i has now; i itself where nothing was replaced.
        clean: ascending int64 rows of the clean part, which no ``share`` touches: the clean subset that some methods
            learn from.
    """

    dataset: CaptionDataset
    wrong: np.ndarray
    sources: np.ndarray
    clean: np.ndarray


def corrupt_pairs(dataset: CaptionDataset, share: float, *, seed: int = 0, clean: float = 0.2) -> Corruption:
    """Replace the captions of some images by those of images of another class.

    The protocol of CHNR (Mikriukov et al., arXiv 2202.13117): a fixed part of the images stays clean, each of the rest
    gets all captions of a random image of another class with probability ``share``. The expected share of wrong pairs
    is therefore ``share * (1 - clean)``. Without classes the other image is any whose captions differ.

    Args:
        dataset: N images, each with a caption.
        share: probability of a wrong pair outside the clean part, 0..1.
        seed: from 0; of the draw. A larger ``share`` under one seed keeps all wrong pairs of a smaller one.
        clean: part that is never touched, 0..1.

    Raises:
        ValueError: if a share is outside 0..1, an image has no caption, or ``share`` is above 0 and every image has one
            class (or, without classes, the same captions).

    >>> data = CaptionDataset("two", ["a.tif", "b.tif"], [("a plane",), ("a ship",)], labels=np.array([0, 1]))
    >>> corrupt_pairs(data, 1.0, clean=0.5).dataset.captions
    (('a ship',), ('a ship',))
    """
    for name, value in (("share", share), ("clean", clean)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} is {value}; expected a share, 0 to 1")
    groups = _groups(dataset, share)
    order, chances, picks = np.random.default_rng(seed).random((3, len(dataset)))
    kept = np.argsort(order)[: round(clean * len(dataset))]
    wrong = chances < share
    wrong[kept] = False
    by_group = np.argsort(groups, kind="stable")
    starts, sizes = np.searchsorted(groups[by_group], groups), np.bincount(groups)[groups]
    others = (picks * (len(dataset) - sizes)).astype(np.int64)  # position among the images of other groups
    others += np.where(others < starts, 0, sizes)  # position in by_group, the own group skipped
    sources = np.where(wrong, by_group[others % len(dataset)], np.arange(len(dataset)))
    corrupted = copy(dataset)
    corrupted.captions = tuple(dataset.captions[row] for row in sources)
    return Corruption(corrupted, wrong, sources, np.sort(kept))


def corrupt_captions(
    dataset: CaptionDataset, share: float, *, seed: int = 0, clean: float = 0.2
) -> tuple[CaptionDataset, np.ndarray]:
    """Replace single captions by those of images of another class, each by chance, as where one annotator errs.

    Args:
        dataset: images with M captions in all, each with one at least.
        share: probability of a wrong caption outside the clean part, 0..1.
        seed: from 0; of the draw.
        clean: part of the captions that is never touched, 0..1.

    Returns:
        The data set with other captions, and (M,) bool, which are wrong, image by image.

    Raises:
        ValueError: as `corrupt_pairs`.

    >>> data = CaptionDataset("two", ["a.tif", "b.tif"], [("a plane", "a jet"), ("a ship",)], labels=np.array([0, 1]))
    >>> corrupt_captions(data, 1.0, clean=0.3)[1]
    array([ True,  True, False])
    """
    groups = _groups(dataset, share)
    counts = [len(own) for own in dataset.captions]
    owners = np.repeat(np.arange(len(dataset)), counts)
    each = CaptionDataset(
        dataset.name,
        [dataset.ids[row] for row in owners],
        [(caption,) for own in dataset.captions for caption in own],
        labels=groups[owners],
    )
    found = corrupt_pairs(each, share, seed=seed, clean=clean)
    captions = (caption for (caption,) in found.dataset.captions)
    corrupted = copy(dataset)
    corrupted.captions = tuple(tuple(islice(captions, count)) for count in counts)
    return corrupted, found.wrong


def _groups(dataset: CaptionDataset, share: float) -> np.ndarray:
    """Return what a wrong caption must differ in: the class, or the captions themselves, numbered from 0.

    Raises:
        ValueError: if an image has no caption, or captions are to be drawn from another group and there is none.
    """
    if not all(dataset.captions):
        bare = dataset.ids[[not own for own in dataset.captions].index(True)]
        raise ValueError(f"{bare} has no caption; corrupt a subset of images that have one")
    if dataset.labels is not None:
        groups: np.ndarray = np.unique(dataset.labels, return_inverse=True)[1]
    else:
        number_of = {captions: number for number, captions in enumerate(dict.fromkeys(dataset.captions))}
        groups = np.array([number_of[captions] for captions in dataset.captions], dtype=np.int64)
    if share and len(dataset) and groups.min() == groups.max():
        what = "class" if dataset.labels is not None else "set of captions"
        raise ValueError(f"{dataset.name} has one {what} only; a wrong caption must come from another")
    return groups
