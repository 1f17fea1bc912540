"""One network for all tasks: a cell and its task's descriptor in, its standing on that task out.

The predictor of MetaD2A (Lee et al., "Rapid Neural Architecture Search by Learning to Generate Graphs from Datasets",
ICLR 2021), with this project's task descriptors in place of a set encoder of images. Labels of the target make its last
layer anew, by Bayesian linear regression around what the sources taught it (Perrone et al., NeurIPS 2018).
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from nasbench.errors import NasbenchError
from nasbench.spaces import Space, open_space
from nasbench.tables.source_tasks import Sources

from ..neural.ensemble import one_thread
from .base import MetaPredictor
from .neural import Weights, cell_features, evaluate, flat, perceptron, scores_of

BATCH = 256
STIFFNESS = 0.1
"""Variance of the last layer's weights around what the sources taught, times their number."""


def descriptors(sources: Sources, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Principal components [s, k] of the sources' descriptors and [k] of the target's, k at most `most` and s - 1.

    NasbenchError where the target or a source has no descriptor.
    """
    missing = [task.name for task in sources if task.descriptor is None]
    if sources.descriptor is None or missing:
        whose = "the target task" if sources.descriptor is None else f"the source task {missing[0]!r}"
        raise NasbenchError(
            f"{whose} has no descriptor, so that nothing says how tasks differ; tables that `nasbench train` makes "
            "have them, and predictors such as gp_transfer need none."
        )
    known = np.stack([task.descriptor for task in sources if task.descriptor is not None])
    centre, scale = known.mean(axis=0), known.std(axis=0)
    kept = scale > 1e-9
    known, target = (known - centre)[:, kept] / scale[kept], (sources.descriptor - centre)[kept] / scale[kept]
    _, sizes, axes = np.linalg.svd(known, full_matrices=False)
    axes = axes[: max(1, min(most, len(known) - 1))] / max(sizes[0], 1e-9) * np.sqrt(len(known))
    return known @ axes.T, np.clip(target @ axes.T, -3, 3)


class TaskConditioned(MetaPredictor):
    """See the module.

    Args:
        width: units in each of two hidden layers.
        components: of the descriptors that it sees, at most.
        steps, rate: of gradient descent (Adam) on 256 cells of all sources.
        random_state: seed.
    """

    least_sources = 2

    def __init__(
        self,
        space: str | Space = "nasbench201",
        width: int = 64,
        components: int = 4,
        steps: int = 1500,
        rate: float = 3e-3,
        random_state: int = 0,
    ) -> None:
        super().__init__(space)
        self.width, self.components, self.steps = width, components, steps
        self.rate, self.random_state = rate, random_state

    def check_sources(self, sources: Sources) -> None:
        super().check_sources(sources)
        descriptors(sources, self.components)

    def _meta_fit(self, sources: Sources) -> None:
        known, target = descriptors(sources, self.components)
        weights, self.error_ = self._remembered(sources, partial(self._learn, known=known))
        self.hidden_, self.head_ = self._last_layer(weights, target)

    def _learn(self, sources: Sources, known: np.ndarray) -> tuple[Weights, float]:
        """The network's weights, and its root mean square error in the last hundred steps."""
        features, scores = cell_features(open_space(self.space).whole), scores_of(sources)
        index = torch.cat([index for index, _ in scores])
        z = torch.cat([z for _, z in scores])
        task = torch.cat([torch.full((len(index),), i) for i, (index, _) in enumerate(scores)])
        descriptor = torch.as_tensor(known, dtype=torch.float32)
        generator = torch.Generator().manual_seed(self.random_state)
        weights = perceptron((features.shape[1] + descriptor.shape[1], self.width, self.width, 1), generator)
        optimizer = torch.optim.AdamW(flat(weights), lr=self.rate, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        errors = []
        with one_thread():
            for _ in range(self.steps):
                drawn = torch.randint(len(index), (BATCH,), generator=generator)
                x = torch.cat([features[index[drawn]], descriptor[task[drawn]]], dim=1)
                optimizer.zero_grad()
                loss = ((evaluate(weights, x).squeeze(-1) - z[drawn]) ** 2).mean()
                loss.backward()
                optimizer.step()
                schedule.step()
                errors.append(float(loss.detach()))
        return {n: w.detach() for n, w in weights.items()}, float(np.sqrt(np.mean(errors[-100:])))

    def _last_layer(self, weights: Weights, descriptor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Last hidden units [m, h + 1] of all cells for this task, one of them constant, and their weights [h + 1]."""
        features = cell_features(open_space(self.space).whole)
        with one_thread(), torch.no_grad():
            x: Tensor = torch.cat(
                [features, torch.as_tensor(descriptor, dtype=torch.float32).expand(len(features), -1)], dim=1
            )
            for i in range(2):
                x = softplus(x @ weights[f"w{i}"] + weights[f"b{i}"])
        hidden = np.column_stack([x.double().numpy(), np.ones(len(x))])
        return hidden, np.append(weights["w2"].double().numpy().ravel(), float(weights["b2"]))

    def _prior(self, index: np.ndarray) -> np.ndarray:
        prior: np.ndarray = self.hidden_[index] @ self.head_
        return prior

    def _adapt(self, index: np.ndarray, z: np.ndarray) -> None:
        """Bishop 2006, equations 3.50 and 3.51."""
        hidden, noise = self.hidden_[index], self.error_**2
        stiff = hidden.shape[1] / STIFFNESS * np.eye(hidden.shape[1])
        self.covariance_ = np.linalg.inv(stiff + hidden.T @ hidden / noise)
        self.suited_ = self.head_ + self.covariance_ @ (hidden.T @ (z - hidden @ self.head_)) / noise

    def _standing(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        hidden = self.hidden_[index]
        variance = ((hidden @ self.covariance_) * hidden).sum(axis=1) + self.error_**2
        return hidden @ self.suited_, np.sqrt(variance)


def task_conditioned(space: str | Space) -> TaskConditioned:
    """`TaskConditioned`."""
    return TaskConditioned(space)
