"""Hash heads: features → relaxed codes."""

import torch
from torch import Tensor, nn

from rshash.models.tail import Tail


class HashHead(nn.Module):
    """Linear - batch norm - ReLU - Linear - tanh on standardised features, as DUCH (arXiv 2201.08125).

    Features are standardised with one scalar mean and one scalar deviation, kept with the weights. DUCH takes the two
    numbers over training, query and database rows together; here `standardise` is given training rows only.

    Args:
        dim: width of the features, without a tail.
        n_bits: width of the codes.
        hidden: width of the hidden layer; 0 for a linear head, Linear - tanh.

    >>> head = HashHead(dim=3, n_bits=8, hidden=16).eval()
    >>> head(torch.zeros(5, 3)).shape
    torch.Size([5, 8])
    """

    mean: Tensor
    deviation: Tensor
    rotation: Tensor | None
    tail: Tail | None

    def __init__(self, dim: int, n_bits: int, hidden: int = 4096) -> None:
        super().__init__()
        self.dim = dim
        self.n_bits = n_bits
        self.hidden = hidden
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("deviation", torch.ones(()))
        self.register_buffer("rotation", None)
        self.tail = None
        self.layers = (
            nn.Sequential(nn.Linear(dim, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, n_bits))
            if hidden
            else nn.Sequential(nn.Linear(dim, n_bits))
        )

    @torch.no_grad()
    def standardise(self, features: Tensor) -> None:
        """Take mean and deviation from (N, dim) training features.

        Raises:
            ValueError: if the features are all equal.
        """
        deviation, mean = torch.std_mean(features.double(), correction=0)
        if not deviation > 0:
            raise ValueError("the training features are all equal; check the images or captions and their encoder")
        self.mean.copy_(mean)
        self.deviation.copy_(deviation)

    def rotate(self, rotation: Tensor) -> None:
        """Turn the relaxed codes by an orthogonal matrix (n_bits, n_bits), scaled so that they stay within (-1, 1).

        Cosines stay as they are, signs do not: saturated codes of one cluster have equal signs, turned ones keep some
        of the differences between their relaxed codes (hyperplanes other than the axes, Charikar, STOC 2002).
        """
        self.rotation = rotation / rotation.abs().sum(dim=0).max()

    def attach(self, tail: Tail) -> None:
        """Read features of a trunk through its tail, whose weights belong to the head from now on."""
        self.tail = tail
        self.dim = tail.dim

    def embed(self, features: Tensor) -> Tensor:
        """Map (B, dim) features to what the last layer reads: (B, hidden), or the features without one."""
        read = features if self.tail is None else self.tail(features)
        embedded: Tensor = self.layers[:-1]((read - self.mean) / self.deviation)
        return embedded

    def relax(self, embedded: Tensor, sharpness: float = 1.0) -> Tensor:
        """Map what `embed` gives to (B, n_bits) relaxed codes in (-1, 1), nearer to ±1 the higher the sharpness."""
        relaxed = torch.tanh(sharpness * self.layers[-1](embedded))
        return relaxed if self.rotation is None else relaxed @ self.rotation

    def forward(self, features: Tensor, sharpness: float = 1.0) -> Tensor:
        """Map (B, dim) features to (B, n_bits) relaxed codes in (-1, 1)."""
        return self.relax(self.embed(features), sharpness)
