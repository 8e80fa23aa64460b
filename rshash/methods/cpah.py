"""CPAH: multi-task consistency-preserving adversarial hashing (Xie, Deng, Li, Liu, Tao; TIP 29:3626, 2020). By class.

Each modality has a common and a private feature. The common ones of images and captions are to be alike to a
discriminator (eq. 5, 6), a classifier must tell common from private features of either modality (eq. 7), the common
ones tell the class (eq. 8) and give the codes, with a pairwise likelihood (eq. 10) and a quantization (eq. 11). The
equations and the weights of the terms are those of a public implementation (comrados/cpah): 100 for the adversarial
one, a mean over the batch, α = 0.1 for both classifications and β = 1 for the quantization, sums over the batch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from rshash.losses.adversarial import generator_loss
from rshash.losses.quantization import quantization
from rshash.losses.similarity import pairwise_likelihood
from rshash.methods.adversary import train_discriminator
from rshash.methods.labels import count_classes, labels_of, same_class
from rshash.methods.method import Method
from rshash.methods.objective import Objective
from rshash.methods.options import Options, number
from rshash.methods.pairs import Batch, TrainingPairs
from rshash.methods.schedule import stepwise


@dataclass(frozen=True)
class CpahOptions(Options):
    """Options of CPAH.

    Attributes:
        pairwise_weight: of the likelihood of relevance.
        quantization_weight: β, of the quantization.
        class_weight: α, of the classification.
        consistency_weight: α, of telling common from private features.
        adversarial_weight: of fooling the discriminator, on average over the batch.
        gradient_penalty_weight: of the slope of the discriminator.
        decay: the learning rate is multiplied by this after the first epoch and after every ``decay_every`` more.
        decay_every: epochs.
        least_learning_rate: the decay stops here.
    """

    epochs: int = number(80, least=1)
    batch_size: int = number(64, least=2)
    hidden: int = number(512, least=1)
    learning_rate: float = number(1e-4, above=0)
    pairwise_weight: float = number(1.0, least=0)
    quantization_weight: float = number(1.0, least=0)
    class_weight: float = number(0.1, least=0)
    consistency_weight: float = number(0.1, least=0)
    adversarial_weight: float = number(100.0, least=0)
    gradient_penalty_weight: float = number(10.0, least=0)
    decay: float = number(0.8, above=0)
    decay_every: int = number(50, least=1)
    least_learning_rate: float = number(1e-6, least=0)


class Cpah(Objective):
    """CPAH in training; arguments as `Objective`. Needs labels."""

    def __init__(self, pairs: TrainingPairs, n_bits: int, options: CpahOptions) -> None:
        super().__init__(pairs, n_bits, options)
        self.options = options
        width, narrow, n_classes = options.hidden, max(1, options.hidden // 8), count_classes(pairs)
        self.private = nn.ModuleList(
            nn.Sequential(nn.Linear(head.dim, width), nn.BatchNorm1d(width), nn.ReLU())
            for head in (self.image_head, self.caption_head)
        )
        self.kinds = nn.Sequential(nn.Linear(width, narrow), nn.ReLU(), nn.Linear(narrow, 3))
        self.classifiers = nn.ModuleList(nn.Linear(width, n_classes) for _ in range(2))
        self.discriminator = nn.Sequential(
            nn.Linear(width, narrow), nn.ReLU(), nn.Linear(narrow, 1), nn.Flatten(0)
        )  # (B, hidden) → (B,)
        beside = [*self.private.parameters(), *self.kinds.parameters(), *self.classifiers.parameters()]
        self.optimizers["heads"].add_param_group({"params": beside})
        self.optimizers["discriminator"] = torch.optim.Adam(
            self.discriminator.parameters(), lr=options.learning_rate, betas=(0.5, 0.9), weight_decay=1e-4, fused=True
        )

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

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """One step of the discriminator, then the five terms: sums over the batch, but for the adversarial mean."""
        options, labels = self.options, labels_of(batch)
        sides = ((self.image_head, batch.images[0]), (self.caption_head, batch.captions[0]))
        image, caption = (head.embed(features) for head, features in sides)  # common features
        private = [
            branch((features - head.mean) / head.deviation)
            for branch, (head, features) in zip(self.private, sides, strict=True)
        ]
        train_discriminator(
            self.discriminator, self.optimizers["discriminator"], ((image, caption),), options.gradient_penalty_weight
        )
        codes = self.image_head.relax(image), self.caption_head.relax(caption)
        targets = torch.where((codes[0] + codes[1]).detach() >= 0, 1.0, -1.0)
        kinds = torch.arange(4, device=labels.device).clamp(min=1).sub(1).repeat_interleave(len(batch))  # 0 0 1 2
        classes = [
            functional.cross_entropy(classifier(common), labels, reduction="sum")
            for classifier, common in zip(self.classifiers, (image, caption), strict=True)
        ]
        of_kinds = self.kinds(torch.cat([image, caption, *private]))
        return {
            "pairwise": options.pairwise_weight * len(batch) * pairwise_likelihood(*codes, same_class(batch)).sum(),
            "quantization": options.quantization_weight * torch.cat([quantization(c, targets) for c in codes]).sum(),
            "classes": options.class_weight * torch.stack(classes).sum(),
            "consistency": options.consistency_weight * functional.cross_entropy(of_kinds, kinds, reduction="sum"),
            "adversarial": options.adversarial_weight * generator_loss(self.discriminator(caption)).mean(),
        }


CPAH = Method(
    "cpah",
    "Xie, Deng, Li, Liu, Tao: Multi-task consistency-preserving adversarial hashing, TIP 29:3626, 2020",
    CpahOptions,
    Cpah,
    losses="likelihood of inner products + quantization + classes + common or private + adversarial",
    supervision="labels",
    departures=(
        "Reconstructed from a public implementation; the text of the paper could not be had.",
        "Targets of the quantization are those of the batch, not of the epoch before.",
        "Common and private features come from two branches instead of one feature and a mask.",
        "Classes exclude each other, so they are learnt by cross entropy.",
    ),
)
