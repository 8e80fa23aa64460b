"""Contrastive losses: a pair is pulled together and apart from the rest of the batch."""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

SelfTerm = Literal["masked", "constant e"]


def nt_xent(first: Tensor, second: Tensor, temperature: float = 1.0, self_term: SelfTerm = "masked") -> Tensor:
    """Normalised temperature-scaled cross entropy over the 2B rows of a batch (SimCLR, Chen et al. 2020, eq. 1).

    Row i of ``first`` and row i of ``second`` are a pair; every other row of both is a negative, those of the same
    side included. DUCH (arXiv 2201.08125) takes the sum over the batch at temperature 1.

    Args:
        first: (B, n_bits) relaxed codes, of any length.
        second: (B, n_bits) relaxed codes.
        temperature: above 0.
        self_term: how a row is kept out of its own negatives. "masked" leaves it out. "constant e" subtracts e from
            the denominator as the code released with DUCH does, right only at temperature 1.

    Returns:
        (B,) loss of each pair: the sum of its two rows.

    Raises:
        ValueError: if shapes differ or ``temperature`` is not positive.

    >>> nt_xent(torch.eye(2), torch.eye(2))      # each row: -log(e / (e + 1 + 1))
    tensor([1.1029, 1.1029])
    """
    if first.shape != second.shape or first.ndim != 2:
        raise ValueError(
            f"a pair needs two (B, n_bits) tensors of one shape, got {tuple(first.shape)} and {tuple(second.shape)}"
        )
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; expected a number above 0")
    z = functional.normalize(torch.cat([first, second]), dim=1)  # (2B, n_bits)
    logits = z @ z.T / temperature  # (2B, 2B)
    n = len(first)
    positives = torch.cat([logits.diagonal(n), logits.diagonal(-n)])  # (2B,)
    if self_term == "constant e":
        normaliser = (logits.exp().sum(dim=1) - math.e).log()
    else:
        own = torch.eye(2 * n, dtype=torch.bool, device=logits.device)
        normaliser = logits.masked_fill(own, float("-inf")).logsumexp(dim=1)
    return (normaliser - positives).view(2, n).sum(dim=0)


def info_nce(first: Tensor, second: Tensor, temperature: float = 1.0) -> Tensor:
    """Cross entropy of finding the partner among the other side of the batch (InfoNCE, van den Oord et al. 2018).

    Unlike `nt_xent` the rows of the same side are no negatives. The mean of both directions, as CLIP.

    Args:
        first: (B, n_bits) relaxed codes, of any length.
        second: (B, n_bits) relaxed codes.
        temperature: above 0.

    Returns:
        (B,) loss of each pair.

    >>> info_nce(torch.eye(2), torch.eye(2))      # -log(e / (e + 1))
    tensor([0.3133, 0.3133])
    """
    logits = functional.normalize(first, dim=1) @ functional.normalize(second, dim=1).T / temperature  # (B, B)
    partners = logits.diagonal()
    return (logits.logsumexp(dim=1) + logits.logsumexp(dim=0)) / 2 - partners


def soft_info_nce(
    first: Tensor, second: Tensor, targets: Tensor, backward_targets: Tensor, temperature: float = 1.0
) -> Tensor:
    """`info_nce` with several partners: cross entropy with given shares of the other side of the batch.

    Args:
        first: (B, n_bits) relaxed codes, of any length.
        second: (B, n_bits) relaxed codes.
        targets: (B, B) shares of ``second`` that each row of ``first`` is to find, at least 0; a row that adds up to
            less than 1 counts less.
        backward_targets: (B, B) shares of ``first`` that each row of ``second`` is to find.
        temperature: above 0.

    Returns:
        (B,) loss of each row, the mean of both directions.

    >>> soft_info_nce(torch.eye(2), torch.eye(2), torch.eye(2), torch.eye(2))      # as info_nce
    tensor([0.3133, 0.3133])
    """
    logits = functional.normalize(first, dim=1) @ functional.normalize(second, dim=1).T / temperature  # (B, B)
    forward, backward = logits.log_softmax(dim=1), logits.T.log_softmax(dim=1)
    return -((targets * forward).sum(dim=1) + (backward_targets * backward).sum(dim=1)) / 2


def bank_contrast(codes: Tensor, bank: Tensor, positives: Tensor, left_out: Tensor, temperature: float) -> Tensor:
    """Cross entropy of finding a row's own entry in a memory bank (UCCH, Hu et al. TPAMI 2023, eq. 5).

    Args:
        codes: (B, n_bits) of length 1.
        bank: (N, n_bits) entries without gradient.
        positives: (B, n_bits) the own entry of each row.
        left_out: (B, N) bool, entries that are no negatives of a row: its own, and whatever else a method spares.
        temperature: above 0.

    Returns:
        (B,) loss of each row; 0 where no negative is left.

    >>> codes, left_out = torch.eye(2), torch.eye(2) > 0
    >>> bank_contrast(codes, codes, codes, left_out, temperature=1.0)
    tensor([0.3133, 0.3133])
    """
    own = (codes * positives).sum(dim=1, keepdim=True) / temperature  # (B, 1)
    others = (codes @ bank.T / temperature).masked_fill(left_out, float("-inf"))
    return torch.cat([own, others], dim=1).logsumexp(dim=1) - own.squeeze(1)
