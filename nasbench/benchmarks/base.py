"""What the runner needs of a benchmark, whether it looks results up, predicts them or trains afresh."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..records import Cell, Cost, Outcome, Score, Trial
from ..spaces import Space

if TYPE_CHECKING:
    from ..training import Arrays
    from ..training import Protocol as TrainingProtocol


@dataclass(frozen=True)
class Images:
    """The images that a strategy may look at, and how the benchmark trains on them.

    Attributes:
        arrays: training and validation images; the test part is empty.
        protocol: of the benchmark's trainings.
    """

    arrays: Arrays
    protocol: TrainingProtocol


class Probing(Protocol):
    """Zero-cost proxies whose scores a benchmark knows.

    Attributes:
        names: of the proxies.
    """

    names: tuple[str, ...]

    def __call__(self, cell: Cell, name: str) -> tuple[float, Cost]:
        """The score, nan where it is not defined, and what it costs to compute it."""
        ...


class Benchmark(Protocol):
    """One task under one training protocol.

    Attributes:
        epochs: the fidelities on offer, ascending; the last is full training.
        resumable: whether more epochs of a trial continue its curve, so that only the difference is charged.
        identity: what one training answers for (charging rule 4); None where every cell is its own.
        descriptor: facts about the task that a strategy may see.

    It may also have `search_space` (the cells that can be asked for, where that is not the whole space), `measures`,
    `images`, `probing` and `sources`, as in `nasbench.runs.Problem`.
    """

    space: Space
    task: str
    epochs: tuple[int, ...]
    resumable: bool
    identity: Callable[[Cell], Hashable] | None
    descriptor: Mapping[str, Any]

    def evaluate(self, trials: Sequence[Trial]) -> list[Outcome]:
        """The outcome of every trial, in order; a training that fails is a status, never an exception."""
        ...

    def seeds(self, cell: Cell, epochs: int | None = None) -> tuple[int, ...]:
        """Labels of the training seeds that can be asked for, of trainings of so many epochs; None for full ones."""
        ...

    def score(self, cell: Cell) -> Score:
        """True quality of a cell, validation and test; for the runner alone."""
        ...

    @property
    def best(self) -> Score:
        """The best validation and the best test accuracy of any cell; nan where unknown."""
        ...
