"""Graph networks on cells, dense and batched, without a graph library.

Both see a cell as the graph of its operations, without what is on no way from input to output and with skip
connections dissolved (`cells.live_graphs`), and both follow its edges forwards and backwards. Cells whose graphs are
the same but for the numbering of the nodes get the same prediction.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nasbench.spaces import Space, open_space

from ..encoder import check_cells
from .cells import live_graphs
from .ensemble import NeuralRegressor, Scaling, Weights, apply, dense


class GraphRegressor(NeuralRegressor):
    """What the graph networks have in common: cells as decisions in, graphs to the network.

    Args:
        space: name of the cell space; rows of X are `space.to_choices` of its cells.
        members: networks in the ensemble; the spread is 0 with one member.
        layers, width: message-passing layers and units in each.
        epochs: of the training; of several lengths, that whose networks err least on cells that they did not see.
        batch_size, learning_rate, weight_decay: of AdamW; the rate falls along a cosine.
        targets: "rank" learns normal quantiles of the ranks, "standard" standardised accuracies.
        context: an encoding of the space, shown to the last layers beside what they know of the graph.
        random_state: seed of first weights and batches.
    """

    def __init__(
        self,
        space: str | Space = "nasbench201",
        members: int = 5,
        layers: int = 2,
        width: int = 64,
        epochs: int | tuple[int, ...] = (50, 100),
        batch_size: int = 32,
        learning_rate: float = 3e-3,
        weight_decay: float = 1.0,
        targets: str = "rank",
        context: str | None = None,
        random_state: int = 0,
    ) -> None:
        self.space = space
        self.members = members
        self.layers = layers
        self.width = width
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.targets = targets
        self.context = context
        self.random_state = random_state

    def _inputs(self, X: np.ndarray) -> tuple[np.ndarray, ...]:
        space = open_space(self.space)
        values = check_cells(X, space)
        graphs = live_graphs(space, values)
        return graphs if self.context is None else (*graphs, self.scaling_(space.encode(values, self.context)))

    def _checked(self, X: np.ndarray, y: np.ndarray) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        if self.context is not None:
            space = open_space(self.space)
            self.scaling_ = Scaling(space.encode(check_cells(X, space), self.context))
        return super()._checked(X, y)

    def _read_out(self, weights: Weights, pooled: Tensor, *context: Tensor) -> Tensor:
        """Scores [k, b] from a description [k, b, c] of each graph and its context, if any."""
        hidden = torch.relu(apply(weights["hidden"], torch.cat([pooled, *context], dim=-1)))
        return apply(weights["output"], hidden).squeeze(-1)

    def _last_layers(self, pooled: int, inputs: tuple[np.ndarray, ...], generator: torch.Generator) -> Weights:
        size = pooled + sum(array.shape[1] for array in inputs[2:])
        return {
            "hidden": dense(self.members, size, self.width, generator),
            "output": dense(self.members, self.width, 1, generator, gain=1.0),
        }


class GCNRegressor(GraphRegressor):
    """Graph convolutions along and against the edges, averaged: Wen et al., "Neural Predictor for Neural
    Architecture Search", ECCV 2020 (arXiv:1912.00848), section 3.2.

    Nodes are summed for the read-out, where the paper takes their mean, which hides how large a cell is.
    """

    def __init__(
        self,
        space: str | Space = "nasbench201",
        members: int = 5,
        layers: int = 3,
        width: int = 64,
        epochs: int | tuple[int, ...] = (50, 100),
        batch_size: int = 32,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.1,
        targets: str = "rank",
        context: str | None = None,
        random_state: int = 0,
    ) -> None:
        super().__init__(
            space,
            members,
            layers,
            width,
            epochs,
            batch_size,
            learning_rate,
            weight_decay,
            targets,
            context,
            random_state,
        )

    def _initial(self, inputs: tuple[np.ndarray, ...], generator: torch.Generator) -> Weights:
        weights, size = {}, inputs[1].shape[-1]
        for i in range(self.layers):
            weights[f"along{i}"] = dense(self.members, size, self.width, generator)
            weights[f"against{i}"] = dense(self.members, size, self.width, generator)
            size = self.width
        return {**weights, **self._last_layers(size, inputs, generator)}

    def _scores(self, weights: Weights, *inputs: Tensor) -> Tensor:
        adjacency, x, *context = inputs
        present = (x.sum(dim=-1, keepdim=True) > 0).to(x.dtype)
        loops = torch.diag_embed(present.squeeze(-1))
        along, against = _averaging(adjacency.mT + loops), _averaging(adjacency + loops)
        for i in range(self.layers):
            ahead = torch.relu(along @ apply(weights[f"along{i}"], x))
            x = (ahead + torch.relu(against @ apply(weights[f"against{i}"], x))) / 2 * present
        return self._read_out(weights, x.sum(dim=-2) / 4, *context)


def _averaging(edges: Tensor) -> Tensor:
    return edges / edges.sum(dim=-1, keepdim=True).clamp(min=1)


class GINRegressor(GraphRegressor):
    """Graph isomorphism network: Xu et al., "How Powerful are Graph Neural Networks?", ICLR 2019 (arXiv:1810.00826).

    A layer is a two-layer perceptron on a node and the sums over what feeds it and what it feeds; the read-out sums
    the nodes after every layer. Keeping the three terms apart replaces the paper's 1 + epsilon.
    """

    def _initial(self, inputs: tuple[np.ndarray, ...], generator: torch.Generator) -> Weights:
        weights, size = {}, inputs[1].shape[-1]
        for i in range(self.layers):
            weights[f"first{i}"] = dense(self.members, 3 * size, self.width, generator)
            weights[f"second{i}"] = dense(self.members, self.width, self.width, generator)
            size = self.width
        return {**weights, **self._last_layers(self.layers * size, inputs, generator)}

    def _scores(self, weights: Weights, *inputs: Tensor) -> Tensor:
        adjacency, x, *context = inputs
        present = (x.sum(dim=-1, keepdim=True) > 0).to(x.dtype)
        pooled = []
        for i in range(self.layers):
            around = torch.cat([x, adjacency @ x, adjacency.mT @ x], dim=-1)
            x = torch.relu(apply(weights[f"first{i}"], around))
            x = torch.relu(apply(weights[f"second{i}"], x)) * present
            pooled.append(x.sum(dim=-2) / 4)
        return self._read_out(weights, torch.cat(pooled, dim=-1), *context)


def gcn(space: str | Space) -> GCNRegressor:
    """`GCNRegressor` with the encoding `summary` as context."""
    return GCNRegressor(space, context="summary")


def gin(space: str | Space) -> GINRegressor:
    """`GINRegressor` with the encoding `summary` as context."""
    return GINRegressor(space, context="summary")
