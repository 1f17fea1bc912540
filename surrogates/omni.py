"""All that is known of a cell in one model: its encoding, the first epochs of its training and zero-cost proxies.

White et al., "How Powerful are Performance Predictors in Neural Architecture Search?", NeurIPS 2021 (arXiv:2104.01177):
OMNI joins the best of each kind, training losses (SoTL-E), jacob_cov and an encoding of the cell, as features of
NGBoost or SemiNAS. As with every predictor that sees curves, each cell that is ranked costs the epochs that are seen.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import BayesianRidge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_array, check_is_fitted

from nasbench.errors import NasbenchError
from nasbench.spaces import Space, open_space

from .encoder import CellEncoder
from .targets import RankTarget
from .trees import Committee


class LineThenTrees(RegressorMixin, BaseEstimator):
    """A straight line through curves and proxies, and boosted trees on everything for what it leaves.

    Losses and accuracies of early epochs are nearly linear in the result, which trees would have to learn in steps from
    a hundred noisy labels.

    X [n, d + m] holds the decisions of the cells, then m columns of whatever else is known: the curve of
    `surrogates.curves`, scores of proxies.

    Args:
        space: the space or its name; it says how many columns are decisions.
        trees: how many, of depth 3.
    """

    def __init__(self, space: str | Space = "nasbench201", trees: int = 30, random_state: int = 0) -> None:
        self.space = space
        self.trees = trees
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> LineThenTrees:
        from xgboost import XGBRegressor

        cells, others = self._parts(X)
        self.line_ = make_pipeline(StandardScaler(), BayesianRidge()).fit(others, y)
        self.encoder_ = CellEncoder(self.space).fit(cells)
        trees = XGBRegressor(
            n_estimators=self.trees, max_depth=3, learning_rate=0.05, subsample=0.8, colsample_bytree=0.6, n_jobs=1,
            random_state=self.random_state,
        )  # fmt: skip
        self.trees_ = trees.fit(self._features(cells, others), y - self.line_.predict(others))
        return self

    def predict(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        cells, others = self._parts(X)
        found: np.ndarray = self.line_.predict(others) + self.trees_.predict(self._features(cells, others))
        return found

    def _features(self, cells: np.ndarray, others: np.ndarray) -> np.ndarray:
        return np.hstack([self.encoder_.transform(cells), others])

    def _parts(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        X = check_array(X, dtype=np.float64)
        space = open_space(self.space)
        decisions = len(space.choices)
        if X.shape[1] <= decisions:
            raise NasbenchError(
                f"omni sees the {decisions} decisions of a cell of {space.name} and further columns, a curve or "
                f"proxies, not {X.shape[1]} in all."
            )
        return X[:, :decisions], X[:, decisions:]


def omni(space: str | Space) -> RankTarget:
    """Five times a line and 30 trees, on `path_counts`, `summary` and all further columns."""
    return RankTarget(Committee(LineThenTrees(space)))
