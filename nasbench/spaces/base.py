"""What every cell space offers. A cell is a small hashable value, and each space numbers its cells 0 .. len-1."""

from __future__ import annotations

import abc
from collections.abc import Collection, Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import NasbenchError
from ..records import Cell

if TYPE_CHECKING:
    import networkx as nx
    from matplotlib.axes import Axes

DRAWS = 200
"""Draws for a cell that is not taken, before the cells that are left are listed."""


class Space(abc.ABC):
    """A finite set of cells with moves, canonical forms and encodings.

    A cell can also be written as `len(choices)` categorical decisions, which is what policies and samplers of
    categorical spaces work on: decision i takes a value in `range(choices[i])`.
    """

    name: str
    operations: tuple[str, ...]
    choices: tuple[int, ...]
    encodings: tuple[str, ...]

    @abc.abstractmethod
    def __len__(self) -> int: ...

    def __deepcopy__(self, memo: dict[int, Any]) -> Space:
        """Itself: spaces do not change, and estimators that hold one are cloned by deep copies."""
        return self

    @property
    @abc.abstractmethod
    def cells(self) -> np.ndarray:
        """Decisions [len, len(choices)] of every cell in index order, as `to_choices` gives them, read-only."""

    @property
    def whole(self) -> Space:
        """The space that this one is a part of: itself, unless it is a part."""
        return self

    @abc.abstractmethod
    def cell(self, index: int) -> Any:
        """The cell at `index`; NasbenchError outside 0 .. len-1."""

    @abc.abstractmethod
    def index(self, cell: Any) -> int:
        """The index of `cell`; NasbenchError if it does not belong to the space."""

    @abc.abstractmethod
    def to_string(self, cell: Any) -> str:
        """The cell in words; in NAS-Bench-201 that is the published notation."""

    @abc.abstractmethod
    def from_string(self, text: str) -> Any:
        """The inverse of `to_string`, which also understands the name that a cell was published under, if that says
        which it is; NasbenchError on malformed text."""

    @abc.abstractmethod
    def to_choices(self, cell: Any) -> tuple[int, ...]:
        """The cell as categorical decisions."""

    @abc.abstractmethod
    def from_choices(self, values: Sequence[int]) -> Any | None:
        """The cell that the decisions describe, or None if they describe none."""

    @abc.abstractmethod
    def neighbours(self, cell: Any) -> Sequence[Any]:
        """Every cell one edit away, without repetition and without `cell` itself; a symmetric relation."""

    @abc.abstractmethod
    def mutate(self, cell: Any, rng: np.random.Generator) -> Any:
        """One random edit; the result differs from `cell` wherever the space has a second cell."""

    @abc.abstractmethod
    def crossover(self, first: Any, second: Any, rng: np.random.Generator) -> Any:
        """A child that takes every decision from one parent or the other, each with probability 1/2."""

    @abc.abstractmethod
    def canonical(self, cell: Any, rule: str = "exact") -> Hashable:
        """A value that two cells share exactly if `rule` calls them the same."""

    @abc.abstractmethod
    def graph(self, cell: Any) -> nx.DiGraph:
        """The cell as a directed graph; operations are edge or node attributes named `operation`."""

    @abc.abstractmethod
    def encode(self, cells: Sequence[Any] | np.ndarray, encoding: str) -> np.ndarray:
        """Features [m, d] of m cells under one of `encodings`."""

    @abc.abstractmethod
    def graph_arrays(self, cells: Sequence[Any] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For graph networks: adjacency [m, v, v] and node features [m, v, f], one graph a cell."""

    def _text(self, text: Any) -> str:
        """`text` without blanks around it; NasbenchError unless it is text."""
        if not isinstance(text, str):
            raise NasbenchError(f"a cell of {self.name} is written as text, not as {text!r}.")
        return text.strip()

    def _numbered(self, index: Any) -> int:
        """`index`; NasbenchError unless it is a whole number in 0 .. len-1."""
        if not isinstance(index, int | np.integer) or not 0 <= index < len(self):
            raise NasbenchError(f"{self.name} has cells 0 to {len(self) - 1}; there is no cell {index!r}.")
        return int(index)

    def sample(self, rng: np.random.Generator, rule: str | None = None) -> Cell:
        """A cell drawn uniformly; with a `rule`, uniformly over that rule's equivalence classes."""
        if rule is None:
            return self.cell(int(rng.random() * len(self)))
        representatives = self.representatives(rule)
        return self.cell(int(representatives[int(rng.random() * len(representatives))]))

    def sample_except(self, taken: Collection[Cell], rng: np.random.Generator) -> Cell | None:
        """A cell drawn uniformly from those not in `taken`, a set of cells; None if every cell is in it."""
        if len(taken) >= len(self):
            return None
        for _ in range(DRAWS):
            cell = self.sample(rng)
            if cell not in taken:
                return cell
        left = [cell for cell in map(self.cell, range(len(self))) if cell not in taken]
        return left[int(rng.random() * len(left))] if left else None

    @abc.abstractmethod
    def classes(self, rule: str = "exact") -> np.ndarray:
        """Equivalence class [len] of every cell, numbered by first appearance in index order."""

    def representatives(self, rule: str = "exact") -> np.ndarray:
        """The smallest index of every class, in class order."""
        return np.unique(self.classes(rule), return_index=True)[1]

    def draw(self, cell: Any, ax: Axes | None = None) -> Axes:
        """Draw the cell into matplotlib axes (new ones if none are given)."""
        from .drawing import draw_graph

        return draw_graph(self.graph(cell), ax)
