"""Gaussian processes: on the summary of a cell's ways, and on Weisfeiler-Lehman counts of its graph.

Fitting grows with the cube of the number of labels: 0.1 s for 200, minutes for 5,000.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from nasbench.spaces import Space, open_space

from .encoder import CellEncoder, check_cells
from .targets import RankTarget

NOISE = (1e-3, 1.0)
"""Bounds of the noise's variance, as a share of the targets'."""


class QuietProcess(GaussianProcessRegressor):
    """scikit-learn's process without its warning that a length or the noise lies at its bound, as they may."""

    def fit(self, X: Any, y: Any) -> QuietProcess:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return super().fit(X, y)


def _process(bounds: tuple[float, float], smoothness: float = 1.5) -> RankTarget:
    start = float(np.sqrt(bounds[0] * bounds[1]))
    kernel = ConstantKernel(1.0) * Matern(start, bounds, nu=smoothness) + WhiteKernel(0.1, NOISE)
    return RankTarget(QuietProcess(kernel, normalize_y=True, random_state=0))


def gp(space: str | Space) -> Pipeline:
    """Matern 3/2 kernel on the standardised `summary`; scale, length and noise by maximum likelihood."""
    return make_pipeline(CellEncoder(space, ("summary",)), StandardScaler(), _process((0.5, 100.0)))


class WeisfeilerLehman(TransformerMixin, BaseEstimator):
    """How often each neighbourhood occurs in a cell's graph, float64 [n, f], rows of length 1.

    A node's first label is its operation; in each of `rounds` it becomes the pair of its label and the sorted labels of
    the nodes that feed it (Shervashidze et al., JMLR 2011). Neighbourhoods that no training cell has are left out.

    Args:
        space: the space or its name.
        rounds: how often labels are refined, h in the papers.
    """

    def __init__(self, space: str | Space = "nasbench201", rounds: int = 2) -> None:
        self.space = space
        self.rounds = rounds

    def fit(self, X: Any, y: Any = None) -> WeisfeilerLehman:
        self.n_features_in_ = len(open_space(self.space).choices)
        self.vocabulary_ = [np.unique(labels[labels != 0]) for labels in self._labels(X)]
        return self

    def transform(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        parts = []
        for labels, words in zip(self._labels(X), self.vocabulary_, strict=True):
            counts = np.zeros((len(labels), len(words) + 1))
            at = np.searchsorted(words, labels)
            known = (at < len(words)) & (words[np.minimum(at, len(words) - 1)] == labels)
            np.add.at(counts, (np.arange(len(labels))[:, None], np.where(known, at, len(words))), 1)
            parts.append(counts[:, :-1])
        features = np.hstack(parts)
        length = np.linalg.norm(features, axis=1, keepdims=True)
        return features / np.where(length > 0, length, 1)

    def _labels(self, X: Any) -> list[np.ndarray]:
        """Labels [n, nodes] of every round as 64-bit hashes, 0 for nodes that are on no way to the output."""
        space = open_space(self.space)
        adjacency, features = space.graph_arrays(check_cells(X, space))
        feeds = adjacency.transpose(0, 2, 1) > 0
        live = adjacency.any(axis=1) | adjacency.any(axis=2)
        labels = np.where(live, _mix(features.argmax(axis=2).astype(np.uint64) + np.uint64(1)), np.uint64(0))
        rounds = [labels]
        for _ in range(self.rounds):
            # A sum of mixed labels is the same for every order, as sorting would make it.
            around = (feeds * _mix(rounds[-1])[:, None, :]).sum(axis=2, dtype=np.uint64)
            labels = _mix(rounds[-1] * np.uint64(0x9E3779B97F4A7C15) + _mix(around))
            rounds.append(np.where(live, labels, np.uint64(0)))
        return rounds


def _mix(values: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser (Steele, Lea and Flood, OOPSLA 2014): a hash of 64-bit integers, modulo 2^64."""
    values = values ^ (values >> np.uint64(30))
    values = values * np.uint64(0xBF58476D1CE4E5B9)
    values = values ^ (values >> np.uint64(27))
    values = values * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def gp_wl(space: str | Space) -> Pipeline:
    """Matern 3/2 kernel on normalised Weisfeiler-Lehman counts, after NAS-BOWL, whose kernel is linear in them."""
    return make_pipeline(WeisfeilerLehman(space), _process((0.05, 10.0)))
