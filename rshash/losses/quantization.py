"""Quantization losses: relaxed codes are drawn to the corners where they are binary."""

from torch import Tensor


def quantization(relaxed: Tensor, targets: Tensor) -> Tensor:
    """Squared distance of each relaxed code from its binary target (DUCH, arXiv 2201.08125, ||B - H||²).

    Args:
        relaxed: (B, n_bits) relaxed codes.
        targets: (B, n_bits) of ±1, without gradient.

    Returns:
        (B,) squared distances.

    >>> import torch
    >>> quantization(torch.tensor([[0.5, -1.0]]), torch.tensor([[1.0, 1.0]]))
    tensor([4.2500])
    """
    return ((targets - relaxed) ** 2).sum(dim=1)
