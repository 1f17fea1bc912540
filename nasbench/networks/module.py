"""A cell's network as a torch module, executed node by node from its graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from .graph import Edge, Graph, Skeleton, build_graph


class EdgeModule(nn.Module):
    """One edge: an operation, with ReLU before and batch normalisation after a convolution where the edge
    says so."""

    def __init__(self, edge: Edge, c_in: int, c_out: int) -> None:
        super().__init__()
        self.edge = edge
        self.conv: nn.Conv2d | None = None
        self.bn: nn.BatchNorm2d | None = None
        if edge.operation == "conv":
            self.conv = nn.Conv2d(c_in, c_out, edge.kernel, edge.stride, edge.kernel // 2, bias=False)
        if edge.norm:
            self.bn = nn.BatchNorm2d(c_out)

    def forward(self, x: Tensor) -> Tensor:
        edge = self.edge
        if edge.operation == "pool3":
            return functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        if edge.operation == "pool2":
            return functional.avg_pool2d(x, 2)
        if self.conv is not None:
            x = self.conv(functional.relu(x) if edge.relu else x)
        return x if self.bn is None else self.bn(x)


class CellNetwork(nn.Module):
    """The network of one cell: images (batch, channels, height, width) in, logits (batch, classes) out."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self.edges = nn.ModuleList(
            EdgeModule(edge, graph.nodes[edge.source].channels, graph.nodes[edge.target].channels)
            for edge in graph.edges
        )
        self.classifier = nn.Linear(graph.nodes[-1].channels, graph.classes)

    def forward(self, x: Tensor) -> Tensor:
        values: list[Tensor | None] = [x] + [None] * (len(self.graph.nodes) - 1)
        for edge, module in zip(self.graph.edges, self.edges, strict=True):
            source = values[edge.source]
            if source is None:
                source = self._zeros(x, edge.source)
            result = module(source)
            so_far = values[edge.target]
            values[edge.target] = result if so_far is None else so_far + result
        last = values[-1]
        assert last is not None
        logits: Tensor = self.classifier(functional.relu(last).mean((2, 3)))
        return logits

    def _zeros(self, x: Tensor, node: int) -> Tensor:
        shape = self.graph.nodes[node]
        return x.new_zeros(x.shape[0], shape.channels, shape.height, shape.width)

    def flat_parameters(self) -> list[nn.Parameter]:
        """Parameters in the order of `Graph.parameter_shapes`."""
        found: list[nn.Parameter] = []
        for module in self.edges:
            assert isinstance(module, EdgeModule)
            if isinstance(module.conv, nn.Conv2d):
                found.append(cast(nn.Parameter, module.conv.weight))
            if isinstance(module.bn, nn.BatchNorm2d):
                found += [module.bn.weight, module.bn.bias]
        return [*found, cast(nn.Parameter, self.classifier.weight), self.classifier.bias]

    def load_flat(self, vector: NDArray[np.float32]) -> None:
        """Copy the flat vector of `initial_parameters` into the module; convolutions are stored (k, k, in,
        out)."""
        start = 0
        with torch.no_grad():
            for parameter, shape in zip(self.flat_parameters(), self.graph.parameter_shapes(), strict=True):
                stop = start + int(np.prod(shape))
                part = torch.from_numpy(vector[start:stop].reshape(shape))
                parameter.copy_(part.permute(3, 2, 0, 1) if len(shape) == 4 else part)
                start = stop

    def flat_gradient(self) -> NDArray[np.float64]:
        """The gradient as one float64 vector in the order of the flat parameters."""
        parts = []
        for parameter in self.flat_parameters():
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            parts.append((gradient.permute(2, 3, 1, 0) if gradient.dim() == 4 else gradient).reshape(-1))
        flat: NDArray[np.float64] = torch.cat(parts).double().cpu().numpy()
        return flat


def build_network(cell: Sequence[int], skeleton: Skeleton | None = None, pruned: bool = True) -> CellNetwork:
    """A fresh module with torch's own random initialisation (for training, weights come from
    `initial_parameters`)."""
    return CellNetwork(build_graph(cell, skeleton or Skeleton(), pruned))
