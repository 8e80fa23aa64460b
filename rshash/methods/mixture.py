"""Trust in pairs: losses of image-caption pairs in, the probability that each is right out, without any truth."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from rshash.extras import require

REFERENCES = 8192
"""A pair is told apart from at most this many others, so that time and memory grow with N, not with its square."""

WAY_TO_SHUFFLED = 0.4
"""Between clean data, where it is .2 to .3, and a fifth of wrong pairs, where it is .6 to .8 (UCM and RSICD)."""

_AT_ONCE = 1024


def matching_losses(images: Tensor, captions: Tensor, temperature: float, shuffled: Tensor) -> tuple[Tensor, Tensor]:
    """Cross entropy of finding the partner of each pair among all pairs, the mean of both directions.

    Args:
        images: (N, n_bits) codes of length 1.
        captions: (N, n_bits) codes of length 1.
        temperature: above 0; lower than in training, so that a partner must be near to be found.
        shuffled: (N,) caption of another pair for each image.

    Returns:
        (N,) losses of the pairs, and (N,) of the images with the captions of others, among the same. Beyond
        `REFERENCES` pairs a partner is told apart from evenly spaced ones.

    >>> matching_losses(torch.eye(2), torch.eye(2), temperature=1.0, shuffled=torch.tensor([1, 0]))
    (tensor([0.3133, 0.3133]), tensor([1.3133, 1.3133]))
    """
    n, device = len(images), images.device
    rows = torch.arange(n, device=device)
    others = rows if n <= REFERENCES else torch.linspace(0, n - 1, REFERENCES, device=device).long()
    counted = torch.zeros(n, dtype=torch.bool, device=device).index_fill(0, others, True)
    of_images, of_captions = (
        torch.cat(
            [(part @ database[others].T / temperature).logsumexp(dim=1) for part in torch.split(queries, _AT_ONCE)]
        )
        for queries, database in ((images, captions), (captions, images))
    )  # (N,) each: the logarithm of the sum over the others

    def losses(partners: Tensor) -> Tensor:
        own = (images * captions[partners]).sum(dim=1) / temperature
        total = torch.zeros_like(own)
        for sums, known in ((of_images, counted[partners]), (of_captions[partners], counted)):
            total += torch.where(known, sums, torch.logaddexp(sums, own)) - own
        return total / 2

    return losses(rows), losses(shuffled)


def clean_probabilities(losses: NDArray[np.floating], shuffled: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probability that each pair belongs to the low one of two normal distributions of losses.

    Wrong pairs are learnt later than right ones, so early in training losses have two modes (Arazo et al., ICML 2019;
    Li et al., DivideMix, ICLR 2020). The share of wrong pairs is estimated with the rest. Two normal distributions fit
    the long tail of right pairs, too; so the high mode must also reach towards the losses of pairs that are wrong on
    purpose.

    Args:
        losses: (N,) finite.
        shuffled: (N,) losses of the same items, paired at random.

    Returns:
        (N,) in 0..1; ones where the high mode is less than `WAY_TO_SHUFFLED` of the way from the low one to the mean of
        the shuffled pairs.

    Raises:
        ImportError: if scikit-learn is missing.

    >>> clean_probabilities(np.array([0.0, 0.1, 0.2, 5.0, 5.1]), np.full(5, 6.0)).round(3)
    array([1., 1., 1., 0., 0.])
    >>> clean_probabilities(np.array([0.0, 0.1, 0.2, 5.0, 5.1]), np.full(5, 60.0)).round(3)
    array([1., 1., 1., 1., 1.])
    """
    column = np.asarray(losses, dtype=np.float64)[:, None]
    far = np.asarray(shuffled, dtype=np.float64).mean() - column.mean()
    if len(column) < 2 or not far > 0 or np.ptp(column) < 1e-9:
        return np.ones(len(column))
    column = (column - column.mean()) / far  # the shuffled pairs at 1
    mixture = require("sklearn.mixture", "train").GaussianMixture(2, reg_covar=1e-5, random_state=0).fit(column)
    low, high = np.sort(mixture.means_[:, 0])
    if high - low < WAY_TO_SHUFFLED * (1 - low):
        return np.ones(len(column))
    probabilities: NDArray[np.float64] = mixture.predict_proba(column)[:, mixture.means_[:, 0].argmin()]
    # The wider mode also claims the lowest losses; a pair is no less right than one of higher loss.
    order = np.argsort(column[:, 0], kind="stable")
    probabilities[order] = np.maximum.accumulate(probabilities[order][::-1])[::-1]
    return probabilities


def mean_code(codes: Tensor) -> Tensor:
    """Mean direction of (n, B, n_bits) relaxed codes of the same items, (B, n_bits) of length 1.

    >>> mean_code(torch.tensor([[[2.0, 0.0]], [[0.0, 1.0]]]))
    tensor([[0.7071, 0.7071]])
    """
    return functional.normalize(functional.normalize(codes, dim=2).mean(dim=0), dim=1)
