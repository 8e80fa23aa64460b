"""Ranking losses: a partner must come before the others by a margin."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Negatives = Literal["hardest", "all"]


def triplet(
    first: Tensor, second: Tensor, margin: float, negatives: Negatives = "hardest", relevant: Tensor | None = None
) -> Tensor:
    """Hinge of the cosine of a pair against those of its negatives (VSE++, Faghri et al. BMVC 2018, eq. 5 and 6).

    Args:
        first: (B, n_bits) embeddings or relaxed codes, of any length.
        second: (B, n_bits), row i the partner of row i of ``first``.
        margin: by which the partner must be nearer than a negative.
        negatives: "hardest" of each row and column (VSE++), or the sum over "all" of them (VSE).
        relevant: (B, B) bool, symmetric: pairs that are no negatives of each other; None leaves out partners only.

    Returns:
        (B,) loss of each pair, both directions; 0 where it has no negative.

    >>> triplet(torch.eye(2), torch.eye(2), margin=1.5)
    tensor([1., 1.])
    """
    cosines = functional.normalize(first, dim=1) @ functional.normalize(second, dim=1).T  # (B, B)
    partners = cosines.diagonal()
    if relevant is None:
        relevant = torch.eye(len(first), dtype=torch.bool, device=first.device)
    by_row = (margin + cosines - partners[:, None]).clamp(min=0).masked_fill(relevant, 0)
    by_column = (margin + cosines - partners[None, :]).clamp(min=0).masked_fill(relevant, 0)
    if negatives == "hardest":
        return by_row.amax(dim=1) + by_column.amax(dim=0)
    return by_row.sum(dim=1) + by_column.sum(dim=0)


def cross_modal_ranking(first: Tensor, second: Tensor, margin: float, shift: float) -> Tensor:
    """Log-sum-exp of a row's cosines against its partner's; those beaten by the margin are shifted down (UCCH, L_r).

    Hu et al. TPAMI 2023, as the released code: all negatives count, the hard ones more, so that a wrong negative does
    less harm than in `triplet`.

    Args:
        first: (B, n_bits) relaxed codes, of any length.
        second: (B, n_bits) relaxed codes.
        margin: by which the partner must be nearer than a negative.
        shift: taken off the cosines of negatives that are farther than that.

    Returns:
        (B,) loss of each pair, both directions.

    >>> cross_modal_ranking(torch.eye(2), torch.eye(2), margin=0.2, shift=1.0)      # 2 (log(e + e^-1) - 1 + 0.2)
    tensor([0.6539, 0.6539])
    """
    cosines = functional.normalize(first, dim=1) @ functional.normalize(second, dim=1).T  # (B, B)
    partners = cosines.diagonal()
    total = torch.full_like(partners, 2 * margin) - 2 * partners
    for dim, of_partner in ((1, partners[:, None]), (0, partners[None, :])):
        beaten = cosines < of_partner - margin
        total = total + (cosines - shift * beaten).logsumexp(dim=dim)
    return total
