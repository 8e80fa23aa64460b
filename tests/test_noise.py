import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rshash.data.dataset import CaptionDataset
from rshash.data.noise import corrupt_pairs
from toy import toy_dataset


def make_dataset(classes):
    captions = [(f"picture {row}", f"scene {row}") for row in range(len(classes))]
    ids = [str(row) for row in range(len(classes))]
    return CaptionDataset("made", ids, captions, labels=np.array(classes), classes=[str(c) for c in range(9)])


@given(
    classes=st.lists(st.integers(0, 3), min_size=2, max_size=40).filter(lambda c: len(set(c)) > 1),
    share=st.floats(0, 1),
    clean=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_wrong_captions_come_whole_from_another_class_and_the_rest_stay(classes, share, clean, seed):
    data = make_dataset(classes)
    found = corrupt_pairs(data, share, seed=seed, clean=clean)
    assert not found.wrong.sum() > len(data) - round(clean * len(data))
    for row, source in enumerate(found.sources):
        assert found.dataset.captions[row] == data.captions[source]
        assert found.wrong[row] == (data.labels[row] != data.labels[source]) == (row != source)
    assert found.dataset.ids == data.ids
    assert np.array_equal(found.dataset.labels, data.labels)


def test_the_same_seed_gives_the_same_noise_and_more_noise_keeps_the_lesser():
    data = make_dataset([row % 4 for row in range(2000)])
    few, many = (corrupt_pairs(data, share, seed=3) for share in (0.2, 0.5))
    again, other = corrupt_pairs(data, 0.5, seed=3), corrupt_pairs(data, 0.5, seed=4)
    assert np.array_equal(many.sources, again.sources)
    assert not np.array_equal(many.sources, other.sources)
    assert few.sources[few.wrong].tolist() == many.sources[few.wrong].tolist()
    assert 0.35 < many.wrong.mean() < 0.45  # 0.8 × 0.5


def test_sources_are_spread_over_the_images_of_other_classes():
    data = make_dataset([0] * 50 + [1] * 150)
    found = corrupt_pairs(data, 1.0, clean=0)
    assert set(found.sources[50:]) <= set(range(50))
    assert len(set(found.sources[:50])) > 35  # of 50 draws among 150
    assert len(set(found.sources[50:])) > 40  # of 150 draws among 50


def test_without_classes_a_wrong_caption_is_one_that_differs():
    data = CaptionDataset("made", "abcd", [("x",), ("x",), ("y",), ("z",)])
    found = corrupt_pairs(data, 1.0, clean=0)
    assert found.wrong.all()
    assert all(new != old for new, old in zip(found.dataset.captions, data.captions, strict=True))


def test_the_given_data_set_is_left_alone():
    data = toy_dataset(12)
    before = data.captions
    assert corrupt_pairs(data, 1.0).dataset.captions != before
    assert data.captions == before


@pytest.mark.parametrize(
    ("classes", "arguments", "message"),
    [
        ([0, 1], {"share": 1.5}, "share is 1.5; expected a share, 0 to 1"),
        ([0, 1], {"share": float("nan")}, "share is nan"),
        ([0, 1], {"share": 0.5, "clean": -1}, "clean is -1"),
        ([0, 0], {"share": 0.5}, "made has one class only"),
    ],
)
def test_impossible_noise_is_refused(classes, arguments, message):
    with pytest.raises(ValueError, match=message):
        corrupt_pairs(make_dataset(classes), **arguments)


def test_images_without_captions_and_equal_captions_are_refused():
    with pytest.raises(ValueError, match="b has no caption"):
        corrupt_pairs(CaptionDataset("made", "ab", [("x",), ()]), 0.5)
    with pytest.raises(ValueError, match="one set of captions only"):
        corrupt_pairs(CaptionDataset("made", "ab", [("x",), ("x",)]), 0.5)
