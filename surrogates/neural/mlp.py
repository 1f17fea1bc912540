"""Multilayer perceptrons on encoded cells: a plain one, and the ensemble of BANANAS.

They take numeric features [n, d] and so stand in a pipeline behind an encoder of cells; BANANAS (White, Neiswanger
and Savani, AAAI 2021, arXiv:1910.11858) uses the path encoding. Columns are brought to one range
inside.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.validation import validate_data
from torch import Tensor

from nasbench.errors import NasbenchError
from nasbench.spaces import Space

from ..encoder import CellEncoder
from .ensemble import Loss, NeuralRegressor, Scaling, Weights, apply, dense


class MLP(NeuralRegressor):
    """Perceptrons with rectified linear units on standardised features, trained by the squared error.

    Args:
        members: networks in the ensemble; the spread is 0 with one member.
        layers, width: hidden layers and units in each.
        epochs: of the training, or several lengths to choose from, as for graph networks.
        batch_size, learning_rate, weight_decay: of AdamW; the rate falls along a cosine.
        targets: "rank" learns normal quantiles of the ranks, "standard" standardised accuracies.
        random_state: seed of first weights and batches.
    """

    def __init__(
        self,
        members: int = 5,
        layers: int = 2,
        width: int = 128,
        epochs: int | tuple[int, ...] = 100,
        batch_size: int = 32,
        learning_rate: float = 3e-3,
        weight_decay: float = 1.0,
        targets: str = "rank",
        random_state: int = 0,
    ) -> None:
        self.members = members
        self.layers = layers
        self.width = width
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.targets = targets
        self.random_state = random_state

    def _checked(self, X: Any, y: Any) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        self.scaling_ = Scaling(X)
        return (self.scaling_(X),), y.astype(np.float64)

    def _inputs(self, X: Any) -> tuple[np.ndarray, ...]:
        return (self.scaling_(validate_data(self, X, dtype=np.float64, reset=False)),)

    def _initial(self, inputs: tuple[np.ndarray, ...], generator: torch.Generator) -> Weights:
        sizes = [inputs[0].shape[1]] + [self.width] * self.layers
        weights = {f"hidden{i}": dense(self.members, sizes[i], sizes[i + 1], generator) for i in range(self.layers)}
        return {**weights, "output": dense(self.members, sizes[-1], 1, generator, gain=1.0)}

    def _scores(self, weights: Weights, *inputs: Tensor) -> Tensor:
        (x,) = inputs
        for i in range(self.layers):
            x = torch.relu(apply(weights[f"hidden{i}"], x))
        return apply(weights["output"], x).squeeze(-1)


class BananasEnsemble(MLP):
    """Five deep and narrow perceptrons with the paper's loss, which weighs cells by how near they are to the best.

    The paper's error of a prediction is |prediction - y| / (bound - y), with a bound a little above the best
    accuracy; here the bound is `margin` times the distance from the median to the best training accuracy above the
    best. The defaults for shape, loss and learning rate are the paper's; it has no weight decay, which
    makes all the difference on a hundred cells.

    Args:
        loss: "mape" for the paper's loss, "mse" for the squared error.
        margin: how far above the best accuracy the bound of "mape" lies.

    The others are those of `MLP`.
    """

    def __init__(
        self,
        members: int = 5,
        layers: int = 10,
        width: int = 20,
        epochs: int | tuple[int, ...] = 150,
        batch_size: int = 32,
        learning_rate: float = 1e-2,
        weight_decay: float = 1.0,
        targets: str = "standard",
        loss: str = "mape",
        margin: float = 0.5,
        random_state: int = 0,
    ) -> None:
        super().__init__(members, layers, width, epochs, batch_size, learning_rate, weight_decay, targets, random_state)
        self.loss = loss
        self.margin = margin

    def fit(self, X: Any, y: Any) -> Self:
        if self.loss not in ("mape", "mse"):
            raise NasbenchError(f"the loss of BananasEnsemble is 'mape' or 'mse', not {self.loss!r}.")
        return super().fit(X, y)

    def _objective(self, inputs: list[Tensor], z: Tensor, generator: torch.Generator, epochs: int) -> Loss:
        if self.loss == "mse":
            return super()._objective(inputs, z, generator, epochs)
        reach = (z.max() - z.median()).item() or (z.max() - z.min()).item()
        weight = 1 / (z.max() + self.margin * reach - z)
        weight = weight / weight.mean()

        def percentage_error(weights: Weights, batch: Tensor) -> Tensor:
            scores = self._scores(weights, *(tensor[batch] for tensor in inputs))
            return ((scores - z[batch]).abs() * weight[batch]).mean(dim=1)

        return percentage_error


def mlp(space: str | Space) -> Pipeline:
    """`MLP` on the encodings `path_counts` and `summary`."""
    return make_pipeline(CellEncoder(space), MLP())


def bananas(space: str | Space) -> Pipeline:
    """`BananasEnsemble` on the encoding `path`, as in the paper; `summary` serves it far better."""
    return make_pipeline(CellEncoder(space, ("path",)), BananasEnsemble())
