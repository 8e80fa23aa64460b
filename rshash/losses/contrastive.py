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
