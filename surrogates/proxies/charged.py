"""Proxy scores for a strategy: looked up where the table has them, computed on the task's images where not, and
charged to the run either way (charging rule 8)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nasbench.errors import NasbenchError
from nasbench.networks import count_flops
from nasbench.records import Cell, Cost
from nasbench.runs import Kind

from .catalogue import PROXIES, entry_of
from .score import fit_skeleton, score_cells

if TYPE_CHECKING:
    from nasbench.runs import Problem

BATCH, BATCHES = 64, 2
"""Images of a batch, and batches that are there for the proxies that need several."""
COUNTS = {"params": "parameters", "flops": "flops"}
"""Proxies that are counts, as benchmarks call them; they cost nothing."""


class ChargedProxy:
    """One proxy for one run.

    Args:
        name: of PROXIES, aggregates excepted.
        seed: of the weights and the images, where they are drawn here.

    Raises:
        NasbenchError: an unknown name, or neither scores nor images for it.
    """

    def __init__(self, problem: Problem, name: str, seed: int = 0) -> None:
        self._problem, self._name, self._seed, self._entry = problem, name, seed, entry_of(name)
        self._known: dict[Cell, float] = {}
        if self._entry.of:
            raise NasbenchError(f"{name} is an aggregate over many cells; a strategy takes one of its parts.")
        if name in COUNTS:
            problem.require(COUNTS[name], f"the proxy {name}")
        elif problem.probing is None or name not in problem.probing.names:
            problem.require("images", f"the proxy {name}")

    def __call__(self, cell: Cell) -> float:
        """The score; -inf where it is not defined. To be called from `ask`."""
        if cell not in self._known:
            value = self._score(cell)
            self._known[cell] = value if math.isfinite(value) else -math.inf
        return self._known[cell]

    def _score(self, cell: Cell) -> float:
        problem, name = self._problem, self._name
        if name in COUNTS:
            return problem.measures[COUNTS[name]](cell)
        if problem.probing is not None and name in problem.probing.names:
            value, cost = problem.probing(cell, name)
            problem.charge(Kind.PROXY, cost)
            return value
        return self._compute(problem.space.to_choices(cell))

    def _compute(self, cell: Sequence[int]) -> float:
        assert self._problem.images is not None  # the constructor has asked for them
        found = self._problem.images()
        skeleton = fit_skeleton(found.protocol, found.arrays)
        scores, seconds = score_cells([cell], found.arrays, skeleton, [self._name], self._seed, BATCH, BATCHES)
        images, passes = PROXIES[self._name].work(BATCH)
        epochs = images / len(found.arrays.y_train)
        flops = passes * images * count_flops(cell, skeleton)
        cost = Cost(float(seconds[self._name][0]), epochs, flops, epochs / self._problem.full)
        self._problem.charge(Kind.PROXY, cost, measured=True)
        return float(scores[self._name][0])
