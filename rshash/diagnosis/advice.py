"""A diagnosis in, sentences out: which number is out of bounds, and what to try about it."""

from collections.abc import Callable
from dataclasses import dataclass

from rshash.diagnosis.numbers import Diagnosis, mean_distance


@dataclass(frozen=True)
class Rule:
    """One thing that can be wrong.

    Attributes:
        what: what is measured.
        measure: diagnosis → the number.
        least: bound below which it is wrong, or None.
        most: bound above which it is wrong, or None.
        remedy: what to try.
    """

    what: str
    measure: Callable[[Diagnosis], float]
    least: float | None
    most: float | None
    remedy: str

    def wrong(self, diagnosis: Diagnosis) -> bool:
        """Say whether the number is out of its bounds."""
        value = self.measure(diagnosis)
        return (self.least is not None and value < self.least) or (self.most is not None and value > self.most)

    def sentence(self, diagnosis: Diagnosis) -> str:
        """Return what was found, what was expected and what to try."""
        bound = f"at least {self.least:g}" if self.least is not None else f"at most {self.most:g}"
        return f"{self.what} is {self.measure(diagnosis):.3g}, expected {bound}: {self.remedy}"


def _dead(diagnosis: Diagnosis) -> float:
    return max(diagnosis.images.n_dead, diagnosis.captions.n_dead) / diagnosis.n_bits


def _correlated(diagnosis: Diagnosis) -> float:
    return max(diagnosis.images.n_correlated, diagnosis.captions.n_correlated) / diagnosis.n_bits


def _effective(diagnosis: Diagnosis) -> float:
    return min(diagnosis.images.effective_bits, diagnosis.captions.effective_bits) / diagnosis.n_bits


def _gap(diagnosis: Diagnosis) -> float:
    return diagnosis.pairs.gap / diagnosis.n_bits


def _true_share(diagnosis: Diagnosis) -> float:
    strangers = mean_distance(diagnosis.pairs.false_at)
    return mean_distance(diagnosis.pairs.true_at) / strangers if strangers else 1.0


RULES = (
    Rule(
        "the share of dead bits (the same in 99 % of the codes)",
        _dead,
        None,
        0.05,
        "raise the weight of the balance term over the batch, lower that of quantization, or take fewer bits",
    ),
    Rule(
        "the number of pairs of bits with a correlation of 0.9 or more, for each bit,",
        _correlated,
        None,
        0.05,
        "add a decorrelation term or rotate the codes (ITQ), or take fewer bits: these say the same twice",
    ),
    Rule(
        "the effective number of bits, as a share of all,",
        _effective,
        0.1,
        None,
        "the codes vary in few directions: raise the temperature of the contrast or the weight of balance; C classes "
        "that stand apart fill about C - 1 directions, and fewer bits do as well",
    ),
    Rule(
        "the probability that a true pair is nearer than a false one",
        lambda diagnosis: diagnosis.pairs.auc,
        0.95,
        None,
        "the modalities are not aligned: train longer, use more captions an image, look for wrong pairs in the data",
    ),
    Rule(
        "the mean distance of true pairs over that of false ones",
        _true_share,
        None,
        0.5,
        "pairs are pulled together too weakly: raise the weight between modalities, or lower the temperature",
    ),
    Rule(
        "the modality gap, as a share of the bits,",
        _gap,
        None,
        0.05,
        "images and captions keep to their own parts of the space: raise the weight of the terms between modalities, "
        "or add an adversarial one",
    ),
    Rule(
        "the share of images whose code another image has already",
        lambda diagnosis: diagnosis.images.collision_rate,
        None,
        0.5,
        "ties will decide the ranking: take more bits, or lower the weight of quantization",
    ),
)
"""Bounds are rules of thumb: codes within all of them can still retrieve badly, and good ones may break one."""


def advise(diagnosis: Diagnosis) -> list[str]:
    """Return a sentence for each rule that the codes break: the number, its bound and what to try.

    >>> import numpy as np
    >>> from rshash.diagnosis import diagnose
    >>> constant = np.zeros((4, 1), np.uint8)
    >>> print(advise(diagnose(constant, constant, [0, 1, 2, 3], n_bits=8))[0][:75])
    the share of dead bits (the same in 99 % of the codes) is 1, expected at mo
    """
    return [rule.sentence(diagnosis) for rule in RULES if rule.wrong(diagnosis)]
