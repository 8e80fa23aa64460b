"""Objective: the state of one method while it trains, as the training loop sees it."""

import torch
from torch import Tensor, nn

from rshash.methods.options import Options
from rshash.methods.pairs import Batch, TrainingPairs
from rshash.models.heads import HashHead


class Objective(nn.Module):
    """Hash heads, what is trained beside them, and their losses.

    The loop calls ``start_epoch``, then for each batch ``losses`` and one step of the optimizer of the heads, then
    ``end_epoch``. All that must survive a resumed run is a parameter, a buffer (targets, memory banks, weights of
    pairs) or an optimizer in ``optimizers``; torch's random numbers are seeded by the loop at each epoch.

    Args:
        pairs: training pairs; a method may encode all of them at the start of an epoch.
        n_bits: width of the codes.
        options: of the method.
    """

    def __init__(self, pairs: TrainingPairs, n_bits: int, options: Options) -> None:
        super().__init__()
        self.pairs = pairs
        self.image_head = HashHead(pairs.images[0].shape[1], n_bits, options.hidden)
        self.caption_head = HashHead(pairs.captions[0].shape[1], n_bits, options.hidden)
        self.image_head.standardise(pairs.images[0])
        self.caption_head.standardise(pairs.captions[0])
        heads = [*self.image_head.parameters(), *self.caption_head.parameters()]
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "heads": torch.optim.Adam(heads, lr=options.learning_rate, weight_decay=options.weight_decay, fused=True)
        }

    def learning_rate(self, epoch: int) -> float:
        """Learning rate of the heads in an epoch, counted from 0."""
        raise NotImplementedError

    def start_epoch(self, epoch: int) -> None:
        """Prepare an epoch: weights of pairs, memory banks, phases."""

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the weighted terms, scalars, whose sum the heads minimise; other networks take their step here."""
        raise NotImplementedError

    def end_epoch(self, epoch: int) -> None:
        """Finish an epoch: targets from the codes of the epoch."""
