"""Trust in pairs: losses of image-caption pairs in, the probability that each is right out, without any truth."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

REFERENCES = 2048
"""A pair is told apart from at most this many images and captions, so that time and memory grow with N."""

# What follows was chosen on the training halves of UCM and RSICD at split seed 42, with 0, 2, 5, 8, 20, 40 and 80 % of
# wrong captions. Losses are counted from the lowest, 0, to the mean of shuffled pairs, 1.

WAY_TO_SHUFFLED = 0.72
"""Least mean of wrong pairs. From 5 % of these on it is found above 0.85; on clean data the tail settles below 0.69."""

_MEANS = [0.0, 0.0, 0.6], [0.45, 0.45, 1.1]
"""Lowest and highest means: of right pairs, of right ones hard to tell apart, and of wrong ones."""

_LEARNT, _LEARNT_BELOW, _LEARNT_WIDTH = 0.25, 1.8, 1.5
"""Share of the wrong pairs that are half learnt, how far below the others, and how widely spread, in their deviations.
Without them a fifteenth of the wrong captions of UCM pass for right ones at 40 %, with them a sixtieth."""

_NARROWEST = 1e-3
"""Least deviation, so that equal losses divide by no zero."""

_FEWEST = 30
"""Pairs below which there is no telling."""

_STEPS = 500
"""Most steps of the fit; 30 to 150 do."""

_FITTED = 4096
"""Losses that the mixture is fitted to, evenly spaced by rank."""

_AT_ONCE = 256  # so that a part stays in the cache


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
        (N,) in 0..1, falling with the loss; ones where no losses gather near those of the shuffled pairs, and below
        `_FEWEST` pairs. Beyond nine tenths of wrong pairs the right ones are no longer told from them.

    >>> losses = np.concatenate([np.linspace(0, 2, 90), np.linspace(9, 10, 10)])
    >>> clean_probabilities(losses, np.linspace(9, 11, 100))[[0, 89, 90, 99]].round(3)
    array([1., 1., 0., 0.])
    >>> bool((clean_probabilities(losses, np.linspace(20, 22, 100)) == 1).all())
    True
    """
    values, reference = np.asarray(losses, dtype=np.float64), np.asarray(shuffled, dtype=np.float64)
    if len(values) < _FEWEST or np.ptp(values) < 1e-9:
        return np.ones(len(values))
    lowest = np.quantile(values, 0.02)
    far = reference.mean() - lowest
    if not far > 0:
        return np.ones(len(values))
    values, spread = (values - lowest) / far, max(float(reference.std()) / far, _NARROWEST)  # shuffled pairs around 1
    order = np.argsort(values, kind="stable")
    some = values[order[np.linspace(0, len(order) - 1, min(_FITTED, len(order))).astype(np.int64)]]
    means = np.array([np.quantile(values, 0.2), 0.3, 0.95])
    deviations, shares = np.array([0.05, 0.15, spread]), np.array([0.5, 0.25, 0.25])
    for _ in range(_STEPS):
        weights = _weights(some, means, deviations, shares)
        known = weights[:, :3]  # the fourth follows the third
        counts = known.sum(axis=0) + 1e-9
        means = np.clip(some @ known / counts, *_MEANS)
        variances = ((some[:, None] - means) ** 2 * known).sum(axis=0) / counts
        deviations = np.clip(np.sqrt(variances), [_NARROWEST, _NARROWEST, 0.7 * spread], [0.25, 0.25, 1.5 * spread])
        before, shares = shares, np.maximum([*weights[:, :2].mean(axis=0), weights[:, 2:].sum(axis=1).mean()], 1e-9)
        if np.abs(shares - before).max() < 1e-6:
            break
    if means[2] < WAY_TO_SHUFFLED:
        return np.ones(len(values))
    probabilities: NDArray[np.float64] = _weights(values, means, deviations, shares)[:, :2].sum(axis=1)
    # The widest distribution also claims the lowest losses; a pair is no less right than one of higher loss.
    probabilities[order] = np.maximum.accumulate(probabilities[order][::-1])[::-1]
    return probabilities


def _weights(
    values: NDArray[np.float64],
    means: NDArray[np.float64],
    deviations: NDArray[np.float64],
    shares: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return (N, 4): of a right pair, a right one that is hard to tell apart, a wrong one, a half-learnt wrong one."""
    centres = np.append(means, means[2] - _LEARNT_BELOW * deviations[2])
    widths = np.append(deviations, _LEARNT_WIDTH * deviations[2])
    parts = np.append(shares, shares[2]) * [1, 1, 1 - _LEARNT, _LEARNT]
    logits = np.log(parts / widths) - ((values[:, None] - centres) / widths) ** 2 / 2
    weights: NDArray[np.float64] = np.exp(logits - logits.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def mean_code(codes: Tensor) -> Tensor:
    """Mean direction of (n, B, n_bits) relaxed codes of the same items, (B, n_bits) of length 1.

    >>> mean_code(torch.tensor([[[2.0, 0.0]], [[0.0, 1.0]]]))
    tensor([[0.7071, 0.7071]])
    """
    return functional.normalize(functional.normalize(codes, dim=2).mean(dim=0), dim=1)
