"""A Gaussian process over the cells of a list: what a search needs of one, a few milliseconds a step.

Features of all cells are known beforehand, so that one more observation extends the factors of the step before instead
of starting anew. Scale, length and noise are those of largest marginal likelihood on a grid; they are chosen anew
whenever a seventh more is known. Rasmussen and Williams, "Gaussian Processes for Machine Learning", MIT Press 2006,
algorithm 2.1 and equation 5.8.
"""

from __future__ import annotations

import itertools

import numpy as np
from scipy.linalg import solve_triangular

LENGTHS = (0.15, 0.3, 0.6, 1.2, 2.4)
"""Length scales, in units of the root of the number of features."""
NOISES = (0.003, 0.02, 0.1, 0.4)
"""Variances of what features do not tell, as shares of the signal's."""
GROWTH = 1.15


class FiniteProcess:
    """Matern 3/2 kernel.

    Args:
        features: [m, f] of all cells; equal rows are worked out once.
        standardise: bring every feature to the same deviation; otherwise they weigh what they vary.
    """

    def __init__(self, features: np.ndarray, standardise: bool = True) -> None:
        features = np.asarray(features, np.float64)
        # Equal rows have equal sums under weights that no other rows would agree in.
        sums = features @ np.random.default_rng(0).standard_normal(features.shape[1])
        _, first, self._of_cell = np.unique(sums.round(9), return_index=True, return_inverse=True)
        unique = features[first]
        unique = unique[:, np.ptp(unique, axis=0) > 0]
        deviation = unique.std(axis=0)
        scale = deviation * unique.shape[1] ** 0.5 if standardise else np.sqrt((deviation**2).sum())
        self._points = (unique - unique.mean(axis=0)) / scale
        self._squares = (self._points**2).sum(axis=1)
        self._distances = np.empty((0, len(self._points)))
        self._seen: list[int] = []
        self._chosen_at = 0

    def posterior(self, rows: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation, each [m], of a new training's standardised result.

        The deviation is that of one training: what two cells with equal features differ by is part of it.

        Args:
            rows: [n] which cells were observed; a list that begins with the last call's is gone on with.
            z: [n] what was observed, of any scale.
        """
        points = self._of_cell[np.asarray(rows)].tolist()
        if points[: len(self._seen)] != self._seen:
            self._seen, self._chosen_at, self._distances = [], 0, self._distances[:0]
        fresh = points[len(self._seen) :]
        self._distances = np.vstack([self._distances, *(self._distance(point)[None] for point in fresh)])
        self._seen = points
        centre, scale = z.mean(), z.std() or 1.0
        target = (z - centre) / scale
        if len(points) >= GROWTH * self._chosen_at:
            self._choose(target)
        else:
            self._extend(fresh)
        whitened = solve_triangular(self._factor, target, lower=True)
        mean = self._across.T @ whitened
        variance = np.maximum(1 - self._explained, 1e-9) + self._noise
        spread = np.sqrt(variance * (whitened @ whitened) / len(points))
        return (centre + scale * mean)[self._of_cell], (scale * spread)[self._of_cell]

    def _distance(self, point: int) -> np.ndarray:
        squared = self._squares + self._squares[point] - 2 * self._points @ self._points[point]
        distance: np.ndarray = np.sqrt(np.maximum(squared, 0.0))
        return distance

    def _choose(self, target: np.ndarray) -> None:
        """Length and noise of largest marginal likelihood, the signal's variance in closed form."""
        distances, best = self._distances[:, self._seen], -np.inf
        for length, noise in itertools.product(LENGTHS, NOISES):
            factor = np.linalg.cholesky(_matern(distances, length) + noise * np.eye(len(target)))
            whitened = solve_triangular(factor, target, lower=True)
            likelihood = -0.5 * len(target) * np.log(whitened @ whitened + 1e-12) - np.log(np.diag(factor)).sum()
            if likelihood > best:
                best, self._length, self._noise, self._factor = likelihood, length, noise, factor
        self._chosen_at = len(target)
        self._across = solve_triangular(self._factor, _matern(self._distances, self._length), lower=True)
        self._explained = (self._across**2).sum(axis=0)

    def _extend(self, fresh: list[int]) -> None:
        """Rows for the points at the end of `_seen` to the Cholesky factor and to what is made of it."""
        for n, point in enumerate(fresh, len(self._seen) - len(fresh)):
            covariance = _matern(self._distances[n], self._length)
            left = self._across[:, point]
            corner = np.sqrt(1 + self._noise - left @ left)
            self._factor = np.block([[self._factor, np.zeros((n, 1))], [left[None], np.array([[corner]])]])
            row = (covariance - left @ self._across) / corner
            self._across = np.vstack([self._across, row])
            self._explained = self._explained + row**2


def _matern(distances: np.ndarray, length: float) -> np.ndarray:
    """Matern 3/2 (Rasmussen and Williams, equation 4.17)."""
    scaled = np.sqrt(3.0) / length * distances
    kernel: np.ndarray = (1 + scaled) * np.exp(-scaled)
    return kernel
