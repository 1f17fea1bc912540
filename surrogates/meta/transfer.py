"""Predictors that add to what the sources say of a cell what the target's labels say of the sources.

rank_transfer takes the mean standing and no labels: the baseline. stacked weighs the sources anew (Bayesian linear
regression on their standings; Wolpert, "Stacked Generalization", Neural Networks 1992). gp_transfer is a Gaussian
process whose mean is the sources' and whose kernel's parameters are those that made the sources likely given one
another, as in ABLR and its kin (Perrone et al., NeurIPS 2018), and xgboost_transfer boosts on from there.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from nasbench.spaces import Space, open_space
from nasbench.tables.source_tasks import Sources

from ..encoder import encode, varying
from .base import MetaPredictor
from .standings import normal_scores, standings

LOCAL = (0.0, 0.03, 0.1, 0.3, 1.0)
"""Variances of what the sources do not tell of a cell and similar cells share."""
LENGTHS = (0.3, 0.8, 2.0)
"""Over which distance they share it, in units of the root of the number of features."""
WEIGHTS = (0.1, 0.3, 1.0)
"""Deviations of a source's weight, in units of a mean's weight."""
NOISES = (0.02, 0.08, 0.3)
"""Variances of a label around its cell's standing."""
ALONE = 0.5
"""Spread of standings where there is one source only, which says nothing of how tasks differ."""
PROBES, MOST_PROBED = 100, 8
"""Cells on which, and sources for which, the parameters are judged."""


