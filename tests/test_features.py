import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from rshash.models.cache import FeatureCache
from rshash.models.encoders import load_caption_encoder
from rshash.models.features import caption_features, image_features, iterate_image_features
from toy import ToyDataset, toy_dataset


class MeanColour:
    """An encoder fast enough to see only what is around it."""

    name, version, preprocessing, dim = "mean-colour", "1", "none", 4

    def __init__(self):
        self.n_encoded = 0

    def encode(self, items):
        self.n_encoded += len(items)
        return np.array([[*image.mean(axis=(0, 1)), image.std()] for image in items], dtype=np.float32)


class Lengths:
    name, version, preprocessing, dim = "lengths", "1", "none", 2

    def __init__(self):
        self.seen = []

    def encode(self, items):
        self.seen += items
        return np.array([[len(item), len(item.split())] for item in items], dtype=np.float32)


def blocks(folder):
    return sorted(folder.glob("*/*.features"))


def test_rows_are_those_of_the_encoder_in_order():
    data, encoder = toy_dataset(300), MeanColour()
    expected = encoder.encode([data.image(row) for row in range(300)])
    assert np.array_equal(image_features(data, encoder, progress=False), expected)


def test_second_time_opens_and_encodes_nothing(tmp_path):
    data, cache = toy_dataset(300), FeatureCache(tmp_path)
    first = image_features(data, MeanColour(), cache=cache, progress=False)
    opened, encoder = ToyDataset.opened, MeanColour()
    again = image_features(data, encoder, cache=FeatureCache(tmp_path), progress=False)
    assert np.array_equal(first, again)
    assert (ToyDataset.opened, encoder.n_encoded) == (opened, 0)


def test_subsets_in_any_order_are_found_and_only_new_rows_encoded(tmp_path):
    data, cache, encoder = toy_dataset(300), FeatureCache(tmp_path), MeanColour()
    whole = image_features(data, MeanColour(), progress=False)
    image_features(data.subset(range(100, 200)), encoder, cache=cache, progress=False)
    rows = np.random.default_rng(0).permutation(300)
    assert np.array_equal(image_features(data.subset(rows), encoder, cache=cache, progress=False), whole[rows])
    assert encoder.n_encoded == 300


@pytest.mark.parametrize("change", ["version", "preprocessing", "name"])
def test_another_encoder_shares_nothing(tmp_path, change):
    data, cache, other = toy_dataset(10), FeatureCache(tmp_path), MeanColour()
    image_features(data, MeanColour(), cache=cache, progress=False)
    setattr(other, change, "another")
    image_features(data, other, cache=cache, progress=False)
    assert other.n_encoded == 10


def test_random_views_are_keyed_by_their_seed_and_the_original_is_not(tmp_path):
    data, cache, encoder = toy_dataset(10), FeatureCache(tmp_path), MeanColour()
    first, second, first_again = (
        image_features(data, encoder, "blur_rotate_crop", cache=cache, seed=seed, progress=False) for seed in (1, 2, 1)
    )
    assert np.array_equal(first, first_again)
    assert not np.array_equal(first, second)
    assert encoder.n_encoded == 20
    for seed in (1, 2):
        image_features(data, encoder, cache=cache, seed=seed, progress=False)
    assert encoder.n_encoded == 30


def test_the_view_of_an_image_does_not_depend_on_its_row():
    data = toy_dataset(10)
    whole = image_features(data, MeanColour(), "blur_rotate_crop", progress=False)
    alone = image_features(data.subset([7]), MeanColour(), "blur_rotate_crop", progress=False)
    assert np.array_equal(alone[0], whole[7])


def test_each_distinct_caption_is_encoded_once_and_rows_follow_the_captions():
    data, encoder = toy_dataset(48), Lengths()
    features = caption_features(data, encoder, progress=False)
    captions = [caption for of_image in data.captions for caption in of_image]
    assert sorted(encoder.seen) == sorted(set(captions))
    assert len(encoder.seen) < len(captions) == len(features)
    assert np.array_equal(features[:, 0], [len(caption) for caption in captions])


def test_caption_views_change_captions_before_they_are_encoded():
    encoder = Lengths()
    caption_features(toy_dataset(6), encoder, "drop_words", progress=False)
    assert not set(encoder.seen) & {caption for of_image in toy_dataset(6).captions for caption in of_image}


@pytest.mark.parametrize("damage", ["truncated", "emptied", "flipped"])
def test_damaged_block_is_reported_and_computed_again(tmp_path, damage):
    data = toy_dataset(300)
    whole = image_features(data, MeanColour(), cache=FeatureCache(tmp_path), progress=False)
    victim = blocks(tmp_path)[0]
    content = bytearray(victim.read_bytes())
    if damage == "flipped":
        content[-1] ^= 1
    victim.write_bytes({"truncated": content[:-5], "emptied": b"", "flipped": content}[damage])
    encoder = MeanColour()
    with pytest.warns(UserWarning, match="damaged feature cache .*computing its rows again"):
        again = image_features(data, encoder, cache=FeatureCache(tmp_path), progress=False)
    assert np.array_equal(again, whole)
    assert 0 < encoder.n_encoded < 300
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image_features(data, MeanColour(), cache=FeatureCache(tmp_path), progress=False)


