"""BANANAS: an ensemble of networks on path encodings, independent Thompson sampling, and mutations of the best cells.

White, Neiswanger and Savani, "BANANAS: Bayesian Optimization with Neural Architectures for Neural Architecture Search",
AAAI 2021 (arXiv:1910.11858), algorithm 1. Charges trainings only; fitting is shown as overhead. The number of mutated
cells and of their mutants are not checked against the paper's code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasbench.runs.strategy import Problem
from surrogates.acquisition import independent_thompson_sampling

from .npenas import PredictorGuidedEvolution
from .npenas import Settings as EvolutionSettings


@dataclass(frozen=True)
class Settings(EvolutionSettings):
    """As in npenas; the predictor is one with a spread."""

    initial: int = 10
    children: int = 20
    predictor: str = "bananas"


class Bananas(PredictorGuidedEvolution):
    """The mutants of the best cells that a draw from the predictor's distribution puts first."""

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        super().__init__(problem, rng, settings)

    def judge(self, near: np.ndarray) -> np.ndarray:
        mean, spread = self._predictor.predict(self.candidates.decisions[near], return_std=True)
        return independent_thompson_sampling(mean, spread, self.rng)
