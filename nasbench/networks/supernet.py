"""All cells of NAS-Bench-201 as one network with shared weights: every edge of every cell holds every operation.

The skeleton is that of the cells' own networks, each of its cells has weights of its own, and all its cells follow the
same choice. Batch normalisation is that of a search, as in DARTS and NAS-Bench-201 (Dong and Yang, ICLR 2020): the
batch's own statistics, in training and in evaluation alike, without scale and shift, in the whole network; there are
no running statistics, and what a batch is told depends on who else is in it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from .counts import count_flops
from .graph import CELL_EDGES, Skeleton, prune


def count_mixed_flops(skeleton: Skeleton) -> int:
    """FLOPs of one image's forward pass through all operations of all edges; conventions as in count_flops."""
    nothing, ones, threes = (count_flops((code,) * len(CELL_EDGES), skeleton, pruned=False) for code in (0, 2, 3))
    return ones + threes - nothing


class Convolution(nn.Module):
    """ReLU where asked for, a convolution, batch normalisation; weights uniform in +-1/sqrt(fan in)."""

    def __init__(
        self, c_in: int, c_out: int, kernel: int, generator: torch.Generator, stride: int = 1, relu: bool = True,
        norm: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.stride, self.relu, self.norm = stride, relu, norm
        self.weight = nn.Parameter(_uniform((c_out, c_in, kernel, kernel), c_in * kernel**2, generator))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(x) if self.relu else x
        x = functional.conv2d(x, self.weight, None, self.stride, self.weight.shape[2] // 2)
        return _normalise(x) if self.norm else x


class Reduction(nn.Module):
    """Half the height and width and twice the channels: the skeleton's `plain` or `residual` block."""

    def __init__(self, c_in: int, residual: bool, generator: torch.Generator) -> None:
        super().__init__()
        self.first = Convolution(c_in, 2 * c_in, 3, generator, stride=2)
        self.second = Convolution(2 * c_in, 2 * c_in, 3, generator) if residual else None
        self.shortcut = Convolution(c_in, 2 * c_in, 1, generator, relu=False, norm=False) if residual else None

    def forward(self, x: Tensor, weights: Tensor | None, cell: Sequence[int] | None) -> Tensor:
        y = cast(Tensor, self.first(x))
        if self.second is None or self.shortcut is None:
            return y
        return cast(Tensor, self.second(y) + self.shortcut(functional.avg_pool2d(x, 2)))


class SharedCell(nn.Module):
    """One cell with every operation on every edge."""

    def __init__(self, channels: int, generator: torch.Generator) -> None:
        super().__init__()
        self.ones, self.threes = (
            nn.ModuleList(Convolution(channels, channels, kernel, generator) for _ in CELL_EDGES) for kernel in (1, 3)
        )

    def forward(self, x: Tensor, weights: Tensor | None, cell: Sequence[int] | None) -> Tensor:
        if cell is None:
            assert weights is not None
            return self._mixed(x, weights)
        nodes: list[Tensor | None] = [x, None, None, None]
        for edge, (source, target) in enumerate(CELL_EDGES):
            before, total = nodes[source], nodes[target]
            if cell[edge] and before is not None:
                y = self._operate(edge, cell[edge], before)
                y = y if weights is None else y * weights[edge, cell[edge]]
                nodes[target] = y if total is None else total + y
        output = nodes[3]
        return torch.zeros_like(x) if output is None else output

    def _operate(self, edge: int, code: int, x: Tensor) -> Tensor:
        if code == 1:
            return x
        return _pool(x) if code == 4 else cast(Tensor, (self.ones if code == 2 else self.threes)[edge](x))

    def _mixed(self, x: Tensor, weights: Tensor) -> Tensor:
        """The same sums, with the convolutions of all edges out of a node as one, their weights as its BN's scale."""
        nodes = [x]
        sums: dict[int, list[Tensor]] = {1: [], 2: [], 3: []}
        channels = x.shape[1]
        for source in range(3):
            edges = [edge for edge, (begin, _) in enumerate(CELL_EDGES) if begin == source]
            x = nodes[source]
            pooled, active = _pool(x), functional.relu(x)
            wide = [
                _normalise(
                    functional.conv2d(active, torch.cat([cast(Tensor, convs[e].weight) for e in edges]), padding=pad),
                    weights[edges, code].repeat_interleave(channels),
                )
                for code, convs, pad in ((2, self.ones, 0), (3, self.threes, 1))
            ]
            convolved = (wide[0] + wide[1]).split(channels, 1)
            for edge, y in zip(edges, convolved, strict=True):
                sums[CELL_EDGES[edge][1]] += [y, x * weights[edge, 1] + pooled * weights[edge, 4]]
            nodes.append(functools.reduce(torch.add, sums[source + 1]))
        return nodes[3]


class Supernet(nn.Module):
    """Images (n, channels, height, width) in, logits (n, classes) out, for any choice of operations.

    Args:
        skeleton: what is around the cells.
        generator: of the initial weights; nothing else is random.
    """

    def __init__(self, skeleton: Skeleton, generator: torch.Generator) -> None:
        super().__init__()
        self.skeleton = skeleton
        channels = skeleton.channels
        self.stem = Convolution(skeleton.image_channels, channels, 3, generator, relu=False)
        self.blocks = nn.ModuleList()
        for stage in range(3):
            if stage:
                self.blocks.append(Reduction(channels, skeleton.reduction == "residual", generator))
                channels *= 2
            self.blocks.extend(SharedCell(channels, generator) for _ in range(skeleton.cells))
        self.weight = nn.Parameter(_uniform((skeleton.classes, channels), channels, generator))
        self.bias = nn.Parameter(_uniform((skeleton.classes,), channels, generator))

    def forward(self, x: Tensor, weights: Tensor | None = None, cell: Sequence[int] | None = None) -> Tensor:
        """Logits under one of three kinds of choice.

        `weights` (6, 5) alone: mixed, each edge the sum of all its operations times their weights. `cell` alone: its
        operations and no others, none on dead edges. Both: the same, each times its weight, so that hard weights with a
        straight-through gradient (Dong and Yang, CVPR 2019) get the gradient of what was executed.
        """
        codes = None if cell is None else prune(cell)
        x = self.stem(x)
        for block in self.blocks:
            x = block(x, weights, codes)
        x = functional.relu(_normalise(x)).mean((2, 3))
        return functional.linear(x, self.weight, self.bias)

    def forward_flops(self, cell: Sequence[int] | None = None) -> int:
        """FLOPs of one image's forward pass: through a cell's live edges, or mixed through everything."""
        return count_mixed_flops(self.skeleton) if cell is None else count_flops(cell, self.skeleton)


def _normalise(x: Tensor, scale: Tensor | None = None) -> Tensor:
    shift = None if scale is None else torch.zeros_like(scale)
    return functional.batch_norm(x, None, None, scale, shift, training=True)


def _pool(x: Tensor) -> Tensor:
    return functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def _uniform(shape: tuple[int, ...], fan_in: int, generator: torch.Generator) -> Tensor:
    return (torch.rand(shape, generator=generator) * 2 - 1) / math.sqrt(fan_in)
