"""From a task to cells, g: T -> A: a generator makes cells for the task's descriptor, an evaluator says which to train.

The pair of generator and evaluator of MetaD2A (Lee et al., "Rapid Neural Architecture Search by Learning to Generate
Graphs from Datasets", ICLR 2021), both learned on source tasks. The first cells are zero-shot; then results of the
target adapt the evaluator, and the generator follows it by REINFORCE. Chances are those among the cells that are left
to ask for, so that no draw is wasted. Charges trainings; the sources' cost stands on a line of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import surrogates
from nasbench.errors import NasbenchError
from nasbench.runs.strategy import Problem

from .model_based import ModelBased
from .transfer import source_tasks


@dataclass(frozen=True)
class Settings:
    """drawn: cells that the generator makes for the evaluator to choose from; batch: cells trained between two updates;
    steps, rate: of REINFORCE in an update, and their size."""

    drawn: int = 100
    batch: int = 5
    steps: int = 5
    rate: float = 0.05

    def __post_init__(self) -> None:
        if self.drawn < self.batch or self.batch < 1:
            raise NasbenchError(f"{self.batch} of {self.drawn} drawn cells cannot be trained.")


class TaskToCell(ModelBased):
    """Zero-shot at first, then refined."""

    least = 0

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        super().__init__(problem, rng, 0, settings.batch)
        self._settings, self._learned = settings, False
        self._evaluator = surrogates.build("task_conditioned", problem.space.whole)
        self._sources = source_tasks(problem, "task_to_cell", self._evaluator.least_sources)
        self._evaluator.check_sources(self._sources)

    def propose(self, rows: np.ndarray, accuracies: np.ndarray) -> list[int]:
        from surrogates.meta.generator import CellGenerator

        if not self._learned:
            self._evaluator.meta_fit(self._sources)
            self._generator = self._sources.remember("generator", lambda: CellGenerator(self._sources)).copy()
            self._learned = True
        cells = self.candidates.decisions
        self._evaluator.fit(cells[rows], accuracies)
        standing, _ = self._evaluator.standing(cells)
        if len(rows):
            for _ in range(self._settings.steps):
                drawn = self._draw(np.ones(len(cells), bool))
                self._generator.improve(cells[drawn], standing[drawn], self._settings.rate)
        wanted = np.full(len(cells), np.nan)
        made = self._draw(self.candidates.open)
        wanted[made] = standing[made]
        return self.best_of(wanted)

    def _draw(self, allowed: np.ndarray) -> np.ndarray:
        """Positions of cells drawn without replacement by the generator's chances (Gumbel, top k)."""
        chances = np.where(allowed, self._generator.log_chances(self.candidates.decisions), -np.inf)
        noisy = chances + self.rng.gumbel(size=len(chances))
        count = min(self._settings.drawn, int(allowed.sum()))
        return np.argpartition(-noisy, count - 1)[:count]
