"""DCMH: deep cross-modal hashing (Jiang, Li; CVPR 2017). Supervised by class.

J = -Σ_ij (s_ij Θ_ij - log(1 + e^Θ_ij)) + γ (‖B - F‖² + ‖B - G‖²) + η (‖F 1‖² + ‖G 1‖²) with Θ = F Gᵀ / 2 (eq. 1): the
codes of a batch are held against the latest codes of all training items of the other modality, and B = sign(F + G) is
refreshed after each epoch. Constants as the released code.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from rshash.losses.balance import bit_balance
from rshash.losses.quantization import quantization
from rshash.losses.similarity import pairwise_likelihood
from rshash.methods.labels import count_classes, labels_of
from rshash.methods.method import Method
from rshash.methods.objective import Objective
from rshash.methods.options import Options, number
from rshash.methods.pairs import Batch, TrainingPairs


@dataclass(frozen=True)
class DcmhOptions(Options):
    """Options of DCMH.

    Attributes:
        quantization_weight: γ.
        balance_weight: η.
    """

    hidden: int = number(1024, least=0)
    learning_rate: float = number(3e-4, above=0)
    batch_size: int = number(128, least=2)
    quantization_weight: float = number(1.0, least=0)
    balance_weight: float = number(1.0, least=0)


class Dcmh(Objective):
    """DCMH in training; arguments as `Objective`. Needs labels."""

    images: Tensor
    captions: Tensor
    targets: Tensor

    def __init__(self, pairs: TrainingPairs, n_bits: int, options: DcmhOptions) -> None:
        super().__init__(pairs, n_bits, options)
        count_classes(pairs)
        self.options = options
        for name in ("images", "captions"):  # latest codes of all items
            self.register_buffer(name, torch.randn(len(pairs), n_bits).tanh())
        self.register_buffer("targets", torch.where(self.images + self.captions >= 0, 1.0, -1.0))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Likelihood against all items, quantization and balance of bits, sums."""
        options = self.options
        image, caption = self.image_head(batch.images[0]), self.caption_head(batch.captions[0])
        self.images[batch.rows], self.captions[batch.rows] = image.detach(), caption.detach()
        assert self.pairs.labels is not None
        relevant = labels_of(batch)[:, None] == self.pairs.labels[None, :]  # (B, N)
        against = ((image, self.captions.clone()), (caption, self.images.clone()))
        likelihood = torch.cat([pairwise_likelihood(side, everything, relevant) for side, everything in against])
        targets = self.targets[batch.rows]
        errors = torch.cat([quantization(side, targets) for side in (image, caption)])
        balance = torch.cat([bit_balance(side) for side in (image, caption)])
        return {
            "likelihood": len(self.pairs) * likelihood.sum(),
            "quantization": options.quantization_weight * errors.sum(),
            "balance": options.balance_weight * balance.sum(),
        }

    def end_epoch(self, epoch: int) -> None:
        """Set the binary codes: B = sign(F + G)."""
        self.targets.copy_(torch.where(self.images + self.captions >= 0, 1.0, -1.0))


DCMH = Method(
    "dcmh",
    "Jiang, Li: Deep cross-modal hashing, CVPR 2017",
    DcmhOptions,
    Dcmh,
    losses="likelihood of inner products + quantization + bit balance",
    supervision="labels",
    departures=(
        "Frozen encoders under heads of 1024 units; codes pass tanh; Adam instead of SGD, both heads in one step.",
        "Bits are balanced over the batch instead of all training items.",
    ),
)
