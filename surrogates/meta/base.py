"""What meta-learned predictors share: meta-training on sources, then labels of the target, and accuracies out.

All of them learn and predict standings, normal scores of a cell's rank in the whole space. A handful of labels says
nothing about ranks in a whole space, but the sources do: the labelled cell that is best on the target is taken to stand
where the best of the labelled cells should, the second where the second should, and so on (`matched`). What is learned
from labels is thus their order, whatever accuracies are like on the target; `Level` turns standings into accuracies.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.special import ndtr
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import assert_all_finite, check_consistent_length, column_or_1d

from nasbench.errors import NasbenchError
from nasbench.spaces import Space, open_space
from nasbench.tables.source_tasks import Sources

from ..encoder import check_cells
from .standings import positions

GRID = np.linspace(-3.0, 3.0, 61)
NOISE = 0.3
"""Deviation of a label around what its standing says, in deviations of a task's accuracies."""
BEND, REACH = 0.7, 1.0
"""By how much a target's accuracies over standings bend away from the sources', and over which distance they agree."""


def matched(prior: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Standings [n] of labelled cells: those of `prior` [n] in the order of the labels y [n]; ties share their mean."""
    ordered = np.sort(prior)
    low, high = rankdata(y, "min") - 1, rankdata(y, "max")
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    found: np.ndarray = (sums[high.astype(int)] - sums[low.astype(int)]) / (high - low)
    return found


@dataclass(frozen=True)
class Level:
    """Accuracies [61] at the standings GRID, and their deviation over cells."""

    curve: np.ndarray
    width: float

    @classmethod
    def of(cls, sources: Sources) -> Level:
        """The level of a target without labels: the mean over the sources."""
        curves = [np.quantile(task.accuracies, ndtr(GRID)) for task in sources]
        return cls(np.mean(curves, axis=0), float(np.mean([task.accuracies.std() for task in sources])) or 1.0)

    def adjusted(self, standing: np.ndarray, y: np.ndarray, apart: float) -> Level:
        """The level after labels y [n] of cells with these standings [n].

        A Gaussian process on what labels differ from the level by: a constant, a slope, and a bend.

        Args:
            apart: deviation of the sources' levels.
        """
        if not len(y):
            return self

        def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            bend = np.exp(-0.5 * ((a[:, None] - b) / REACH) ** 2)
            return 1 + 4 * (apart / self.width) ** 2 + 0.5 * np.outer(a, b) + BEND**2 * bend

        rest = (y - self.accuracies(standing)) / self.width
        weights = np.linalg.solve(kernel(standing, standing) + NOISE**2 * np.eye(len(y)), rest)
        curve = self.curve + self.width * (kernel(GRID, standing) @ weights)
        rising = np.maximum.accumulate(curve) + 1e-3 * self.width * (GRID - GRID[0])  # ties would lose the order
        return Level(rising, self.width)

    def accuracies(self, standing: np.ndarray) -> np.ndarray:
        """Accuracies [n]; beyond the grid in straight lines, as steep as over its outer sixth."""
        part = len(GRID) // 6
        low = (self.curve[part] - self.curve[0]) / (GRID[part] - GRID[0])
        high = (self.curve[-1] - self.curve[-1 - part]) / (GRID[-1] - GRID[-1 - part])
        inside: np.ndarray = np.interp(standing, GRID, self.curve)
        return inside + low * np.minimum(standing - GRID[0], 0) + high * np.maximum(standing - GRID[-1], 0)


class MetaPredictor(RegressorMixin, BaseEstimator):
    """A predictor with `meta_fit`; a subclass has `_meta_fit`, `_prior` and `_adapt`.

    Args:
        space: the space or its name.
    """

    least_sources = 1
    """Source tasks that it takes to learn."""

    def __init__(self, space: str | Space = "nasbench201") -> None:
        self.space = space

    def meta_fit(self, sources: Sources) -> Self:
        """Learn from the sources what to expect of a new task.

        Raises:
            NasbenchError: sources of another space, or too few of them.
        """
        self.check_sources(sources)
        self.sources_ = sources
        self.level_ = Level.of(sources)
        self.apart_ = float(np.std([task.accuracies.mean() for task in sources]))
        self._meta_fit(sources)
        return self.fit(np.empty((0, len(sources.space.choices))), np.empty(0))

    @property
    def _name(self) -> str:
        """As the catalogue has it: that of the kind, or of the class."""
        return str(getattr(self, "kind", "")) or re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    def check_sources(self, sources: Sources) -> None:
        """NasbenchError for sources that this cannot learn from, before anything is learned."""
        space = open_space(self.space).whole
        if sources.space.whole.name != space.name:
            raise NasbenchError(f"the source tasks are of the space {sources.space.name}, and this is of {space.name}.")
        if len(sources) < self.least_sources:
            raise NasbenchError(
                f"{self._name} learns what differs between tasks and needs at least {self.least_sources} source tasks, "
                f"not {len(sources)}; rank_transfer and its like can do with one."
            )

    def fit(self, X: Any, y: Any) -> Self:
        """Learn the target from labels y [n] of cells X [n, d]; n may be 0.

        Raises:
            NasbenchError: before `meta_fit`, or X is no cells of the space.
            ValueError: y is not finite or of another length.
        """
        self._check_learned()
        y = column_or_1d(y, dtype=np.float64)
        check_consistent_length(X, y)
        assert_all_finite(y, input_name="y")
        self.n_features_in_ = len(open_space(self.space).choices)
        index = self._index(X)
        z = matched(self._prior(index), y)
        self._adapt(index, z)
        self.adjusted_ = self.level_.adjusted(z, y, self.apart_)
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Accuracies [n] in percent, and with `return_std` their spread [n]."""
        standing, spread = self.standing(X)
        mean = self.adjusted_.accuracies(standing)
        if not return_std:
            return mean
        low, high = self.adjusted_.accuracies(standing - spread), self.adjusted_.accuracies(standing + spread)
        return mean, (high - low) / 2

    def standing(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Where cells stand on the target, [n], in deviations from the median cell of a space, and the spread [n]."""
        self._check_learned()
        return self._standing(self._index(X))

    def _check_learned(self) -> None:
        if not hasattr(self, "sources_"):
            raise NasbenchError(f"{self._name} learns on other tasks first: call meta_fit before fit.")

    def _index(self, X: Any) -> np.ndarray:
        space = open_space(self.space).whole
        if not len(X):
            return np.empty(0, np.int64)
        return positions(space, check_cells(X, space))

    def _remembered(self, sources: Sources, learn: Callable[[Sources], Any]) -> Any:
        """What was learned from these sources with these settings; learned now if it was not."""
        settings = tuple(sorted((k, v) for k, v in self.get_params(deep=False).items() if k != "space"))
        return sources.remember((type(self).__name__, settings), lambda: learn(sources))

    def _meta_fit(self, sources: Sources) -> None:
        """Learn from sources."""
        raise NotImplementedError

    def _prior(self, index: np.ndarray) -> np.ndarray:
        """Standings [n] of cells as far as the sources alone can tell."""
        raise NotImplementedError

    def _adapt(self, index: np.ndarray, z: np.ndarray) -> None:
        """Learn that cells at `index` [n] of the space stand at `z` [n] on the target."""
        raise NotImplementedError

    def _standing(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Standings [n] of cells on the target, and their spread [n]."""
        raise NotImplementedError
