"""NSGA-II: evolution towards the front of accuracy and a second objective, by Pareto rank and crowding.

Deb et al., "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", IEEE TEC 2002; for architectures as in Lu et
al., "NSGA-Net", GECCO 2019. Uniform crossover and one edit make a child; the population is that of the paper cut down
to what some hundreds of trainings allow. Charges trainings only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasbench.errors import NasbenchError
from nasbench.records import Cell, Outcome, Status, Trial
from nasbench.runs.strategy import Problem
from surrogates.dominance import crowding, pareto_ranks

RETRIES = 20
"""Children made for one that was not asked for before."""


@dataclass(frozen=True)
class Settings:
    """objective: what is to be small: `latency_seconds`, `parameters` or `flops`; population_size: members;
    crossover_rate, mutation_rate: of a child."""

    objective: str = "latency_seconds"
    population_size: int = 20
    crossover_rate: float = 0.9
    mutation_rate: float = 0.9

    def __post_init__(self) -> None:
        if self.population_size < 2:
            raise NasbenchError(f"population_size = {self.population_size}: NSGA-II needs at least 2 members.")
        for name in ("crossover_rate", "mutation_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise NasbenchError(f"{name} = {getattr(self, name)}: it is a probability.")


class NSGA2:
    """Steady state: every child that comes back takes part in the next selection of survivors."""

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        problem.require(settings.objective, "nsga2")
        self._space, self._full, self._rng, self._settings = problem.space, problem.full, rng, settings
        self._measure = problem.measures[settings.objective]
        self._members: list[tuple[Cell, float, float]] = []
        self._fitness = np.empty((0, 2))
        self._asked: set[Cell] = set()
        self._started = 0

    def ask(self) -> Trial:
        if self._started < self._settings.population_size or len(self._members) < 2:
            self._started += 1
            cell = self._space.sample(self._rng)
        else:
            for _ in range(RETRIES):
                cell = self._child()
                if cell not in self._asked:
                    break
        self._asked.add(cell)
        return Trial(cell, self._full)

    def _child(self) -> Cell:
        settings, rng = self._settings, self._rng
        cell = self._tournament()
        crossed = rng.random() < settings.crossover_rate
        if crossed:
            cell = self._space.crossover(cell, self._tournament(), rng)
        return self._space.mutate(cell, rng) if not crossed or rng.random() < settings.mutation_rate else cell

    def _tournament(self) -> Cell:
        """The better of two by (rank, crowding)."""
        first, second = (int(u * len(self._members)) for u in self._rng.random(2))
        better = first if tuple(self._fitness[first]) >= tuple(self._fitness[second]) else second
        return self._members[better][0]

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        if outcome.status is not Status.OK or any(cell == trial.cell for cell, _, _ in self._members):
            return
        self._members.append((trial.cell, outcome.val_acc, -self._measure(trial.cell)))
        values = np.array([values for _, *values in self._members])
        ranks = pareto_ranks(values)
        distance = np.empty(len(values))
        for rank in range(ranks.max() + 1):
            distance[ranks == rank] = crowding(values[ranks == rank])
        order = np.lexsort((-distance, ranks))[: self._settings.population_size]
        self._members = [self._members[i] for i in order]
        self._fitness = np.stack([-ranks[order], distance[order]], axis=1)
