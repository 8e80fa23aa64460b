"""Category-level contrastive hashing (Xu, Luo, Lai, Yin; Data Science and Engineering 9:251, 2024). No labels.

Reconstructed from the abstract: pairs are clustered, each cluster has a row of a Hadamard matrix as the centre of its
codes, and a memory bank beyond the batch gives negatives from other clusters only, so that pairs of one meaning are not
driven apart. Here the memory holds the latest codes of all training pairs.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from rshash.extras import require
from rshash.losses.contrastive import bank_contrast
from rshash.losses.quantization import quantization
from rshash.methods.method import Method
from rshash.methods.objective import Objective
from rshash.methods.options import Options, number
from rshash.methods.pairs import Batch, TrainingPairs


@dataclass(frozen=True)
class CategoryOptions(Options):
    """Options of the category-level contrast.

    Attributes:
        categories: clusters of the training pairs.
        temperature: of the contrast with the memory.
        centre_weight: of the distance of a code from the centre of its cluster.
        quantization_weight: of the quantization.
    """

    epochs: int = number(60, least=1)
    hidden: int = number(1024, least=0)
    learning_rate: float = number(3e-4, above=0)
    categories: int = number(30, least=2)
    temperature: float = number(1.0, above=0)
    centre_weight: float = number(0.001, least=0)
    quantization_weight: float = number(0.001, least=0)


class Category(Objective):
    """Category-level contrast in training; arguments as `Objective`."""

    categories: Tensor
    centres: Tensor
    images: Tensor
    captions: Tensor

    def __init__(self, pairs: TrainingPairs, n_bits: int, options: CategoryOptions) -> None:
        super().__init__(pairs, n_bits, options)
        self.options = options
        n_categories = min(options.categories, len(pairs))
        self.register_buffer("categories", _cluster(pairs, n_categories))  # (N,)
        self.register_buffer("centres", hadamard_rows(n_categories, n_bits))
        for name in ("images", "captions"):  # latest codes of all pairs, of length 1
            self.register_buffer(name, functional.normalize(torch.randn(len(pairs), n_bits), dim=1))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Contrast, centres and quantization, summed over the batch."""
        options = self.options
        image, caption = self.image_head(batch.images[0]), self.caption_head(batch.captions[0])
        unit_image, unit_caption = functional.normalize(image, dim=1), functional.normalize(caption, dim=1)
        self.images[batch.rows], self.captions[batch.rows] = unit_image.detach(), unit_caption.detach()
        alike = self.categories[batch.rows][:, None] == self.categories[None, :]  # (B, N)
        to_captions = bank_contrast(unit_image, self.captions.clone(), unit_caption, alike, options.temperature)
        to_images = bank_contrast(unit_caption, self.images.clone(), unit_image, alike, options.temperature)
        centres = self.centres[self.categories[batch.rows]]
        targets = torch.where((image + caption).detach() >= 0, 1.0, -1.0)
        from_centres = torch.cat([quantization(code, centres) for code in (image, caption)])
        from_corners = torch.cat([quantization(code, targets) for code in (image, caption)])
        return {
            "contrast": (to_captions + to_images).sum() / 2,
            "centres": options.centre_weight * from_centres.sum(),
            "quantization": options.quantization_weight * from_corners.sum(),
        }


def hadamard_rows(n: int, n_bits: int) -> Tensor:
    """Signs that are far from each other: (n, n_bits) of ±1, n_bits / 2 apart where n_bits is a power of 2.

    Rows of Sylvester's matrix, then their opposites; columns are cut to ``n_bits``. Beyond twice its order rows repeat.

    >>> hadamard_rows(3, 4)
    tensor([[ 1.,  1.,  1.,  1.],
            [ 1., -1.,  1., -1.],
            [ 1.,  1., -1., -1.]])
    """
    matrix = torch.ones(1, 1)
    while len(matrix) < n_bits:
        matrix = torch.cat([torch.cat([matrix, matrix], dim=1), torch.cat([matrix, -matrix], dim=1)])
    return torch.cat([matrix, -matrix])[torch.arange(n) % (2 * len(matrix)), :n_bits]


def _cluster(pairs: TrainingPairs, n_categories: int) -> Tensor:
    """Cluster the pairs by the features of both modalities, each of length 1: (N,) int64."""
    rows = pairs.first_caption[:-1] if pairs.chosen is None else pairs.chosen
    sides = (pairs.images[0].cpu(), pairs.captions[0].cpu()[torch.from_numpy(np.ascontiguousarray(rows))])
    features = torch.cat([functional.normalize(side, dim=1) for side in sides], dim=1).numpy()
    seed = int(torch.randint(2**31, ()))  # of the training: the caller has seeded torch
    clusters = (
        require("sklearn.cluster", "train").KMeans(n_categories, n_init=4, random_state=seed).fit_predict(features)
    )
    return torch.from_numpy(clusters).long()


CATEGORY = Method(
    "category-contrast",
    "Xu, Luo, Lai, Yin: Category-level contrastive learning, Data Science and Engineering 9:251, 2024",
    CategoryOptions,
    Category,
    losses="contrast with a memory of other clusters + distance from the centre of the cluster + quantization",
    departures=("Reconstructed from the abstract; the weights of the terms and the number of clusters are ours.",),
)
