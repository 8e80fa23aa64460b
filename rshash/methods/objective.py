"""Objective: the state of one method while it trains, as the training loop sees it."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from rshash.methods.options import DataOptions, Options
from rshash.methods.pairs import Batch, TrainingPairs
from rshash.models.heads import HashHead
from rshash.models.tail import Tail


class Objective(nn.Module):
    """Hash heads, what is trained beside them, and their losses.

    The loop calls ``start_epoch``, then for each of ``batches`` ``losses`` and a step of the optimizer of the heads,
    then ``end_epoch``. All that must survive a resumed run is a parameter, a buffer (targets, memory banks, weights of
    pairs) or an optimizer in ``optimizers``; torch's random numbers are seeded by the loop at each epoch.

    A method in closed form, whose options have no epochs, fits its heads when it is made and needs nothing else: its
    heads are linear, without an optimizer.

    Args:
        pairs: training pairs; a method may encode all of them at the start of an epoch.
        n_bits: width of the codes.
        options: of the method.

    Attributes:
        dither: share by which codes of captions are dithered in a database, see `rshash.codes.dither`.
        expansion: share of training images' codes in those that ask, see `rshash.codes.expand`.
    """

    dither = 0.0
    expansion = 0.0

    def __init__(self, pairs: TrainingPairs, n_bits: int, options: DataOptions) -> None:
        super().__init__()
        self.pairs = pairs
        self._steps = options if isinstance(options, Options) else None
        hidden = self._steps.hidden if self._steps else 0
        self.image_head = HashHead(pairs.images[0].shape[1], n_bits, hidden)
        self.caption_head = HashHead(pairs.captions[0].shape[1], n_bits, hidden)
        self.image_head.standardise(pairs.images[0])
        self.caption_head.standardise(pairs.captions[0])
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        if self._steps:
            self.optimizers["heads"] = torch.optim.Adam(
                self.head_parameters(), lr=self._steps.learning_rate, weight_decay=self._steps.weight_decay, fused=True
            )

    def head_parameters(self) -> list[nn.Parameter]:
        """Weights of both hash heads, and of a tail."""
        return [*self.image_head.parameters(), *self.caption_head.parameters()]

    def tune(self, pairs: TrainingPairs, tail: Tail) -> None:
        """Go on with features of an encoder's trunk, and train its tail with the heads from now on.

        Args:
            pairs: the same pairs, with those features of their images.
            tail: what makes of them the features that the image head has read so far.
        """
        self.pairs = pairs
        self.image_head.attach(tail)
        self.optimizers["heads"] = torch.optim.Adam(  # without decay, which would draw trained weights to 0
            self.head_parameters(), fused=True
        )

    def learning_rate(self, epoch: int) -> float:
        """Learning rate of the heads in an epoch, counted from 0; that of the options unless a method decays it."""
        return self._steps.learning_rate if self._steps else 0.0

    def start_epoch(self, epoch: int) -> None:
        """Prepare an epoch: weights of pairs, memory banks, phases."""

    def batches(self, epoch: int, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """Yield the batches of an epoch: every pair once, unless a phase of the method sees a part of them."""
        return self.pairs.batches(batch_size, rng)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the weighted terms, scalars, whose sum the heads minimise; other networks take their step here."""
        raise NotImplementedError

    def end_epoch(self, epoch: int) -> None:
        """Finish an epoch: targets from the codes of the epoch."""
