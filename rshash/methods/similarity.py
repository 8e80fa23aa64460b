"""DJSRH and JDSH: cosines of codes are drawn to a similarity of items, computed from their frozen features.

The methods of this family, DGCPN among them, differ in that target and in what each pair of modalities counts.
Constants are those of the code with which the authors of DUCH made the published remote-sensing rows.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from rshash.losses.similarity import similarity_error
from rshash.methods.method import Method
from rshash.methods.objective import Objective
from rshash.methods.options import Options, number
from rshash.methods.pairs import Batch, TrainingPairs


@dataclass(frozen=True)
class SimilarityOptions(Options):
    """Options of the family.

    Attributes:
        momentum: of the stochastic gradient descent, which takes the place of Adam.
        intra_weight: of images among themselves and of captions among themselves; across modalities the weight is 1.
    """

    epochs: int = number(300, least=1)
    batch_size: int = number(32, least=2)
    learning_rate: float = number(0.01, above=0)
    momentum: float = number(0.9, least=0)
    intra_weight: float = number(0.1, least=0)


@dataclass(frozen=True)
class DjsrhOptions(SimilarityOptions):
    """Options of DJSRH.

    Attributes:
        image_share: β, of the similarity of images in that of pairs.
        second_order_share: η, of the similarity to the rest of the batch.
        scale: μ, of the target.
    """

    image_share: float = number(0.6, least=0)
    second_order_share: float = number(0.4, least=0)
    scale: float = number(1.5, above=0)


@dataclass(frozen=True)
class JdshOptions(SimilarityOptions):
    """Options of JDSH.

    Attributes:
        image_share: α, of the similarity of images.
        caption_share: β, of the similarity of captions.
        cross_share: γ, of the agreement of both with the rest of the batch.
        scale: μ, of the target.
    """

    image_share: float = number(0.2, least=0)
    caption_share: float = number(0.4, least=0)
    cross_share: float = number(0.4, least=0)
    scale: float = number(1.5, above=0)


class SimilarityMatching(Objective):
    """What the family shares: descent, sharpening, errors of cosines; arguments as `Objective`."""

    options: SimilarityOptions

    def __init__(self, pairs: TrainingPairs, n_bits: int, options: SimilarityOptions) -> None:
        super().__init__(pairs, n_bits, options)
        self.options = options
        self.sharpness = 1.0
        self.optimizers["heads"] = torch.optim.SGD(
            self.head_parameters(),
            lr=options.learning_rate,
            momentum=options.momentum,
            weight_decay=options.weight_decay,
            fused=True,
        )

    def start_epoch(self, epoch: int) -> None:
        """Draw the codes nearer to their signs, tanh(√(epoch + 1) z)."""
        self.sharpness = (epoch + 1) ** 0.5

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Mean squared errors of the cosines within and across modalities."""
        image = self.image_head(batch.images[0], self.sharpness)
        caption = self.caption_head(batch.captions[0], self.sharpness)
        return self.compare(image, caption, self.target(batch))

    def target(self, batch: Batch) -> Tensor:
        """Return the similarity of every two pairs of the batch, (B, B)."""
        raise NotImplementedError

    def compare(self, image: Tensor, caption: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the weighted terms of a batch: relaxed codes of both modalities, and the target."""
        return {
            "inter": similarity_error(image, caption, target).mean(),
            "image": self.options.intra_weight * similarity_error(image, image, target).mean(),
            "caption": self.options.intra_weight * similarity_error(caption, caption, target).mean(),
        }


class Djsrh(SimilarityMatching):
    """DJSRH in training; arguments as `Objective`."""

    options: DjsrhOptions

    def target(self, batch: Batch) -> Tensor:
        """μ [(1 - η) S̃ + η S̃ S̃ᵀ / B] with S̃ = β S_I + (1 - β) S_T, (B, B) (Su et al. 2019)."""
        options = self.options
        of_images, of_captions = (2 * cosines(side) - 1 for side in (batch.images[0], batch.captions[0]))
        joint = options.image_share * of_images + (1 - options.image_share) * of_captions
        second_order = joint @ joint.T / len(batch)
        return options.scale * ((1 - options.second_order_share) * joint + options.second_order_share * second_order)


class Jdsh(SimilarityMatching):
    """JDSH in training; arguments as `Objective`."""

    options: JdshOptions

    def target(self, batch: Batch) -> Tensor:
        """μ [α S_I + β S_T + γ sym(S_I S_Tᵀ, rows of length 1)], (B, B) (Liu et al. 2020)."""
        options = self.options
        of_images, of_captions = (2 * cosines(side) - 1 for side in (batch.images[0], batch.captions[0]))
        agreement = functional.normalize(of_images, dim=1) @ functional.normalize(of_captions, dim=1).T
        joint = options.image_share * of_images + options.caption_share * of_captions
        return options.scale * (joint + options.cross_share * (agreement + agreement.T) / 2)

    def compare(self, image: Tensor, caption: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the terms of the family and that of the pairs themselves (Liu et al. 2020)."""
        terms = super().compare(image, caption, target)
        terms["inter"] = 2 * terms["inter"]  # images with captions, and captions with images: the target is symmetric
        terms["pair"] = -functional.cosine_similarity(image, caption).mean()
        return terms


def cosines(features: Tensor) -> Tensor:
    """Cosine of every two rows of (B, dim) features, (B, B)."""
    unit = functional.normalize(features, dim=1)
    return unit @ unit.T


_DEPARTURES = (
    "The features are those of this package, standardised for the heads and of length 1 for the target.",
    "The last batch of an epoch may be smaller.",
)

DJSRH = Method(
    "djsrh",
    "Su, Zhong, Zhang: Deep joint-semantics reconstructing hashing, ICCV 2019",
    DjsrhOptions,
    Djsrh,
    losses="squared error of cosines against joint and second-order similarity of features",
    departures=_DEPARTURES,
)

JDSH = Method(
    "jdsh",
    "Liu, Qian, Guan, Zhan, Ye: Joint-modal distribution-based similarity hashing, SIGIR 2020",
    JdshOptions,
    Jdsh,
    losses="squared error of cosines against joint similarity of features + cosine of pairs",
    departures=(
        "The weighting of similarities by their distribution is left out, as in the code of the published rows.",
        *_DEPARTURES,
    ),
)
