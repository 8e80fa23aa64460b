"""Balance losses: as many ones as zeros, within a bit over the batch or within a code over its bits."""

from torch import Tensor


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
