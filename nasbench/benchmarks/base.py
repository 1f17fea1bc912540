"""What the runner needs of a benchmark, whether it looks results up, predicts them or trains afresh."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol

from ..records import Cell, Outcome, Score, Trial
from ..spaces import Space


class Benchmark(Protocol):
    """One task under one training protocol.

    Attributes:
        epochs: the fidelities on offer, ascending; the last is full training.
        resumable: whether more epochs of a trial continue its curve, so that only the difference is charged.
        identity: what one training answers for (charging rule 4); None where every cell is its own.
        descriptor: facts about the task that a strategy may see.
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

    def seeds(self, cell: Cell) -> tuple[int, ...]:
        """Labels of the training seeds that can be asked for."""
        ...

    def score(self, cell: Cell) -> Score:
        """True quality of a cell, validation and test; for the runner alone."""
        ...

    @property
    def best(self) -> Score:
        """The best validation and the best test accuracy of any cell; nan where unknown."""
        ...
