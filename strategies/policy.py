"""A policy over cells: one softmax distribution for each decision of a space, independent of the others.

REINFORCE and PPO train it; what they share is how cells are drawn from it and Adam's step on its logits.
"""

from __future__ import annotations

import numpy as np

from nasbench.records import Cell
from nasbench.spaces import Space

DRAWS = 200
"""Draws from the policy for a cell that is valid and new, before one is taken uniformly instead."""


class Policy:
    """Categorical distributions, and the cells that were drawn from them.

    Args:
        learning_rate: Adam's step size.
        start: spread of the first logits.

    Attributes:
        probabilities: of every value [decision, value]; 0 beyond a decision's values.
    """

    def __init__(self, space: Space, rng: np.random.Generator, learning_rate: float, start: float) -> None:
        self._space, self._rng, self._adam = space, rng, Adam(learning_rate)
        sizes = np.array(space.choices)
        allowed = np.arange(sizes.max()) < sizes[:, None]
        self.logits = np.where(allowed, start * rng.standard_normal(allowed.shape), -np.inf)
        self._asked: set[Cell] = set()
        self._uniform: set[Cell] = set()

    @property
    def logits(self) -> np.ndarray:
        """[decision, value] before the softmax; -inf beyond a decision's values."""
        return self._logits

    @logits.setter
    def logits(self, logits: np.ndarray) -> None:
        self._logits = logits
        self.probabilities = _softmax(logits)

    def draw(self) -> Cell:
        """A cell that was not drawn before; a uniform one where the policy yields none in `DRAWS` draws."""
        cumulative = np.cumsum(self.probabilities, axis=1)
        cumulative[:, -1] = 1.0
        cell = None
        for _ in range(DRAWS if len(self._asked) < len(self._space) else 0):
            decisions = (self._rng.random((len(cumulative), 1)) >= cumulative).sum(axis=1)
            cell = self._space.from_choices(decisions.tolist())
            if cell is not None and cell not in self._asked:
                break
        else:
            cell = self._space.sample(self._rng)
            self._uniform.add(cell)
        self._asked.add(cell)
        return cell

    def drew(self, cell: Cell) -> bool:
        """Whether the policy drew the cell; one drawn uniformly is no estimate of the policy's gradient."""
        return cell not in self._uniform

    def step(self, gradient: np.ndarray) -> None:
        """Descend along a gradient [decision, value] of the logits."""
        self.logits = self._adam.step(self._logits, gradient)


class Adam:
    """Kingma and Ba, ICLR 2015 (arXiv:1412.6980), with the paper's beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8."""

    def __init__(self, learning_rate: float) -> None:
        self._learning_rate, self._updates = learning_rate, 0
        self._first: np.ndarray | float = 0.0
        self._second: np.ndarray | float = 0.0

    def step(self, values: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """The values after one step down the gradient, both of the same shape."""
        self._updates += 1
        self._first = 0.9 * self._first + 0.1 * gradient
        self._second = 0.999 * self._second + 0.001 * gradient**2
        first = self._first / (1 - 0.9**self._updates)
        second = self._second / (1 - 0.999**self._updates)
        return values - self._learning_rate * first / (np.sqrt(second) + 1e-8)


def _softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)
