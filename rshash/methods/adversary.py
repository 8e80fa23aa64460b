"""The step of a discriminator, the same in every adversarial method."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rshash.losses.adversarial import discriminator_loss, gradient_penalty


def train_discriminator(
    discriminator: nn.Module,
    optimizer: torch.optim.Optimizer,
    sides: Sequence[tuple[Tensor, Tensor]],
    penalty_weight: float,
) -> list[Tensor]:
    """Take one step towards calling the first of each two sides real, the second fake.

    Args:
        discriminator: (B, width) → (B,) logits.
        optimizer: of its weights.
        sides: (B, width) real and (B, width) fake; their gradient is cut.
        penalty_weight: of the distance of its slope from 1 between the two, at points drawn for each element.

    Returns:
        The (B,) logits of real and fake for each two sides, in that order, without gradient.
    """
    loss = torch.zeros((), device=sides[0][0].device)
    logits = []
    for real, fake in ((real.detach(), fake.detach()) for real, fake in sides):
        shares = torch.rand(real.shape, device=real.device)
        slopes = gradient_penalty(discriminator, real, fake, shares)
        guesses = discriminator(real), discriminator(fake)
        loss = loss + (discriminator_loss(*guesses) + penalty_weight * slopes).mean()
        logits += [guess.detach() for guess in guesses]
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return logits
