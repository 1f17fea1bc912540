"""Q-learning: decide one decision after another by a table of values, at first at random, later greedily.

Baker et al., "Designing Neural Network Architectures using Reinforcement Learning" (MetaQNN), ICLR 2017
(arXiv:1611.02167), with the settings of its released code: learning rate 0.01, no discount, values that begin at 0.5,
replay of 128 trained cells after each, and its schedule of random decisions, which covers 2,700 cells there and the
run's budget here. A state is a decision and the value of the one before it. Of the schedule's 1,500 wholly random cells
300 are left, the best of 6 settings by the regret on digits (seeds 1000-1029). Charges trainings only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasbench.errors import NasbenchError
from nasbench.records import Cell, Outcome, Status, Trial
from nasbench.runs.strategy import Problem

SCHEDULE = ((0.9, 100), (0.8, 100), (0.7, 100), *((e / 10, 150) for e in range(6, 0, -1)))
"""Probability of a random decision, and for how many cells, after those that are all random."""
DRAWS = 200
"""Draws for a cell that is valid and new, before one is taken uniformly instead."""


@dataclass(frozen=True)
class Settings:
    """How values are learned.

    Attributes:
        learning_rate: share of what is new in a value.
        replay: trained cells that are learned from again after each.
        start: what values begin at.
        random_cells: cells of the schedule, whose rest has 1,200, that are all random.
    """

    learning_rate: float = 0.01
    replay: int = 128
    start: float = 0.5
    random_cells: int = 300

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate <= 1 or self.replay < 1 or self.random_cells < 0:
            raise NasbenchError(f"Q-learning needs a learning rate up to 1 and a replay of at least 1, not {self}.")


class QLearning:
    """Only the last decision is rewarded, with the accuracy as a fraction; a failed training is rewarded with 0."""

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        self._space, self._full, self._rng, self._settings = problem.space, problem.full, rng, settings
        self._spent = problem.spent
        sizes = problem.space.choices
        self._values = [
            [[settings.start] * size for _ in range(before)] for before, size in zip((1, *sizes), sizes, strict=False)
        ]
        self._trained: list[tuple[tuple[int, ...], float]] = []
        self._asked: set[Cell] = set()

    def ask(self) -> Trial | None:
        share = min(1.0, self._spent())
        cell = None
        for _ in range(DRAWS):
            cell = self._space.from_choices(self._decide(self._randomness(share)))
            if cell is not None and cell not in self._asked:
                break
        else:
            cell = self._space.sample_except(self._asked, self._rng)
            if cell is None:
                return None
        self._asked.add(cell)
        return Trial(cell, self._full)

    def _randomness(self, share: float) -> float:
        """The schedule's probability once a share of the budget is spent."""
        schedule = ((1.0, self._settings.random_cells), *SCHEDULE)
        left = share * sum(count for _, count in schedule)
        for chance, count in schedule:
            if left < count:
                return chance
            left -= count
        return schedule[-1][0]

    def _decide(self, randomness: float) -> list[int]:
        """Decisions made in order; of the values that are equally good, a random one."""
        decisions, state = [], 0
        chances = self._rng.random((len(self._values), 2)).tolist()
        for values, (explores, pick) in zip(self._values, chances, strict=True):
            row = values[state]
            best = min(row) if explores < randomness else max(row)
            options = [value for value, worth in enumerate(row) if worth >= best]
            state = options[int(pick * len(options))]
            decisions.append(state)
        return decisions

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        reward = outcome.val_acc / 100 if outcome.status is Status.OK else 0.0
        self._trained.append((self._space.to_choices(trial.cell), reward))
        self._learn(*self._trained[-1])
        for i in (self._rng.random(self._settings.replay) * len(self._trained)).astype(int).tolist():
            self._learn(*self._trained[i])

    def _learn(self, decisions: tuple[int, ...], reward: float) -> None:
        """Q <- Q + a (target - Q) from the last decision back; the target is the reward, then the next state's best."""
        target = reward
        for position in range(len(decisions) - 1, -1, -1):
            state = decisions[position - 1] if position else 0
            row = self._values[position][state]
            row[decisions[position]] += self._settings.learning_rate * (target - row[decisions[position]])
            target = max(row)