@pytest.mark.parametrize("n_bytes", range(0, 330, 11))
def test_block_truncated_anywhere_is_computed_again(tmp_path, n_bytes):
    data = toy_dataset(3)
    whole = image_features(data, MeanColour(), cache=FeatureCache(tmp_path), progress=False)
    (victim,) = blocks(tmp_path)
    assert n_bytes < victim.stat().st_size
    victim.write_bytes(victim.read_bytes()[:n_bytes])
    with pytest.warns(UserWarning, match="damaged feature cache"):
        again = image_features(data, MeanColour(), cache=FeatureCache(tmp_path), progress=False)
    assert np.array_equal(again, whole)


def test_block_lost_while_open_is_computed_again(tmp_path):
    data, shelf_was_open = toy_dataset(10), FeatureCache(tmp_path)
    whole = image_features(data, MeanColour(), cache=shelf_was_open, progress=False)
    shelf = shelf_was_open.shelf(MeanColour())
    blocks(tmp_path)[0].unlink()
    features, known = shelf.get([data.image_key(0)])
    assert not known.any()
    shelf.put([data.image_key(0)], whole[:1])
    features, known = shelf.get([data.image_key(0), b"never seen"])
    assert known.tolist() == [True, False]
    assert np.array_equal(features[0], whole[0])


def test_two_caches_at_once_do_not_harm_each_other(tmp_path):
    data, one, two = toy_dataset(300), MeanColour(), MeanColour()
    streams = [
        iterate_image_features(data, encoder, cache=FeatureCache(tmp_path), progress=False) for encoder in (one, two)
    ]
    for (_, first), (_, second) in zip(*streams, strict=True):
        assert np.array_equal(first, second)
    third = MeanColour()
    image_features(data, third, cache=FeatureCache(tmp_path), progress=False)
    assert third.n_encoded == 0


def test_killed_process_leaves_only_whole_blocks(tmp_path):
    script = f"""
import os, sys
sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}
from test_features import MeanColour
from toy import toy_dataset
from rshash.models.cache import FeatureCache
from rshash.models.features import iterate_image_features
cache = FeatureCache({str(tmp_path)!r})
for start, _ in iterate_image_features(toy_dataset(600), MeanColour(), cache=cache, progress=False):
    if start:
        os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    encoder = MeanColour()
    features = image_features(toy_dataset(600), encoder, cache=FeatureCache(tmp_path), progress=False)
    assert np.array_equal(features, image_features(toy_dataset(600), MeanColour(), progress=False))
    assert encoder.n_encoded == 600 - 512


def test_out_may_be_a_memory_map(tmp_path):
    data = toy_dataset(300)
    out = np.lib.format.open_memmap(tmp_path / "features.npy", "w+", dtype=np.float32, shape=(300, 4))
    assert image_features(data, MeanColour(), progress=False, out=out) is out
    assert np.array_equal(np.load(tmp_path / "features.npy"), image_features(data, MeanColour(), progress=False))


def test_out_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"out is float32 of shape \(2, 4\); expected float32 of shape \(3, 4\)"):
        image_features(toy_dataset(3), MeanColour(), out=np.empty((2, 4), np.float32))


def test_images_stream_a_few_at_a_time():
    encoder, opened = MeanColour(), ToyDataset.opened
    stream = iterate_image_features(toy_dataset(2000), encoder, progress=False)
    assert next(stream)[1].shape == (256, 4)
    assert ToyDataset.opened - opened == 256


def test_features_that_are_not_finite_are_refused_and_not_stored(tmp_path):
    class Broken(MeanColour):
        def encode(self, items):
            return super().encode(items) * np.float32("nan")

    with pytest.raises(ValueError, match=r"the features of '.+' are not finite; encode it again, or leave it out"):
        image_features(toy_dataset(3), Broken(), cache=FeatureCache(tmp_path), progress=False)
    assert blocks(tmp_path) == []


def test_unknown_views_suggest_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'blur_rotate_crop'"):
        iterate_image_features(toy_dataset(3), MeanColour(), "blur_crop")
    with pytest.raises(ValueError, match="did you mean 'drop_words'"):
        caption_features(toy_dataset(3), load_caption_encoder("bag-of-words"), "drop_word")


def test_no_bar_is_drawn_where_stderr_is_no_terminal(capsys):
    image_features(toy_dataset(3), MeanColour(), progress=True)
    assert capsys.readouterr().err == ""
