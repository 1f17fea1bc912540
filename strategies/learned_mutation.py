"""Learned mutation: regularised evolution in which a policy learns which decision to change, and to what.

A hybrid of Real et al., "Regularized Evolution for Image Classifier Architecture Search", AAAI 2019 (arXiv:1802.01548),
and adaptive operator selection by probability matching (Thierens, GECCO 2005; from memory): a move is a (decision,
value) pair, drawn by how much better or worse than their parents the children were that it made. The temperature was
chosen from 5 settings by the regret on digits (seeds 1000-1029). Charges trainings only.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from operator import itemgetter

import numpy as np

from nasbench.errors import NasbenchError
from nasbench.records import Cell, Outcome, Status, Trial
from nasbench.runs.strategy import Problem

LIMIT = 10.0
"""Percent by which a child can be worse at most, as far as its move is concerned; so is a failed one."""


@dataclass(frozen=True)
class Settings:
    """How parents and moves are chosen.

    Attributes:
        population_size: members alive.
        sample_size: members drawn, with replacement, to find a parent.
        learning_rate: share of a new improvement in a move's worth.
        temperature: of the softmax over the worth of moves, which is in units of its spread; high is uniform.
        retries: further moves, in place of one that leads to no cell or a known one, until the space mutates.
    """

    population_size: int = 20
    sample_size: int = 10
    learning_rate: float = 0.3
    temperature: float = 0.5
    retries: int = 20

    def __post_init__(self) -> None:
        if not 1 <= self.sample_size <= self.population_size:
            raise NasbenchError(
                f"evolution samples 1 to population_size={self.population_size} members, not {self.sample_size}."
            )
        if not (0 < self.learning_rate <= 1 and self.temperature > 0 and self.retries >= 0):
            raise NasbenchError(f"a mutation needs a learning rate up to 1 and a temperature above 0, not {self}.")


class LearnedMutation:
    """Worth [decision, value] of moves, a moving mean of the improvement in percent."""

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        self._space, self._full, self._rng, self._settings = problem.space, problem.full, rng, settings
        sizes = np.array(problem.space.choices)
        self._allowed = np.arange(sizes.max()) < sizes[:, None]
        self._worth = np.zeros(self._allowed.shape)
        self._population: deque[tuple[float, Cell]] = deque(maxlen=settings.population_size)
        self._started = 0
        self._known: set[Cell] = set()
        self._moves: dict[Cell, tuple[float, tuple[int, int]]] = {}

    def ask(self) -> Trial:
        settings = self._settings
        if self._started < settings.population_size or not self._population:
            self._started += 1
            cell = self._space.sample(self._rng)
        else:
            drawn = self._rng.random(settings.sample_size).tolist()
            value, parent = max([self._population[int(u * len(self._population))] for u in drawn], key=itemgetter(0))
            cell = self._mutate(value, parent)
        self._known.add(cell)
        return Trial(cell, self._full)

    def _mutate(self, value: float, parent: Cell) -> Cell:
        """The parent with one decision changed as the policy draws it."""
        decisions = list(self._space.to_choices(parent))
        moves = self._allowed.copy()
        moves[np.arange(len(decisions)), decisions] = False
        spread = self._worth[self._allowed].std() or 1.0
        scaled = np.where(moves, self._worth, -np.inf) / (spread * self._settings.temperature)
        chances = np.exp(scaled - scaled.max()).cumsum() if moves.any() else np.zeros(1)
        for draw in self._rng.random(self._settings.retries + 1) * chances[-1] if moves.any() else ():
            place, choice = divmod(int(np.searchsorted(chances, draw, side="right")), moves.shape[1])
            child = self._space.from_choices([*decisions[:place], choice, *decisions[place + 1 :]])
            if child is not None and child not in self._known:
                self._moves[child] = value, (place, choice)
                return child
        return self._space.mutate(parent, self._rng)

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        value = outcome.val_acc if outcome.status is Status.OK else -np.inf
        before, move = self._moves.pop(trial.cell, (np.nan, (0, 0)))
        if np.isfinite(before):
            self._worth[move] += self._settings.learning_rate * (max(value - before, -LIMIT) - self._worth[move])
        self._population.append((value, trial.cell))
