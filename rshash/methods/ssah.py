"""SSAH: self-supervised adversarial hashing (Li, Deng, Li, Liu, Gao, Tao; CVPR 2018). Supervised by class.

A network of labels learns semantic features and codes of its own; the networks of images and captions learn to give the
same, and two discriminators that tell their features from those of labels are to be fooled. For each of the three,
L = α likelihood of features + γ likelihood of codes + β quantization + η classification; images and captions add
δ adversarial (eq. 1-5). All weights are 1 in the released code.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from rshash.losses.adversarial import discriminator_loss, generator_loss
from rshash.losses.quantization import quantization
from rshash.losses.similarity import pairwise_likelihood
from rshash.methods.labels import count_classes, labels_of, same_class
from rshash.methods.method import Method
from rshash.methods.objective import Objective
from rshash.methods.options import Options, number
from rshash.methods.pairs import Batch, TrainingPairs


@dataclass(frozen=True)
class SsahOptions(Options):
    """Options of SSAH.

    Attributes:
        semantic: width of the semantic features.
        feature_weight: α, of the likelihood of features.
        code_weight: γ, of the likelihood of codes.
        quantization_weight: β.
        label_weight: η, of the classification.
        adversarial_weight: δ.
        discriminator_learning_rate: of both discriminators and of the network of labels.
    """

    hidden: int = number(1024, least=0)
    learning_rate: float = number(3e-4, above=0)
    batch_size: int = number(128, least=2)
    semantic: int = number(512, least=1)
    feature_weight: float = number(1.0, least=0)
    code_weight: float = number(1.0, least=0)
    quantization_weight: float = number(1.0, least=0)
    label_weight: float = number(1.0, least=0)
    adversarial_weight: float = number(1.0, least=0)
    discriminator_learning_rate: float = number(1e-4, above=0)


class Ssah(Objective):
    """SSAH in training; arguments as `Objective`. Needs labels."""

    def __init__(self, pairs: TrainingPairs, n_bits: int, options: SsahOptions) -> None:
        super().__init__(pairs, n_bits, options)
        self.options = options
        self.n_classes = count_classes(pairs)
        width = options.semantic
        self.label_features = nn.Sequential(nn.Linear(self.n_classes, width), nn.Tanh())
        self.label_codes = nn.Sequential(nn.Linear(width, n_bits), nn.Tanh())
        self.semantics = nn.ModuleList(
            nn.Sequential(nn.Linear(options.hidden or head.dim, width), nn.Tanh())
            for head in (self.image_head, self.caption_head)
        )
        self.classifiers = nn.ModuleList(nn.Linear(width, self.n_classes) for _ in range(3))
        self.discriminators = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1), nn.Flatten(0)) for _ in range(2)
        )
        self.optimizers["heads"].add_param_group(
            {"params": [*self.semantics.parameters(), *self.classifiers[:2].parameters()]}
        )
        of_labels = [
            *self.label_features.parameters(),
            *self.label_codes.parameters(),
            *self.classifiers[2].parameters(),
        ]
        for name, parameters in (("labels", of_labels), ("discriminators", [*self.discriminators.parameters()])):
            self.optimizers[name] = torch.optim.Adam(parameters, lr=options.discriminator_learning_rate, fused=True)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """A step of the network of labels and of the discriminators, then the terms of both modalities, summed."""
        options = self.options
        label_features, label_codes = self._train_labels(batch)
        sides = ((self.image_head, batch.images[0]), (self.caption_head, batch.captions[0]))
        embedded = [head.embed(features) for head, features in sides]
        codes = [head.relax(side) for (head, _), side in zip(sides, embedded, strict=True)]
        features = [semantic(side) for semantic, side in zip(self.semantics, embedded, strict=True)]
        self._train_discriminators(label_features, features)
        terms: dict[str, Tensor] = {}
        for i in range(2):
            of_side = self._terms(batch, features[i], codes[i], label_features, label_codes, self.classifiers[i])
            of_side["adversarial"] = (
                options.adversarial_weight * generator_loss(self.discriminators[i](features[i])).sum()
            )
            terms = {name: terms.get(name, 0) + value for name, value in of_side.items()}
        return terms

    def _train_labels(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """One step of the network of labels by itself; return what it gives for the batch, without gradient."""
        one_hot = functional.one_hot(labels_of(batch), self.n_classes).float()
        features = self.label_features(one_hot)
        codes = self.label_codes(features)
        loss = sum(self._terms(batch, features, codes, features, codes, self.classifiers[2]).values())
        optimizer = self.optimizers["labels"]
        optimizer.zero_grad()
        assert isinstance(loss, Tensor)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return features.detach(), codes.detach()

    def _terms(
        self,
        batch: Batch,
        features: Tensor,
        codes: Tensor,
        to_features: Tensor,
        to_codes: Tensor,
        classifier: nn.Module,
    ) -> dict[str, Tensor]:
        """What images, captions and labels have in common: their features and codes against those of labels."""
        options, relevant = self.options, same_class(batch)
        n = len(batch)
        targets = torch.where(to_codes.detach() >= 0, 1.0, -1.0)
        classes = functional.cross_entropy(classifier(features), labels_of(batch), reduction="sum")
        return {
            "features": options.feature_weight * n * pairwise_likelihood(features, to_features, relevant).sum(),
            "codes": options.code_weight * n * pairwise_likelihood(codes, to_codes, relevant).sum(),
            "quantization": options.quantization_weight * quantization(codes, targets).sum(),
            "classes": options.label_weight * classes,
        }

    def _train_discriminators(self, label_features: Tensor, features: list[Tensor]) -> None:
        """One step: features of labels are real, of images and captions fake."""
        losses = [
            discriminator_loss(discriminator(label_features), discriminator(side.detach())).mean()
            for discriminator, side in zip(self.discriminators, features, strict=True)
        ]
        optimizer = self.optimizers["discriminators"]
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()


SSAH = Method(
    "ssah",
    "Li, Deng, Li, Liu, Gao, Tao: Self-supervised adversarial hashing networks, CVPR 2018",
    SsahOptions,
    Ssah,
    losses="likelihood of features and of codes against labels' + quantization + classes + adversarial",
    supervision="labels",
    departures=(
        "Frozen encoders under heads of 1024 units; all networks step together instead of in turns; Adam at one rate.",
        "The likelihood is a likelihood; the released code takes a squared error in its place.",
        "Images and captions are quantized to the signs of the labels' codes, those of the released code to their own.",
        "Items are held against those of their batch, not against all training items.",
        "Classes exclude each other, so they are learnt by cross entropy.",
    ),
)
