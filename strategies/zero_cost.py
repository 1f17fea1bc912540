"""Rank random cells by a zero-cost proxy, then train them from the top.

Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021 (arXiv:2101.08134). Charges every score as a
proxy, and trainings. Where neither the table nor the task's images give scores, `params` still works: it costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasbench.errors import NasbenchError
from nasbench.records import Outcome, Trial
from nasbench.runs.strategy import Problem
from surrogates.proxies.charged import ChargedProxy

from .candidates import Candidates


@dataclass(frozen=True)
class Settings:
    """proxy: of surrogates.proxies.PROXIES; cells: how many random cells are ranked at a time."""

    proxy: str = "params"
    cells: int = 1000

    def __post_init__(self) -> None:
        if self.cells < 1:
            raise NasbenchError(f"cells = {self.cells}: at least one cell is to be ranked.")


class ZeroCostRanking:
    """Goes down the ranking of one random sample, and draws another one when that is used up."""

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        self._problem, self._rng, self._cells = problem, rng, settings.cells
        self._proxy = ChargedProxy(problem, settings.proxy, int(rng.integers(2**31)))
        self._candidates = Candidates(problem, rng)
        self._queue: list[int] = []

    def ask(self) -> Trial | None:
        if not self._queue:
            left = np.flatnonzero(self._candidates.open)
            drawn = self._rng.permutation(left)[: self._cells]
            scores = np.array([self._proxy(self._candidates.cell(int(position))) for position in drawn])
            self._queue = drawn[np.argsort(scores, kind="stable")].tolist()
        if not self._queue:
            return None
        position = self._queue.pop()
        self._candidates.open[position] = False
        return Trial(self._candidates.cell(position), self._problem.full)

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """The ranking does not learn."""
