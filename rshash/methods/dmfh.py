"""DMFH: deep multiscale fine-grained hashing (Huang, Feng, Zhou, Xiong, Wang, Qiang; GRSL 21:6002205, 2024). By class.

Reconstructed from the abstract: low- and high-level features of the image, a "redundant optimizer" that removes
features that say the same, embedded words of the sentence; contrastive and triplet losses on the codes. Here the levels
are what the image encoder gives, and the optimizer is a penalty on correlated bits.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from rshash.losses.balance import decorrelation
from rshash.losses.contrastive import info_nce
from rshash.losses.quantization import quantization
from rshash.losses.ranking import Negatives, triplet
from rshash.methods.labels import count_classes, same_class
from rshash.methods.method import Method
from rshash.methods.objective import Objective
from rshash.methods.options import Options, number
from rshash.methods.pairs import Batch, TrainingPairs


@dataclass(frozen=True)
class DmfhOptions(Options):
    """Options of DMFH.

    Attributes:
        temperature: of the contrastive loss.
        triplet_weight: of the triplet loss; that of the contrastive loss is 1.
        margin: of the triplet loss, in cosines.
        negatives: of the triplet loss, among the items of other classes: the "hardest", or "all".
        redundancy_weight: of the correlation of bits.
        quantization_weight: of the quantization.
    """

    epochs: int = number(60, least=1)
    hidden: int = number(1024, least=0)
    learning_rate: float = number(3e-4, above=0)
    temperature: float = number(1.0, above=0)
    triplet_weight: float = number(1.0, least=0)
    margin: float = number(0.2, least=0)
    negatives: Negatives = "hardest"
    redundancy_weight: float = number(0.1, least=0)
    quantization_weight: float = number(0.001, least=0)


class Dmfh(Objective):
    """DMFH in training; arguments as `Objective`. Needs labels."""

    def __init__(self, pairs: TrainingPairs, n_bits: int, options: DmfhOptions) -> None:
        super().__init__(pairs, n_bits, options)
        count_classes(pairs)
        self.options = options

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The four terms, summed over the batch."""
        options = self.options
        image, caption = self.image_head(batch.images[0]), self.caption_head(batch.captions[0])
        targets = torch.where((image + caption).detach() >= 0, 1.0, -1.0)
        errors = torch.cat([quantization(code, targets) for code in (image, caption)])
        ranked = triplet(image, caption, options.margin, options.negatives, same_class(batch))
        redundant = torch.cat([decorrelation(code) for code in (image, caption)])
        return {
            "contrast": info_nce(image, caption, options.temperature).sum(),
            "triplet": options.triplet_weight * ranked.sum(),
            "redundancy": options.redundancy_weight * redundant.sum(),
            "quantization": options.quantization_weight * errors.sum(),
        }


DMFH = Method(
    "dmfh",
    "Huang, Feng, Zhou, Xiong, Wang, Qiang: Deep multiscale fine-grained hashing, GRSL 21:6002205, 2024",
    DmfhOptions,
    Dmfh,
    losses="contrast of pairs + triplet over classes + correlation of bits + quantization",
    supervision="labels",
    departures=(
        "Reconstructed from the abstract; the weights of the terms are ours.",
        "Scales of the image are those that its encoder gives: seven with efficientnet-lite0-levels, the default.",
        "Redundancy is removed from the bits, not from the features.",
    ),
)
