import numpy as np
import pytest

from rshash.data.dataset import CaptionDataset
from rshash.encoding import caption_codes, encode_rows, image_codes
from rshash.models.cache import FeatureCache
from rshash.models.encoders import load_caption_encoder, load_image_encoder
from rshash.models.hasher import CrossModalHasher
from rshash.models.heads import HashHead

N = 5


class Pictures(CaptionDataset):
    """Images made of their row, never read from a file."""

    def image(self, row):
        return np.random.default_rng(int(self.ids[row])).integers(0, 256, (40, 48, 3), dtype=np.uint8)

    def image_key(self, row):
        return self.ids[row].encode().ljust(16)


@pytest.fixture(scope="module")
def hasher():
    import torch

    torch.manual_seed(0)
    dims = load_image_encoder("small-cnn").dim, load_caption_encoder("bag-of-words").dim
    return CrossModalHasher(*(HashHead(dim, 24, 16) for dim in dims), "small-cnn", "bag-of-words")


@pytest.fixture
def dataset():
    captions = [("a plane", "two planes"), (), ("a river",), ("a plane",), ("x y z", "a", "b")]
    labels = np.array([0, 1, 1, 0, 1])
    return Pictures("rows", [str(row) for row in range(N)], captions, labels=labels, classes=["k", "l"])


def test_a_data_set_gets_the_codes_of_its_images_one_by_one(hasher, dataset):
    codes = np.concatenate(list(image_codes(hasher, dataset, progress=False)))
    assert np.array_equal(codes, hasher.encode_images([dataset.image(row) for row in range(N)]))


def test_a_data_set_gets_the_mean_code_of_the_views(hasher, dataset, tmp_path):
    views = ("original", "flip", "quarter_turn")
    averaging = CrossModalHasher(hasher.image_head, hasher.caption_head, "small-cnn", "bag-of-words", image_views=views)
    expected = averaging.encode_images([dataset.image(row) for row in range(N)])
    for cache in (None, FeatureCache(tmp_path), FeatureCache(tmp_path)):
        codes = np.concatenate(list(image_codes(averaging, dataset, cache=cache, progress=False)))
        assert np.array_equal(codes, expected)


def test_a_data_set_gets_the_codes_of_its_captions_in_order(hasher, dataset):
    codes = np.concatenate(list(caption_codes(hasher, dataset, progress=False)))
    assert np.array_equal(codes, hasher.encode_captions([text for own in dataset.captions for text in own]))


def test_captions_of_a_database_are_dithered(hasher, dataset):
    heads = hasher.image_head, hasher.caption_head
    dithering = CrossModalHasher(*heads, "small-cnn", "bag-of-words", dither=0.9)
    codes = np.concatenate([block for block, _ in encode_rows(dithering, dataset, "captions", progress=False)])
    captions = [text for own in dataset.captions for text in own]
    assert np.array_equal(codes, dithering.encode_captions(captions, database=True))
    assert not np.array_equal(codes, hasher.encode_captions(captions))


def test_a_cache_changes_nothing(hasher, dataset, tmp_path):
    cache = FeatureCache(tmp_path)
    for encode in (image_codes, caption_codes):
        plain, first, again = (
            np.concatenate(list(encode(hasher, dataset, cache=place, progress=False))) for place in (None, cache, cache)
        )
        assert np.array_equal(plain, first)
        assert np.array_equal(plain, again)


def test_rows_come_with_their_items(hasher, dataset):
    (codes, items), *more = encode_rows(hasher, dataset, "images", progress=False)
    assert more == []
    assert len(codes) == len(items) == N
    assert items[0] == {"id": "0", "class": "k", "captions": ["a plane", "two planes"]}
    assert items[1] == {"id": "1", "class": "l"}
    (codes, items), *more = encode_rows(hasher, dataset, "captions", progress=False)
    assert [item["id"] for item in items] == ["0#0", "0#1", "2#0", "3#0", "4#0", "4#1", "4#2"]
    assert items[1] == {"id": "0#1", "class": "k", "caption": "two planes"}
    assert len(codes) == 7


def test_what_is_not_there_cannot_be_encoded(hasher, dataset):
    with pytest.raises(ValueError, match="has no captions to encode"):
        list(encode_rows(hasher, dataset.subset([1]), "captions", progress=False))
    with pytest.raises(ValueError, match="unknown modality 'sounds'"):
        list(encode_rows(hasher, dataset, "sounds", progress=False))
