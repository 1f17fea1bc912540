"""REINFORCE whose first policy is meta-learned: the one from which few steps lead to good cells on every source task.

The first logits are learned by Reptile (Nichol, Achiam and Schulman, arXiv:1803.02999, algorithm 1): again and again,
REINFORCE runs for some steps on a source, rewarded by where cells rank there, and the first logits move towards where
it ended. Charges trainings; the sources' cost stands on a line of its own. Steps and rounds are our choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from nasbench.errors import NasbenchError
from nasbench.records import Cost, Outcome, Trial
from nasbench.runs.budget import Budget
from nasbench.runs.strategy import Problem
from nasbench.tables.source_tasks import Sources
from surrogates.meta.standings import standings

from . import reinforce
from .transfer import source_tasks


@dataclass(frozen=True)
class Settings(reinforce.Settings):
    """rounds, steps: of Reptile, and REINFORCE's trials in each; rate: the share of the way that first logits move in
    the first round, falling to 0. The others are those of `reinforce`."""

    rounds: int = 60
    steps: int = 60
    rate: float = 0.5

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.steps < 1:
            raise NasbenchError("meta_reinforce needs at least one round of at least one step.")


class MetaReinforce(reinforce.Reinforce):
    """REINFORCE from meta-learned logits."""

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        super().__init__(problem, rng, settings)
        self._sources, self._started = source_tasks(problem, "meta_reinforce"), False
        self._meta = settings

    def ask(self) -> Trial:
        if not self._started:
            learn = self._sources.remember(("policy", self._meta), lambda: first_logits(self._sources, self._meta))
            self.policy.logits = learn.copy()
            self._started = True
        return super().ask()


def first_logits(sources: Sources, settings: Settings) -> np.ndarray:
    """[decision, value] by Reptile over the sources; the same for every run, from a seed of its own."""
    space, rng = sources.space.whole, np.random.default_rng(0)
    rewards = 100 * ndtr(standings(sources))
    problem = Problem(space, (1,), Budget(settings.steps, "evals"))
    logits = reinforce.Reinforce(problem, rng, settings).policy.logits
    for number in range(settings.rounds):
        learner = reinforce.Reinforce(problem, rng, settings)
        learner.policy.logits = logits.copy()
        source = int(rng.integers(len(sources)))
        for _ in range(settings.steps):
            trial = learner.ask()
            reached = float(rewards[space.index(trial.cell), source])
            learner.tell(trial, Outcome(reached, Cost(0.0, 1.0, 0.0, 1.0)))
        way = np.where(np.isfinite(logits), learner.policy.logits - np.where(np.isfinite(logits), logits, 0), 0)
        logits = logits + settings.rate * (1 - number / settings.rounds) * way
    return logits
