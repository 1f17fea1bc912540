"""DEHB: Hyperband's brackets, with differential evolution in place of random cells; each rung keeps a population.

Awad, Mallik and Hutter, "DEHB: Evolutionary Hyperband for Scalable, Robust and Efficient Hyperparameter Optimization",
IJCAI 2021 (arXiv:2105.09821). The first round of brackets promotes as Hyperband does; from then on a rung's child is a
member of the rung crossed with a mutant of the best of the rung below, and replaces the member if it is not worse.
rand/1/bin on decisions as numbers in [0, 1), F = Cr = 0.5, populations as large as the rung's largest bracket. Charges
trainings only, from where a cell's last one ended if the benchmark resumes them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from nasbench.errors import NasbenchError
from nasbench.records import Cell, Outcome, Status, Trial
from nasbench.runs.strategy import Problem

from .rungs import check_eta, choose_rungs, hyperband_plans

PARENTS = 3
"""Members that a mutant is made of."""


@dataclass(frozen=True)
class Settings:
    """How children are made.

    Attributes:
        eta: ratio between rungs, and between the sizes of a bracket.
        scale: F, how much of the difference of two members is added to a third.
        crossover_rate: Cr, probability that the child takes a decision from the mutant.
        retries: further children, in place of one that was trained on this rung before, until it is a random cell.
    """

    eta: int = 3
    scale: float = 0.5
    crossover_rate: float = 0.5
    retries: int = 20

    def __post_init__(self) -> None:
        check_eta(self.eta)
        if not (0 < self.scale <= 2 and 0 <= self.crossover_rate <= 1 and self.retries >= 0):
            raise NasbenchError(f"differential evolution cannot run with {self}.")


class Dehb:
    """A population of decisions [d] in [0, 1) per rung; only the first round of brackets waits for outcomes.

    A slot is (rung, rung that its parents come from, how many of them): a bracket is a row of slots.
    """

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        self._space, self._rng, self._settings = problem.space, rng, settings
        self._sizes = np.array(problem.space.choices)
        self._rungs = choose_rungs(problem, settings.eta, "dehb")
        self._plans, self._opened = hyperband_plans(self._rungs, settings.eta), 0
        self._places = [max(p.sizes[p.epochs.index(e)] for p in self._plans if e in p.epochs) for e in self._rungs]
        self._members: list[list[tuple[float, np.ndarray]]] = [[] for _ in self._rungs]
        self._next = [0] * len(self._rungs)
        self._slots: deque[tuple[int, int, int]] = deque()
        self._taken: list[set[Cell]] = [set() for _ in self._rungs]
        self._flying: dict[Trial, tuple[int, np.ndarray]] = {}

    def ask(self) -> Trial | None:
        for _ in range(2 * sum(sum(plan.sizes) for plan in self._plans)):
            if not self._slots:
                self._open()
            rung, below, keep = self._slots[0]
            if below < rung and self._opened <= len(self._plans):
                if self._flying:
                    return None
                child = self._promote(rung, below)
            else:
                child = self._child(rung, below, keep)
            self._slots.popleft()
            cell = None if child is None else self._decode(child)
            if child is not None and cell is not None:
                trial = Trial(cell, self._rungs[rung])
                self._taken[rung].add(cell)
                self._flying[trial] = self._place(rung, child), child
                return trial
        return None

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        value = outcome.val_acc if outcome.status is Status.OK else -np.inf
        place, child = self._flying.pop(trial)
        members = self._members[self._rungs.index(trial.epochs)]
        if value >= members[place][0]:
            members[place] = (value, child)

    def _open(self) -> None:
        """Lay out the next bracket's slots."""
        plan = self._plans[self._opened % len(self._plans)]
        self._opened += 1
        first = self._rungs.index(plan.epochs[0])
        for i, size in enumerate(plan.sizes):
            below = max(first, first + i - 1)
            self._slots.extend([(first + i, below, size if i else self._places[first])] * size)

    def _best(self, rung: int) -> list[np.ndarray]:
        return [vector for value, vector in sorted(self._members[rung], key=lambda m: -m[0]) if value > -np.inf]

    def _promote(self, rung: int, below: int) -> np.ndarray | None:
        """The best member of the rung below that was not trained on this one."""
        return next((v for v in self._best(below) if self._decode(v) not in self._taken[rung]), None)

    def _child(self, rung: int, below: int, keep: int) -> np.ndarray | None:
        """A child that was not trained on this rung: of evolution where the population is complete, else random."""
        settings, rng, members = self._settings, self._rng, self._members[rung]
        pool = self._best(below)[:keep]
        if len(pool) < PARENTS:
            pool = pool + [vector for population in self._members for _, vector in population]
        evolves = len(members) >= self._places[rung] and len(pool) >= PARENTS
        for _ in range(settings.retries + 1 if evolves else 0):
            first, second, third = (pool[i] for i in rng.permutation(len(pool))[:PARENTS].tolist())
            mutant = first + settings.scale * (second - third)
            mutant = np.where((mutant >= 0) & (mutant < 1), mutant, rng.random(len(mutant)))
            crosses = rng.random(len(mutant)) < settings.crossover_rate
            crosses[int(rng.random() * len(mutant))] = True
            child = np.where(crosses, mutant, members[self._next[rung]][1])
            cell = self._decode(child)
            if cell is not None and cell not in self._taken[rung]:
                return child
        cell = self._space.sample_except(self._taken[rung], rng)
        if cell is None:
            return None
        return (np.array(self._space.to_choices(cell)) + rng.random(len(self._sizes))) / self._sizes

    def _place(self, rung: int, child: np.ndarray) -> int:
        """Where a child goes: a place that is still empty, or the next member's in turn."""
        members = self._members[rung]
        if len(members) < self._places[rung]:
            members.append((-np.inf, child))
            return len(members) - 1
        place = self._next[rung]
        self._next[rung] = (place + 1) % len(members)
        return place

    def _decode(self, vector: np.ndarray) -> Cell | None:
        return self._space.from_choices((vector * self._sizes).astype(int).tolist())
