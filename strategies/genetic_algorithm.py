"""Genetic algorithm: selection, crossover and mutation, generation by generation.

Xie and Yuille, "Genetic CNN", ICCV 2017 (arXiv:1703.01513): roulette-wheel selection without elite there
(`tournament_size=0, elite=0`); by default tournaments and a small elite, which suit budgets of a few hundred
evaluations. The rates of the variant named after the paper are from memory. Charges trainings only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasbench.errors import NasbenchError
from nasbench.records import Cell, Outcome, Status, Trial
from nasbench.runs.strategy import Problem


@dataclass(frozen=True)
class Settings:
    """How a generation is made.

    Attributes:
        population_size: members of a generation.
        tournament_size: members that compete to be a parent; 0 draws parents in proportion to how far they are above
            the generation's worst, as in the paper.
        elite: best members that live on unchanged.
        crossover_rate: probability that a child has two parents.
        mutation_rate: probability that a child is mutated.
        retries: further mutations of a child that was trained before, to make it a new one; 0 as in the paper.
    """

    population_size: int = 20
    tournament_size: int = 5
    elite: int = 10
    crossover_rate: float = 0.5
    mutation_rate: float = 1.0
    retries: int = 20

    def __post_init__(self) -> None:
        if self.population_size < 1 or not 0 <= self.elite < self.population_size or self.tournament_size < 0:
            raise NasbenchError(f"a genetic algorithm cannot run with {self}.")
        if not (0 <= self.crossover_rate <= 1 and 0 <= self.mutation_rate <= 1):
            raise NasbenchError(f"rates of a genetic algorithm lie between 0 and 1, not as in {self}.")


class GeneticAlgorithm:
    """Generational genetic algorithm; waits for a whole generation before it breeds the next."""

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        self._space, self._full, self._rng, self._settings = problem.space, problem.full, rng, settings
        self._queue: list[Cell] = [self._space.sample(rng) for _ in range(settings.population_size)]
        self._flying = 0
        self._parents: list[tuple[float, Cell]] = []
        self._generation: list[tuple[float, Cell]] = []
        self._trained: set[Cell] = set()

    def ask(self) -> Trial | None:
        if not self._queue:
            if self._flying:
                return None
            self._breed()
        self._flying += 1
        return Trial(self._queue.pop(), self._full)

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        self._flying -= 1
        value = outcome.val_acc if outcome.status is Status.OK else -np.inf
        self._generation.append((value, trial.cell))
        self._trained.add(trial.cell)

    def _breed(self) -> None:
        settings = self._settings
        ranked = sorted(self._parents[: settings.elite] + self._generation, key=lambda m: -m[0])
        self._parents, self._generation = ranked[: settings.population_size], []
        weights = self._roulette()
        for _ in range(settings.population_size - settings.elite):
            child = self._parent(weights)
            if self._rng.random() < settings.crossover_rate:
                child = self._space.crossover(child, self._parent(weights), self._rng)
            if self._rng.random() < settings.mutation_rate:
                child = self._space.mutate(child, self._rng)
            for _ in range(settings.retries):
                if child not in self._trained:
                    break
                child = self._space.mutate(child, self._rng)
            self._queue.append(child)

    def _roulette(self) -> np.ndarray:
        """Cumulative selection probabilities, in proportion to the distance from the worst that did not fail."""
        values = np.array([value for value, _ in self._parents])
        worst = values[np.isfinite(values)].min(initial=np.inf)
        above = np.maximum(values, worst) - worst if np.isfinite(worst) else np.zeros(len(values))
        if not above.any():
            above[:] = 1.0
        return np.cumsum(above) / above.sum()

    def _parent(self, weights: np.ndarray) -> Cell:
        size = self._settings.tournament_size
        if size == 0:
            return self._parents[int(np.searchsorted(weights, self._rng.random(), side="right"))][1]
        drawn = (self._rng.random(size) * len(self._parents)).astype(int).tolist()
        return self._parents[min(drawn)][1]  # parents are sorted, best first
