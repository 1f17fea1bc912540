"""An ensemble of unlike predictors, each weighted by how well it ranks cells that it has not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import kendalltau
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.utils.validation import check_is_fitted, check_X_y

from nasbench.spaces import Space

from .targets import RankTarget

TEMPERATURE = 0.03
"""Members whose tau differs by so much have weights that differ by a factor of e."""


class WeightedEnsemble(RegressorMixin, BaseEstimator):
    """The weighted mean of its members, weights proportional to exp(tau / temperature).

    tau is Kendall's between the targets and a member's cross-validated predictions of them. The spread is that of
    the mixture of its members.

    Args:
        members: regressors whose `predict` takes `return_std`.
        folds: of the cross-validation; with fewer targets than twice that, all weigh the same.
    """

    def __init__(
        self, members: tuple[Any, ...], folds: int = 5, temperature: float = TEMPERATURE, random_state: int = 0
    ) -> None:
        self.members = members
        self.folds = folds
        self.temperature = temperature
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> WeightedEnsemble:
        X, y = check_X_y(X, y)
        self.n_features_in_ = X.shape[1]
        self.taus_ = np.zeros(len(self.members))
        if len(y) >= 2 * self.folds:
            split = KFold(self.folds, shuffle=True, random_state=self.random_state)
            unseen = [cross_val_predict(member, X, y, cv=split) for member in self.members]
            self.taus_ = np.nan_to_num([kendalltau(one, y).statistic for one in unseen])
        weights = np.exp((self.taus_ - self.taus_.max()) / self.temperature)
        self.weights_ = weights / weights.sum()
        self.members_ = [clone(member).fit(X, y) for member in self.members]
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Mean [n], with `return_std` also the spread [n]."""
        check_is_fitted(self)
        if not return_std:
            return self.weights_ @ np.stack([member.predict(X) for member in self.members_])
        found = [member.predict(X, return_std=True) for member in self.members_]
        means, spreads = (np.stack(part) for part in zip(*found, strict=True))
        mean = self.weights_ @ means
        return mean, np.sqrt(self.weights_ @ (spreads**2 + (means - mean) ** 2))


def ensemble(space: str | Space) -> RankTarget:
    """Gaussian process, boosted trees and random forest."""
    from . import build

    names = ("gp", "xgboost", "random_forest")
    return RankTarget(WeightedEnsemble(tuple(build(name, space) for name in names)))
