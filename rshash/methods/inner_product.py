"""Similarity-preserving inner products: the general form of the 2025 review (Remote Sens. 17:3995, §2.2, eq. 5-8).

L = L_sim + λ L_quantization with relaxed codes u, v in (-1, 1): L_sim is the squared error of <u, v> against ±n_bits
(eq. 7) or the likelihood of relevance with Θ = <u, v> / 2, its widely used other form. Two items are relevant to each
other where they are of one pair, or where they are of one class. The formulas are reconstructed from the prose.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rshash.losses.quantization import quantization
from rshash.losses.similarity import inner_product, pairwise_likelihood
from rshash.methods.labels import same_class
from rshash.methods.method import Method
from rshash.methods.objective import Objective
from rshash.methods.options import Options, number
from rshash.methods.pairs import Batch, TrainingPairs


@dataclass(frozen=True)
class InnerProductOptions(Options):
    """Options of the inner product, on pairs and on classes.

    Attributes:
        form: "squared" error (eq. 7), or "likelihood".
        balanced: let the relevant and the irrelevant items of a row weigh the same. As written, with one relevant item
            among hundreds, the least loss is that of all images on one code and all captions on its opposite.
        quantization_weight: λ.
    """

    hidden: int = number(1024, least=0)
    learning_rate: float = number(3e-4, above=0)
    form: Literal["squared", "likelihood"] = "squared"
    balanced: bool = True
    quantization_weight: float = number(0.001, least=0)


class InnerProduct(Objective):
    """Inner products on pair identity; arguments as `Objective`."""

    def __init__(self, pairs: TrainingPairs, n_bits: int, options: InnerProductOptions) -> None:
        super().__init__(pairs, n_bits, options)
        self.options = options

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Similarity and quantization, sums over the batch."""
        options = self.options
        image, caption = self.image_head(batch.images[0]), self.caption_head(batch.captions[0])
        loss = inner_product if options.form == "squared" else pairwise_likelihood
        errors = [quantization(side, torch.where(side.detach() >= 0, 1.0, -1.0)) for side in (image, caption)]
        return {
            "similarity": loss(image, caption, self.relevant(batch), options.balanced).sum(),
            "quantization": options.quantization_weight * torch.cat(errors).sum(),
        }

    def relevant(self, batch: Batch) -> Tensor:
        """Tell which items are relevant to each other, (B, B) bool: those of one pair."""
        return torch.eye(len(batch), dtype=torch.bool, device=batch.rows.device)


class InnerProductLabels(InnerProduct):
    """Inner products on classes; arguments as `Objective`."""

    def relevant(self, batch: Batch) -> Tensor:
        """Tell which items are relevant to each other, (B, B) bool: those of one class."""
        return same_class(batch)


_LOSSES = "squared error or likelihood of inner products + quantization"
_DEPARTURES = ("Equations are reconstructed.", "Relevant and irrelevant items weigh the same unless balanced is false.")

INNER_PRODUCT = Method(
    "inner-product",
    "Remote Sens. 17:3995, 2025, eq. 5-8, on pair identity",
    InnerProductOptions,
    InnerProduct,
    losses=_LOSSES,
    departures=_DEPARTURES,
)

INNER_PRODUCT_LABELS = Method(
    "inner-product-labels",
    "Remote Sens. 17:3995, 2025, eq. 5-8, on classes",
    InnerProductOptions,
    InnerProductLabels,
    losses=_LOSSES,
    supervision="labels",
    departures=_DEPARTURES,
)
