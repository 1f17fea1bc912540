"""Random search with weight sharing (RSPS): train the supernet on uniformly random cells, then score cells with it.

Li and Talwalkar, "Random Search and Reproducibility for Neural Architecture Search", UAI 2019 (arXiv:1902.07638).
Every step trains one random cell; afterwards the best of some random cells, by their accuracy with the shared weights
on the held-out half, are trained in full. Charges `supernet` (the cells trained and scored) and trainings.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nasbench.errors import NasbenchError
from nasbench.networks.graph import Cell
from nasbench.runs.strategy import Problem

from . import one_shot
from .one_shot import Batch, OneShot

DRAWS = 100
"""Draws for a cell that is new, before one is taken uniformly instead."""


@dataclass(frozen=True)
class Settings(one_shot.Settings):
    """candidates: cells scored at a time, 100 as in NAS-Bench-201; the rest as in one_shot."""

    candidates: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.candidates < 1:
            raise NasbenchError(f"at least one candidate has to be scored, not candidates={self.candidates}.")


class RandomSharing(OneShot):
    """Training takes at most half of the search's share, scoring the other; later rounds half of what is left."""

    name = "random search with weight sharing"
    settings: Settings

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        super().__init__(problem, rng, settings)

    def _draw(self) -> Cell:
        """A cell from the strategy's distribution; it may be outside the space."""
        space = self.problem.space
        return space.cell(int(self.rng.integers(len(space))))

    def _search(self, limit: float | None = None) -> None:
        super()._search(self.settings.share / 2 if limit is None else limit)

    def _step(self, batch: Batch, held: Batch) -> None:
        self._update(self._loss(batch, None, self._draw()))

    def _derived_cells(self) -> Iterator[Cell]:
        """Round by round: cells that are new, the most accurate with shared weights first."""
        space, spent, limit = self.problem.space, self.problem.spent, self.settings.share
        classes = {space.cell(index): own for index, own in enumerate(space.classes().tolist())}
        seen: set[int] = set()
        while len(seen) < len(set(classes.values())):
            scores: dict[Cell, float] = {}
            last = 0.0
            while len(scores) < self.settings.candidates and (not scores or spent() + last <= limit):
                began, start = time.perf_counter(), spent()
                cell = self._new(classes, seen)
                if cell is None:
                    break
                scores[cell] = self.accuracy(cell, self.held)
                self._settle(began)
                last = spent() - start
            yield from sorted(scores, key=lambda cell: -scores[cell])
            limit = (1 + spent()) / 2

    def _new(self, classes: dict[Cell, int], seen: set[int]) -> Cell | None:
        """A cell drawn whose class was not seen before; a uniform one after DRAWS draws, None if all were seen."""
        for _ in range(DRAWS):
            cell = self._draw()
            if cell in classes and classes[cell] not in seen:
                seen.add(classes[cell])
                return cell
        left = [cell for cell, own in classes.items() if own not in seen]
        if not left:
            return None
        cell = left[int(self.rng.integers(len(left)))]
        seen.add(classes[cell])
        return cell
