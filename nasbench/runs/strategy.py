"""What a strategy is, as far as the runner knows: `ask` and `tell`."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import NasbenchError
from ..records import Cell, Cost, Outcome, Trial
from ..spaces import Space
from .budget import Budget, Kind

if TYPE_CHECKING:
    from ..benchmarks.base import Images, Probing
    from ..tables.source_tasks import Sources


class Charge(Protocol):
    """Enters an expense of a strategy's own into the ledger."""

    def __call__(self, kind: Kind | str, cost: Cost, measured: bool = False) -> None: ...


def _uncharged(kind: Kind | str, cost: Cost, measured: bool = False) -> None:
    """Where a strategy is driven by hand, nobody keeps accounts."""


@dataclass(frozen=True)
class Problem:
    """All that a strategy is told of its task: no accuracies but those of the trials it pays for.

    It runs in the same process as the benchmark, so this is a convention, as everywhere in Python, and no sandbox.
    A strategy that needs more than trainings says so with `require` when it is built; a comparison builds every
    strategy once before it starts, so that nothing is spent on one that cannot end well.

    Attributes:
        space: the cells that can be asked for.
        epochs: fidelities on offer, ascending; the last is full training.
        budget: what the run may spend, as a user would know it.
        resumable: whether more epochs of a trial cost only the difference.
        descriptor: facts about the task, e.g. its number of classes.
        identity: what one training of a cell answers for (charging rule 4); None where every cell is its own.
        measures: what is known of a cell without training it, e.g. `parameters`, `flops`, `latency_seconds`, by name;
            asking costs nothing.
        images: the task's training and validation images and its protocol, read when called; None where there are
            none. What is done with them is work on the training device, and to be charged.
        probing: zero-cost proxies' scores with what they cost, where a table has them.
        sources: what was found out on other tasks; None where there are none. Calling it enters what that cost into the
            ledger, on a line of its own beside the budget (charging rule 9).
        charge: enter an expense of one's own into the ledger before doing it, or, where it has to be measured, right
            after. One that does not fit into what is left ends the run (charging rule 7), and nothing is earned: costs
            are at least 0. `measured` says that its seconds were really spent here, between being asked and now, so
            that they are not counted as overhead as well; not so of a price that was looked up or agreed on.
        spent: the share of the budget that is used up, trainings in flight included.
    """

    space: Space
    epochs: tuple[int, ...]
    budget: Budget
    resumable: bool = False
    task: str = ""
    descriptor: Mapping[str, Any] = field(default_factory=dict)
    identity: Callable[[Cell], Hashable] | None = None
    measures: Mapping[str, Callable[[Cell], float]] = field(default_factory=dict)
    images: Callable[[], Images] | None = None
    probing: Probing | None = None
    sources: Callable[[], Sources] | None = None
    charge: Charge = _uncharged
    spent: Callable[[], float] = float

    @property
    def full(self) -> int:
        """Epochs of full training."""
        return self.epochs[-1]

    def require(self, what: str, strategy: str) -> None:
        """NasbenchError where the benchmark lacks what a strategy needs: `curves`, `images`, `sources`, or a measure's
        name."""
        task = repr(self.task)
        if what == "curves" and len(self.epochs) < 2:
            raise NasbenchError(
                f"{strategy} needs learning curves, and {task} has results after {self.full} epochs only; "
                "take a table with every epoch, such as digits."
            )
        if what == "images" and self.images is None:
            raise NasbenchError(
                f"{strategy} needs the images of {task}, and this benchmark has none; take a table made by "
                "`nasbench train`, with $NASBENCH_DATA pointing at its data set, or mode 'train'."
            )
        if what == "images" and self.images is not None:
            self.images()  # so that missing files are noticed now
        if what == "sources" and self.sources is None:
            raise NasbenchError(
                f"{strategy} learns on other tasks first, and nothing is known of any for {task}; take a table with "
                "several tasks, or name tables that have some with --source-tables."
            )
        if what not in ("curves", "images", "sources") and what not in self.measures:
            known = ", ".join(self.measures) or "nothing"
            raise NasbenchError(
                f"{strategy} needs the {what} of cells as a second objective, and {task} has {known} of that kind."
            )


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
