"""Tail: the last blocks of an image encoder, to be trained with a hash head while its trunk stays frozen.

The trunk is an encoder of its own, whose features are maps: they are computed once, kept in the cache of features, and
read by a hasher like those of any other encoder. What was trained belongs to the hasher.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from rshash.models.folded import FoldedNetwork, plain_block, run_blocks

FIRST = 12
"""Number of the first block of the tail."""

LEVELS = {2: 24, 4: 40, 7: 80, 10: 112, 14: 192, 15: 320}
"""Number of the last block of each stage → its channels."""

WHOLE = 1280
"""Channels of the network's end."""

_SIDE, _CHANNELS, _EXPANDED = 7, 192, 1152  # of the maps that the tail reads, and of those within its blocks
_KERNELS = (5, 5, 5, 3)
_FROZEN = sum(channels for number, channels in LEVELS.items() if number < FIRST)
_AT_ONCE = 32  # their maps fit the caches of a CPU

TRUNK_DIM = _FROZEN + _SIDE**2 * _CHANNELS
"""Width of the features that `trunk_features` gives."""


class Tail(nn.Module):
    """Blocks 12 to 15 and the end of EfficientNet-Lite0, and a projection of what is read at seven levels.

    Args:
        n_components: width of the projection.

    >>> Tail(n_components=384)(torch.zeros(2, TRUNK_DIM)).shape
    torch.Size([2, 384])
    """

    dim = TRUNK_DIM
    mean: Tensor
    directions: Tensor

    def __init__(self, n_components: int) -> None:
        super().__init__()
        self.n_components = n_components
        outputs = [LEVELS.get(number, _CHANNELS) for number in range(FIRST, FIRST + len(_KERNELS))]
        self.blocks = nn.ModuleList(
            plain_block(_CHANNELS, _EXPANDED, found, kernel) for found, kernel in zip(outputs, _KERNELS, strict=True)
        )
        self.head = nn.Sequential(nn.Conv2d(outputs[-1], WHOLE, 1), nn.ReLU6(inplace=True))
        n_levels = sum(LEVELS.values()) + WHOLE
        self.register_buffer("mean", torch.zeros(n_levels))
        self.register_buffer("directions", torch.eye(n_levels, n_components))

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, `TRUNK_DIM`) features of the trunk to (B, n_components)."""
        return torch.cat([self._project(part) for part in torch.split(features, _AT_ONCE)])

    def _project(self, features: Tensor) -> Tensor:
        frozen, maps = features[:, :_FROZEN], features[:, _FROZEN:].reshape(-1, _SIDE, _SIDE, _CHANNELS)
        levels, maps = run_blocks(list(self.blocks), maps.permute(0, 3, 1, 2), LEVELS, FIRST)
        whole = torch.cat([frozen, *unit([*levels, self.head(maps).mean(dim=(2, 3))])], dim=1)
        return (whole - self.mean) @ self.directions


def trunk_features(network: FoldedNetwork, inputs: Tensor) -> Tensor:
    """Map (B, 3, 224, 224) to what a `Tail` reads: (B, `TRUNK_DIM`), the levels below it and the maps before it."""
    levels, maps = network.trunk(inputs, LEVELS, FIRST)
    return torch.cat([*unit(levels), maps.permute(0, 2, 3, 1).flatten(1)], dim=1)


def unit(levels: list[Tensor]) -> list[Tensor]:
    """Bring each row (channels,) of each level to length 1."""
    return [functional.normalize(level, dim=1) for level in levels]
