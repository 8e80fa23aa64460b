"""Adversarial losses: a discriminator tells modalities apart by their codes, the hash heads learn to fool it."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-log σ(real) - log(1 - σ(fake)) of each pair (Goodfellow et al. 2014, eq. 1).

    Args:
        real_logits: (B,) logits of the codes that are to be called real.
        fake_logits: (B,) logits of the others.

    Returns:
        (B,) loss of each pair.

    >>> discriminator_loss(torch.zeros(1), torch.zeros(1))      # 2 log 2: it cannot tell
    tensor([1.3863])
    """
    return functional.softplus(-real_logits) + functional.softplus(fake_logits)


def generator_loss(logits: Tensor) -> Tensor:
    """-log σ(logits) of each row: small where the discriminator takes the codes for real.

    Args:
        logits: (B,) logits of the codes that should fool it.

    Returns:
        (B,) loss of each row.

    >>> generator_loss(torch.tensor([0.0, -10.0]))
    tensor([ 0.6931, 10.0000])
    """
    return functional.softplus(-logits)


def gradient_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, shares: Tensor) -> Tensor:
    """Squared distance of the discriminator's slope from 1, between real and fake (WGAN-GP, Gulrajani et al. 2017).

    Args:
        discriminator: (B, n_bits) → (B,) logits.
        real: (B, n_bits) codes without gradient.
        fake: (B, n_bits) codes without gradient.
        shares: of ``real`` at the points where the slope is taken, 0..1; (B, n_bits) as DUCH, or (B, 1) as the paper.

    Returns:
        (B,) values (|slope| - 1)².

    >>> gradient_penalty(lambda codes: 3 * codes[:, 0], torch.ones(1, 2), torch.zeros(1, 2), torch.full((1, 1), 0.5))
    tensor([4.])
    """
    points = (shares * real + (1 - shares) * fake).detach().requires_grad_()
    (slopes,) = torch.autograd.grad(discriminator(points).sum(), points, create_graph=True)
    penalties: Tensor = (slopes.norm(dim=1) - 1) ** 2
    return penalties
