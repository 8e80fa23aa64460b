"""An EfficientNet-Lite rebuilt for encoding: the same function in far fewer passes over memory.

Batch norms are folded into the convolutions before them, padding is left to the convolution where it is symmetric, and
activations overwrite their input. On a CPU the network is bound by memory, not by arithmetic: as its package builds it,
in batches of 32, it is several times slower than folded, channels last, two images at a time.
"""

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class FoldedNetwork(nn.Module):
    """The convolutions of an EfficientNet-Lite, up to its pooling.

    Args:
        network: ``efficientnet_lite_pytorch.EfficientNet`` in eval mode; its parameters are copied.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_fold(network._conv_stem, network._bn0), nn.ReLU6(inplace=True))
        self.blocks = nn.ModuleList(_fold_block(block) for block in network._blocks)
        self.head = nn.Sequential(*_fold(network._conv_head, network._bn1), nn.ReLU6(inplace=True))
        self.eval()
        for weights in self.parameters():
            weights.data = weights.data.contiguous(
                memory_format=torch.channels_last if weights.ndim == 4 else torch.contiguous_format
            )

    def levels(self, inputs: Tensor, numbers: Collection[int]) -> list[Tensor]:
        """Map (B, 3, side, side) to the pooled output (B, channels) of some blocks, and of the head as the last."""
        levels, maps = self.trunk(inputs, numbers, len(self.blocks))
        return [*levels, self.head(maps).mean(dim=(2, 3))]

    def trunk(self, inputs: Tensor, numbers: Collection[int], stop: int) -> tuple[list[Tensor], Tensor]:
        """Map (B, 3, side, side) to the pooled output of some blocks, and the maps that block ``stop`` reads."""
        maps = self.stem(inputs.contiguous(memory_format=torch.channels_last))
        return run_blocks(list(self.blocks)[:stop], maps, numbers)


class FoldedBlock(nn.Module):
    """An inverted residual block: expand (but in the first block), filter each channel, project."""

    def __init__(self, layers: Sequence[nn.Module], is_residual: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.is_residual = is_residual

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', H', W')."""
        found: Tensor = self.layers(maps)
        return found.add_(maps) if self.is_residual else found


def run_blocks(
    blocks: Sequence[nn.Module], maps: Tensor, numbers: Collection[int], start: int = 0
) -> tuple[list[Tensor], Tensor]:
    """Return the pooled output (B, channels) of the blocks of some numbers, counted from ``start``, and the maps."""
    levels = []
    for number, block in enumerate(blocks, start):
        maps = block(maps)
        if number in numbers:
            levels.append(maps.mean(dim=(2, 3)))
    return levels, maps


def plain_block(channels: int, expanded: int, found: int, kernel: int) -> FoldedBlock:
    """Return a block of stride 1 as `FoldedNetwork` folds it, with weights as torch draws them."""
    layers = [
        *(nn.Conv2d(channels, expanded, 1), nn.ReLU6(inplace=True)),
        *(nn.Conv2d(expanded, expanded, kernel, padding=kernel // 2, groups=expanded), nn.ReLU6(inplace=True)),
        nn.Conv2d(expanded, found, 1),
    ]
    return FoldedBlock(layers, is_residual=channels == found)


def _fold_block(block: Any) -> FoldedBlock:
    shape = block._block_args
    expands = shape.expand_ratio != 1
    expand = [*_fold(block._expand_conv, block._bn0), nn.ReLU6(inplace=True)] if expands else []
    filtering = [*_fold(block._depthwise_conv, block._bn1), nn.ReLU6(inplace=True)]
    is_residual = shape.id_skip and shape.stride == 1 and shape.input_filters == shape.output_filters
    return FoldedBlock([*expand, *filtering, *_fold(block._project_conv, block._bn2)], is_residual)


def _fold(convolution: Any, norm: nn.BatchNorm2d) -> list[nn.Module]:
    """Return the layers of a convolution and its batch norm: padding, if it is lopsided, and one convolution."""
    whole = fuse_conv_bn_eval(convolution, norm)
    padding = convolution.static_padding
    before: list[nn.Module] = []
    symmetric = 0
    if isinstance(padding, nn.ZeroPad2d):
        sides = set(padding.padding)
        if len(sides) == 1:
            symmetric = sides.pop()
        else:
            before = [padding]
    plain = nn.Conv2d(
        whole.in_channels, whole.out_channels, whole.kernel_size, whole.stride, symmetric, groups=whole.groups
    )
    plain.load_state_dict(whole.state_dict())
    return [*before, plain]
