"""Extrapolation of learning curves: what a training will end with, from its first epochs.

X [n, 2 e] holds the validation accuracies (percent) of the first e epochs and then their training losses (nats), one
training a row; y [n] is what trainings ended with. What a curve costs is e epochs for every cell that is ranked, where
predictors that see cells pay for the labelled ones only.
"""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import BayesianRidge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVR
from sklearn.utils.validation import check_is_fitted, validate_data

from .targets import RankTarget
from .trees import Committee

POWERS = np.geomspace(0.05, 4.0, 24)
"""Exponents and rates that are tried; the other two parameters of a family then follow by least squares."""
TEMPER = 0.3
"""Families whose root mean square residual is this many percent points larger weigh 1/e."""


class Extrapolation(RegressorMixin, BaseEstimator, abc.ABC):
    """What stays of a forecast's error when its mean is taken away is the spread; subclasses say `_forecast`."""

    def fit(self, X: Any, y: Any) -> Extrapolation:
        X, y = validate_data(self, X, y, y_numeric=True)
        errors = y - self._forecast(X)
        self.shift_ = float(errors.mean())
        self.error_ = float(errors.std())
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Mean [n], with `return_std` also the spread [n], the same for every curve."""
        check_is_fitted(self)
        mean = self._forecast(validate_data(self, X, reset=False)) + self.shift_
        return (mean, np.full(len(mean), self.error_)) if return_std else mean

    @abc.abstractmethod
    def _forecast(self, X: np.ndarray) -> np.ndarray:
        """Accuracies at the horizon [n]."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # on columns that are no curve
        return tags


class LastValue(Extrapolation):
    """The accuracy after the last epoch that was seen: the baseline that every extrapolation has to beat."""

    def _forecast(self, X: np.ndarray) -> np.ndarray:
        return X[:, max(1, X.shape[1] // 2) - 1]


class PowerLaw(Extrapolation):
    """Three families of curves fitted to each training by itself and averaged: Domhan et al., IJCAI 2015.

    c - a x^-p (pow3), c - a exp(-p x) (exp3) and c - a / log(x + 1)^p. Each p is tried, c and a follow by least
    squares, and c must not lie above 100. Families are weighted by how well they fit. With fewer than three epochs it
    is the last value.

    Args:
        horizon: the epoch that is forecast.
    """

    def __init__(self, horizon: int = 12) -> None:
        self.horizon = horizon

    def _forecast(self, X: np.ndarray) -> np.ndarray:
        seen = X.shape[1] // 2
        if seen < 3:
            return X[:, max(1, seen) - 1]
        accuracy, x = X[:, :seen], np.arange(1.0, seen + 1)
        families = (
            lambda x, p: x**-p,
            lambda x, p: np.exp(-p * x),
            lambda x, p: np.log(x + 1) ** -p,
        )
        forecasts, residuals = [], []
        for basis in families:
            best = np.full(len(X), np.inf)
            ends = np.empty(len(X))
            for p in POWERS:
                b = basis(x, p)
                centred = b - b.mean()
                slope = np.minimum((accuracy @ centred) / (centred @ centred), 0)  # accuracies do not fall for ever
                level = np.minimum(accuracy.mean(axis=1) - slope * b.mean(), 100)
                error = np.sqrt(((accuracy - level[:, None] - slope[:, None] * b) ** 2).mean(axis=1))
                better = error < best
                best = np.where(better, error, best)
                ends = np.where(better, level + slope * basis(float(self.horizon), p), ends)
            forecasts.append(ends)
            residuals.append(best)
        weights = np.exp(-(np.array(residuals) - np.min(residuals, axis=0)) / TEMPER)
        found: np.ndarray = (weights * forecasts).sum(axis=0) / weights.sum(axis=0)
        return found


def last_loss(X: np.ndarray) -> np.ndarray:
    """Training loss of the last epoch seen, [n, 1]."""
    return X[:, -1:]


def curve_features(X: np.ndarray) -> np.ndarray:
    """The curve with its first and second differences, accuracies and losses alike (Baker et al., arXiv:1705.10823)."""
    parts = np.split(X, 2, axis=1)
    return np.hstack([np.diff(part, order, axis=1) for part in parts for order in range(min(3, part.shape[1]))])


def last_value(horizon: int) -> LastValue:
    """The last accuracy seen, plus what trainings gained after it on average."""
    return LastValue()


def sotl_e(horizon: int) -> Pipeline:
    """The training loss of the last epoch seen, SoTL-E with E = 1, on the scale of the labels."""
    return make_pipeline(FunctionTransformer(last_loss), StandardScaler(), RankTarget(BayesianRidge()))


def power_law(horizon: int) -> PowerLaw:
    """Pow3, exp3 and a logarithmic family, fitted to each curve."""
    return PowerLaw(horizon)


def curve_svr(horizon: int) -> Pipeline:
    """Support vector regression on the curve and its differences."""
    return make_pipeline(FunctionTransformer(curve_features), StandardScaler(), RankTarget(Committee(SVR(C=3.0))))
