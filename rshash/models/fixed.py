"""Encoders that need no weights from outside: fixed filters and hashed words, the same on every machine.

They are for tests, demonstrations and pictures of few kinds; for real scenes use `pretrained`.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from rshash.extras import require
from rshash.models.encoders import check_captions, stack_images

_AT_ONCE = 32
_SIDE = 128
_SCALES = 4
_ORIENTATIONS = 8
_COLOUR_LEVELS = 6
_COLOUR_WEIGHT = 10.0  # brings the histogram to the spread of the texture features
_FLOOR = 0.01  # filter response below which a texture counts as none


class SmallCNN:
    """Oriented filters at four scales pooled over the image, and a histogram of its colours.

    A convolutional network of one layer with energy units (Gabor filters in two phases) on brightness and two opponent
    colours. For each scale and colour it tells how strong the texture is, how much it has one direction (whatever the
    direction: scenes seen from above have no upright), and how much it is made of few strong things.
    """

    name = "small-cnn"
    version = "1"
    preprocessing = "bilinear 128x128, x / 127.5 - 1"
    dim = _SCALES * 3 * (1 + _ORIENTATIONS // 2 + _ORIENTATIONS) + _COLOUR_LEVELS**3

    def __init__(self, device: str = "cpu") -> None:
        self._device = device
        self._filters = _gabor_filters().to(device)  # (2 * orientations, 1, 7, 7)
        opponents = np.array([[1, 1, 1], [1, -1, 0], [0.5, 0.5, -1]])  # brightness, red-green, yellow-blue
        opponents /= np.linalg.norm(opponents, axis=1, keepdims=True)
        self._opponents = torch.from_numpy(opponents.astype(np.float32)).to(device)

    @torch.inference_mode()
    def encode(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Encode (H, W, 3) uint8 images to (B, 372) float32."""
        features = np.empty((len(images), self.dim), dtype=np.float32)
        for start in range(0, len(images), _AT_ONCE):
            stacked = stack_images(images[start : start + _AT_ONCE], side=_SIDE)
            pixels = torch.from_numpy(stacked).to(self._device)  # (B, 128, 128, 3)
            maps = (pixels.float() / 127.5 - 1) @ self._opponents.T
            parts = [*self._textures(maps.permute(0, 3, 1, 2)), _COLOUR_WEIGHT * _colour_histogram(pixels)]
            batch = torch.cat(parts, dim=1)
            features[start : start + len(batch)] = batch.cpu().numpy()
        return features

    def _textures(self, maps: Tensor) -> list[Tensor]:
        """Statistics of filter responses, (B, 3, 128, 128) → for each scale (B, 3), (B, 12) and (B, 24)."""
        parts = []
        for scale in range(_SCALES):
            planes = maps.flatten(0, 1).unsqueeze(1)  # (3B, 1, side, side)
            responses = functional.conv2d(planes, self._filters, stride=2 if scale < 2 else 1)
            even, odd = responses[:, 0::2], responses[:, 1::2]  # (3B, orientations, side, side)
            energy = torch.hypot(even, odd).reshape(-1, 3, *even.shape[1:])
            mean = energy.mean(dim=(3, 4))  # (B, 3, orientations)
            peak = energy.pow(4).mean(dim=(3, 4)).pow(0.25)
            harmonics = torch.fft.rfft(mean, dim=2).abs()  # the same for every rotation of the image
            total = harmonics[:, :, :1] + _FLOOR
            parts += [
                total.log().flatten(1),
                (3 * harmonics[:, :, 1:] / total).flatten(1),
                ((peak + _FLOOR) / (mean + _FLOOR)).log().flatten(1),
            ]
            maps = functional.avg_pool2d(maps, 2)
        return parts


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


def _gabor_filters(size: int = 7, wavelength: float = 4.0) -> Tensor:
    """Even and odd Gabor filters of each orientation, without mean, of length 1: (2 * orientations, 1, size, size)."""
    axis = np.arange(size) - (size - 1) / 2
    down, right = np.meshgrid(axis, axis, indexing="ij")
    envelope = np.exp(-(down**2 + right**2) / (2 * (0.4 * wavelength) ** 2))
    filters = []
    for orientation in range(_ORIENTATIONS):
        angle = math.pi * orientation / _ORIENTATIONS
        along = right * math.cos(angle) + down * math.sin(angle)
        for phase in (0, math.pi / 2):
            wave = envelope * np.cos(2 * math.pi * along / wavelength + phase)
            wave -= envelope * wave.sum() / envelope.sum()
            filters.append(wave / np.linalg.norm(wave))
    return torch.from_numpy(np.stack(filters).astype(np.float32)).unsqueeze(1)


def _colour_histogram(pixels: Tensor) -> Tensor:
    """Square roots of the shares of 6 x 6 x 6 colours: (B, H, W, 3) uint8 → (B, 216)."""
    red, green, blue = (pixels.long() * _COLOUR_LEVELS // 256).flatten(1, 2).unbind(dim=2)
    colours = (red * _COLOUR_LEVELS + green) * _COLOUR_LEVELS + blue  # (B, H * W)
    counts = torch.zeros(len(pixels), _COLOUR_LEVELS**3, device=pixels.device)
    counts.scatter_add_(1, colours, torch.ones_like(colours, dtype=torch.float32))
    return (counts / colours.shape[1]).sqrt()
