"""Encoders that need no weights from outside: fixed random filters and hashed words, the same on every machine.

They are for tests, demonstrations and pictures with few kinds of things; for real scenes use `pretrained`.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from rshash.extras import require
from rshash.models.encoders import check_captions, stack_images

_IMAGES_AT_ONCE = 32
_FILTER_SEED = 20220125
_CHANNELS = (3, 32, 64, 128)


class SmallCNN:
    """Three layers of seeded random convolutions pooled over the image, beside a histogram of its colours.

    Each layer gives the mean and the standard deviation of its rectified maps: texture at strides 2, 4 and 8. Random
    filters keep most of what trained ones see of texture (Jarrett et al., ICCV 2009); the hash head learns the rest.
    """

    name = "small-cnn"
    version = "1"
    preprocessing = "bilinear 128x128, x / 127.5 - 1"
    dim = 515

    def __init__(self, device: str = "cpu") -> None:
        rng = np.random.default_rng(_FILTER_SEED)
        self._device = device
        self._filters = []
        for n_in, n_out in pairwise(_CHANNELS):
            weights = rng.standard_normal((n_out, n_in, 5 if n_in == 3 else 3, 5 if n_in == 3 else 3))
            weights -= weights.mean(axis=(1, 2, 3), keepdims=True)  # blind to brightness
            weights /= np.sqrt((weights**2).sum(axis=(1, 2, 3), keepdims=True))
            self._filters.append(torch.from_numpy(weights.astype(np.float32)).to(device))

    @torch.inference_mode()
    def encode(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Encode (H, W, 3) uint8 images to (B, 515) float32."""
        features = np.empty((len(images), self.dim), dtype=np.float32)
        for start in range(0, len(images), _IMAGES_AT_ONCE):
            pixels = torch.from_numpy(stack_images(images[start : start + _IMAGES_AT_ONCE], side=128))
            maps = pixels.to(self._device).permute(0, 3, 1, 2).float() / 127.5 - 1  # (B, 3, 128, 128)
            parts = [
                _colour_histogram(pixels.to(self._device)),
                maps.mean(dim=(2, 3)),
            ]
            for filters in self._filters:
                maps = functional.relu(functional.conv2d(maps, filters, stride=2))
                parts += [maps.mean(dim=(2, 3)), maps.std(dim=(2, 3))]
            batch = torch.cat([functional.normalize(part, dim=1) for part in parts], dim=1)
            features[start : start + len(batch)] = batch.cpu().numpy()
        return features


def _colour_histogram(pixels: torch.Tensor) -> torch.Tensor:
    """Square roots of the shares of 4x4x4 colours: (B, H, W, 3) uint8 → (B, 64)."""
    levels = pixels.long() >> 6
    colours = (levels[..., 0] << 4 | levels[..., 1] << 2 | levels[..., 2]).flatten(1)
    counts = torch.zeros(len(pixels), 64, device=pixels.device)
    counts.scatter_add_(1, colours, torch.ones_like(colours, dtype=torch.float32))
    return (counts / colours.shape[1]).sqrt()


class BagOfWords:
    """Words and pairs of neighbouring words, hashed to 1024 signed counts of length 1; nothing is fitted."""

    name = "bag-of-words"
    version = "1"
    preprocessing = "lower case, words and word pairs, hashed, length 1"
    dim = 1024

    def __init__(self, device: str = "cpu") -> None:
        text = require("sklearn.feature_extraction.text", "train")
        self._vectorizer: Any = text.HashingVectorizer(n_features=self.dim, ngram_range=(1, 2), norm="l2")

    def encode(self, captions: Sequence[str]) -> NDArray[np.float32]:
        """Encode captions to (B, 1024) float32."""
        check_captions(captions)
        if not len(captions):
            return np.empty((0, self.dim), dtype=np.float32)
        features: NDArray[np.float32] = self._vectorizer.transform(captions).toarray().astype(np.float32)
        return features
