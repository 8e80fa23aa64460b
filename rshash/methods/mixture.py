"""Trust in pairs: losses of image-caption pairs in, the probability that each is right out, without any truth."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

REFERENCES = 2048
"""A pair is told apart from at most this many images and captions, so that time and memory grow with N."""

WAY_TO_SHUFFLED = 0.72
"""Where wrong pairs are at least, from the lowest losses to those of shuffled pairs. They are at 0.9 where there are
any; the tail of clean data is at 0.7 at most (UCM and RSICD)."""

_MEANS = [0.0, 0.0, 0.6], [0.45, 0.45, 1.1]
"""Lowest and highest means on that way: of right pairs, of right ones hard to tell apart, and of wrong ones."""

_LEARNT, _LEARNT_BELOW, _LEARNT_WIDTH = 0.25, 1.8, 1.5
"""Share of the wrong pairs that are half learnt, how far below the others, and how widely spread, in deviations."""

_NARROWEST = 1e-3

_STEPS = 500

_AT_ONCE = 1024


def matching_losses(
    images: Tensor, captions: Tensor, temperature: float, owners: Tensor, shuffled: Tensor
) -> tuple[Tensor, Tensor]:
    """Cross entropy of finding caption and image of each pair among all, the mean of both directions.

    Args:
        images: (N, n_bits) codes of length 1.
        captions: (M, n_bits) codes of length 1.
        temperature: above 0; lower than in training, so that a partner must be near to be found.
        owners: (M,) row of the image of each caption.
        shuffled: (M,) row of another image for each caption.

    Returns:
        (M,) losses of the pairs, and (M,) of the captions with the other images. Beyond `REFERENCES` images, or
        captions, a partner is told apart from evenly spaced ones.

    >>> matching_losses(torch.eye(2), torch.eye(2), 1.0, torch.tensor([0, 1]), torch.tensor([1, 0]))
    (tensor([0.3133, 0.3133]), tensor([1.3133, 1.3133]))
    """
    of_images, known_captions = _sums(images, captions, temperature)
    of_captions, known_images = _sums(captions, images, temperature)

    def losses(partners: Tensor) -> Tensor:
        own = (images[partners] * captions).sum(dim=1) / temperature
        total = torch.zeros_like(own)
        for sums, known in ((of_images[partners], known_captions), (of_captions, known_images[partners])):
            total += torch.where(known, sums, torch.logaddexp(sums, own)) - own
        return total / 2

    return losses(owners), losses(shuffled)


def _sums(queries: Tensor, database: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Return the logarithm of the sum over the references, for each query, and which of the database these are."""
    rows = torch.linspace(0, len(database) - 1, min(REFERENCES, len(database)), device=database.device).long()
    known = torch.zeros(len(database), dtype=torch.bool, device=database.device).index_fill(0, rows, True)
    parts = torch.split(queries, _AT_ONCE)
    return torch.cat([(part @ database[rows].T / temperature).logsumexp(dim=1) for part in parts]), known


def clean_probabilities(losses: NDArray[np.floating], shuffled: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probability that each pair is right, from a mixture of normal distributions of losses.

    Wrong pairs are learnt later than right ones, so early in training losses have two modes (Arazo et al., ICML 2019;
    Li et al., DivideMix, ICLR 2020). Right pairs have a long tail beside, of scenes and sentences that are hard to tell
    apart; two distributions alone take it for the wrong ones where these are few. So right pairs have two, and that
    of wrong pairs is held near the losses of pairs that are wrong on purpose, with a tail below it, of wrong ones that
    are half learnt. Shares are estimated with the rest.

    Args:
        losses: (N,) finite.
        shuffled: losses of the same items, paired at random.

    Returns:
        (N,) in 0..1, falling with the loss; ones where no losses gather near those of the shuffled pairs.

    >>> losses = np.concatenate([np.linspace(0, 2, 90), np.linspace(9, 10, 10)])
    >>> clean_probabilities(losses, np.linspace(9, 11, 100))[[0, 89, 90, 99]].round(3)
    array([1., 1., 0., 0.])
    >>> bool((clean_probabilities(losses, np.linspace(20, 22, 100)) == 1).all())
    True
    """
    values, reference = np.asarray(losses, dtype=np.float64), np.asarray(shuffled, dtype=np.float64)
    if len(values) < 2 or np.ptp(values) < 1e-9:
        return np.ones(len(values))
    lowest = np.quantile(values, 0.02)
    far = reference.mean() - lowest
    if not far > 0:
        return np.ones(len(values))
    values, spread = (values - lowest) / far, max(float(reference.std()) / far, _NARROWEST)  # shuffled pairs around 1
    means = np.array([np.quantile(values, 0.2), 0.3, 0.95])
    deviations, shares = np.array([0.05, 0.15, spread]), np.array([0.5, 0.25, 0.25])
    for _ in range(_STEPS):
        centres = np.append(means, means[2] - _LEARNT_BELOW * deviations[2])
        widths = np.append(deviations, _LEARNT_WIDTH * deviations[2])
        parts = np.append(shares, shares[2]) * [1, 1, 1 - _LEARNT, _LEARNT]
        logits = np.log(parts / widths) - ((values[:, None] - centres) / widths) ** 2 / 2
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        known = weights[:, :3]  # the fourth follows the third
        counts = known.sum(axis=0) + 1e-9
        means = np.clip(values @ known / counts, *_MEANS)
        variances = ((values[:, None] - means) ** 2 * known).sum(axis=0) / counts
        deviations = np.clip(np.sqrt(variances), [_NARROWEST, _NARROWEST, 0.7 * spread], [0.25, 0.25, 1.5 * spread])
        wrong = weights[:, 2] + weights[:, 3]
        before, shares = shares, np.append(counts[:2] / len(values), max(wrong.mean(), 1e-9))
        if np.abs(shares - before).max() < 1e-6:
            break
    if means[2] < WAY_TO_SHUFFLED:
        return np.ones(len(values))
    probabilities: NDArray[np.float64] = 1 - wrong
    # The widest distribution also claims the lowest losses; a pair is no less right than one of higher loss.
    order = np.argsort(values, kind="stable")
    probabilities[order] = np.maximum.accumulate(probabilities[order][::-1])[::-1]
    return probabilities


def mean_code(codes: Tensor) -> Tensor:
    """Mean direction of (n, B, n_bits) relaxed codes of the same items, (B, n_bits) of length 1.

    >>> mean_code(torch.tensor([[[2.0, 0.0]], [[0.0, 1.0]]]))
    tensor([[0.7071, 0.7071]])
    """
    return functional.normalize(functional.normalize(codes, dim=2).mean(dim=0), dim=1)
