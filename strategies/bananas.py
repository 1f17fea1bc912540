"""BANANAS: an ensemble of networks on path encodings, independent Thompson sampling, and mutations of the best cells.

White, Neiswanger and Savani, "BANANAS: Bayesian Optimization with Neural Architectures for Neural Architecture Search",
AAAI 2021 (arXiv:1910.11858), algorithm 1. Charges trainings only; fitting is shown as overhead. The number of mutated
cells and of their mutants are not checked against the paper's code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import surrogates
from nasbench.errors import NasbenchError
from nasbench.runs.strategy import Problem
from surrogates.acquisition import independent_thompson_sampling

from .model_based import ModelBased


@dataclass(frozen=True)
class Settings:
    """initial: random cells at the start; batch: cells between two fits; parents: best cells that are mutated, each
    `children` times; predictor: of surrogates.CATALOGUE, with a spread."""

    initial: int = 10
    batch: int = 10
    parents: int = 10
    children: int = 20
    predictor: str = "bananas"

    def __post_init__(self) -> None:
        for name in ("initial", "batch", "parents", "children"):
            if getattr(self, name) < 1:
                raise NasbenchError(f"{name} = {getattr(self, name)}: BANANAS needs at least 1.")


class Bananas(ModelBased):
    """The mutants of the best cells that a draw from the predictor's distribution puts first."""

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
        mean, spread = self._predictor.predict(self.candidates.decisions[near], return_std=True)
        wanted = np.full(len(self.candidates), np.nan)
        wanted[near] = independent_thompson_sampling(mean, spread, self.rng)
        return self.best_of(wanted)
