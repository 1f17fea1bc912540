"""Rank transfer: try the cells that are best on other tasks, in the order of their mean rank there.

The baseline that everything meta-learned has to beat: it learns nothing from the target. Ranks of cells that a source
did not train are a predictor's (surrogates.meta.standings). Charges trainings; the sources' cost stands on a line of
its own.
"""

from __future__ import annotations

import numpy as np

from nasbench.runs.strategy import Problem

from .model_based import ModelBased
from .transfer import mean_standing, source_tasks


class RankTransferSearch(ModelBased):
    """The order of the sources' mean rank, followed to the end of the budget."""

    least = 0

    def __init__(self, problem: Problem, rng: np.random.Generator) -> None:
        super().__init__(problem, rng, 0)
        self.batch = len(self.candidates)
        self._sources = source_tasks(problem, "rank_transfer")

    def propose(self, rows: np.ndarray, accuracies: np.ndarray) -> list[int]:
        return self.best_of(mean_standing(self._sources, self.candidates))
