"""What a strategy is, as far as the runner knows: `ask` and `tell`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ..records import Outcome, Trial
from ..spaces import Space
from .budget import Budget


@dataclass(frozen=True)
class Problem:
    """All that a strategy is told of its task: no accuracies, and no way to any.

    Attributes:
        epochs: fidelities on offer, ascending; the last is full training.
        budget: what the run may spend, as a user would know it.
        resumable: whether more epochs of a trial cost only the difference.
        descriptor: facts about the task, e.g. its number of classes.
    """

    space: Space
    epochs: tuple[int, ...]
    budget: Budget
    resumable: bool = False
    task: str = ""
    descriptor: Mapping[str, Any] = field(default_factory=dict)

    @property
    def full(self) -> int:
        """Epochs of full training."""
        return self.epochs[-1]


class Strategy(Protocol):
    """A search strategy for one run."""

    def ask(self) -> Trial | None:
        """The next trial; None while it waits for trials in flight, or for good if none is."""
        ...

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Learn the outcome of a trial that was asked; trials in flight may come back in any order."""
        ...


class Factory(Protocol):
    """Builds a strategy for one run; a strategy's class is one."""

    def __call__(self, problem: Problem, rng: np.random.Generator) -> Strategy: ...
