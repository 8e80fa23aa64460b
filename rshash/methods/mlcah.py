"""MLCAH: multi-level correlation adversarial hashing (Ma, Zhang, Xu; IEEE TMM 22:3101, 2020). Supervised by class.

Reconstructed, the text could not be had. Known: global and local features, correlation kept at several levels, label
consistency, an adversary of modalities on features, a pairwise likelihood on codes, quantization. Here the levels are
the features before the codes and the codes; both are held to relevance by a likelihood, the features also to the class.
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


@dataclass(frozen=True)
class MlcahOptions(Options):
    """Options of MLCAH.

    Attributes:
        semantic: width of the features that are held to relevance and to the class.
        feature_weight: of the likelihood of features.
        code_weight: of the likelihood of codes.
        quantization_weight: of the quantization.
        label_weight: of the classification, by one classifier for both modalities.
        adversarial_weight: of fooling the discriminator.
        gradient_penalty_weight: of the slope of the discriminator.
    """

    batch_size: int = number(128, least=2)
    hidden: int = number(1024, least=1)
    learning_rate: float = number(3e-4, above=0)
    semantic: int = number(512, least=1)
    feature_weight: float = number(1.0, least=0)
    code_weight: float = number(1.0, least=0)
    quantization_weight: float = number(0.1, least=0)
    label_weight: float = number(1.0, least=0)
    adversarial_weight: float = number(0.1, least=0)
    gradient_penalty_weight: float = number(10.0, least=0)


class Mlcah(Objective):
    """MLCAH in training; arguments as `Objective`. Needs labels."""

    def __init__(self, pairs: TrainingPairs, n_bits: int, options: MlcahOptions) -> None:
        super().__init__(pairs, n_bits, options)
        self.options = options
        width = options.semantic
        self.semantics = nn.ModuleList(nn.Sequential(nn.Linear(options.hidden, width), nn.Tanh()) for _ in range(2))
        self.classifier = nn.Linear(width, count_classes(pairs))
        self.discriminator = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1), nn.Flatten(0))
        self.optimizers["heads"].add_param_group(
            {"params": [*self.semantics.parameters(), *self.classifier.parameters()]}
        )
        self.optimizers["discriminator"] = torch.optim.Adam(
            self.discriminator.parameters(), lr=options.learning_rate, betas=(0.5, 0.9), fused=True
        )

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """One step of the discriminator, then the terms of both levels, summed over the batch."""
        options, relevant, n = self.options, same_class(batch), len(batch)
        sides = ((self.image_head, batch.images[0]), (self.caption_head, batch.captions[0]))
        embedded = [head.embed(features) for head, features in sides]
        image, caption = (head.relax(side) for (head, _), side in zip(sides, embedded, strict=True))
        of_image, of_caption = (semantic(side) for semantic, side in zip(self.semantics, embedded, strict=True))
        train_discriminator(
            self.discriminator,
            self.optimizers["discriminator"],
            ((of_caption, of_image),),
            options.gradient_penalty_weight,
        )
        targets = torch.where((image + caption).detach() >= 0, 1.0, -1.0)
        errors = torch.cat([quantization(code, targets) for code in (image, caption)])
        labels = labels_of(batch).repeat(2)
        classes = functional.cross_entropy(self.classifier(torch.cat([of_image, of_caption])), labels, reduction="sum")
        return {
            "features": options.feature_weight * n * pairwise_likelihood(of_image, of_caption, relevant).sum(),
            "codes": options.code_weight * n * pairwise_likelihood(image, caption, relevant).sum(),
            "quantization": options.quantization_weight * errors.sum(),
            "classes": options.label_weight * classes,
            "adversarial": options.adversarial_weight * generator_loss(self.discriminator(of_image)).sum(),
        }


MLCAH = Method(
    "mlcah",
    "Ma, Zhang, Xu: Multi-level correlation adversarial hashing, IEEE TMM 22:3101, 2020",
    MlcahOptions,
    Mlcah,
    losses="likelihood of features and of codes + quantization + classes + adversarial",
    supervision="labels",
    departures=(
        "Reconstructed; the text of the paper could not be had, the weights of the terms are ours.",
        "No local features: the frozen encoders give one vector for each item.",
    ),
)
