"""A population as stacked torch operations: grouped convolutions, one batch norm over all networks' channels.

Of every slot's networks, those with the same operation are computed together, and their results added into the
node; autograd does the rest. Runs wherever torch does and in float64, which makes it the reference of the fused
kernels; on a CPU it is slower than one network at a time. Its speed on a GPU has not been measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ...networks.graph import Edge
from ..protocol import Protocol
from .plan import Plan, Vectors

COPIES = 9
"""Feature maps of a slot's size that a training step keeps at once for every slot, about; for choosing the size."""


@dataclass
class Group:
    """The networks with one operation in one slot.

    Attributes:
        members: their numbers; `index` says the same on the device, and is None where it is all of them.
        weight: (g * channels out, channels in, k, k) of a convolution; `scale`, `shift`, `mean`, `variance`
            (g * channels out) of a batch normalisation.
    """

    edge: Edge
    members: list[int]
    index: Tensor | None
    parameters: dict[str, Tensor] = field(default_factory=dict)
    running: tuple[Tensor, Tensor] | None = None

    def run(self, x: Tensor, train: bool) -> Tensor:
        """From (batch, P, channels, height, width) to (batch, g, channels, height, width)."""
        if self.index is not None:
            x = x.index_select(1, self.index)
        edge, count = self.edge, len(self.members)
        x = x.flatten(1, 2)
        if edge.operation == "pool3":
            x = functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        elif edge.operation == "pool2":
            x = functional.avg_pool2d(x, 2)
        elif edge.operation == "conv":
            x = functional.relu(x) if edge.relu else x
            x = functional.conv2d(x, self.parameters["weight"], None, edge.stride, edge.kernel // 2, groups=count)
        if self.running is not None:
            mean, variance = self.running
            scale, shift = self.parameters["scale"], self.parameters["shift"]
            x = functional.batch_norm(x, mean, variance, scale, shift, train, 0.1, 1e-5)
        return x.unflatten(1, (count, -1))


class StackedEngine:
    """The networks of a plan, with their weights, momentum and running statistics on a device.

    Args:
        vectors: the members' initial parameters.
        dtype: of everything; float64 for a reference.
    """

    def __init__(
        self,
        plan: Plan,
        vectors: Vectors,
        protocol: Protocol,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.plan, self.protocol, self.device, self.dtype = plan, protocol, device, dtype
        count = len(plan.members)
        self.slots = [self._groups(slot) for slot in range(len(plan.graph.edges))]
        pieces: dict[tuple[int | None, str], dict[int, NDArray[np.float32]]] = {}
        for member, vector in enumerate(vectors):
            for slot, name, where, shape in plan.parts(member):
                part = vector[where].reshape(shape)
                pieces.setdefault((slot, name), {})[member] = part.transpose(3, 2, 0, 1) if part.ndim == 4 else part
        for slot, groups in enumerate(self.slots):
            for group in groups:
                for name in ("weight", "scale", "shift"):
                    found = pieces.get((slot, name), {})
                    if group.members[0] in found:
                        group.parameters[name] = self._leaf(np.concatenate([found[m] for m in group.members]))
                if group.edge.norm:
                    scale = group.parameters["scale"].detach()
                    group.running = (torch.zeros_like(scale), torch.ones_like(scale))
        self.head = {
            name: self._leaf(np.stack([pieces[None, name][m] for m in range(count)])) for name in ("weight", "bias")
        }
        groups = [group for groups in self.slots for group in groups]
        self.parameters = [p for group in groups for p in group.parameters.values()] + list(self.head.values())
        self.momentum = [torch.zeros_like(p) for p in self.parameters]
        running = [r for group in groups if group.running for r in group.running]
        self.state = [*self.parameters, *self.momentum, *running]

    def _leaf(self, array: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(array).to(self.device, self.dtype, copy=True).contiguous().requires_grad_()

    def _groups(self, slot: int) -> list[Group]:
        found: dict[Edge, list[int]] = {}
        for member, edge in enumerate(self.plan.operations[slot]):
            if edge is not None:
                found.setdefault(edge, []).append(member)
        everyone = len(self.plan.members)
        return [
            Group(edge, members, None if len(members) == everyone else torch.tensor(members, device=self.device))
            for edge, members in found.items()
        ]

    def logits(self, x: Tensor, train: bool) -> Tensor:
        """(P, batch, classes) from images (P, batch, height, width, channels)."""
        graph = self.plan.graph
        values: list[Tensor] = [x.to(self.dtype).permute(1, 0, 4, 2, 3)]
        for node in graph.nodes[1:]:
            shape = (x.shape[1], x.shape[0], node.channels, node.height, node.width)
            total: Tensor | None = None
            for slot, groups in zip(graph.edges, self.slots, strict=True):
                if slot.target != len(values):
                    continue
                for group in groups:
                    result = group.run(values[slot.source], train)
                    if group.index is None:
                        total = result if total is None else total + result
                    else:
                        total = x.new_zeros(shape, dtype=self.dtype) if total is None else total
                        total = total.index_add_(1, group.index, result)
            values.append(x.new_zeros(shape, dtype=self.dtype) if total is None else total)
        features = functional.relu(values[-1]).mean((3, 4)).transpose(0, 1)
        return torch.baddbmm(self.head["bias"][:, None], features, self.head["weight"].transpose(1, 2))

    def gradients(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Every network's loss and right predictions of its batch, (P,), and the gradients of `parameters`."""
        with exact_convolutions():
            logits = self.logits(x, train=True)
            losses = functional.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").view(y.shape).mean(1)
            # A constant cell does not use what lies before it: its gradient there is zero.
            found = torch.autograd.grad(losses.sum(), self.parameters, materialize_grads=True)
            return losses.detach(), self._right(logits, y), found

    def step(self, x: Tensor, y: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
        """Train every network on its batch; images (P, batch, height, width, channels), labels (P, batch), the
        learning rate (). Returns the losses before the step and the right predictions, (P,)."""
        losses, right, found = self.gradients(x, y)
        gradients = list(found)
        factor = self.protocol.momentum
        with torch.no_grad():
            torch._foreach_add_(gradients, self.parameters, alpha=self.protocol.weight_decay)
            torch._foreach_mul_(self.momentum, factor)
            torch._foreach_add_(self.momentum, gradients)
            torch._foreach_add_(gradients, self.momentum, alpha=factor)
            torch._foreach_mul_(gradients, rate.to(self.dtype))
            torch._foreach_sub_(self.parameters, gradients)
        return losses, right

    def evaluate(self, x: Tensor, y: Tensor) -> Tensor:
        """How many of the images (batch, height, width, channels) each network gets right, (P,); labels of -1 do
        not count."""
        with torch.no_grad(), exact_convolutions():
            return self._right(self.logits(x.expand(len(self.plan.members), *x.shape), train=False), y)

    @staticmethod
    def _right(logits: Tensor, y: Tensor) -> Tensor:
        return (logits.argmax(2) == y).sum(1)

    def flat(self, tensors: list[Tensor] | tuple[Tensor, ...], member: int) -> NDArray[np.float64]:
        """One member's part of tensors that are in the order of `parameters`, in the order of its flat vector."""
        named = {id(p): t for p, t in zip(self.parameters, tensors, strict=True)}
        pieces = []
        for slot, name, _, shape in self.plan.parts(member):
            if slot is None:
                part = named[id(self.head[name])][member]
            else:
                group = next(group for group in self.slots[slot] if member in group.members)
                part = named[id(group.parameters[name])].unflatten(0, (len(group.members), -1))
                part = part[group.members.index(member)]
            part = part.permute(2, 3, 1, 0) if len(shape) == 4 else part
            pieces.append(part.detach().reshape(-1).double().cpu().numpy())
        return np.concatenate(pieces)


@contextmanager
def exact_convolutions() -> Iterator[None]:
    """No tf32, and no library whose choice of algorithm depends on how many networks are computed together.

    Without oneDNN, the CPU's bits do not depend on the company; cuDNN may choose by the number of groups, so on CUDA
    the stacked operations promise equality only up to rounding. The fused kernels promise bits there as well.
    """
    onednn: Any = torch.backends.mkldnn  # its `flags` would warn of processors that are not here
    before = onednn.enabled
    onednn.enabled = False
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        onednn.enabled = before


def member_bytes(plan: Plan, batch: int) -> int:
    """Device memory that one network takes, about."""
    nodes = [plan.graph.nodes[edge.target] for edge in plan.graph.edges]
    return 4 * batch * COPIES * sum(node.channels * node.height * node.width for node in nodes)
