"""UCCH: unsupervised contrastive cross-modal hashing (Hu, Zhu, Lin, Peng, Yin, Peng; TPAMI 45:3877, 2023).

L = α L_c + (1 - α) L_r: contrast of relaxed codes with a memory of binary ones, so that training sees what retrieval
will, and a ranking over the batch that forgives wrong negatives. Constants as the released code (penghu-cs/UCCH).
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from rshash.losses.contrastive import bank_contrast
from rshash.losses.ranking import cross_modal_ranking
from rshash.methods.method import Method
from rshash.methods.objective import Objective
from rshash.methods.options import Options, number
from rshash.methods.pairs import Batch, TrainingPairs


@dataclass(frozen=True)
class UcchOptions(Options):
    """Options of UCCH.

    Attributes:
        contrast_weight: α, of the contrast with the memory; the rest is of the ranking.
        temperature: of that contrast, in cosines: 1 is the agreement of all bits.
        momentum: share of the memory that stays when a pair is seen again.
        negatives: entries of the memory that a batch is held against; a smaller memory is used whole.
        warm_up: epochs in which a batch is held against its own codes, while the memory fills.
        margin: of the ranking.
        shift: by which the ranking moves negatives that keep the margin.
    """

    weight_decay: float = number(1e-6, least=0)
    contrast_weight: float = number(0.7, least=0)
    temperature: float = number(0.9, above=0)
    momentum: float = number(0.4, least=0)
    negatives: int = number(4096, least=1)
    warm_up: int = number(1, least=0)
    margin: float = number(0.2, least=0)
    shift: float = number(1.0, least=0)


class Ucch(Objective):
    """UCCH in training; arguments as `Objective`."""

    memory: Tensor

    def __init__(self, pairs: TrainingPairs, n_bits: int, options: UcchOptions) -> None:
        super().__init__(pairs, n_bits, options)
        self.options = options
        self.warming_up = False
        self.register_buffer("memory", functional.normalize(torch.randn(len(pairs), n_bits), dim=1))  # (N, n_bits)

    def start_epoch(self, epoch: int) -> None:
        """Know whether the memory is filled."""
        self.warming_up = epoch < self.options.warm_up

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Contrast with the memory and ranking, means over the batch."""
        options = self.options
        image = functional.normalize(self.image_head(batch.images[0]), dim=1)
        caption = functional.normalize(self.caption_head(batch.captions[0]), dim=1)
        joint = functional.normalize((image + caption).detach() / 2, dim=1)
        bank, rows = (joint, torch.arange(len(batch), device=image.device)) if self.warming_up else self._draw(batch)
        own = joint if self.warming_up else self.memory[batch.rows]
        binary, positives = _unit_signs(bank), _unit_signs(own)
        of_own = rows[None, :] == (rows if self.warming_up else batch.rows)[:, None]  # (B, entries)
        contrast = torch.stack(
            [bank_contrast(side, binary, positives, of_own, options.temperature) for side in (image, caption)]
        )
        kept = 0.0 if self.warming_up else options.momentum
        self.memory[batch.rows] = functional.normalize(kept * self.memory[batch.rows] + (1 - kept) * joint, dim=1)
        ranking = cross_modal_ranking(image, caption, options.margin, options.shift)
        return {
            "contrast": options.contrast_weight * contrast.sum(dim=0).mean(),
            "ranking": (1 - options.contrast_weight) * ranking.mean(),
        }

    def _draw(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Entries of the memory and their rows."""
        if len(self.memory) <= self.options.negatives:
            return self.memory, torch.arange(len(self.memory), device=batch.rows.device)
        rows = torch.randperm(len(self.memory))[: self.options.negatives].to(batch.rows.device)
        return self.memory[rows], rows


def _unit_signs(codes: Tensor) -> Tensor:
    return functional.normalize(torch.where(codes >= 0, 1.0, -1.0), dim=1)


UCCH = Method(
    "ucch",
    "Hu, Zhu, Lin, Peng, Yin, Peng: Unsupervised contrastive cross-modal hashing, TPAMI 45:3877, 2023",
    UcchOptions,
    Ucch,
    losses="contrast with a binary memory + ranking over the batch",
    departures=(
        "Heads of one hidden layer instead of three and two.",
        "100 epochs instead of 20: the paper's sets are ten times as large.",
        "All rows of a batch share their negatives; gradients are not clipped.",
    ),
)
