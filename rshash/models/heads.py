"""Hash heads: features → relaxed codes."""

import torch
from torch import Tensor, nn


class HashHead(nn.Module):
    """Linear - batch norm - ReLU - Linear - tanh on standardised features, as DUCH (arXiv 2201.08125).

    Features are standardised with one scalar mean and one scalar deviation, kept with the weights. DUCH takes the two
    numbers over training, query and database rows together; here `standardise` is given training rows only.

    Args:
        dim: width of the features.
        n_bits: width of the codes.
        hidden: width of the hidden layer; 0 for a linear head, Linear - tanh.
        n_components: how many principal directions of the features the first layer reads while it is trained, 0 for the
            features themselves. Steps then cost a fraction; `folded` gives the head that reads features again.

    >>> head = HashHead(dim=3, n_bits=8, hidden=16).eval()
    >>> head(torch.zeros(5, 3)).shape
    torch.Size([5, 8])
    """

    mean: Tensor
    deviation: Tensor
    rotation: Tensor | None
    components: Tensor | None

    def __init__(self, dim: int, n_bits: int, hidden: int = 4096, n_components: int = 0) -> None:
        super().__init__()
        n_components = n_components if n_components < dim else 0
        self.dim = dim
        self.n_bits = n_bits
        self.hidden = hidden
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("deviation", torch.ones(()))
        self.register_buffer("rotation", None)
        self.register_buffer("components", torch.zeros(dim, n_components) if n_components else None)
        width = n_components or dim
        self.layers = (
            nn.Sequential(nn.Linear(width, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, n_bits))
            if hidden
            else nn.Sequential(nn.Linear(width, n_bits))
        )

    @torch.no_grad()
    def standardise(self, features: Tensor) -> None:
        """Take mean, deviation and principal directions from (N, dim) training features.

        Raises:
            ValueError: if the features are all equal.
        """
        deviation, mean = torch.std_mean(features.double(), correction=0)
        if not deviation > 0:
            raise ValueError("the training features are all equal; check the images or captions and their encoder")
        self.mean.copy_(mean)
        self.deviation.copy_(deviation)
        if self.components is not None:
            centred = (features - features.mean(dim=0)) / self.deviation
            variances, directions = torch.linalg.eigh((centred.T @ centred / len(centred)).double())  # ascending
            kept = slice(-self.components.shape[1], None)
            variances, directions = variances[kept].flip(0), directions[:, kept].flip(1)
            seen = variances > 1e-6 * variances[0]  # where training rows do not vary, weights would stay as drawn
            scale = variances[seen].mean().sqrt()  # what the first layer reads has size 1
            self.components.copy_(directions * seen / scale)

    def rotate(self, rotation: Tensor) -> None:
        """Turn the relaxed codes by an orthogonal matrix (n_bits, n_bits), scaled so that they stay within (-1, 1).

        Cosines stay as they are, signs do not: saturated codes of one cluster have equal signs, turned ones keep some
        of the differences between their relaxed codes (random hyperplanes, Charikar, STOC 2002).
        """
        self.rotation = rotation / self.n_bits**0.5

    def embed(self, features: Tensor) -> Tensor:
        """Map (B, dim) features to what the last layer reads: (B, hidden), or (B, dim) without a hidden layer."""
        standard = (features - self.mean) / self.deviation
        embedded: Tensor = self.layers[:-1](standard if self.components is None else standard @ self.components)
        return embedded

    def relax(self, embedded: Tensor, sharpness: float = 1.0) -> Tensor:
        """Map what `embed` gives to (B, n_bits) relaxed codes in (-1, 1), nearer to ±1 the higher the sharpness."""
        relaxed = torch.tanh(sharpness * self.layers[-1](embedded))
        return relaxed if self.rotation is None else relaxed @ self.rotation

    def forward(self, features: Tensor, sharpness: float = 1.0) -> Tensor:
        """Map (B, dim) features to (B, n_bits) relaxed codes in (-1, 1)."""
        return self.relax(self.embed(features), sharpness)

    def folded(self) -> "HashHead":
        """Return the same function as a head without principal directions: they become part of its first layer."""
        if self.components is None:
            return self
        head = HashHead(self.dim, self.n_bits, self.hidden).to(self.mean.device)
        weights = dict(self.state_dict())
        components = weights.pop("components")
        if self.rotation is not None:
            head.rotate(self.rotation)  # of the right shape, replaced by the next line
        head.load_state_dict({**weights, "layers.0.weight": weights["layers.0.weight"] @ components.T})
        return head.train(self.training)
