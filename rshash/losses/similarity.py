"""Similarity losses: how alike two codes are is drawn to how alike their items are, for every two items of a batch."""

import torch
from torch import Tensor
from torch.nn import functional


def similarity_error(first: Tensor, second: Tensor, target: Tensor) -> Tensor:
    """Squared error of cosines against a target similarity (DJSRH, Su et al. ICCV 2019; JDSH; DGCPN).

    Args:
        first: (B, n_bits) relaxed codes.
        second: (B, n_bits) relaxed codes.
        target: (B, B) similarity of item i of the one with item j of the other, may exceed 1.

    Returns:
        (B,) mean over j of (cos(first_i, second_j) - target_ij)².

    >>> similarity_error(torch.eye(2), torch.eye(2), torch.ones(2, 2))
    tensor([0.5000, 0.5000])
    """
    cosines = functional.normalize(first, dim=1) @ functional.normalize(second, dim=1).T  # (B, B)
    return ((cosines - target) ** 2).mean(dim=1)


def inner_product(first: Tensor, second: Tensor, relevant: Tensor, balanced: bool = False) -> Tensor:
    """Squared error of inner products: n_bits where relevant, -n_bits where not (the review of 2025, eq. 7).

    Source: Remote Sens. 17:3995. Taken over n_bits², so that it does not grow with the codes: (<u, v> / n_bits - s)².

    Args:
        first: (B, n_bits) relaxed codes u.
        second: (M, n_bits) relaxed codes v.
        relevant: (B, M) bool.
        balanced: let relevant and irrelevant pairs of a row weigh the same, however few the relevant ones are. Without
            it a batch with few relevant pairs is fitted best by sending all ``first`` to one code and all ``second`` to
            its opposite.

    Returns:
        (B,) mean over j; of a row without relevant or irrelevant pairs that half is 0.

    >>> inner_product(torch.ones(2, 4), torch.ones(2, 4), torch.eye(2) > 0)
    tensor([2., 2.])
    """
    errors = (first @ second.T / first.shape[1] - torch.where(relevant, 1.0, -1.0)) ** 2  # (B, B)
    return _mean_over_pairs(errors, relevant, balanced)


def pairwise_likelihood(first: Tensor, second: Tensor, relevant: Tensor, balanced: bool = False) -> Tensor:
    """Negative log-likelihood of relevance (DCMH, Jiang & Li CVPR 2017, eq. 1): log(1 + e^Θ) - s Θ, s = 1 or 0.

    Θ = <u, v> / 2 is the logit of two items being relevant to each other.

    Args:
        first: (B, n_bits) relaxed codes or features u.
        second: (M, n_bits) relaxed codes or features v.
        relevant: (B, M) bool.
        balanced: as in `inner_product`.

    Returns:
        (B,) mean over j.

    >>> pairwise_likelihood(torch.zeros(1, 4), torch.zeros(1, 4), torch.eye(1) > 0)      # log 2: it cannot tell
    tensor([0.6931])
    """
    logits = first @ second.T / 2  # (B, B)
    return _mean_over_pairs(functional.softplus(torch.where(relevant, -logits, logits)), relevant, balanced)


def _mean_over_pairs(values: Tensor, relevant: Tensor, balanced: bool) -> Tensor:
    if not balanced:
        return values.mean(dim=1)
    of_relevant, of_others = (
        (values * which).sum(dim=1) / which.sum(dim=1).clamp(min=1) for which in (relevant, ~relevant)
    )
    return (of_relevant + of_others) / 2
