"""Regularised evolution whose first population is the top of a zero-cost ranking, and whose children are preferred by
the proxy.

Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021 (arXiv:2101.08134): warm-up and
move proposal. Charges every score as a proxy, and trainings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasbench.errors import NasbenchError
from nasbench.records import Cell, Trial
from nasbench.runs.strategy import Problem
from surrogates.proxies.charged import ChargedProxy

from .regularized_evolution import RegularizedEvolution
from .regularized_evolution import Settings as EvolutionSettings


@dataclass(frozen=True)
class Settings:
    """proxy: of surrogates.proxies.PROXIES; warm_up: random cells scored for the first population; proposals: mutants
    scored for every child; population_size, sample_size: as in regularised evolution."""

    proxy: str = "params"
    warm_up: int = 500
    proposals: int = 4
    population_size: int = 20
    sample_size: int = 10

    def __post_init__(self) -> None:
        if self.warm_up < 1 or self.proposals < 1:
            raise NasbenchError(f"warm_up and proposals are at least 1, not {self.warm_up} and {self.proposals}.")


class ProxyEvolution(RegularizedEvolution):
    """As its parent, with the proxy deciding what random draws decide there."""

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        super().__init__(problem, rng, EvolutionSettings(settings.population_size, settings.sample_size))
        self._warm_up, self._proposals = settings.warm_up, settings.proposals
        self._proxy = ChargedProxy(problem, settings.proxy, int(rng.integers(2**31)))
        self._first: list[Cell] | None = None
        self._asked: set[Cell] = set()

    def ask(self) -> Trial:
        if self._first is None:
            drawn = dict.fromkeys(self._space.sample(self._rng) for _ in range(self._warm_up))
            self._first = sorted(drawn, key=self._proxy)[-self._settings.population_size :]
        cell = self._first.pop() if self._first else self._child()
        self._asked.add(cell)
        return Trial(cell, self._full)

    def _child(self) -> Cell:
        if not self._population:
            return self._space.sample(self._rng)
        parent = self.parent()
        mutants = [self._space.mutate(parent, self._rng) for _ in range(self._proposals)]
        return max([cell for cell in mutants if cell not in self._asked] or mutants, key=self._proxy)
