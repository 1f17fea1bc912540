"""Where the fused kernels find things: offsets of feature maps and parameters, and the tables of codes and slots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from ...networks.graph import Edge, Node
from .plan import Plan, Vectors

CODES = {"skip": 1, "pool3": 4, "pool2": 5, "norm": 6}
"""As in `kernels`; convolutions are 2 (1x1) and 3 (3x3), no operation is 0."""


def aligned(elements: int) -> int:
    """Rounded up, so that what follows begins at a multiple of 16, as `kernels.begin` says to the compiler."""
    return -(-elements // 16) * 16


def code_of(edge: Edge | None) -> int:
    """The code that stands for an edge in the table of operations."""
    if edge is None:
        return 0
    return CODES[edge.operation] if edge.operation in CODES else {1: 2, 3: 3}[edge.kernel]


@dataclass(frozen=True)
class Run:
    """Neighbouring slots into one node that one launch can compute: they differ in source and operation alone."""

    first: int
    count: int
    edge: Edge
    source: Node
    target: Node


class Layout:
    """Offsets for the population of a plan with batches of `batch` images.

    Attributes:
        codes: int32 (P, S), which operation each network has in each slot.
        slots: int64 (S, 8), see kernels.SOURCE and the following.
        leaving: int32, the slots that leave each node, node after node; those of node n are from `leave[n]` on.
        elements: of all feature maps, their convolutions and their gradients, in one tensor.
        parameters: floats in a network's row of parameters, the classifier from `head` on.
        widest: channels of the widest node, rounded up to a power of 2.
    """

    def __init__(self, plan: Plan, batch: int) -> None:
        self.plan, self.batch, graph, count = plan, batch, plan.graph, len(plan.members)
        self.elements = 0

        def place(node: Node) -> int:
            start = self.elements
            self.elements += aligned(count * batch * node.channels * node.height * node.width)
            return start

        last = len(graph.nodes) - 1
        # The last node, the normalised map, and the image have no maps of their own here.
        values = [0 if i in (0, last) else place(node) for i, node in enumerate(graph.nodes)]
        gradients = [0 if i == 0 else place(node) for i, node in enumerate(graph.nodes)]
        self.slots = np.zeros((len(graph.edges), 8), np.int64)
        self.parameters = 0
        for slot, edge in enumerate(graph.edges):
            target = graph.nodes[edge.target]
            convolved = values[edge.source] if edge.operation != "conv" else place(target)
            weight = self.parameters
            self.parameters += aligned(int(np.prod(graph.weight_shape(edge)))) if edge.operation == "conv" else 0
            scale = self.parameters
            self.parameters += aligned(2 * target.channels * edge.norm)
            self.slots[slot] = (
                values[edge.source], convolved, values[edge.target], gradients[edge.source], gradients[edge.target],
                weight, scale, edge.norm,
            )  # fmt: skip
        self.head = self.parameters
        self.parameters += aligned(graph.classes * (graph.nodes[-1].channels + 1))
        rows = [[code_of(edge) for edge in row] for row in plan.operations]
        self.codes = np.ascontiguousarray(np.array(rows, np.int32).reshape(len(graph.edges), count).T)
        leaving = [[i for i, edge in enumerate(graph.edges) if edge.source == node] for node in range(last + 1)]
        self.leaving = np.array([slot for one in leaving for slot in one], np.int32)
        self.leave = np.cumsum([0, *(len(one) for one in leaving)]).tolist()
        self.widest = 1 << (max(node.channels for node in graph.nodes) - 1).bit_length()

    def leading(self, which: Callable[[Node], bool]) -> int:
        """Parameters of the first slots, up to the last one into a node of which `which` is true."""
        slots = [slot for slot, edge in enumerate(self.plan.graph.edges) if which(self.plan.graph.nodes[edge.target])]
        if not slots:
            return 0
        after = max(slots) + 1
        return int(self.slots[after, 5]) if after < len(self.slots) else self.head

    def runs(self, node: int) -> Iterator[Run]:
        """The slots into a node, in order, as launches take them."""
        graph = self.plan.graph
        into = [(slot, edge) for slot, edge in enumerate(graph.edges) if edge.target == node]

        def kind(item: tuple[int, Edge]) -> tuple[object, ...]:
            edge = item[1]
            return graph.nodes[edge.source], edge.operation, edge.kernel, edge.stride, edge.relu, edge.norm

        for _, items in groupby(into, kind):
            slots = list(items)
            slot, edge = slots[0]
            yield Run(slot, len(slots), edge, graph.nodes[edge.source], graph.nodes[edge.target])

    def leavers(self, node: int) -> list[Edge]:
        """The slots that leave a node."""
        return [self.plan.graph.edges[slot] for slot in self.leaving[self.leave[node] : self.leave[node + 1]]]

    def _places(self, member: int) -> Iterator[tuple[slice, int]]:
        """Pieces of a member's flat parameter vector, and where in its row they begin."""
        graph = self.plan.graph
        for slot, name, where, _ in self.plan.parts(member):
            if slot is None:
                start = self.head + (graph.classes * graph.nodes[-1].channels if name == "bias" else 0)
            elif name == "weight":
                start = int(self.slots[slot, 5])
            else:
                shift = graph.nodes[graph.edges[slot].target].channels if name == "shift" else 0
                start = int(self.slots[slot, 6]) + shift
            yield where, start

    def rows(self, vectors: Vectors) -> NDArray[np.float32]:
        """Parameters (P, parameters), zero where a network has none."""
        out = np.zeros((len(vectors), self.parameters), np.float32)
        for member, vector in enumerate(vectors):
            for where, start in self._places(member):
                out[member, start : start + where.stop - where.start] = vector[where]
        return out

    def vector(self, row: NDArray[np.float32], member: int) -> NDArray[np.float32]:
        """The inverse of `rows` for one member's row."""
        places = self._places(member)
        return np.concatenate([row[start : start + where.stop - where.start] for where, start in places])
