"""CHNR: cross-modal hashing robust to wrong pairs (Mikriukov, Ravanbakhsh, Demir; arXiv 2202.13117, ICIP 2022).

Two phases. On a small subset known to be clean a discriminator learns to tell pairs from made-up ones, while the hash
heads learn from the same subset. Then, on all pairs, the frozen discriminator weighs each pair by its probability of
being right: L = Σ w_i NT-Xent_i + β L_quantization, between modalities only. Constants as the released code
(comrados/noisy_captions); its fault of taking the classes of the wrong rows in the first phase is not repeated.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from rshash.losses.contrastive import nt_xent
from rshash.losses.quantization import quantization
from rshash.methods.adversary import train_discriminator
from rshash.methods.method import Method
from rshash.methods.objective import Objective
from rshash.methods.options import Options, number
from rshash.methods.pairs import Batch, TrainingPairs
from rshash.methods.schedule import stepwise


@dataclass(frozen=True)
class ChnrOptions(Options):
    """Options of CHNR.

    Attributes:
        clean_epochs: epochs of the first phase, on the clean subset; the rest are of the second.
        weights: of a pair whose probability of being right is w: "normal" w (NW), "exponential" w³ (EW), "discrete" 1
            where w is above the middle between real and made-up pairs, else 0 (DW), or "ones".
        fake_pairs: where the caption of a made-up pair comes from: an image of another "class" of the batch, as
            published, or "any" image of the batch whose caption reads otherwise, which needs no labels.
        temperature: of the contrastive loss.
        quantization_weight: β.
        gradient_penalty_weight: of the slope of the discriminator.
        discriminator_learning_rate: of the discriminator's AdamW.
        discriminator_weight_decay: of the discriminator's AdamW.
        decay: the learning rate is multiplied by this after the first epoch and after every ``decay_every`` more.
        decay_every: epochs.
        least_learning_rate: the decay stops here.
    """

    image_views: tuple[str, ...] = ("original", "blur_rotate_crop")
    epochs: int = number(150, least=1)
    clean_epochs: int = number(75, least=0)
    weights: Literal["normal", "exponential", "discrete", "ones"] = "discrete"
    fake_pairs: Literal["class", "any"] = "class"
    temperature: float = number(1.0, above=0)
    quantization_weight: float = number(0.001, least=0)
    gradient_penalty_weight: float = number(10.0, least=0)
    discriminator_learning_rate: float = number(1e-4, above=0)
    discriminator_weight_decay: float = number(1e-3, least=0)
    decay: float = number(0.8, above=0)
    decay_every: int = number(50, least=1)
    least_learning_rate: float = number(1e-6, least=0)

    def __post_init__(self) -> None:
        """Refuse a training that would see clean pairs only."""
        if self.clean_epochs >= self.epochs:
            raise ValueError(
                f"clean_epochs is {self.clean_epochs} of {self.epochs} epochs; all pairs are seen in those after them, "
                "so give fewer, or more epochs"
            )


@dataclass(frozen=True)
class ChnrLabelFreeOptions(ChnrOptions):
    """Options of CHNR without labels: those of `ChnrOptions`, with fake pairs of any other image."""

    fake_pairs: Literal["class", "any"] = "any"


class Chnr(Objective):
    """CHNR in training; arguments as `Objective`. Needs clean pairs, and labels for fake pairs by class."""

    middle: Tensor

    def __init__(self, pairs: TrainingPairs, n_bits: int, options: ChnrOptions) -> None:
        super().__init__(pairs, n_bits, options)
        if options.fake_pairs == "class" and pairs.labels is None:
            raise ValueError('fake_pairs="class" needs class labels; take fake_pairs="any"')
        assert pairs.clean is not None  # `train` refuses a data set without them
        self.options = options
        self.learning_noise = False
        self.clean_rows = np.flatnonzero(pairs.clean.cpu().numpy())
        dim = self.image_head.dim + self.caption_head.dim
        hidden = [layer for _ in range(3) for layer in (nn.Linear(dim, dim), nn.ReLU(), nn.Dropout(0.2))]
        self.discriminator = nn.Sequential(*hidden, nn.Linear(dim, 1), nn.Flatten(0))
        self.optimizers["discriminator"] = torch.optim.AdamW(
            self.discriminator.parameters(),
            lr=options.discriminator_learning_rate,
            betas=(0.5, 0.9),
            weight_decay=options.discriminator_weight_decay,
            fused=True,
        )
        self.register_buffer("middle", torch.full((), 0.5))  # between mean probabilities of real and made-up pairs
        self.means: list[Tensor] = []

    def learning_rate(self, epoch: int) -> float:
        """Decayed stepwise, as DUCH."""
        options = self.options
        return stepwise(
            options.learning_rate,
            epoch,
            factor=options.decay,
            every=options.decay_every,
            least=options.least_learning_rate,
        )

    def start_epoch(self, epoch: int) -> None:
        """Know the phase."""
        self.learning_noise = epoch < self.options.clean_epochs
        self.means = []

    def batches(self, epoch: int, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
        """Yield the clean pairs in the first phase, all pairs in the second."""
        return self.pairs.batches(batch_size, rng, self.clean_rows if self.learning_noise else None)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Weighted contrast of the original views and quantization of all, sums over the batch."""
        options = self.options
        if self.learning_noise:
            self._train_discriminator(batch)
        images = [self.image_head(view) for view in batch.images]
        captions = [self.caption_head(view) for view in batch.captions]
        mean = (sum(images) / len(images) + sum(captions) / len(captions)).detach()
        targets = torch.where(mean >= 0, 1.0, -1.0)
        contrast = nt_xent(images[0], captions[0], options.temperature)
        errors = torch.cat([quantization(output, targets) for output in (*images, *captions)])
        return {
            "inter": (self._weights(batch) * contrast).sum(),
            "quantization": options.quantization_weight * errors.sum(),
        }

    def end_epoch(self, epoch: int) -> None:
        """Set the threshold of discrete weights from the last epoch of the first phase."""
        if self.means:
            self.middle.copy_(torch.stack(self.means).mean())

    @torch.no_grad()
    def _weights(self, batch: Batch) -> Tensor:
        """Weight of each pair, (B,)."""
        if self.learning_noise or self.options.weights == "ones":
            return torch.ones(len(batch), device=batch.rows.device)
        self.discriminator.eval()
        right = torch.sigmoid(self.discriminator(self._joint(batch.images[0], batch.captions[0])))
        if self.options.weights == "discrete":
            return (right > self.middle).to(right)
        return right**3 if self.options.weights == "exponential" else right

    def _joint(self, images: Tensor, captions: Tensor) -> Tensor:
        """Standardised features of both modalities beside each other, (B, image dim + caption dim)."""
        sides = ((self.image_head, images), (self.caption_head, captions))
        return torch.cat([(side - head.mean) / head.deviation for head, side in sides], dim=1)

    def _train_discriminator(self, batch: Batch) -> None:
        """One step over all combinations of views: pairs are real, the others made up."""
        others = self._strangers(batch)
        matched = torch.arange(len(batch), device=others.device)[others >= 0]
        if not len(matched):
            return
        sides = [
            (self._joint(images[matched], captions[matched]), self._joint(images[matched], captions[others[matched]]))
            for images, captions in product(batch.images, batch.captions)
        ]
        optimizer, penalty_weight = self.optimizers["discriminator"], self.options.gradient_penalty_weight
        logits = train_discriminator(self.discriminator, optimizer, sides, penalty_weight)
        self.means.append(torch.sigmoid(torch.cat(logits)).mean())

    def _strangers(self, batch: Batch) -> Tensor:
        """For each image the row of a caption of the batch that is not its own, -1 where there is none: (B,)."""
        if self.options.fake_pairs == "class":
            assert batch.labels is not None
            strange = batch.labels[:, None] != batch.labels[None, :]
        else:
            captions = batch.captions[0]
            strange = torch.stack([(captions != own).any(dim=1) for own in captions])
        drawn = (strange * (1 + torch.rand(strange.shape, device=strange.device))).argmax(dim=1)
        return torch.where(strange.any(dim=1), drawn, -1)


_PAPER = "Mikriukov, Ravanbakhsh, Demir: arXiv 2202.13117, ICIP 2022"
_LOSSES = "NT-Xent between modalities weighted by the probability of a right pair + quantization"
_DEPARTURES = (
    "Targets of the quantization are those of the batch, not of the epoch before.",
    "In comparisons the clean subset is the fifth that no noise touches; the released code's is three tenths on UCM.",
    "Which of the three weightings the paper calls CHNR could not be read; the default is discrete (DW).",
)

CHNR = Method(
    "chnr",
    _PAPER,
    ChnrOptions,
    Chnr,
    losses=_LOSSES,
    supervision="clean subset and labels",
    departures=_DEPARTURES,
)

CHNR_LABEL_FREE = Method(
    "chnr-label-free",
    _PAPER,
    ChnrLabelFreeOptions,
    Chnr,
    losses=_LOSSES,
    supervision="clean subset",
    departures=("Made-up pairs take the caption of any other image instead of one of another class.", *_DEPARTURES),
)
