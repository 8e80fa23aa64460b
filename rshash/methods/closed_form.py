"""Closed forms: linear projections of both modalities from one eigenvalue problem, and a rotation. No steps, no labels.

Canonical correlation analysis (Hotelling 1936) finds the directions along which images and captions agree most. CCA-ITQ
(Gong, Lazebnik: CVPR 2011; TPAMI 2013, §3.3) scales each direction by its correlation, as the authors' code does, and
turns them so that signs lose least. A random rotation (SimHash, Charikar: STOC 2002) is what ITQ is held against.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from rshash.methods.method import Method
from rshash.methods.objective import Objective
from rshash.methods.options import DataOptions, number
from rshash.methods.pairs import TrainingPairs
from rshash.models.heads import HashHead


@dataclass(frozen=True)
class ClosedFormOptions(DataOptions):
    """Options of the methods in closed form.

    Attributes:
        space: "cca" finds a common space of images and captions; "joint" takes the features as they are, for encoders
            that share one.
        ridge: added to the covariances of the features, as a share of the mean variance of a feature; with fewer
            pairs than features it keeps the correlations from being 1.
        correlation_power: each direction is scaled by its correlation to this power; 0 weighs all alike.
        rotation: "itq" of least quantization error, "random", or "none".
        iterations: of ITQ.
    """

    space: Literal["cca", "joint"] = "cca"
    ridge: float = number(3.0, above=0)
    correlation_power: float = number(1.0, least=0)
    rotation: Literal["itq", "random", "none"] = "itq"
    iterations: int = number(50, least=1)


@dataclass(frozen=True)
class RandomRotationOptions(ClosedFormOptions):
    """Options of the random rotation: those of `ClosedFormOptions` with another rotation."""

    rotation: Literal["itq", "random", "none"] = "random"


class ClosedForm(Objective):
    """Linear heads, fitted when made; arguments as `Objective`."""

    def __init__(self, pairs: TrainingPairs, n_bits: int, options: ClosedFormOptions) -> None:
        super().__init__(pairs, n_bits, options)
        images, captions = (side.double() for side in pairs.matched())
        means = images.mean(dim=0), captions.mean(dim=0)
        sides = images - means[0], captions - means[1]
        if options.space == "joint":
            directions = _joint(sides[0].shape[1], sides[1].shape[1], n_bits).to(sides[0])
            projections = directions, directions
        else:
            *whitened, correlations = cca(*sides, n_bits, options.ridge)
            scales = correlations**options.correlation_power
            projections = whitened[0] * scales, whitened[1] * scales
        projected = torch.cat([side @ projection for side, projection in zip(sides, projections, strict=True)])
        if options.rotation == "none":
            rotation = torch.eye(n_bits, dtype=projected.dtype, device=projected.device)
        else:
            rotation = random_rotation(n_bits).to(projected)
        if options.rotation == "itq":
            rotation = itq(projected, rotation, options.iterations)
        for head, mean, projection in zip((self.image_head, self.caption_head), means, projections, strict=True):
            _set_linear(head, mean, projection @ rotation / projected.std())


@torch.no_grad()
def cca(images: Tensor, captions: Tensor, n: int, ridge: float) -> tuple[Tensor, Tensor, Tensor]:
    """Directions of greatest correlation.

    Args:
        images: (N, image dim) centred.
        captions: (N, caption dim) centred, of the same N pairs.
        n: directions.
        ridge: added to each covariance, as a share of the mean variance of its features.

    Returns:
        (image dim, n) and (caption dim, n) projections to unit variance, and (n,) correlations, falling.

    Raises:
        ValueError: if there are fewer than ``n`` directions.
    """
    most = min(len(images) - 1, images.shape[1], captions.shape[1])
    if n > most:
        raise ValueError(f"CCA of these features and {len(images)} pairs has {most} directions, got n_bits {n}")
    factors = []
    for side in (images, captions):
        covariance = side.T @ side / len(side)
        covariance.diagonal().add_(ridge * covariance.diagonal().mean())
        factors.append(torch.linalg.cholesky(covariance))  # L, and L⁻¹ whitens
    cross = torch.linalg.solve_triangular(factors[0], images.T @ captions / len(images), upper=False)
    cross = torch.linalg.solve_triangular(factors[1], cross.T, upper=False).T
    left, correlations, right = torch.linalg.svd(cross, full_matrices=False)
    image_projection, caption_projection = (
        torch.linalg.solve_triangular(factor.T, directions[:, :n], upper=True)
        for factor, directions in zip(factors, (left, right.T), strict=True)
    )
    return image_projection, caption_projection, correlations[:n]


def random_rotation(n: int) -> Tensor:
    """Orthogonal matrix, (n, n) float64, evenly distributed; drawn from torch's random numbers."""
    q, r = torch.linalg.qr(torch.randn(n, n, dtype=torch.float64))
    rotation: Tensor = q * r.diagonal().sign()
    return rotation


@torch.no_grad()
def itq(projected: Tensor, rotation: Tensor, iterations: int) -> Tensor:
    """Iterative quantization: turn so that ‖B - V R‖² is least, B = sign(V R) (Gong & Lazebnik 2011, eq. 2).

    Args:
        projected: (N, n) V, centred.
        rotation: (n, n) to start from.
        iterations: of B for R, then R for B.

    Returns:
        (n, n) rotation R.
    """
    for _ in range(iterations):
        signs = torch.where(projected @ rotation >= 0, 1.0, -1.0).to(projected)
        left, _, right = torch.linalg.svd(projected.T @ signs)
        rotation = left @ right
    return rotation


def _joint(image_dim: int, caption_dim: int, n_bits: int) -> Tensor:
    """Random directions, (dim, n_bits), the same for both modalities of encoders with a joint space."""
    if image_dim != caption_dim:
        raise ValueError(
            f'space="joint" needs encoders of one space, got {image_dim} features of images and {caption_dim} of '
            'captions; take space="cca"'
        )
    return torch.cat([random_rotation(image_dim) for _ in range(-(-n_bits // image_dim))], dim=1)[:, :n_bits]


@torch.no_grad()
def _set_linear(head: HashHead, mean: Tensor, projection: Tensor) -> None:
    """Let a linear head map features to (features - mean) @ projection, its own standardisation undone."""
    layer = head.layers[0]
    assert isinstance(layer, nn.Linear)
    layer.weight.copy_((projection * head.deviation.double()).T)
    layer.bias.copy_((head.mean.double() - mean) @ projection)


_DEPARTURES = (
    "The rotation is fitted to both modalities at once.",
    "Covariances carry a ridge that scales with the features.",
)

CCA_ITQ = Method(
    "cca-itq",
    "Gong, Lazebnik: Iterative quantization, CVPR 2011; TPAMI 35:2916, 2013",
    ClosedFormOptions,
    ClosedForm,
    losses="correlation of projections, then the quantization error of a rotation, both in closed form",
    departures=_DEPARTURES,
)

RANDOM_ROTATION = Method(
    "random-rotation",
    "Charikar: Similarity estimation techniques from rounding algorithms, STOC 2002",
    RandomRotationOptions,
    ClosedForm,
    losses="none: signs of a random rotation of the canonical directions, or of joint features",
    departures=("Encoders without a joint space are first brought to one by CCA.", _DEPARTURES[1]),
)
