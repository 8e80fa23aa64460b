"""Which rows train, which ask and which are searched: the published splits, as ascending row numbers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rshash.data.dataset import CaptionDataset


def _no_rows() -> np.ndarray:
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class Split:
    """Row numbers of one protocol, each (n,) int64 and ascending.

    Attributes:
        train: rows to learn from.
        query: rows that ask.
        database: rows that are searched.
        val: the official validation rows, where the protocol has any; never trained on or searched.
    """

    train: np.ndarray
    query: np.ndarray
    database: np.ndarray
    val: np.ndarray = field(default_factory=_no_rows)


def duch_split(n: int, seed: int = 42) -> Split:
    """Split rows as DUCH does: half to train, a fifth of the rest to query, the remainder is the database.

    Reproduces the released code index for index (Mikriukov et al., arXiv 2201.08125; ``dataset/data_handlers.py``):
    two draws of Python's ``random.sample`` from one stream, rows in the order of the JSON file.
    Training images are not in the database.

    Args:
        n: number of images, at least 10.
        seed: 42 in the paper's code.

    Raises:
        ValueError: if ``n`` is below 10, too few for a query and a database.

    >>> split = duch_split(2100)
    >>> split.query[:4]
    array([ 9, 15, 34, 38])
    """
    if n < 10:
        raise ValueError(f"the DUCH split needs at least 10 images, got {n}")
    draw = random.Random(seed)
    train = sorted(draw.sample(range(n), n // 2))
    rest = sorted(set(range(n)).difference(train))
    query = sorted(draw.sample(rest, int(len(rest) * 0.2)))
    database = sorted(set(rest).difference(query))
    return Split(*(np.array(rows, dtype=np.int64) for rows in (train, query, database)))


def duch_caption_choice(n_captions: Sequence[int], seed: int = 42) -> np.ndarray:
    """Choose one caption for each image of a set as DUCH does.

    The released code reseeds for every set (train, query, database), so call this once for each with the numbers of
    captions of its images: entry j belongs to the j-th image *of that set* (``utils.select_idxs``).

    Args:
        n_captions: captions of each image; 5 in the published sets. Where there are none, nothing is drawn.
        seed: 42 in the paper's code.

    Returns:
        (N,) int64, entry j below ``n_captions[j]`` (0 where that is 0).

    Raises:
        ValueError: if a number is negative.

    >>> duch_caption_choice([5] * 6)
    array([0, 0, 2, 1, 1, 1])
    """
    if any(count < 0 for count in n_captions):
        raise ValueError(f"numbers of captions must not be negative, got {min(n_captions)}")
    draw = random.Random(seed)
    return np.array([draw.sample(range(count), 1)[0] if count else 0 for count in n_captions], dtype=np.int64)


def official_split(dataset: CaptionDataset) -> Split:
    """Split a data set as it was published, for caption retrieval.

    The test images are both the queries and the database: an image looks for its own captions among the captions
    of all test images, a caption for its image among all test images. Rows marked ``val`` are kept apart in
    ``Split.val``; rows without a mark are left out.

    Raises:
        ValueError: if the data set marks no train row or no test row.
    """
    rows = {
        mark: np.array([i for i, s in enumerate(dataset.splits) if s == mark], np.int64)
        for mark in ("train", "val", "test")
    }
    for mark in ("train", "test"):
        if not rows[mark].size:
            raise ValueError(f'{dataset.name} marks no image as "{mark}"; use another split, such as duch_split')
    return Split(rows["train"], rows["test"], rows["test"].copy(), rows["val"])
