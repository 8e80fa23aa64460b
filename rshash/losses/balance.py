"""Balance losses: as many ones as zeros, within a bit over the batch or within a code over its bits."""

import torch
from torch import Tensor
from torch.nn import functional


def bit_balance(relaxed: Tensor) -> Tensor:
    """Squared sum of each bit over the batch: 0 where half of the items set it (Weiss et al. 2008).

    Args:
        relaxed: (B, n_bits) relaxed codes.

    Returns:
        (n_bits,) squared sums.

    >>> import torch
    >>> bit_balance(torch.tensor([[1.0, 1.0], [1.0, -1.0]]))
    tensor([4., 0.])
    """
    return relaxed.sum(dim=0) ** 2


def code_balance(relaxed: Tensor) -> Tensor:
    """Squared sum of each code over its bits: 0 where half of its bits are set (the released code of DUCH).

    Args:
        relaxed: (B, n_bits) relaxed codes.

    Returns:
        (B,) squared sums.

    >>> import torch
    >>> code_balance(torch.tensor([[1.0, 1.0], [1.0, -1.0]]))
    tensor([4., 0.])
    """
    return relaxed.sum(dim=1) ** 2


def decorrelation(relaxed: Tensor) -> Tensor:
    """Squared correlations of each bit with the others over the batch: 0 where no two bits say the same.

    Correlations are about 0, not about the mean of a bit: a bit that never changes is as redundant as a copy.

    Args:
        relaxed: (B, n_bits) relaxed codes.

    Returns:
        (n_bits,) mean squared correlation with the other bits; 0 of a single bit.

    >>> import torch
    >>> decorrelation(torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, -1.0]]))
    tensor([0.5000, 0.5000, 0.0000])
    """
    bits = functional.normalize(relaxed, dim=0)
    squares = (bits.T @ bits) ** 2  # (n_bits, n_bits)
    others = 1 - torch.eye(len(squares), dtype=squares.dtype, device=squares.device)
    return (squares * others).sum(dim=1) / max(1, len(squares) - 1)
