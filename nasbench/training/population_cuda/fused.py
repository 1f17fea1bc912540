"""A population through fused Triton kernels: about 66 launches a training step for networks of one cell a stage.

Feature maps and their gradients are stored as float32 or bfloat16; parameters, statistics and all sums are float32.
Maps in bfloat16 move the gradients of a whole network by some ten percent, in exact arithmetic as here, since they move
what ReLU lets through.

The kernels were tested through Triton's interpreter; neither their speed nor their results have been measured on a GPU
yet, which is why `engines` checks them there before use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...networks.graph import Node
from ..protocol import Protocol
from . import kernels, kernels_backward
from .layout import Layout
from .plan import Plan, Vectors


@dataclass(frozen=True)
class Tuning:
    """How the kernels cut up their work, chosen by what Triton compiles for Hopper (registers, shared memory and
    instructions of the loops, for 8 and 16 channels); not by measurement yet.

    Attributes:
        precision: of products of float32: `tf32x3`, three tensor-core products of their upper and lower halves, or
            `ieee`. Products of bfloat16 maps do not depend on it.
        tile: pixels x channels of a tile. Triton's interpreter is faster with large ones.
        parts: programs that share a network's batch statistics in one slot; a power of 2.
        shares: programs that share a network's weight gradients in one slot, at most, where maps are large.
        rows: weights of an output channel that a program computes the gradients of, at least, and twice as many where
            those are all; Hopper's tensor cores take 64 at a time.
        stages: how far loads run ahead of products.
        warps: of a program that multiplies.
    """

    precision: str = "ieee"
    tile: int = 2048
    parts: int = 8
    shares: int = 8
    rows: int = 64
    stages: int = 1
    warps: int = 4


DEFAULT = Tuning()
SHARE = 4096
"""Pixels of which a program computes weight gradients, at least."""
IMAGES = 32
"""Images that the classifier takes at a time, at most."""


def shares_of(node: Node, batch: int, tuning: Tuning) -> int:
    """Programs that share the gradients of the weights of a slot into a node, each of some images."""
    return max(1, min(tuning.shares, batch * node.height * node.width // SHARE, batch))


def padded(count: int, least: int = 16) -> int:
    """The power of 2 from `count` up, as Triton's blocks want it; the inner side of a product is 16 at least."""
    return max(least, 1 << (count - 1).bit_length())


