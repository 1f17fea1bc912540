"""BRP-NAS: rounds of fitting a pairwise ranker and training half its favourites and half random cells.

Dudziak et al., "BRP-NAS: Prediction-based NAS using GCNs", NeurIPS 2020 (arXiv:2007.08668), section 4.2: the ranker is
fitted anew a few times during the search, and the trainings in between are split between its best cells and others,
so that it also learns what it misjudges. Here the others are drawn from its better half. Charges trainings only;
fitting is shown as overhead.
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
    """initial: random cells at the start; batch: cells between two fits; exploring: the share of a batch that is drawn
    at random from the better half; predictor: of surrogates.CATALOGUE."""

    initial: int = 20
    batch: int = 20
    exploring: float = 0.5
    predictor: str = "brp_nas"

    def __post_init__(self) -> None:
        if self.initial < 2 or self.batch < 1 or not 0 <= self.exploring <= 1:
            raise NasbenchError(
                f"BRP-NAS needs 2 or more first cells, batches of 1 or more and a share from 0 to 1, not {self}."
            )


class IterativeRanking(ModelBased):
    """Top cells of the ranker, mixed with random ones of its better half."""

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        super().__init__(problem, rng, settings.initial, settings.batch)
        self._exploring = round(settings.exploring * settings.batch)
        self._predictor = surrogates.build(settings.predictor, problem.space.whole)

    def propose(self, rows: np.ndarray, accuracies: np.ndarray) -> list[int]:
        self._predictor.fit(self.candidates.decisions[rows], accuracies)
        score = self._predictor.predict(self.candidates.decisions)
        best = self.best_of(score)[: max(1, self.batch - self._exploring)]
        better = np.flatnonzero(self.candidates.open & (score >= np.median(score)))
        others = np.setdiff1d(better, best)
        return best + self.rng.permutation(others)[: self.batch - len(best)].tolist()
