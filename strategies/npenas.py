"""NPENAS: evolution in which every parent has many children and a predictor decides which of them are trained.

Wei et al., "NPENAS: Neural Predictor Guided Evolution for Neural Architecture Search", IEEE TNNLS 2022
(arXiv:2003.12857). The paper's predictor is a graph isomorphism network (`npenas-paper`); the default is the Gaussian
process of the catalogue, which fits in a fraction of the time. Charges trainings only; fitting is shown as overhead.
The sizes are not checked against the paper's code.
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
    """initial: random cells at the start; batch: cells between two fits; parents: best cells that are mutated, each
    `children` times; predictor: of surrogates.CATALOGUE."""

    initial: int = 20
    batch: int = 10
    parents: int = 10
    children: int = 10
    predictor: str = "gp"

    def __post_init__(self) -> None:
        for name in ("initial", "batch", "parents", "children"):
            if getattr(self, name) < 1:
                raise NasbenchError(f"{name} = {getattr(self, name)}: at least 1 is needed.")


class PredictorGuidedEvolution(ModelBased):
    """Parents are the best cells so far; of all their children the predictor's favourites are trained."""

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        super().__init__(problem, rng, max(2, settings.initial), settings.batch)
        self._settings = settings
        self._predictor = surrogates.build(settings.predictor, problem.space.whole)

    def propose(self, rows: np.ndarray, accuracies: np.ndarray) -> list[int]:
        self._predictor.fit(self.candidates.decisions[rows], accuracies)
        parents = rows[np.argsort(-accuracies, kind="stable")[: self._settings.parents]]
        near = self.mutants(parents, self._settings.children)
        if not len(near):
            return []
        wanted = np.full(len(self.candidates), np.nan)
        wanted[near] = self.judge(near)
        return self.best_of(wanted)

    def judge(self, near: np.ndarray) -> np.ndarray:
        """How much each of the children at these positions is wanted."""
        judged: np.ndarray = self._predictor.predict(self.candidates.decisions[near])
        return judged
