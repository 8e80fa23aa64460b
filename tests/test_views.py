import numpy as np
import pytest

from rshash.data.synonyms import SYNONYMS
from rshash.data.views import CAPTION_VIEWS, IMAGE_VIEWS

IMAGE = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
CAPTIONS = [
    "many planes are parked near the terminal .",
    "There is a piece of farmland .",
    "a long road.",
    "it is a very beautiful and quiet place",
    "Two boats, docked",
    "x",
    "",
]


@pytest.mark.parametrize("name", IMAGE_VIEWS)
def test_image_views_are_images_and_the_same_every_time(name):
    first, again = (IMAGE_VIEWS[name](IMAGE, np.random.default_rng(1)) for _ in range(2))
    assert np.array_equal(first, again)
    assert first.dtype == np.uint8
    assert first.ndim == 3
    assert first.shape[2] == 3


def test_centre_crop_is_the_published_crop():
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    assert np.array_equal(IMAGE_VIEWS["centre_crop"](image, np.random.default_rng(0)), image[28:228, 28:228])


@pytest.mark.parametrize("name", [name for name in IMAGE_VIEWS if name != "original"])
def test_augmented_images_differ_from_the_original(name):
    rng = np.random.default_rng(2)
    original, view = IMAGE_VIEWS["original"](IMAGE, rng), IMAGE_VIEWS[name](IMAGE, rng)
    assert view.shape != original.shape or (view != original).mean() > 0.5


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 50, 3), (3, 2, 3)])
@pytest.mark.parametrize("name", IMAGE_VIEWS)
def test_tiny_images_survive(name, shape):
    assert IMAGE_VIEWS[name](np.zeros(shape, np.uint8), np.random.default_rng(0)).size > 0


@pytest.mark.parametrize("name", CAPTION_VIEWS)
@pytest.mark.parametrize("caption", CAPTIONS)
def test_caption_views_are_sentences_and_the_same_every_time(name, caption):
    first, again = (CAPTION_VIEWS[name](caption, np.random.default_rng(3)) for _ in range(2))
    assert first == again
    assert bool(first.strip()) == bool(caption.strip())


@pytest.mark.parametrize("name", ["rule_based", "drop_words"])
@pytest.mark.parametrize("caption", CAPTIONS[:2] + CAPTIONS[3:4])
def test_augmented_captions_differ_from_the_original(name, caption):
    for seed in range(20):
        assert CAPTION_VIEWS[name](caption, np.random.default_rng(seed)) != caption


def test_substitution_keeps_the_number_of_words_and_the_punctuation():
    for seed in range(20):
        view = CAPTION_VIEWS["rule_based"]("many planes, parked near the terminal .", np.random.default_rng(seed))
        assert len(view.split(" ")) == 7
        assert view.split(" ")[1].endswith(",")


def test_no_word_is_its_own_synonym():
    assert all(word not in others and others for word, others in SYNONYMS.items())


def test_there_is_becomes_it_is_but_there_are_stays():
    assert CAPTION_VIEWS["rule_based"]("There is x .", np.random.default_rng(0)).startswith("It is")
    assert "It are" not in CAPTION_VIEWS["rule_based"]("There are two xs here .", np.random.default_rng(0))
