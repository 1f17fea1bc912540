"""Linear models of the ways through a cell: the cheapest predictors, and a floor for all others."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import BayesianRidge, RidgeCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from nasbench.spaces import Space

from .encoder import CellEncoder
from .targets import RankTarget

ALPHAS = tuple(10.0**power for power in range(-2, 5))


class Ridge(RidgeCV):
    """Ridge regression whose penalty is chosen by leave-one-out errors; its spread is their root mean square,
    the same for every cell."""

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Mean [n], with `return_std` also the spread [n]."""
        mean = super().predict(X)
        return (mean, np.full(len(mean), np.sqrt(max(-self.best_score_, 0.0)))) if return_std else mean


def ridge(space: str | Space) -> Pipeline:
    """Ridge regression on `path_counts` and `summary`."""
    return make_pipeline(CellEncoder(space), StandardScaler(), RankTarget(Ridge(ALPHAS)))


def bayesian_ridge(space: str | Space) -> Pipeline:
    """Bayesian linear regression on `path_counts` and `summary`, both precisions by evidence."""
    return make_pipeline(CellEncoder(space), StandardScaler(), RankTarget(BayesianRidge()))
