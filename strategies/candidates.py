"""The cells that a model chooses among, and which of them were asked for."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from nasbench.records import Cell
from nasbench.runs.strategy import Problem
from surrogates.encoder import encode

LIMIT = 20_000
"""Of a larger space, as many cells are drawn at random."""


class Candidates:
    """All cells of a small space, one for every training that answers for several (charging rule 4).

    Attributes:
        decisions: [m, d] as `space.cells` has them.
        open: [m] which were not asked for yet.
    """

    def __init__(self, problem: Problem, rng: np.random.Generator) -> None:
        self.space, self._identity = problem.space, problem.identity
        count = len(self.space)
        self.indices = np.arange(count) if count <= LIMIT else np.sort(rng.choice(count, LIMIT, replace=False))
        self._position: dict[Hashable, int] = {}
        for index in self.indices.tolist():
            self._position.setdefault(self._key(self.space.cell(index)), index)
        self.indices = np.array(list(self._position.values()))
        self._position = {key: position for position, key in enumerate(self._position)}
        self.decisions = np.asarray(self.space.cells[self.indices], np.int64)
        self.open = np.ones(len(self.indices), bool)

    def _key(self, cell: Cell) -> Hashable:
        return cell if self._identity is None else self._identity(cell)

    def __len__(self) -> int:
        return len(self.indices)

    def cell(self, position: int) -> Cell:
        """The cell at a position."""
        return self.space.cell(int(self.indices[position]))

    def position(self, cell: Cell) -> int | None:
        """The position of a cell, or of the one that is trained in its place; None if it is no candidate."""
        return self._position.get(self._key(cell))

    def encode(self, *encodings: str) -> np.ndarray:
        """Features [m, f] under the space's encodings, side by side; those that the space lacks are left out."""
        return encode(self.space, self.decisions, encodings)

    def draw(self, rng: np.random.Generator) -> int | None:
        """A random position that is open, whatever the number of its cells; None if there is none."""
        left = np.flatnonzero(self.open)
        return int(left[int(rng.random() * len(left))]) if len(left) else None
