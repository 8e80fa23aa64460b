import random

import numpy as np
import pytest

from rshash.data.dataset import CaptionDataset
from rshash.data.splits import duch_caption_choice, duch_split, official_split


@pytest.mark.parametrize(
    ("n", "sizes", "train", "query", "database"),
    [
        (
            2100,
            (1050, 210, 840),
            [0, 1, 3, 4, 5, 6, 7, 11],
            [9, 15, 34, 38, 57, 62, 86, 97],
            [2, 8, 10, 13, 17, 18, 21, 22],
        ),
        (
            10921,
            (5460, 1092, 4369),
            [1, 5, 6, 8, 9, 10, 11, 14],
            [0, 2, 3, 12, 62, 77, 87, 99],
            [4, 7, 13, 15, 16, 19, 23, 24],
        ),
    ],
    ids=["ucm", "rsicd"],
)
def test_the_duch_split_is_the_published_one_index_for_index(n, sizes, train, query, database):
    split = duch_split(n)
    assert (len(split.train), len(split.query), len(split.database)) == sizes
    assert split.train[:8].tolist() == train
    assert split.query[:8].tolist() == query
    assert split.database[:8].tolist() == database


@pytest.mark.parametrize("n", [10, 11, 101, 2100])
def test_every_row_is_in_one_part(n):
    split = duch_split(n, seed=3)
    rows = np.concatenate([split.train, split.query, split.database])
    assert sorted(rows) == list(range(n))
    assert all((np.diff(part) > 0).all() for part in (split.train, split.query, split.database))


def test_seeds_matter_and_the_global_generator_is_left_alone():
    random.seed(1)
    before = random.getstate()
    assert duch_split(100, seed=1).train.tolist() != duch_split(100, seed=2).train.tolist()
    duch_caption_choice([5] * 10)
    assert random.getstate() == before


def test_too_few_images_are_refused():
    with pytest.raises(ValueError, match="needs at least 10 images, got 9"):
        duch_split(9)


def test_the_caption_choice_starts_anew_for_every_set():
    choice = duch_caption_choice([5] * 100)
    assert choice[:6].tolist() == duch_caption_choice([5] * 6).tolist() == [0, 0, 2, 1, 1, 1]
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        duch_caption_choice([5, -1])


def test_every_caption_of_an_image_can_be_chosen_whatever_the_others_have():
    choices = np.array([duch_caption_choice([7, 0, 3], seed=seed) for seed in range(200)])
    assert [set(column) for column in choices.T] == [set(range(7)), {0}, {0, 1, 2}]


def dataset(splits):
    return CaptionDataset("d", [str(row) for row in range(len(splits))], [("x",)] * len(splits), splits=splits)


def test_official_test_images_ask_and_answer():
    split = official_split(dataset(["test", "train", None, "val", "test", "train"]))
    assert split.train.tolist() == [1, 5]
    assert split.query.tolist() == split.database.tolist() == [0, 4]
    assert split.val.tolist() == [3]


@pytest.mark.parametrize(("splits", "mark"), [(["train"], "test"), (["test"], "train"), ([None], "train")])
def test_data_without_an_official_split_say_so(splits, mark):
    with pytest.raises(ValueError, match=f'marks no image as "{mark}"; use another split'):
        official_split(dataset(splits))
