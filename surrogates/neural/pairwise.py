"""Learning which of two cells is better: Dudziak et al., "BRP-NAS", NeurIPS 2020 (arXiv:2007.08668), section 4.

The paper's network looks at two cells and sorts by the answers. Here each cell has a score and the chance that one
beats another is the logistic of the difference (Bradley and Terry, Biometrika 1952): the answers can then contradict
neither each other nor themselves turned round, and ranking a whole space takes one pass instead of all pairs.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from sklearn.isotonic import IsotonicRegression
from torch import Tensor

from nasbench.spaces import Space

from ..targets import Targets
from .ensemble import Loss, Weights
from .graph_networks import GCNRegressor


class PairwiseRanker(GCNRegressor):
    """A graph convolutional network that learns from every pair of cells in a batch which one is better.

    Scores become accuracies by isotonic regression of the training accuracies on the training scores, linear in
    between so that no two scores are tied; it is fitted to cells that the networks have seen and so to scores more
    certain than those of new cells. The spread is the members' standard deviation after that. Parameters are those of
    `GraphRegressor`; `targets` does not exist, since only the order of accuracies is learned.
    """

    targets = "rank"

    def __init__(
        self,
        space: str | Space = "nasbench201",
        members: int = 5,
        layers: int = 3,
        width: int = 64,
        epochs: int = 100,
        batch_size: int = 32,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.1,
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
        self.context = context
        self.random_state = random_state

    def _objective(self, inputs: list[Tensor], z: Tensor, generator: torch.Generator) -> Loss:
        def surprise(weights: Weights, batch: Tensor) -> Tensor:
            scores = self._scores(weights, *(tensor[batch] for tensor in inputs))
            order = _differences(z[batch]).sign()
            losses = torch.nn.functional.softplus(-order * _differences(scores)) * order.abs()
            return losses.sum(dim=(1, 2)) / order.abs().sum(dim=(1, 2)).clamp(min=1)

        return surprise

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        super().fit(X, y)
        if self.targets_.constant:
            return self
        inputs, y = self._checked(X, y)
        scores = self._member_scores(inputs)
        centre, scale = scores.mean(axis=1)[:, None], scores.std(axis=1)[:, None] + 1e-6
        output = self.weights_["output"]
        output[:, -1] -= centre
        output /= scale[:, None]
        self.targets_ = _calibrated(((scores - centre) / scale).mean(axis=0), y)
        return self


def _differences(values: Tensor) -> Tensor:
    """[k, b] to [k, b, b]: the first less the second."""
    return values[:, :, None] - values[:, None, :]


def _calibrated(scores: np.ndarray, y: np.ndarray) -> Targets:
    """Accuracies as a strictly increasing function of scores, through the steps of the isotonic regression."""
    steps = IsotonicRegression().fit_transform(scores, y)
    values, step = np.unique(steps, return_inverse=True)
    return Targets(values, np.bincount(step, scores) / np.bincount(step))


def pairwise(space: str | Space) -> PairwiseRanker:
    """`PairwiseRanker` with the encoding `summary` as context."""
    return PairwiseRanker(space, context="summary")
