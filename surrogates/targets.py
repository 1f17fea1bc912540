"""Learning ranks: accuracies are mapped to normal scores before a regressor sees them, and back after it.

Accuracies of a space have a long lower tail of networks that learn little, which dominates squared errors although
no user cares about the differences within it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from nasbench.errors import NasbenchError


@dataclass(frozen=True)
class Targets:
    """Between accuracies and what a network learns: by standardising, or by ranks mapped to normal quantiles.

    Half of a cell space may lie within two points of the best and the rest trail off to chance, so that squared
    errors on accuracies are all about the worst cells; normal quantiles of the ranks spread the good ones out. The
    way back interpolates between the training cells and goes on in straight lines beyond them.
    """

    values: np.ndarray
    """Accuracies [u] in ascending order, without repetition."""
    learned: np.ndarray
    """What stands for each of them, [u]."""

    @classmethod
    def of(cls, y: np.ndarray, kind: str) -> tuple[Targets, np.ndarray]:
        """The scale that `y` [n] defines, and y on it.

        `kind` is `rank`; `standard`; or `closeness`, the standardised -log(d + 0.1), where d is the distance from the
        best in units of the distance between the best and the median: it tells the best cells apart like accuracies
        and bounds what the worst can do.
        """
        if kind not in ("rank", "standard", "closeness"):
            raise NasbenchError(f"targets are 'rank', 'standard' or 'closeness', not {kind!r}.")
        values, inverse = np.unique(y, return_inverse=True)
        if kind == "rank":
            z = ndtri((rankdata(y) - 0.5) / len(y))
        else:
            unit = (y.max() - np.median(y)) or np.ptp(y) or 1.0
            z = y if kind == "standard" else -np.log((y.max() - y) / unit + 0.1)
            z = (z - z.mean()) / (z.std() or 1.0)
        learned = np.empty(len(values))
        learned[inverse] = z
        return cls(values, learned), z

    @property
    def constant(self) -> bool:
        return len(self.values) == 1

    def back(self, z: np.ndarray) -> np.ndarray:
        """Accuracies for learned values of any shape."""
        inside = np.interp(z, self.learned, self.values)
        if self.constant:
            return inside
        last = len(self.values) - 1
        # slopes between the middle and the ends: neighbours at the ends may be arbitrarily close
        low, high = self._slope(0, (last + 1) // 2), self._slope(last // 2, last)
        return inside + low * np.minimum(z - self.learned[0], 0) + high * np.maximum(z - self.learned[-1], 0)

    def _slope(self, first: int, second: int) -> float:
        return (self.values[second] - self.values[first]) / (self.learned[second] - self.learned[first])


class RankTarget(RegressorMixin, BaseEstimator):
    """A regressor on the normal scores of y's ranks, (rank - 1/2) / n (Hazen's plotting positions).

    Predictions are mapped back by `Targets`, so that their order is that of the regressor. A constant y is predicted
    as that constant with no spread.

    Args:
        regressor: any regressor; its `predict` must take `return_std` where a spread is asked for.
    """

    def __init__(self, regressor: Any) -> None:
        self.regressor = regressor

    def fit(self, X: Any, y: Any) -> RankTarget:
        X, y = validate_data(self, X, y, y_numeric=True)
        self.targets_, scores = Targets.of(y, "rank")
        self.regressor_ = None if self.targets_.constant else clone(self.regressor).fit(X, scores)
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Mean [n], with `return_std` also the spread [n]: half the width of one standard deviation either way."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        if self.regressor_ is None:
            mean = np.full(len(X), self.targets_.values[0])
            return (mean, np.zeros(len(X))) if return_std else mean
        if not return_std:
            return self.targets_.back(self.regressor_.predict(X))
        score, spread = self.regressor_.predict(X, return_std=True)
        low, high = self.targets_.back(score - spread), self.targets_.back(score + spread)
        return self.targets_.back(score), (high - low) / 2