class RankTransfer(MetaPredictor):
    """The mean standing on the sources; labels only say which accuracy belongs to a standing.

    The spread is what a source's own standings differ by from the mean of the others'.
    """

    def _meta_fit(self, sources: Sources) -> None:
        found, count = standings(sources), len(sources)
        self.mean_ = found.mean(axis=1)
        errors = [
            normal_scores(task.accuracies) - (found.sum(axis=1) - found[:, i])[task.index] / (count - 1)
            for i, task in enumerate(sources)
        ] if count > 1 else [np.full(1, ALONE)]  # fmt: skip
        self.error_ = float(np.sqrt(np.mean([np.mean(error**2) for error in errors])))

    def _prior(self, index: np.ndarray) -> np.ndarray:
        return self.mean_[index]

    def _adapt(self, index: np.ndarray, z: np.ndarray) -> None:
        pass

    def _standing(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.mean_[index], np.full(len(index), self.error_)


class TransferProcess(RankTransfer):
    """A Gaussian process on what the target's standings differ from the sources' mean by.

    Its kernel is that of weights, one for each source, and with `local` that of what similar cells share: Matern 3/2 on
    the standardised encoding `summary`. Parameters are those of a grid that are likeliest given the labels and, to the
    same weight as one task's, given the sources, each in turn the target of the others.
    """

    def __init__(self, space: str | Space = "nasbench201", local: bool = True) -> None:
        super().__init__(space)
        self.local = local

    def _meta_fit(self, sources: Sources) -> None:
        super()._meta_fit(sources)
        space = open_space(self.space).whole
        features = encode(space, space.cells, ("summary",))
        features = features[:, varying(features)]
        self.features_ = (features - features.mean(axis=0)) / (
            (features.std(axis=0) + 1e-12) * features.shape[1] ** 0.5
        )
        self.grid_ = list(itertools.product(LOCAL if self.local else (0.0,), LENGTHS, WEIGHTS, NOISES))
        self.grid_ = [g for g in self.grid_ if g[0] > 0 or g[1] == LENGTHS[0]]
        self.directions_ = standings(sources) / np.sqrt(len(sources))
        self.belief_ = np.zeros(len(self.grid_))
        if len(sources) > 1:
            self.belief_ = sources.remember(("evidence", self.local), lambda: self._belief(sources))

    def _belief(self, sources: Sources) -> np.ndarray:
        """Mean log evidence [grid] of the sources, each given the others."""
        rng, found = np.random.default_rng(0), []
        everything = standings(sources)
        for position in np.unique(np.linspace(0, len(sources) - 1, MOST_PROBED).round().astype(int)):
            task = sources[int(position)]
            rest = np.delete(everything, position, axis=1)
            chosen = np.sort(rng.permutation(len(task.index))[:PROBES])
            index = task.index[chosen]
            z = normal_scores(task.accuracies)[chosen] - rest.mean(axis=1)[index]
            directions = rest[index] / np.sqrt(rest.shape[1])
            found.append([self._evidence(self._factor(index, directions, *at), z) for at in self.grid_])
        belief: np.ndarray = np.mean(found, axis=0)
        return belief

    def _covariance(
        self, index: np.ndarray, other: np.ndarray, a: np.ndarray, b: np.ndarray, local: float, length: float,
        weight: float,
    ) -> np.ndarray:  # fmt: skip
        covariance: np.ndarray = weight**2 * (a @ b.T)
        if local:
            x, y = self.features_[index], self.features_[other]
            squares = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * x @ y.T
            scaled = np.sqrt(3 * np.maximum(squares, 0)) / length
            covariance = covariance + local * (1 + scaled) * np.exp(-scaled)
        return covariance

    def _factor(
        self, index: np.ndarray, directions: np.ndarray, local: float, length: float, weight: float, noise: float
    ) -> Any:
        covariance = self._covariance(index, index, directions, directions, local, length, weight)
        return cho_factor(covariance + noise * np.eye(len(index)), lower=True)

    @staticmethod
    def _evidence(factor: Any, z: np.ndarray) -> float:
        """Log marginal likelihood (Rasmussen and Williams 2006, equation 2.30) without its constant."""
        return float(-0.5 * z @ cho_solve(factor, z) - np.log(np.diag(factor[0])).sum())

    def _adapt(self, index: np.ndarray, z: np.ndarray) -> None:
        self.seen_, residual = index, z - self.mean_[index]
        factors = [self._factor(index, self.directions_[index], *at) for at in self.grid_] if len(index) else []
        evidence = self.belief_ + np.array([self._evidence(factor, residual) for factor in factors] or 0.0)
        best = int(evidence.argmax())
        self.chosen_ = self.grid_[best]
        self.factor_ = factors[best] if factors else None
        self.weights_ = cho_solve(factors[best], residual) if factors else None

    def _standing(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        local, length, weight, noise = self.chosen_
        mean = self.mean_[index]
        variance = local + noise + weight**2 * (self.directions_[index] ** 2).sum(axis=1)
        if self.factor_ is not None:
            a, b = self.directions_[self.seen_], self.directions_[index]
            across = self._covariance(self.seen_, index, a, b, local, length, weight)
            mean = mean + across.T @ self.weights_
            variance = variance - (solve_triangular(self.factor_[0], across, lower=True) ** 2).sum(axis=0)
        return mean, np.sqrt(np.maximum(variance, 1e-9))


class BoostedTransfer(RankTransfer):
    """XGBoost that goes on from the sources' mean standing: what it learns is the rest.

    Args:
        depth, rate: of the trees, and how much of each is taken.
        rounds: trees for every label, up to `most`.
    """

    def __init__(
        self, space: str | Space = "nasbench201", depth: int = 3, rate: float = 0.05, rounds: int = 1, most: int = 100
    ) -> None:
        super().__init__(space)
        self.depth, self.rate, self.rounds, self.most = depth, rate, rounds, most

    def _adapt(self, index: np.ndarray, z: np.ndarray) -> None:
        from xgboost import XGBRegressor

        self.booster_ = None
        if len(index) < 2:
            return
        self.booster_ = XGBRegressor(
            n_estimators=min(self.most, self.rounds * len(index)), max_depth=self.depth, learning_rate=self.rate,
            min_child_weight=3, base_score=0.0, n_jobs=1, random_state=0,
        )  # fmt: skip
        self.booster_.fit(self._features(index), z, base_margin=self.mean_[index])

    def _features(self, index: np.ndarray) -> np.ndarray:
        space = open_space(self.space).whole
        return np.hstack([encode(space, space.cells[index]), standings(self.sources_)[index]])

    def _standing(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.booster_ is None:
            return super()._standing(index)
        mean = self.booster_.predict(self._features(index), base_margin=self.mean_[index]).astype(np.float64)
        return mean, np.full(len(index), self.error_)


def rank_transfer(space: str | Space) -> RankTransfer:
    """`RankTransfer`."""
    return RankTransfer(space)


def stacked(space: str | Space) -> TransferProcess:
    """`TransferProcess` with weights of the sources only."""
    return TransferProcess(space, local=False)


def gp_transfer(space: str | Space) -> TransferProcess:
    """`TransferProcess` with what similar cells share."""
    return TransferProcess(space)


def xgboost_transfer(space: str | Space) -> BoostedTransfer:
    """`BoostedTransfer`."""
    return BoostedTransfer(space)
