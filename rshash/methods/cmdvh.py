"""CMDVH: cross-modal deep variational hashing (Liong, Lu, Tan, Zhou; ICCV 2017). Supervised by class.

Reconstructed from memory, the text could not be had. First a fusion network learns one code for each pair, from which a
linear classifier tells the class, quantized and balanced. Then its signs B are the targets of the hash heads: each head
gives the mean of a normal distribution around B, a branch beside it the variance; samples of it must tell the class.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from rshash.losses.balance import bit_balance
from rshash.losses.quantization import quantization
from rshash.methods.labels import count_classes, labels_of
from rshash.methods.method import Method
from rshash.methods.objective import Objective
from rshash.methods.options import Options, number
from rshash.methods.pairs import Batch, TrainingPairs


@dataclass(frozen=True)
class CmdvhOptions(Options):
    """Options of CMDVH.

    Attributes:
        fusion_epochs: epochs of the fusion network; in the rest the heads learn its codes.
        class_weight: of the classification.
        quantization_weight: of the quantization of fused codes.
        balance_weight: of the balance of their bits.
        divergence_weight: of the divergence of a head's distribution from the one around its target.
    """

    hidden: int = number(1024, least=0)
    learning_rate: float = number(3e-4, above=0)
    fusion_epochs: int = number(50, least=1)
    class_weight: float = number(1.0, least=0)
    quantization_weight: float = number(0.1, least=0)
    balance_weight: float = number(0.001, least=0)
    divergence_weight: float = number(0.1, least=0)

    def __post_init__(self) -> None:
        """Refuse a training whose heads would learn nothing."""
        if self.fusion_epochs >= self.epochs:
            raise ValueError(
                f"fusion_epochs is {self.fusion_epochs} of {self.epochs} epochs; the heads learn in those after the "
                "fusion, so give fewer, or more epochs"
            )


class Cmdvh(Objective):
    """CMDVH in training; arguments as `Objective`. Needs labels."""

    targets: Tensor

    def __init__(self, pairs: TrainingPairs, n_bits: int, options: CmdvhOptions) -> None:
        super().__init__(pairs, n_bits, options)
        self.options = options
        width = options.hidden or 1024
        self.fusion = nn.Sequential(
            nn.Linear(self.image_head.dim + self.caption_head.dim, width),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Linear(width, n_bits),
            nn.Tanh(),
        )
        self.classifier = nn.Linear(n_bits, count_classes(pairs))
        self.log_variances = nn.ModuleList(
            nn.Linear(options.hidden or head.dim, n_bits) for head in (self.image_head, self.caption_head)
        )
        beside = [*self.fusion.parameters(), *self.classifier.parameters(), *self.log_variances.parameters()]
        self.optimizers["heads"].add_param_group({"params": beside})
        self.register_buffer("targets", torch.where(torch.randn(len(pairs), n_bits) >= 0, 1.0, -1.0))
        self.fusing = True

    def start_epoch(self, epoch: int) -> None:
        """Know the stage."""
        self.fusing = epoch < self.options.fusion_epochs

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of the stage, summed over the batch."""
        return self._fuse(batch) if self.fusing else self._follow(batch)

    def _fuse(self, batch: Batch) -> dict[str, Tensor]:
        """Learn one code for each pair."""
        options = self.options
        sides = ((self.image_head, batch.images[0]), (self.caption_head, batch.captions[0]))
        codes = self.fusion(torch.cat([(features - head.mean) / head.deviation for head, features in sides], dim=1))
        self.targets[batch.rows] = torch.where(codes.detach() >= 0, 1.0, -1.0)
        return {
            "classes": options.class_weight * self._classes(codes, batch),
            "quantization": options.quantization_weight * quantization(codes, self.targets[batch.rows]).sum(),
            "balance": options.balance_weight * bit_balance(codes).sum(),
        }

    def _follow(self, batch: Batch) -> dict[str, Tensor]:
        """Learn the distributions around the codes of the pairs."""
        options, targets = self.options, self.targets[batch.rows]
        classes, divergences = [], []
        for head, branch, features in (
            (self.image_head, self.log_variances[0], batch.images[0]),
            (self.caption_head, self.log_variances[1], batch.captions[0]),
        ):
            embedded = head.embed(features)
            mean, log_variance = head.relax(embedded), branch(embedded).clamp(-10, 10)
            samples = mean + torch.randn_like(mean) * (log_variance / 2).exp()
            classes.append(self._classes(samples, batch))
            divergences.append(((mean - targets) ** 2 + log_variance.exp() - 1 - log_variance).sum() / 2)
        return {
            "classes": options.class_weight * torch.stack(classes).sum(),
            "divergence": options.divergence_weight * torch.stack(divergences).sum(),
        }

    def _classes(self, codes: Tensor, batch: Batch) -> Tensor:
        return functional.cross_entropy(self.classifier(codes), labels_of(batch), reduction="sum")


CMDVH = Method(
    "cmdvh",
    "Liong, Lu, Tan, Zhou: Cross-modal deep variational hashing, ICCV 2017",
    CmdvhOptions,
    Cmdvh,
    losses="first classes + quantization + bit balance of fused codes, then classes + divergence from them",
    supervision="labels",
    departures=("Reconstructed: the text of the paper could not be had; the weights of the terms are ours.",),
)
