"""Packed codes of images and their captions in, the numbers of a diagnosis out; needs no torch."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rshash.codes import Codes, check_codes, unpack_codes

Reals = NDArray[np.float64]
Counts = NDArray[np.int64]

FALSE_PAIRS = 200_000
"""Most pairs that are drawn to see how far apart strangers are."""

BITS_AT_ONCE = 1 << 24
"""Most bits that are unpacked at once; the correlation is of as many rows as that allows."""


@dataclass(frozen=True)
class Bits:
    """How well one modality uses its bits.

    Attributes:
        share_of_ones: (n_bits,) share of codes in which a bit is 1.
        entropy: (n_bits,) in bits, 0..1; 1 where half of the codes have the bit.
        correlation: (n_bits, n_bits) absolute Pearson correlation of bits, 0 on the diagonal and for constant bits.
        effective_bits: (sum of eigenvalues)² / sum of their squares of the covariance of the bits: n_bits where they
            are balanced and uncorrelated, 1 where all say the same, 0 where all are constant.
        n_codes: codes looked at.
        n_distinct: different codes among them.
        largest_bucket: codes that share the most common code.
    """

    share_of_ones: Reals
    entropy: Reals
    correlation: Reals
    effective_bits: float
    n_codes: int
    n_distinct: int
    largest_bucket: int

    @property
    def n_dead(self) -> int:
        """Bits that are the same in at least 99 % of the codes."""
        return int(((self.share_of_ones <= 0.01) | (self.share_of_ones >= 0.99)).sum())

    @property
    def n_correlated(self) -> int:
        """Pairs of bits whose correlation is 0.9 or more."""
        return int((np.triu(self.correlation, 1) >= 0.9).sum())

    @property
    def collision_rate(self) -> float:
        """Share of codes that are not the first of their kind."""
        return 1 - self.n_distinct / self.n_codes

    def to_json(self) -> dict[str, Any]:
        """Return the numbers without the matrix."""
        return {
            "n_codes": self.n_codes,
            "n_distinct": self.n_distinct,
            "largest_bucket": self.largest_bucket,
            "collision_rate": self.collision_rate,
            "n_dead": self.n_dead,
            "n_correlated": self.n_correlated,
            "effective_bits": self.effective_bits,
            "mean_entropy": float(self.entropy.mean()),
            "share_of_ones": self.share_of_ones.tolist(),
        }


@dataclass(frozen=True)
class Pairs:
    """Distances between images and captions.

    Attributes:
        true_at: (n_bits + 1,) own pairs at each distance.
        false_at: (n_bits + 1,) drawn pairs of an image and a caption of another class (or of another image).
        image_at: (n_bits + 1,) drawn pairs of two such images.
        caption_at: (n_bits + 1,) drawn pairs of two such captions.
    """

    true_at: Counts
    false_at: Counts
    image_at: Counts
    caption_at: Counts

    @property
    def auc(self) -> float:
        """Probability that a true pair is nearer than a false one, ties counted half."""
        beyond = self.false_at.sum() - np.cumsum(self.false_at) + self.false_at / 2
        return float((self.true_at * beyond).sum() / max(1, self.true_at.sum() * self.false_at.sum()))

    @property
    def gap(self) -> float:
        """Modality gap: bits by which strangers of two modalities are farther apart than those of one, on average."""
        return mean_distance(self.false_at) - (mean_distance(self.image_at) + mean_distance(self.caption_at)) / 2

    def to_json(self) -> dict[str, Any]:
        """Return the histograms and what follows from them."""
        return {
            "mean_true": mean_distance(self.true_at),
            "mean_false": mean_distance(self.false_at),
            "auc": self.auc,
            "gap": self.gap,
            **{name: counts.tolist() for name, counts in vars(self).items()},
        }


@dataclass(frozen=True)
class Diagnosis:
    """All numbers of a hasher's codes on one data set.

    Attributes:
        n_bits: width of the codes.
        images: bits of the codes of images.
        captions: bits of the codes of captions.
        pairs: distances between the two.
    """

    n_bits: int
    images: Bits
    captions: Bits
    pairs: Pairs

    def to_json(self) -> dict[str, Any]:
        """Return the diagnosis as plain data."""
        return {
            "n_bits": self.n_bits,
            "images": self.images.to_json(),
            "captions": self.captions.to_json(),
            "pairs": self.pairs.to_json(),
        }


def diagnose(images: Any, captions: Any, owners: Any, n_bits: int, *, labels: Any = None, seed: int = 0) -> Diagnosis:
    """Look at the codes of images and of their captions.

    Args:
        images: (N, n_bytes) uint8.
        captions: (M, n_bytes) uint8.
        owners: (M,) integers, the image of each caption.
        n_bits: width of the codes.
        labels: (N,) integers, classes of the images; strangers are then of two classes, otherwise two images.
        seed: of the pairs that are drawn.

    Raises:
        TypeError, ValueError: if codes, owners or labels do not fit, there are fewer than two images, no caption, or
            all images are of one class.

    >>> codes = np.array([[0b1100], [0b0011]], np.uint8) << 4
    >>> found = diagnose(codes, codes, [0, 1], n_bits=4)
    >>> found.pairs.auc, found.images.n_dead, found.images.effective_bits
    (1.0, 0, 1.0)
    """
    image_codes = check_codes(images, "codes of images", n_bits)
    caption_codes = check_codes(captions, "codes of captions", n_bits)
    of_image = np.asarray(owners)
    if of_image.shape != (len(caption_codes),) or not np.issubdtype(of_image.dtype, np.integer):
        raise ValueError(f"owners must be one image row for each of {len(caption_codes)} captions")
    if len(image_codes) < 2 or not len(caption_codes):
        raise ValueError(f"{len(image_codes)} images and {len(caption_codes)} captions; expected 2 and 1 or more")
    if of_image.min() < 0 or of_image.max() >= len(image_codes):
        raise ValueError(f"owners name rows {of_image.min()} to {of_image.max()}; there are {len(image_codes)} images")
    groups = np.arange(len(image_codes)) if labels is None else np.asarray(labels)
    if groups.shape != (len(image_codes),):
        raise ValueError(f"labels must be one class for each of {len(image_codes)} images, got shape {groups.shape}")
    if (groups == groups[0]).all():
        raise ValueError("all images are of one class, so there are no strangers: leave the labels out")
    rng = np.random.default_rng(seed)
    return Diagnosis(
        n_bits,
        _bits(image_codes, n_bits, rng),
        _bits(caption_codes, n_bits, rng),
        Pairs(
            _histogram(image_codes[of_image], caption_codes, n_bits),
            _strangers(image_codes, groups, caption_codes, groups[of_image], n_bits, rng),
            _strangers(image_codes, groups, image_codes, groups, n_bits, rng),
            _strangers(caption_codes, groups[of_image], caption_codes, groups[of_image], n_bits, rng),
        ),
    )


def mean_distance(counts: Counts) -> float:
    """Return the mean distance of a histogram, 0 where it is empty."""
    return float((counts * np.arange(len(counts))).sum() / max(1, counts.sum()))


def _bits(codes: Codes, n_bits: int, rng: np.random.Generator) -> Bits:
    _, sizes = np.unique(np.ascontiguousarray(codes).view(f"V{codes.shape[1]}"), return_counts=True)
    ones = _share_of_ones(codes, n_bits)
    most = BITS_AT_ONCE // n_bits
    some = codes if len(codes) <= most else codes[rng.choice(len(codes), most, replace=False)]
    signs = unpack_codes(some, n_bits).astype(np.float64)
    covariance = np.cov(signs, rowvar=False, bias=True).reshape(n_bits, n_bits)
    deviations = np.sqrt(np.diag(covariance))
    scale = np.outer(deviations, deviations)
    correlation = np.abs(np.divide(covariance, scale, out=np.zeros_like(covariance), where=scale > 0))
    np.fill_diagonal(correlation, 0.0)
    squares = float((covariance**2).sum())  # the sum of the squared eigenvalues
    effective = float(np.trace(covariance)) ** 2 / squares if squares > 0 else 0.0
    return Bits(ones, _entropy(ones), correlation, effective, len(codes), len(sizes), int(sizes.max()))


def _share_of_ones(codes: Codes, n_bits: int) -> Reals:
    total = np.zeros(n_bits)
    step = BITS_AT_ONCE // n_bits
    for start in range(0, len(codes), step):
        total += np.unpackbits(codes[start : start + step], axis=1, count=n_bits).sum(axis=0)
    return total / len(codes)


def _entropy(shares: Reals) -> Reals:
    """Return the entropy in bits of yes-or-no events of the given probabilities."""
    inside = np.clip(shares, 1e-300, 1 - 1e-16)
    parts: Reals = -(inside * np.log2(inside) + (1 - inside) * np.log2(1 - inside))
    return np.where((shares <= 0) | (shares >= 1), 0.0, parts)


def _strangers(
    first: Codes, first_groups: Any, second: Codes, second_groups: Any, n_bits: int, rng: np.random.Generator
) -> Counts:
    """Draw pairs of different groups and count their distances."""
    one, other = rng.integers(len(first), size=FALSE_PAIRS), rng.integers(len(second), size=FALSE_PAIRS)
    apart = first_groups[one] != second_groups[other]
    return _histogram(first[one[apart]], second[other[apart]], n_bits)


def _histogram(first: Codes, second: Codes, n_bits: int) -> Counts:
    """Count the distances of rows that stand side by side, (n_bits + 1,)."""
    distances = np.bitwise_count(first ^ second).sum(axis=1, dtype=np.int64)
    return np.bincount(distances, minlength=n_bits + 1)
