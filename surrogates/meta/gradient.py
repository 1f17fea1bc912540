"""Meta-learned first weights: a perceptron that a few steps of gradient descent on a task's labels suit to the task.

maml: Finn, Abbeel and Levine, "Model-Agnostic Meta-Learning", ICML 2017 (arXiv:1703.03400), algorithm 2, second order;
fomaml is its first-order approximation (section 5.2). reptile: Nichol, Achiam and Schulman, "On First-Order
Meta-Learning Algorithms", arXiv:1803.02999, algorithm 2 in its batched form. The size of the steps of MAML is learned
with the weights, one for each tensor (Antoniou et al., "How to train your MAML", ICLR 2019).
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.func import grad, vmap

from nasbench.errors import unknown
from nasbench.spaces import Space, open_space
from nasbench.tables.source_tasks import Sources

from ..neural.ensemble import one_thread
from .base import MetaPredictor
from .neural import Score, Weights, cell_features, episodes, evaluate, flat, parted, perceptron, scores_of

KINDS = ("maml", "fomaml", "reptile")
SHOWN, ASKED, TASKS = (5, 10, 20, 50), 64, 4
UNSEEN = 5
"""Of so many cells of every source one is left out of meta-training, to tell how far off predictions are."""


def squared_error(weights: Weights, x: Tensor, z: Tensor) -> Tensor:
    """Mean over cells x [n, f] of the squared difference from z [n]."""
    return ((evaluate(weights, x).squeeze(-1) - z) ** 2).mean()


def descend(weights: Weights, rates: Weights, x: Tensor, z: Tensor, steps: int, second_order: bool) -> Weights:
    """The weights after some steps of gradient descent on labels z [n] of cells x [n, f] (MAML, equation 1); the same
    without labels."""
    for _ in range(steps if len(z) else 0):
        slopes = grad(squared_error)(weights, x, z)
        if not second_order:
            slopes = {name: slope.detach() for name, slope in slopes.items()}
        weights = {name: tensor - rates[name] * slopes[name] for name, tensor in weights.items()}
    return weights


class GradientMetaLearner(MetaPredictor):
    """Perceptrons whose first weights are learned so that few steps suit them to a task.

    Defaults were chosen on the made-up tasks of this project's tests.

    Several are learned from different first weights; predictions are their mean, and their disagreement, with the root
    mean square error on a fifth of every source's cells, which meta-training does not see, is the spread.

    Args:
        kind: "maml", "fomaml" or "reptile".
        members, width: perceptrons, and units in each of their two hidden layers.
        steps: of gradient descent on a task, while meta-learning and on the target.
        rate: of these steps, at the start for MAML.
        episodes, outer_rate: meta-steps, of four tasks each, and how far one goes.
        random_state: seed.
    """

    least_sources = 2

    def __init__(
        self,
        space: str | Space = "nasbench201",
        kind: str = "maml",
        members: int = 3,
        width: int = 64,
        steps: int = 5,
        rate: float = 0.01,
        episodes: int = 400,
        outer_rate: float = 1e-2,
        random_state: int = 0,
    ) -> None:
        super().__init__(space)
        self.kind, self.members, self.width, self.steps = kind, members, width, steps
        self.rate, self.episodes, self.outer_rate, self.random_state = rate, episodes, outer_rate, random_state

    def _meta_fit(self, sources: Sources) -> None:
        if self.kind not in KINDS:
            raise unknown("kind of meta-learner", self.kind, KINDS)
        self.features_ = cell_features(open_space(self.space).whole)
        self.members_, self.error_ = self._remembered(sources, self._learn)

    def _learn(self, sources: Sources) -> tuple[list[tuple[Weights, Weights]], float]:
        learn = self._reptile if self.kind == "reptile" else self._maml
        generator = torch.Generator().manual_seed(self.random_state + self.members)
        kept, unseen = parted(scores_of(sources), UNSEEN, generator)
        with one_thread():
            members = [learn(kept, torch.Generator().manual_seed(self.random_state + i)) for i in range(self.members)]
            errors = []
            for episode in episodes(self.features_, unseen, (10,), ASKED, TASKS, 20, generator):
                found = [vmap(partial(self._suited, *member))(*episode[:3]) for member in members]
                errors.append(float(((torch.stack(found).mean(dim=0) - episode.truth) ** 2).mean()))
        return members, float(np.sqrt(np.mean(errors)))

    def _suited(self, weights: Weights, rates: Weights, shown: Tensor, told: Tensor, asked: Tensor) -> Tensor:
        """Standings [m] of the cells that are asked for, after steps on those that are shown."""
        return evaluate(descend(weights, rates, shown, told, self.steps, False), asked).squeeze(-1).detach()

    def _start(self, generator: torch.Generator) -> tuple[Weights, Weights]:
        weights = perceptron((self.features_.shape[1], self.width, self.width, 1), generator)
        return weights, {name: torch.tensor(self.rate) for name in weights}

    def _maml(self, scores: list[Score], generator: torch.Generator) -> tuple[Weights, Weights]:
        weights, rates = self._start(generator)
        rates = {name: rate.log() for name, rate in rates.items()}
        second = self.kind == "maml"

        def loss(weights: Weights, rates: Weights, shown: Tensor, told: Tensor, asked: Tensor, truth: Tensor) -> Tensor:
            suited = descend(weights, {n: r.exp() for n, r in rates.items()}, shown, told, self.steps, second)
            return squared_error(suited, asked, truth)

        optimizer = torch.optim.Adam([*flat(weights), *flat(rates)], lr=self.outer_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.episodes)
        for episode in episodes(self.features_, scores, SHOWN, ASKED, TASKS, self.episodes, generator):
            optimizer.zero_grad()
            vmap(partial(loss, weights, rates))(*episode).mean().backward()
            optimizer.step()
            schedule.step()
        return {n: w.detach() for n, w in weights.items()}, {n: r.detach().exp() for n, r in rates.items()}

    def _reptile(self, scores: list[Score], generator: torch.Generator) -> tuple[Weights, Weights]:
        """Towards the mean of the weights that suit each of four tasks, by steps that shrink to zero."""
        weights, rates = self._start(generator)
        for i, episode in enumerate(episodes(self.features_, scores, (ASKED,), 1, TASKS, self.episodes, generator)):
            suited = vmap(partial(descend, weights, rates, steps=self.steps, second_order=False))(*episode[:2])
            share = 1 - i / self.episodes
            weights = {n: w + share * (suited[n].mean(dim=0) - w) for n, w in weights.items()}
        return weights, rates

    def _prior(self, index: np.ndarray) -> np.ndarray:
        return self._mean([weights for weights, _ in self.members_], index)[0]

    def _adapt(self, index: np.ndarray, z: np.ndarray) -> None:
        x, told = self.features_[index], torch.as_tensor(z, dtype=torch.float32)
        with one_thread():
            self.suited_ = [descend(weights, rates, x, told, self.steps, False) for weights, rates in self.members_]

    def _standing(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, disagreement = self._mean(self.suited_, index)
        return mean, np.sqrt(disagreement**2 + self.error_**2)

    def _mean(self, members: list[Weights], index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with one_thread(), torch.no_grad():
            found = torch.stack([evaluate(weights, self.features_[index]).squeeze(-1) for weights in members])
        standings = found.numpy().astype(np.float64)
        return standings.mean(axis=0), standings.std(axis=0)


def maml(space: str | Space) -> GradientMetaLearner:
    """`GradientMetaLearner`, second order."""
    return GradientMetaLearner(space, "maml")


def fomaml(space: str | Space) -> GradientMetaLearner:
    """`GradientMetaLearner`, first order."""
    return GradientMetaLearner(space, "fomaml")


def reptile(space: str | Space) -> GradientMetaLearner:
    """`GradientMetaLearner` by Reptile."""
    return GradientMetaLearner(space, "reptile", steps=10, rate=0.05, episodes=800)
