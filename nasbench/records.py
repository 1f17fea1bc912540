"""What strategies and benchmarks say to each other: small immutable records without behaviour.

Neither a `Trial` nor an `Outcome` can carry a test accuracy: test values are read by the runner alone.
"""

from __future__ import annotations

import enum
from collections.abc import Hashable
from typing import NamedTuple

Cell = Hashable
"""A cell as its space writes it, e.g. a tuple of six operation codes in NAS-Bench-201."""


class Status(enum.IntEnum):
    """How a training ended."""

    OK = 0
    DIVERGED = 1
    FAILED = 2
    MISSING = 3
    """The table has no result for this trial; nothing was trained and nothing is charged."""


class Cost(NamedTuple):
    """One expense in every currency; `nan` where a currency was not recorded."""

    seconds: float
    epochs: float
    flops: float
    evaluations: float
    """Epochs as a share of one full training."""


BACKWARD_FACTOR = 3
"""Training FLOPs per example over forward FLOPs: one forward pass, and a backward pass of twice its size."""


class Trial(NamedTuple):
    """One training that a strategy asks for."""

    cell: Cell
    epochs: int
    seed: int | None = None
    """The training seed as the benchmark labels it; None leaves the choice to the comparison."""


class Outcome(NamedTuple):
    """What a strategy is told of a trial."""

    val_acc: float
    """Validation accuracy in percent after `Trial.epochs` epochs; nan unless the status is OK."""
    cost: Cost
    """What the training costs from its first epoch on; the runner deducts what was paid before."""
    status: Status = Status.OK


class Score(NamedTuple):
    """How good a cell really is: means over the seeds that exist. For the runner only."""

    val_acc: float
    test_acc: float
