"""A cell and a skeleton, written out as a graph of nodes and edges: the one definition of a network.

The torch module, the parameter and FLOP counts, the initial weights and the native training step all read
this graph, so they cannot disagree. The skeleton is that of NAS-Bench-201 (Dong and Yang, ICLR 2020): a 3x3
stem with batch normalisation, three stages of N cells at C, 2C and 4C channels with a reduction before the
second and the third, then BN-ReLU, global average pooling and a linear classifier. Building a graph costs
microseconds and needs no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import NasbenchError

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""Names of the operation codes 0 to 4."""

CELL_EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""(source, target) node of each of a cell's six edges, in the order in which a cell lists its codes."""

REDUCTIONS = ("residual", "plain")
"""`residual`: the published basic block; `plain`: ReLU-Conv3x3/stride 2-BN."""

Cell = tuple[int, ...]


@dataclass(frozen=True)
class Skeleton:
    """Everything about a network that is not its cell.

    Attributes:
        channels: C, the width of the first stage.
        cells: N per stage.
        reduction: one of REDUCTIONS.
        classes: outputs.
        height, width, image_channels: the images.

    Raises:
        NasbenchError: for a value that makes no network.
    """

    channels: int = 16
    cells: int = 5
    reduction: str = "residual"
    classes: int = 10
    height: int = 32
    width: int = 32
    image_channels: int = 3

    def __post_init__(self) -> None:
        for name in ("channels", "cells", "height", "width", "image_channels"):
            if getattr(self, name) < 1:
                raise NasbenchError(f"{name} = {getattr(self, name)}: a network needs at least 1.")
        if self.classes < 2:
            raise NasbenchError(f"classes = {self.classes}: a classifier needs at least 2.")
        if self.reduction not in REDUCTIONS:
            raise NasbenchError(f"reduction = {self.reduction!r}: choose one of {', '.join(REDUCTIONS)}.")
        if self.reduction == "residual" and (self.height % 4 or self.width % 4):
            raise NasbenchError(
                f"Images of {self.height} x {self.width} cannot be halved twice by residual reductions: "
                "use a height and width that are multiples of 4, or reduction='plain'."
            )


@dataclass(frozen=True)
class Node:
    """A feature map: channels x height x width."""

    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class Edge:
    """One operation from a node to a node; a node is the sum of the edges that end in it.

    Attributes:
        operation: `conv` (optional ReLU before, optional BN after), `skip`, `pool3` (3x3 mean, stride 1, borders not
            counted), `pool2` (2x2 mean, stride 2) or `norm` (batch normalisation alone).
    """

    source: int
    target: int
    operation: str
    kernel: int = 0
    stride: int = 1
    relu: bool = False
    norm: bool = False


@dataclass(frozen=True)
class Graph:
    """Nodes in topological order (0 is the image, the last one feeds ReLU, global pooling and the classifier)
    and edges sorted by target."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    classes: int

    def weight_shape(self, edge: Edge) -> tuple[int, int, int, int]:
        """(kernel, kernel, channels in, channels out): the order in which convolution weights are stored."""
        return (edge.kernel, edge.kernel, self.nodes[edge.source].channels, self.nodes[edge.target].channels)

    def parameter_shapes(self) -> list[tuple[int, ...]]:
        """Shapes in the order of the flat parameter vector: for each edge its weights, BN scale, BN shift,
        then the classifier's weights (classes, channels) and biases."""
        shapes: list[tuple[int, ...]] = []
        for edge in self.edges:
            if edge.operation == "conv":
                shapes.append(self.weight_shape(edge))
            if edge.norm:
                shapes += [(self.nodes[edge.target].channels,)] * 2
        return [*shapes, (self.classes, self.nodes[-1].channels), (self.classes,)]


def check_cell(cell: Sequence[int]) -> Cell:
    """The cell as a tuple of six ints in 0..4; NasbenchError otherwise."""
    codes = tuple(int(code) for code in cell)
    if len(codes) != len(CELL_EDGES) or any(not 0 <= code < len(OPERATIONS) for code in codes):
        raise NasbenchError(f"{codes} is not a cell: it takes {len(CELL_EDGES)} operation codes, each 0 to 4.")
    return codes


