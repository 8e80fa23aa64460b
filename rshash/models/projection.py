"""Principal directions of features, in which a head is trained, and the head that reads features again.

Steps cost a fraction where features are projected once, before the first step.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rshash.models.heads import HashHead

Features = NDArray[np.float32]


@dataclass(frozen=True)
class Projection:
    """Features minus their mean, along their principal directions.

    Attributes:
        mean: (dim,) float32.
        directions: (dim, n_components) float32, orthonormal, the one of largest variance first.
    """

    mean: Features
    directions: Features

    @classmethod
    def fit(cls, features: Features, n_components: int) -> "Projection":
        """Find the principal directions of (N, dim) features.

        Directions in which they do not vary are left out: their weights would stay as they were drawn, and answer to
        other features all the same.

        Raises:
            ValueError: if the features are all equal.

        >>> Projection.fit(np.eye(3, 5, dtype=np.float32), n_components=4).directions.shape
        (5, 2)
        """
        mean = features.mean(axis=0)
        centred = torch.from_numpy(features - mean)
        variances, directions = torch.linalg.eigh(centred.T @ centred / len(centred))  # ascending
        variances, directions = variances.flip(0)[:n_components], directions.flip(1)[:, :n_components]
        if not variances[0] > 0:
            raise ValueError("the training features are all equal; check the images and their encoder")
        return cls(mean, directions[:, variances > 1e-5 * variances[0]].numpy())

    def __call__(self, features: Features) -> Features:
        """Map (N, dim) features to (N, n_components) float32."""
        projected: Features = np.matmul(features - self.mean, self.directions, dtype=np.float32)
        return projected

    @torch.no_grad()
    def unfold(self, head: HashHead) -> HashHead:
        """Return a head for features that gives the same codes as ``head`` does for projected ones."""
        directions, mean = (torch.from_numpy(part).to(head.mean) for part in (self.directions, self.mean))
        whole = HashHead(len(mean), head.n_bits, head.hidden).to(head.mean.device)
        if head.rotation is not None:
            whole.rotate(head.rotation)  # of the right shape, replaced by the next lines
        weights = dict(head.state_dict())
        first = weights["layers.0.weight"] @ directions.T / head.deviation
        bias = (
            weights["layers.0.bias"] - first @ mean - weights["layers.0.weight"].sum(dim=1) * head.mean / head.deviation
        )
        whole.load_state_dict(
            {
                **weights,
                "mean": torch.zeros_like(head.mean),
                "deviation": torch.ones_like(head.deviation),
                "layers.0.weight": first,
                "layers.0.bias": bias,
            }
        )
        return whole.train(head.training)
