"""What a population has in common: one skeleton with a slot for every edge, and who has which operation there.

Networks of one skeleton differ in their cells alone. Each is therefore a row of operations over the slots of the
skeleton with all six edges in every cell, and one program trains them all. Costs microseconds a network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...networks.graph import Edge, Graph, Skeleton, build_graph, prune


@dataclass(frozen=True)
class Plan:
    """A population of P networks over S slots.

    Attributes:
        graph: the skeleton with a 3x3 convolution on every edge of its cells; its edges are the slots.
        members: the P networks' graphs, pruned, with the nodes of `graph` whether they use them or not.
        operations: [S][P] the edge that a network has in a slot, None for no operation.
    """

    graph: Graph
    members: tuple[Graph, ...]
    operations: tuple[tuple[Edge | None, ...], ...]

    @classmethod
    def of(cls, cells: Sequence[Sequence[int]], skeleton: Skeleton) -> Plan:
        """The plan of some cells; dead edges take no part, as in every trainer."""
        graph = build_graph((3,) * 6, skeleton, pruned=False)
        members = tuple(build_graph(prune(cell), skeleton, pruned=False) for cell in cells)
        rows = [{(edge.source, edge.target): edge for edge in member.edges} for member in members]
        operations = tuple(tuple(row.get((slot.source, slot.target)) for row in rows) for slot in graph.edges)
        return cls(graph, members, operations)

    def slot(self, edge: Edge) -> int:
        """The number of the slot that a member's edge sits in."""
        return next(
            i for i, slot in enumerate(self.graph.edges) if (slot.source, slot.target) == (edge.source, edge.target)
        )

    def parts(self, member: int) -> Iterator[tuple[int | None, str, slice, tuple[int, ...]]]:
        """The pieces of a member's flat parameter vector, in order: (slot, or None for the classifier; `weight`,
        `scale`, `shift` or `bias`; where it is in the vector; its shape)."""
        graph = self.members[member]
        names: list[tuple[int | None, str]] = []
        for edge in graph.edges:
            if edge.operation == "conv":
                names.append((self.slot(edge), "weight"))
            if edge.norm:
                names += [(self.slot(edge), "scale"), (self.slot(edge), "shift")]
        names += [(None, "weight"), (None, "bias")]
        start = 0
        for (slot, name), shape in zip(names, graph.parameter_shapes(), strict=True):
            stop = start + int(np.prod(shape))
            yield slot, name, slice(start, stop), shape
            start = stop


Vectors = Sequence[NDArray[np.float32]]
"""One flat parameter vector a member, as `initial_parameters` draws it."""
