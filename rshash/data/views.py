"""Augmented views of images and captions, each a function of (item, random generator).

Image views take and give (H, W, 3) uint8; the crops are the published ones (200 of 256 pixels, arXiv 2201.08125),
relative to the side of the image. Caption views take and give a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np

from rshash.data.synonyms import SYNONYMS
from rshash.extras import require

CROP = 200 / 256
"""Share of each side that DUCH's crops keep."""

DROPPED_WORDS = 0.15
"""Share of the words that `drop_words` leaves out."""

ImageView = Callable[[np.ndarray, np.random.Generator], np.ndarray]
CaptionView = Callable[[str, np.random.Generator], str]


def same_image(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image as it is: what queries and databases are encoded from, and `CrossModalHasher.encode_images`."""
    return image


def centre_crop(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Keep the middle 200/256 of each side: what DUCH takes for the original view.

    >>> centre_crop(np.zeros((256, 512, 3), np.uint8), np.random.default_rng(0)).shape
    (200, 400, 3)
    """
    height, width = (max(1, round(side * CROP)) for side in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def blur_rotate_crop(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blur (σ 1.1 to 1.3 pixels), rotate by -10° to -5°, keep the middle: DUCH's default augmented view."""
    pillow, filters = require("PIL.Image", "train"), require("PIL.ImageFilter", "train")
    sigma, angle = rng.uniform(1.1, 1.3), rng.uniform(-10, -5)
    picture = pillow.fromarray(np.ascontiguousarray(image)).filter(filters.GaussianBlur(sigma))
    return centre_crop(np.asarray(picture.rotate(angle, resample=pillow.Resampling.BILINEAR)), rng)


def flip(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mirror left and right; from above there is no wrong side."""
    return image[:, ::-1]


def quarter_turn(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rotate by 90° counter-clockwise."""
    return np.rot90(image)


def same_caption(caption: str, rng: np.random.Generator) -> str:
    """Return the caption as it is."""
    return caption


def rule_based(caption: str, rng: np.random.Generator) -> str:
    """Replace nouns and verbs by words of near meaning, and "there is" by "it is".

    DUCH's rule-based view (arXiv 2201.08125) finds replacements with a part-of-speech tagger, GloVe neighbours and
    BERTScore. Departure: the words come from the small lexicon `rshash.data.synonyms`; each known word is replaced
    with probability 1/2, at least one is. A caption without any known word loses one word if it has at least four.

    >>> rule_based("many planes are parked near the terminal .", np.random.default_rng(0))
    'many aircrafts are stationed near the building .'
    """
    words = re.sub(r"\b([Tt])here is\b", lambda match: f"{'It' if match[1] == 'T' else 'it'} is", caption)
    tokens = words.split(" ")
    known = [place for place, token in enumerate(tokens) if token.lower().strip(".,!?") in SYNONYMS]
    if not known:
        return _without(tokens, [int(rng.integers(len(tokens)))]) if len(tokens) >= 4 else words
    chosen = [place for place in known if rng.random() < 0.5] or [known[int(rng.integers(len(known)))]]
    for place in chosen:
        bare = tokens[place].strip(".,!?")
        options = SYNONYMS[bare.lower()]
        tokens[place] = tokens[place].replace(bare, options[int(rng.integers(len(options)))])
    return " ".join(tokens)


def drop_words(caption: str, rng: np.random.Generator) -> str:
    """Leave out 15 % of the words, at least one; captions of fewer than four words stay whole.

    >>> drop_words("a river runs through a green field", np.random.default_rng(0))
    'a river runs through a field'
    """
    tokens = caption.split(" ")
    if len(tokens) < 4:
        return caption
    count = max(1, round(DROPPED_WORDS * len(tokens)))
    return _without(tokens, rng.choice(len(tokens), count, replace=False).tolist())


def _without(tokens: list[str], places: list[int]) -> str:
    return " ".join(token for place, token in enumerate(tokens) if place not in places)


IMAGE_VIEWS: Mapping[str, ImageView] = {
    "original": same_image,
    "centre_crop": centre_crop,
    "blur_rotate_crop": blur_rotate_crop,
    "flip": flip,
    "quarter_turn": quarter_turn,
}
"""Name → view; "original" is the whole image (DUCH crops it to "centre_crop"), what is encoded outside training."""

FIXED_IMAGE_VIEWS = ("original", "centre_crop", "flip", "quarter_turn")
"""Views without chance, which give an image the same features whenever it is encoded."""

CAPTION_VIEWS: Mapping[str, CaptionView] = {
    "original": same_caption,
    "rule_based": rule_based,
    "drop_words": drop_words,
}
"""Name → view, as `IMAGE_VIEWS`."""

VERSION = 2
"""Changes whenever a view would give something else: features cached under the old one are then computed anew."""
