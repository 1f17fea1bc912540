"""Fit a predictor once on random cells, then train the cells that it puts first.

Wen et al., "Neural Predictor for Neural Architecture Search", ECCV 2020 (arXiv:1912.00848), with the graph network of
the paper or any other predictor of the catalogue. Charges trainings only; fitting is shown as overhead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import surrogates
from nasbench.errors import NasbenchError
from nasbench.runs.strategy import Problem

from .model_based import ModelBased


@dataclass(frozen=True)
class Settings:
    """predictor: of surrogates.CATALOGUE; initial: random cells to fit it on."""

    predictor: str = "gp"
    initial: int = 50

    def __post_init__(self) -> None:
        if self.initial < 2:
            raise NasbenchError(f"initial = {self.initial}: a predictor needs at least 2 cells to learn from.")


class PredictorSearch(ModelBased):
    """The order of one fit, followed to the end of the budget."""

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        super().__init__(problem, rng, settings.initial)
        self.batch = len(self.candidates)
        self._predictor = surrogates.build(settings.predictor, problem.space.whole)

    def propose(self, rows: np.ndarray, accuracies: np.ndarray) -> list[int]:
        self._predictor.fit(self.candidates.decisions[rows], accuracies)
        return self.best_of(self._predictor.predict(self.candidates.decisions))
