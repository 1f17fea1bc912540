"""Tree ensembles: random forest and boosted trees. Each says how much it doubts itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.validation import check_is_fitted, validate_data

from nasbench.spaces import Space

from .encoder import CellEncoder
from .targets import RankTarget

FOLDS = 5


class Forest(RandomForestRegressor):
    """A random forest whose spread is the standard deviation of its trees' predictions."""

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Mean [n], with `return_std` also the spread [n]."""
        check_is_fitted(self)
        if not return_std:
            return super().predict(X)
        X = self._validate_X_predict(X)
        trees = np.stack([tree.predict(X, check_input=False) for tree in self.estimators_])
        return trees.mean(axis=0), trees.std(axis=0)


class Committee(RegressorMixin, BaseEstimator):
    """As many members as folds, each fitted without one fold of the cells; the mean is that of all members.

    The spread joins the members' disagreement and their root mean square error on the cells that they did not see, as
    in cross-conformal prediction (Vovk, Annals of Mathematics and Artificial Intelligence 2015). Boosted trees alone
    agree far too well with one another to say how wrong they are.

    Args:
        member: a regressor; where it has a `random_state`, members get 0, 1, 2, ...
        folds: their number, or the number of cells where there are fewer.
    """

    def __init__(self, member: Any, folds: int = FOLDS) -> None:
        self.member = member
        self.folds = folds

    def fit(self, X: Any, y: Any) -> Committee:
        X, y = validate_data(self, X, y, y_numeric=True, ensure_min_samples=2)
        self.members_, errors = [], np.empty(len(y))
        everything = np.arange(len(y))
        split: Any = [(everything, everything)]  # of two or three cells, none can be spared
        if len(y) >= 4:
            split = KFold(min(self.folds, len(y)), shuffle=True, random_state=0).split(X)
        for seed, (seen, unseen) in enumerate(split):
            member = clone(self.member)
            if "random_state" in member.get_params():
                member.set_params(random_state=seed)
            self.members_.append(member.fit(X[seen], y[seen]))
            errors[unseen] = member.predict(X[unseen]) - y[unseen]
        self.error_ = float(np.sqrt((errors**2).mean()))
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Mean [n], with `return_std` also the spread [n]."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        members = np.stack([member.predict(X) for member in self.members_])
        mean = members.mean(axis=0)
        return (mean, np.sqrt(members.var(axis=0) + self.error_**2)) if return_std else mean


def random_forest(space: str | Space) -> Pipeline:
    """100 trees on `path_counts` and `summary`, a third of the features tried at each split."""
    forest = Forest(100, max_features=1 / 3, random_state=0, n_jobs=1)
    return make_pipeline(CellEncoder(space), RankTarget(forest))


def boosted() -> Any:
    """200 trees of depth 4, rows and columns drawn for each tree."""
    from xgboost import XGBRegressor

    return XGBRegressor(
        n_estimators=200, max_depth=4, learning_rate=0.1, subsample=0.8, colsample_bytree=0.6, n_jobs=1, random_state=0
    )


def xgboost(space: str | Space) -> Pipeline:
    """Five times `boosted` on `path_counts` and `summary`."""
    return make_pipeline(CellEncoder(space), RankTarget(Committee(boosted())))


def lightgbm(space: str | Space) -> Pipeline:
    """Five times 200 trees of at most 15 leaves on `path_counts` and `summary`."""
    from lightgbm import LGBMRegressor

    member = LGBMRegressor(
        n_estimators=200, num_leaves=15, min_child_samples=5, learning_rate=0.1, subsample=0.8, subsample_freq=1,
        colsample_bytree=0.6, deterministic=True, force_col_wise=True, n_jobs=1, verbose=-1,
    )  # fmt: skip
    return make_pipeline(CellEncoder(space), RankTarget(Committee(member)))


class NaturalBoost(RegressorMixin, BaseEstimator):
    """NGBoost's normal distribution: mean, and its standard deviation as the spread."""

    def __init__(self, n_estimators: int = 200, random_state: int = 0) -> None:
        self.n_estimators = n_estimators
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> NaturalBoost:
        from ngboost import NGBRegressor

        self.model_ = NGBRegressor(
            n_estimators=self.n_estimators, minibatch_frac=0.5, random_state=self.random_state, verbose=False
        ).fit(X, y)
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Mean [n], with `return_std` also the spread [n]."""
        check_is_fitted(self)
        found = self.model_.pred_dist(X)
        return (found.loc, found.scale) if return_std else found.loc


def ngboost(space: str | Space) -> Pipeline:
    """NGBoost on `path_counts` and `summary`."""
    return make_pipeline(CellEncoder(space), RankTarget(NaturalBoost()))
