"""A Gaussian process on features that are learned over tasks: deep kernel transfer, the surrogate of TNAS.

Patacchiola et al., "Bayesian Meta-Learning for the Few-Shot Setting via Deep Kernels", NeurIPS 2020 (arXiv:1910.05199);
for architecture search Shala et al., "Transfer NAS with Meta-learned Bayesian Surrogates", ICLR 2023. One perceptron
maps a cell to a point and to a mean; both, and the kernel's scale, length and noise, are those that make the standings
of all sources likely. A new task needs no gradient step: its labels condition the process.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nasbench.spaces import Space, open_space
from nasbench.tables.source_tasks import Sources

from ..neural.ensemble import one_thread
from .base import MetaPredictor
from .neural import Weights, cell_features, episodes, evaluate, flat, perceptron, scores_of

TASKS, CELLS = 4, 64


class DeepKernel(MetaPredictor):
    """See the module.

    Args:
        width, points: units in each of two hidden layers, and dimensions of a cell's point.
        episodes, rate: gradient steps of meta-learning, of 64 cells of each of four tasks, and their size (Adam).
        random_state: seed.
    """

    least_sources = 2

    def __init__(
        self,
        space: str | Space = "nasbench201",
        width: int = 64,
        points: int = 8,
        episodes: int = 600,
        rate: float = 3e-3,
        random_state: int = 0,
    ) -> None:
        super().__init__(space)
        self.width, self.points, self.episodes = width, points, episodes
        self.rate, self.random_state = rate, random_state

    def _meta_fit(self, sources: Sources) -> None:
        self.mean_, self.points_, self.scale_, self.noise_ = self._remembered(sources, self._learn)

    def _learn(self, sources: Sources) -> tuple[np.ndarray, np.ndarray, float, float]:
        """Mean [m] and point [m, p] of every cell of the space, the kernel's variance and the noise's."""
        features, scores = cell_features(open_space(self.space).whole), scores_of(sources)
        generator = torch.Generator().manual_seed(self.random_state)
        weights = perceptron((features.shape[1], self.width, self.width, 1 + self.points), generator)
        weights["w2"] = weights["w2"] * 10  # points far enough apart to be told from one another
        logs: Weights = {"scale": torch.tensor(-1.0), "noise": torch.tensor(-2.0)}
        optimizer = torch.optim.Adam([*flat(weights), *flat(logs)], lr=self.rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.episodes)
        with one_thread():
            for episode in episodes(features, scores, (CELLS,), 1, TASKS, self.episodes, generator):
                optimizer.zero_grad()
                self._surprise(weights, logs, episode.shown, episode.told).backward()
                optimizer.step()
                schedule.step()
            with torch.no_grad():
                found = evaluate(weights, features).double().numpy()
        scale, noise = (float(logs[name].detach().exp()) for name in ("scale", "noise"))
        return found[:, 0], found[:, 1:], scale, noise

    @staticmethod
    def _surprise(weights: Weights, logs: Weights, x: Tensor, z: Tensor) -> Tensor:
        """Negative log marginal likelihood a cell of standings z [t, n] of cells x [t, n, f], without its constant."""
        found = evaluate(weights, x)
        rest, points = z - found[..., 0], found[..., 1:]
        covariance = logs["scale"].exp() * torch.exp(-0.5 * torch.cdist(points, points) ** 2)
        covariance = covariance + logs["noise"].exp() * torch.eye(x.shape[1])
        factor = torch.linalg.cholesky(covariance)
        whitened = torch.linalg.solve_triangular(factor, rest.unsqueeze(-1), upper=False)
        half = torch.diagonal(factor, dim1=-2, dim2=-1).log().sum(dim=-1)
        return (0.5 * (whitened**2).sum(dim=(-2, -1)) + half).mean() / x.shape[1]

    def _prior(self, index: np.ndarray) -> np.ndarray:
        return self.mean_[index]

    def _kernel(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        x, y = self.points_[a], self.points_[b]
        squares = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * x @ y.T
        kernel: np.ndarray = self.scale_ * np.exp(-0.5 * np.maximum(squares, 0))
        return kernel

    def _adapt(self, index: np.ndarray, z: np.ndarray) -> None:
        self.seen_ = index
        self.factor_ = np.linalg.cholesky(self._kernel(index, index) + self.noise_ * np.eye(len(index)))
        self.whitened_ = np.linalg.solve(self.factor_, z - self.mean_[index]) if len(index) else z

    def _standing(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, variance = self.mean_[index], np.full(len(index), self.scale_ + self.noise_)
        if len(self.seen_):
            across = np.linalg.solve(self.factor_, self._kernel(self.seen_, index))
            mean, variance = mean + across.T @ self.whitened_, variance - (across**2).sum(axis=0)
        return mean, np.sqrt(np.maximum(variance, 1e-9))


def deep_kernel(space: str | Space) -> DeepKernel:
    """`DeepKernel`."""
    return DeepKernel(space)
