"""Learning ranks: accuracies are mapped to normal scores before a regressor sees them, and back after it.

Accuracies of a space have a long lower tail of networks that learn little, which dominates squared errors although
no user cares about the differences within it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

TAIL = 0.1
"""Share of the training targets at either end whose slope carries on beyond the largest and smallest of them."""


class RankTarget(RegressorMixin, BaseEstimator):
    """A regressor on the normal scores of y's ranks, (rank - 1/2) / n (Hazen's plotting positions).

    Predictions are mapped back by linear interpolation between the training targets, and go on linearly beyond them,
    so that their order is that of the regressor. A constant y is predicted as that constant with no spread.

    Args:
        regressor: any regressor; its `predict` must take `return_std` where a spread is asked for.
    """

    def __init__(self, regressor: Any) -> None:
        self.regressor = regressor

    def fit(self, X: Any, y: Any) -> RankTarget:
        X, y = validate_data(self, X, y, y_numeric=True)
        scores = ndtri((rankdata(y) - 0.5) / len(y))
        self.levels_, first = np.unique(y, return_index=True)
        self.scores_ = scores[first]
        self.regressor_ = clone(self.regressor).fit(X, scores) if len(self.levels_) > 1 else None
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Mean [n], with `return_std` also the spread [n]: half the width of one standard deviation either way."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        if self.regressor_ is None:
            mean = np.full(len(X), self.levels_[0])
            return (mean, np.zeros(len(X))) if return_std else mean
        if not return_std:
            return self._back(self.regressor_.predict(X))
        score, spread = self.regressor_.predict(X, return_std=True)
        return self._back(score), (self._back(score + spread) - self._back(score - spread)) / 2

    def _back(self, scores: np.ndarray) -> np.ndarray:
        known, levels = self.scores_, self.levels_
        step = max(1, round(TAIL * len(known)))  # there are two levels at least
        low = (levels[step] - levels[0]) / (known[step] - known[0])
        high = (levels[-1] - levels[-1 - step]) / (known[-1] - known[-1 - step])
        below, above = np.minimum(scores - known[0], 0), np.maximum(scores - known[-1], 0)
        return np.interp(scores, known, levels) + low * below + high * above
