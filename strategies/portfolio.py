"""Portfolio: a bandit gives each evaluation to one of three strategies, whichever has lately found the better cells.

UCB1 (Auer et al., "Finite-time Analysis of the Multiarmed Bandit Problem", Machine Learning 2002) over local search,
regularised evolution and random search. A training is rewarded with 1 if it is among the best tenth so far; of the 5
settings tried on digits (seeds 1000-1029) none was better than another by more than chance.
Outcomes are shared where a member's `tell` can take one that it did not ask for: evolution's puts the cell into its
population, random search's ignores it; local search's counts what it has in flight, so it hears only of its own.
Charges trainings only.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass

import numpy as np

from nasbench.errors import NasbenchError
from nasbench.records import Outcome, Status, Trial
from nasbench.runs.strategy import Problem, Strategy

from .local_search import LocalSearch
from .random_search import RandomSearch
from .regularized_evolution import RegularizedEvolution


@dataclass(frozen=True)
class Settings:
    """How evaluations are given out.

    Attributes:
        best_share: a training among the best share so far is rewarded.
        exploration: weight of what is not known about a member; UCB1's own is the square root of 2.
        share: whether evolution is told of the other members' trainings.
    """

    best_share: float = 0.1
    exploration: float = 0.5
    share: bool = True

    def __post_init__(self) -> None:
        if not (0 < self.best_share <= 1 and self.exploration >= 0):
            raise NasbenchError(f"a portfolio needs a best share above 0 and exploration of at least 0, not {self}.")


class Portfolio:
    """Asks the member with the highest upper bound on its reward; a trial that was known is a miss."""

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        self._settings = settings
        first, second, third = rng.spawn(3)
        evolution = RegularizedEvolution(problem, second)
        self._members: list[Strategy] = [LocalSearch(problem, first), evolution, RandomSearch(problem, third)]
        self._listens: list[Strategy] = [evolution] if settings.share else []
        self._rewards, self._trials = np.zeros(len(self._members)), np.zeros(len(self._members))
        self._asked_by: dict[Trial, list[int]] = {}
        self._known: set[Trial] = set()
        self._values: list[float] = []

    def ask(self) -> Trial | None:
        trials = np.maximum(self._trials, 1e-9)
        bound = self._rewards / trials + self._settings.exploration * np.sqrt(np.log(max(trials.sum(), 2)) / trials)
        for member in np.argsort(-bound, kind="stable").tolist():
            trial = self._members[member].ask()
            if trial is not None:
                self._trials[member] += 1
                self._asked_by.setdefault(trial, []).append(member)
                return trial
        return None

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        member = self._asked_by[trial].pop(0)
        if trial not in self._known:
            self._known.add(trial)
            value = outcome.val_acc if outcome.status is Status.OK else -np.inf
            insort(self._values, value)
            place = int(len(self._values) * (1 - self._settings.best_share))
            self._rewards[member] += value > -np.inf and value >= self._values[place]
            for listener in self._listens:
                if listener is not self._members[member]:
                    listener.tell(trial, outcome)
        self._members[member].tell(trial, outcome)