def prune(cell: Sequence[int]) -> Cell:
    """The same function without dead edges: those that the input does not reach or that do not reach the
    output."""
    codes = check_cell(cell)
    fed = {0}
    for (source, target), code in zip(CELL_EDGES, codes, strict=True):
        if code and source in fed:
            fed.add(target)
    used = {3}
    for (source, target), code in reversed(list(zip(CELL_EDGES, codes, strict=True))):
        if code and target in used:
            used.add(source)
    live = fed & used
    return tuple(
        code if source in live and target in live else 0
        for (source, target), code in zip(CELL_EDGES, codes, strict=True)
    )


def is_constant(cell: Sequence[int]) -> bool:
    """Whether no path leads from the cell's input to its output, so that the network cannot see the image."""
    return not any(prune(cell))


def build_graph(cell: Sequence[int], skeleton: Skeleton, pruned: bool = True) -> Graph:
    """The network of a cell; with pruned=False the edges that do nothing are kept, as the published counts
    do."""
    codes = prune(cell) if pruned else check_cell(cell)
    nodes = [Node(skeleton.image_channels, skeleton.height, skeleton.width)]
    edges: list[Edge] = []

    def add(channels: int, height: int, width: int, *incoming: Edge) -> int:
        nodes.append(Node(channels, height, width))
        edges.extend(incoming)
        return len(nodes) - 1

    def conv(source: int, kernel: int, stride: int = 1, relu: bool = True, norm: bool = True) -> Edge:
        return Edge(source, len(nodes), "conv", kernel, stride, relu, norm)

    def add_cell(source: int) -> int:
        shape = (nodes[source].channels, nodes[source].height, nodes[source].width)
        places: dict[int, int] = {0: source}
        for target in (1, 2, 3):
            incoming = []
            for (begin, end), code in zip(CELL_EDGES, codes, strict=True):
                if end != target or not code or begin not in places:
                    continue
                begin = places[begin]
                if code == 1:
                    incoming.append(Edge(begin, len(nodes), "skip"))
                elif code == 4:
                    incoming.append(Edge(begin, len(nodes), "pool3"))
                else:
                    incoming.append(conv(begin, 1 if code == 2 else 3))
            if incoming or target == 3 or not pruned:
                places[target] = add(*shape, *incoming)
        return places[3]

    def add_reduction(source: int) -> int:
        before = nodes[source]
        shape = (2 * before.channels, (before.height + 1) // 2, (before.width + 1) // 2)
        middle = add(*shape, conv(source, 3, 2))
        if skeleton.reduction == "plain":
            return middle
        halved = add(before.channels, *shape[1:], Edge(source, len(nodes), "pool2", stride=2))
        return add(*shape, conv(middle, 3), conv(halved, 1, relu=False, norm=False))

    last = add(skeleton.channels, skeleton.height, skeleton.width, conv(0, 3, relu=False))
    for stage in range(3):
        if stage:
            last = add_reduction(last)
        for _ in range(skeleton.cells):
            last = add_cell(last)
    end = nodes[last]
    add(end.channels, end.height, end.width, Edge(last, len(nodes), "norm", norm=True))
    return Graph(tuple(nodes), tuple(edges), skeleton.classes)


def initial_parameters(graph: Graph, generator: np.random.Generator) -> NDArray[np.float32]:
    """The flat float32 parameter vector: weights and classifier biases uniform in +-1/sqrt(fan in) (torch's
    default for convolutions and linear layers), BN scales 1 and shifts 0."""
    parts: list[NDArray[np.float32]] = []

    def uniform(count: int, fan_in: int) -> None:
        drawn = generator.random(count, dtype=np.float32)
        parts.append((drawn * np.float32(2) - np.float32(1)) * np.float32(fan_in**-0.5))

    for edge in graph.edges:
        channels = graph.nodes[edge.target].channels
        if edge.operation == "conv":
            shape = graph.weight_shape(edge)
            uniform(int(np.prod(shape)), int(np.prod(shape[:3])))
        if edge.norm:
            parts += [np.ones(channels, np.float32), np.zeros(channels, np.float32)]
    features = graph.nodes[-1].channels
    uniform(graph.classes * features, features)
    uniform(graph.classes, features)
    return np.concatenate(parts)
