"""Learning which of two cells is better: Dudziak et al., "BRP-NAS", NeurIPS 2020 (arXiv:2007.08668), section 4.

The paper's network looks at two cells and sorts by the answers. Here each cell has a score and the chance that one
beats another is the logistic of the difference (Bradley and Terry, Biometrika 1952): the answers can then contradict
neither each other nor themselves turned round, and ranking a whole space takes one pass instead of all pairs.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nasbench.spaces import Space

from .ensemble import Loss, Weights
from .graph_networks import GCNRegressor


class PairwiseRanker(GCNRegressor):
    """A graph convolutional network that learns from every pair of cells in a batch which one is better.

    Scores become normal quantiles of ranks by the line that fits cells best which a network has not seen, and these
    become accuracies as those of the other predictors do. Parameters are those of `GraphRegressor`; `targets` does not
    exist, since only the order of accuracies is learned.
    """

    targets = "rank"

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

    def _objective(self, inputs: list[Tensor], z: Tensor, generator: torch.Generator, epochs: int) -> Loss:
        def surprise(weights: Weights, batch: Tensor) -> Tensor:
            scores = self._scores(weights, *(tensor[batch] for tensor in inputs))
            order = _differences(z[batch]).sign()
            losses = torch.nn.functional.softplus(-order * _differences(scores)) * order.abs()
            return losses.sum(dim=(1, 2)) / order.abs().sum(dim=(1, 2)).clamp(min=1)

        return surprise

    def _calibrate(self, inputs: tuple[np.ndarray, ...], learned: np.ndarray, unseen: np.ndarray) -> None:
        """Bring every member's scores to the scale of the ranks: centred, and as steep as those of cells that members
        did not see, or of all where there is one member."""
        scores = self._member_scores(inputs)
        centre, scale = scores.mean(axis=1)[:, None], scores.std(axis=1)[:, None] + 1e-6
        standard = (scores - centre) / scale
        x, z = (np.take_along_axis(standard, unseen, axis=1), learned[unseen]) if unseen.size else (standard, learned)
        slope = max(float((x * z).mean() / (x**2).mean()), 1e-3)
        output = self.weights_["output"]
        output[:, -1] -= centre
        output *= slope / scale[:, None]
        super()._calibrate(inputs, learned, unseen)


def _differences(values: Tensor) -> Tensor:
    """[k, b] to [k, b, b]: the first less the second."""
    return values[:, :, None] - values[:, None, :]


def pairwise(space: str | Space) -> PairwiseRanker:
    """`PairwiseRanker` with the encoding `summary` as context."""
    return PairwiseRanker(space, context="summary")
