"""Some cells of a space as a space of their own: where a table has results for a part only, strategies move there.

Everything about a single cell is the whole space's; drawing and moving end at cells of the part. Cells are numbered
0 .. len-1 in the whole space's order.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import NasbenchError
from .base import Space

if TYPE_CHECKING:
    import networkx as nx

SAMPLE = 64
"""Cells from which the radius of moves is found."""


class PartialSpace(Space):
    """The cells of `whole` with the given indices.

    Where few cells are left, few are one edit apart; an edit is therefore up to `radius` decisions, as many as it takes
    for a cell to have about as many neighbours as in the whole space. A child of two parents that is outside the part
    becomes the cell of the part that differs from it in the fewest decisions, drawn uniformly where there are several.

    Args:
        indices: of the cells in the whole space, at least one.
    """

    def __init__(self, whole: Space, indices: Sequence[int] | np.ndarray) -> None:
        self._whole = whole
        self.indices = np.unique(np.asarray(indices, np.int64))
        if not len(self.indices):
            raise NasbenchError(f"a part of {whole.name} needs at least one cell.")
        self.name, self.operations, self.choices, self.encodings = (
            whole.name, whole.operations, whole.choices, whole.encodings,
        )  # fmt: skip
        self._inside = frozenset(self.indices.tolist())

    def __repr__(self) -> str:
        return f"PartialSpace({self._whole!r}, {len(self)} of its cells)"

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def whole(self) -> Space:
        return self._whole

    def __contains__(self, cell: Any) -> bool:
        return self._whole.index(cell) in self._inside

    @functools.cached_property
    def cells(self) -> np.ndarray:
        """Decisions [len, d] of every cell, as the whole space's `to_choices` gives them, read-only."""
        decisions = np.array([self._whole.to_choices(self._whole.cell(int(i))) for i in self.indices])
        decisions.flags.writeable = False
        return decisions

    def cell(self, index: int) -> Any:
        return self._whole.cell(int(self.indices[self._numbered(index)]))

    def index(self, cell: Any) -> int:
        index = self._whole.index(cell)
        if index not in self._inside:
            raise NasbenchError(f"{self.to_string(cell)} is outside the part of {self.name} that has results.")
        return int(np.searchsorted(self.indices, index))

    def to_string(self, cell: Any) -> str:
        return self._whole.to_string(cell)

    def from_string(self, text: str) -> Any:
        return self._whole.from_string(text)

    def to_choices(self, cell: Any) -> tuple[int, ...]:
        return self._whole.to_choices(cell)

    def from_choices(self, values: Sequence[int]) -> Any | None:
        """None also for a cell outside the part."""
        cell = self._whole.from_choices(values)
        return cell if cell is not None and cell in self else None

    @functools.cached_property
    def radius(self) -> int:
        """In how many decisions neighbours differ at most; from some of the cells, so the same for every process."""
        some = self.cells[:: max(1, len(self) // SAMPLE)]
        edits = np.mean([len(self.whole.neighbours(self.whole.from_choices(line.tolist()))) for line in some])
        apart = (self.cells != some[:, None]).sum(axis=2)
        for radius in range(1, len(self.choices)):
            if (apart <= radius).sum(axis=1).mean() - 1 >= min(edits, len(self) - 1):
                return radius
        return len(self.choices)

    def neighbours(self, cell: Any) -> Sequence[Any]:
        """The cells of the part that differ in 1 to `radius` decisions; there may be none."""
        distance = (self.cells != np.array(self.to_choices(cell))).sum(axis=1)
        return [self.cell(int(i)) for i in np.flatnonzero((distance > 0) & (distance <= self.radius))]

    def mutate(self, cell: Any, rng: np.random.Generator) -> Any:
        near = self.neighbours(cell)
        return near[int(rng.random() * len(near))] if near else self._nearest(cell, rng, other=True)

    def crossover(self, first: Any, second: Any, rng: np.random.Generator) -> Any:
        child = self._whole.crossover(first, second, rng)
        return child if child in self else self._nearest(child, rng)

    def _nearest(self, cell: Any, rng: np.random.Generator, other: bool = False) -> Any:
        """A cell of the part at the fewest decisions from `cell`; another one if `other` and there is one."""
        distance = (self.cells != np.array(self.to_choices(cell))).sum(axis=1)
        if other and len(self) > 1:
            distance[distance == 0] = len(self.choices) + 1
        near = np.flatnonzero(distance == distance.min())
        return self.cell(int(near[int(rng.random() * len(near))]))

    def canonical(self, cell: Any, rule: str = "exact") -> Hashable:
        return self._whole.canonical(cell, rule)

    @functools.lru_cache(maxsize=4)  # noqa: B019 - lives as long as its benchmark
    def classes(self, rule: str = "exact") -> np.ndarray:
        whole = self._whole.classes(rule)[self.indices]
        _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
        number = np.argsort(np.argsort(first))
        return number[inverse].astype(np.int32)

    def graph(self, cell: Any) -> nx.DiGraph:
        return self._whole.graph(cell)

    def encode(self, cells: Sequence[Any] | np.ndarray, encoding: str) -> np.ndarray:
        return self._whole.encode(cells, encoding)

    def graph_arrays(self, cells: Sequence[Any] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._whole.graph_arrays(cells)
