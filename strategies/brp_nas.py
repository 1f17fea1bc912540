"""BRP-NAS: rounds of fitting a pairwise ranker and training half its favourites and half random cells.

Dudziak et al., "BRP-NAS: Prediction-based NAS using GCNs", NeurIPS 2020 (arXiv:2007.08668), section 4.2: the ranker is
fitted anew a few times during the search, and the trainings in between are split between its best cells and others,
so that it also learns what it misjudges. Here the others are drawn from its better half, and every round is as large
as all before it. Charges trainings only; fitting, a few seconds a round, is shown as overhead.
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
    """initial: random cells at the start; growth: trainings between two fits, as a share of those before; exploring:
    the share of a round that is drawn at random from the better half; predictor: of surrogates.CATALOGUE; members: its
    networks, one as in the paper, where it has several."""

    initial: int = 20
    growth: float = 1.0
    exploring: float = 0.5
    predictor: str = "brp_nas"
    members: int = 1

    def __post_init__(self) -> None:
        if self.initial < 2 or not self.growth > 0 or not 0 <= self.exploring <= 1:
            raise NasbenchError(
                f"BRP-NAS needs 2 or more first cells, a growth above 0 and a share from 0 to 1, not {self}."
            )


class IterativeRanking(ModelBased):
    """Top cells of the ranker, mixed with random ones of its better half."""

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        super().__init__(problem, rng, settings.initial)
        self._settings = settings
        self._predictor = surrogates.build(settings.predictor, problem.space.whole)
        if "members" in self._predictor.get_params():
            self._predictor.set_params(members=settings.members)

    def propose(self, rows: np.ndarray, accuracies: np.ndarray) -> list[int]:
        self._predictor.fit(self.candidates.decisions[rows], accuracies)
        self.batch = max(1, round(self._settings.growth * len(rows)))
        score = self._predictor.predict(self.candidates.decisions)
        best = self.best_of(score)[: max(1, round((1 - self._settings.exploring) * self.batch))]
        better = np.flatnonzero(self.candidates.open & (score >= np.median(score)))
        others = np.setdiff1d(better, best)
        return best + self.rng.permutation(others)[: self.batch - len(best)].tolist()