class FusedEngine:
    """The networks of a plan, with their weights, momentum and running statistics on a device.

    Args:
        vectors: the members' initial parameters.
        storage: `float32` or `bfloat16`.
    """

    def __init__(
        self,
        plan: Plan,
        vectors: Vectors,
        protocol: Protocol,
        device: str = "cuda",
        storage: str = "float32",
        tuning: Tuning = DEFAULT,
    ) -> None:
        self.plan, self.protocol, self.count, self.tuning = plan, protocol, len(plan.members), tuning
        self.layout = layout = Layout(plan, protocol.batch_size)
        self.nodes = plan.graph.nodes
        dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[storage]
        self.operand = {"float32": kernels.tl.float32, "bfloat16": kernels.tl.bfloat16}[storage]
        slots, parts = len(plan.graph.edges), tuning.parts
        # Not filled: every element that is read was written before.
        self.maps = torch.empty(layout.elements, dtype=dtype, device=device)
        self.theta = torch.from_numpy(layout.rows(vectors)).to(device)
        self.momentum, self.gradient = torch.zeros_like(self.theta), torch.zeros_like(self.theta)
        self.shared = layout.leading(lambda node: shares_of(node, layout.batch, tuning) > 1)
        most = max(shares_of(node, layout.batch, tuning) for node in self.nodes[1:])
        self.shares = torch.zeros((most - 1, self.count, self.shared), device=device)
        self.codes, self.slots, self.leaving = (
            torch.from_numpy(table).to(device) for table in (layout.codes, layout.slots, layout.leaving)
        )
        self.partials = torch.zeros((self.count, slots, parts, 2, layout.widest), device=device)
        self.moments = torch.zeros((self.count, slots, 2, layout.widest), device=device)
        self.running = torch.zeros((self.count, slots, 2, layout.widest), device=device)
        self.running[:, :, 1] = 1
        self.losses = torch.zeros(self.count, device=device)
        self.right = torch.zeros(self.count, dtype=torch.int32, device=device)
        self.state = [self.theta, self.momentum, self.running]
        self.sizes = {"SLOTS": slots, "WIDEST": layout.widest, "PARTS": parts}

    def step(self, x: Tensor, y: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
        """Train every network on its batch; images (P, batch, height, width, channels), labels (P, batch), the
        learning rate (). Returns the losses before the step and the right predictions, (P,)."""
        self.gradients(x, y)
        count = self.theta.numel()
        kernels_backward.update[(-(-count // 1024),)](
            self.theta, self.momentum, self.gradient, rate, count,
            FACTOR=self.protocol.momentum, DECAY=self.protocol.weight_decay, BLOCK=1024,
        )  # fmt: skip
        return self.losses, self.right

    def gradients(self, x: Tensor, y: Tensor) -> None:
        """The losses, right predictions and gradients of one batch, into the tensors of these names."""
        x, y = x.contiguous(), y.contiguous()
        self._forward(x, x[0].numel(), y, self.protocol.batch_size, train=True)
        for node in range(len(self.nodes) - 1, 0, -1):
            self._backward(node, x)
        if self.shared:
            kernels_backward.add_shares[(self.count, -(-self.shared // 1024))](
                self.gradient, self.shares, self.count, PARAMETERS=self.layout.parameters, SHARED=self.shared,
                SHARES=len(self.shares), BLOCK=1024,
            )  # fmt: skip

    def evaluate(self, x: Tensor, y: Tensor) -> Tensor:
        """How many of the images (batch, height, width, channels) each network gets right with its running
        statistics, (P,); labels of -1 do not count."""
        self._forward(x.contiguous(), 0, y.contiguous(), 0, train=False)
        return self.right

    def vector(self, rows: Tensor, member: int) -> NDArray[np.float32]:
        """One member's part of `theta` or `gradient` in the order of its flat vector."""
        return self.layout.vector(rows[member].cpu().numpy(), member)

    def _pixels(self, node: Node) -> int:
        return self.protocol.batch_size * node.height * node.width

    def _tiling(self, node: Node, channels: int) -> dict[str, int]:
        """Pixels of a tile, and of the part of a network's pixels that one program goes through."""
        tile = max(16, min(self.tuning.tile // padded(channels, 8), padded(self._pixels(node))))
        return {"TILE": tile, "CHUNK": -(-self._pixels(node) // (self.tuning.parts * tile)) * tile}

    def _source(self, node: int, x: Tensor, stride: int) -> tuple[Tensor, int]:
        """The tensor that a node's maps are in, and how far apart those of two networks are."""
        if node == 0:
            return x, stride
        return self.maps, self._pixels(self.nodes[node]) * self.nodes[node].channels

    def _shapes(self, source: Node, target: Node) -> dict[str, Any]:
        return {
            **self.sizes, "PARAMETERS": self.layout.parameters, "BATCH": self.protocol.batch_size,
            "HIGH": source.height, "WIDE": source.width, "C_IN": source.channels,
            "HEIGHT": target.height, "WIDTH": target.width, "C_OUT": target.channels,
            "OPERAND": self.operand, "PRECISION": self.tuning.precision,
            "num_stages": self.tuning.stages, "num_warps": self.tuning.warps,
            "PRODUCT": self.operand if self.maps.is_cuda else kernels.tl.float32,
        }  # fmt: skip

    def _forward(self, x: Tensor, image_stride: int, y: Tensor, label_stride: int, train: bool) -> None:
        batch, last = self.protocol.batch_size, len(self.nodes) - 1
        for node, shape in enumerate(self.nodes[1:], 1):
            tiling = self._tiling(shape, shape.channels)
            count = 0
            for run in self.layout.runs(node):
                count += run.count
                if run.edge.operation == "pool2" or (run.edge.operation == "norm" and not train):
                    continue
                source, stride = self._source(run.edge.source, x, image_stride)
                kernels.convolve[(self.count, self.tuning.parts, run.count)](
                    source, self.maps, self.theta, self.codes, self.slots, self.partials, run.first, stride,
                    **self._shapes(run.source, run.target), STRIDE=run.edge.stride, RELU=run.edge.relu,
                    MOMENTS=train and run.edge.norm, DEPTH=padded(run.source.channels), P_OUT=padded(shape.channels, 8),
                    **tiling,
                )  # fmt: skip
            first = next(self.layout.runs(node)).first
            sizes = {**self.sizes, "PARAMETERS": self.layout.parameters, "BATCH": batch, "TRAIN": train}
            sizes |= {"C": shape.channels, "CHUNK": tiling["CHUNK"]}
            if node != last:
                kernels.gather[(self.count, -(-self._pixels(shape) // tiling["TILE"]))](
                    self.maps, self.theta, self.codes, self.slots, self.partials, self.moments, self.running, first,
                    count, **sizes, HEIGHT=shape.height, WIDTH=shape.width, P=padded(shape.channels, 8),
                    TILE=tiling["TILE"],
                )  # fmt: skip
                continue
            classes = self.plan.graph.classes
            kernels.classify[(self.count,)](
                self.maps, self.theta, self.gradient, self.slots, self.partials, self.moments, self.running,
                y, self.losses, self.right, first, label_stride,
                **sizes, P=padded(shape.channels), PIXELS=shape.height * shape.width, HEAD=self.layout.head,
                CLASSES=classes, P_CLASSES=padded(classes), IMAGES=min(IMAGES, padded(batch)),
            )  # fmt: skip

    def _backward(self, node: int, x: Tensor) -> None:
        shape, last = self.nodes[node], len(self.nodes) - 1
        if node != last:
            leaving = self.layout.leavers(node)
            # All that leave a node agree in shape and flags but for a pooling beside a convolution.
            edge = next((edge for edge in leaving if edge.operation == "conv"), leaving[0])
            target = self.nodes[edge.target]
            tile = self._tiling(shape, max(shape.channels, target.channels))["TILE"]
            quarter = -(-shape.height // edge.stride) * -(-shape.width // edge.stride) * self.protocol.batch_size
            kernels_backward.map_gradient[(self.count, edge.stride**2 * -(-quarter // tile))](
                self.maps, self.theta, self.codes, self.slots, self.leaving, self.partials, self.moments,
                self.layout.leave[node], len(leaving), **self._shapes(shape, target), STRIDE=edge.stride,
                RELU=edge.relu, NORMALISE=edge.norm, DEPTH=padded(target.channels),
                P_IN=padded(shape.channels, 8), TILE=tile,
            )  # fmt: skip
        for run in self.layout.runs(node):
            edge, pixels = run.edge, self._pixels(shape)
            if edge.norm:
                kernels_backward.normalisation_sums[(self.count, self.tuning.parts, run.count)](
                    self.maps, self.codes, self.slots, self.partials, self.moments, run.first, **self.sizes,
                    PIXELS=pixels, C=shape.channels, P=padded(shape.channels, 8),
                    **self._tiling(shape, shape.channels),
                )  # fmt: skip
            if edge.operation in ("conv", "norm"):
                source, stride = self._source(edge.source, x, x[0].numel())
                taps, shares = max(1, edge.kernel**2), shares_of(shape, self.protocol.batch_size, self.tuning)
                rows = padded(taps * run.source.channels, self.tuning.rows)
                if rows > 2 * self.tuning.rows:
                    rows = padded(run.source.channels, self.tuning.rows)
                tile = self._tiling(shape, max(rows // 2, shape.channels))["TILE"]
                groups = -(-taps // (rows // run.source.channels))
                kernels_backward.weight_gradient[(groups * shares, self.count, run.count)](
                    source, self.maps, self.theta, self.gradient, self.shares, self.codes, self.slots, self.partials,
                    self.moments, run.first, stride, **self._shapes(run.source, shape), STRIDE=edge.stride,
                    RELU=edge.relu, NORMALISE=edge.norm, ROWS=rows, P_OUT=padded(shape.channels, 8), TILE=tile,
                    GROUPS=groups, SHARED=self.shared, SHARES=shares,
                )  # fmt: skip


def member_bytes(plan: Plan, batch: int, storage: str = "float32") -> int:
    """Device memory that one network takes, without its batches."""
    one = Plan(plan.graph, (plan.graph,), tuple((edge,) for edge in plan.graph.edges))
    alone = Layout(one, batch)
    statistics = len(plan.graph.edges) * (DEFAULT.parts + 2) * 2 * alone.widest
    shared = (DEFAULT.shares - 1) * alone.leading(lambda node: shares_of(node, batch, DEFAULT) > 1)
    return {"float32": 4, "bfloat16": 2}[storage] * alone.elements + 4 * (3 * alone.parameters + statistics + shared)
