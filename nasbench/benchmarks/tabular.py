"""A benchmark that answers from a table: what a training would have cost is charged, nothing is trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import NasbenchError
from ..records import BACKWARD_FACTOR, Cell, Cost, Outcome, Score, Status, Trial
from ..spaces import Space
from ..spaces.partial import PartialSpace
from ..tables import PROXIES, Curves, Table
from ..tables.source_tasks import Sources
from .base import Benchmark, Images

if TYPE_CHECKING:
    from ..tasks import Task
    from ..training import Arrays, Protocol

MISSING = Outcome(math.nan, Cost(0.0, 0.0, 0.0, 0.0), Status.MISSING)
"""The outcome of a trial for which there is no result."""
MEASURES = ("parameters", "flops", "latency_seconds")
"""What a table may know of a cell that takes no training."""


class TabularBenchmark(Benchmark):
    """One task of a table.

    A trial without a seed is answered with the mean over the seeds that exist, at the mean cost of one training.

    Args:
        schedule: length in epochs of the training schedule that strategies buy; None for the longest. `"ends"` offers
            the end of every schedule as a fidelity; these are separate trainings and each is charged in full.
        score_schedule: schedule whose final accuracies score the incumbent; None for the longest.
        search_task: the task that is searched, where cells found on one task are scored on another; None for `task`.
        sources: reads what was found out on other tasks, for strategies that learn from it; None where nothing was.

    Raises:
        NasbenchError: unknown task or schedule.
    """

    def __init__(
        self,
        table: Table,
        task: str,
        schedule: int | str | None = None,
        score_schedule: int | None = None,
        search_task: str | None = None,
        sources: Callable[[], Sources] | None = None,
    ) -> None:
        if not isinstance(table, Table):
            raise NasbenchError(f"a benchmark is of a table, as `open_table` gives it, not of {table!r}.")
        task, target = search_task or task, task
        self.table, self.task, self.space = table, task, table.space
        self._truth = table.curves(target, score_schedule)
        self._by_epochs: dict[int, Curves] = {}
        if schedule == "ends":
            self._by_epochs = {s: table.curves(task, s) for s in table.schedules(task)}
        elif schedule is None or isinstance(schedule, int):
            entry = table.curves(task, schedule)
            self._by_epochs = dict.fromkeys(entry.epochs, entry)
        else:
            raise NasbenchError(f"a schedule is a number of epochs or 'ends', not {schedule!r}.")
        self.epochs = tuple(self._by_epochs)
        self.resumable = schedule != "ends" and len(self.epochs) > 1
        self.identity: Callable[[Cell], Hashable] | None = self._representative if table.rows == "classes" else None
        self.descriptor: Mapping[str, Any] = table.curves(task).attributes
        self.sources = sources
        self._outcomes: dict[Trial, Outcome] = {}
        self._means: dict[tuple[str, int], list[float]] = {}
        self._planes: dict[tuple[str, int], np.ndarray] = {}
        self._valid: dict[int, np.ndarray] = {}

    def _representative(self, cell: Cell) -> int:
        """Index of the cell that stands for the class of `cell`; the cell's own where the table has no row for it."""
        row = self.table.row(cell)
        return int(self.table.cells[row]) if row >= 0 else self.space.index(cell)

    @cached_property
    def search_space(self) -> Space:
        """The cells that have a training of full length here: the whole space, or a part of it."""
        full = self._by_epochs[self.epochs[-1]]
        there = np.append(full.valid.any(axis=1), False)[self.table.row_of_cell]  # row -1 is the False
        return self.space if there.all() or not there.any() else PartialSpace(self.space, np.flatnonzero(there))

    @cached_property
    def measures(self) -> Mapping[str, Callable[[Cell], float]]:
        """What the table knows of a cell besides trainings, by name."""
        return {name: partial(self._measure, name) for name in MEASURES if name in self._truth.arrays}

    def _measure(self, name: str, cell: Cell) -> float:
        row = self.table.row(cell)
        return self._mean(self._truth, name, self._truth.schedule)[row] if row >= 0 else math.nan

    @property
    def images(self) -> Callable[[], Images] | None:
        """The images that the table's trainings saw, where it says which; reading them checks their hash."""
        return self._images if {"protocol", "sha256"} <= set(self.descriptor) else None

    @cache  # noqa: B019 - benchmarks are few and live as long as their process
    def _images(self) -> Images:
        from ..training import Arrays, Protocol

        return without_test(Arrays.of(self.load_task()), Protocol(**self.descriptor["protocol"]))

    def load_task(self) -> Task:
        """The data set that the table's trainings saw, for a benchmark that has `images`.

        NasbenchError if it is not at hand or has other images than the table's attribute `sha256` says.
        """
        from ..tasks import load_task

        facts = self.descriptor
        task = load_task(self.task, None, facts["n_train"], facts["n_val"], facts["n_test"])
        if task.digest != facts["sha256"]:
            raise NasbenchError(f"the images of {self.task!r} here are not those that {self.table.name} was made from.")
        return task

    @cached_property
    def probing(self) -> TableProxies | None:
        """The proxies whose scores the table has."""
        names = tuple(name for name in PROXIES if f"proxy_{name}" in self._truth.arrays)
        return TableProxies(self, names) if names else None

    @property
    def has_seconds(self) -> bool:
        """Whether the table says how long trainings took."""
        return all("train_seconds" in c.arrays for c in self._by_epochs.values())

    @property
    def has_flops(self) -> bool:
        """Whether the table has the forward FLOPs and the number of training examples."""
        return all("flops" in c.arrays and "train_size" in c.attributes for c in self._by_epochs.values())

    def evaluate(self, trials: Sequence[Trial]) -> list[Outcome]:
        known = self._outcomes
        outcomes = []
        for trial in trials:
            outcome = known.get(trial)
            if outcome is None:
                outcome = known[trial] = self._look_up(trial)
            outcomes.append(outcome)
        return outcomes

    def _look_up(self, trial: Trial) -> Outcome:
        cell, epochs, seed = trial
        entry = self._by_epochs.get(epochs)
        if entry is None:
            offered = ", ".join(map(str, self.epochs))
            raise NasbenchError(f"{self.task!r} offers trainings of {offered} epochs, not of {epochs}.")
        row = self.table.row(cell)
        if row < 0 or (seed is not None and seed not in entry.seeds):
            return MISSING
        position = None if seed is None else entry.seeds.index(seed)
        val_acc = self._value(entry, "val_acc", epochs, row, position)
        status = Status.OK
        if math.isnan(val_acc):
            status = self._failure(entry, epochs, row, position)
            if status is Status.OK:
                return MISSING
        seconds = flops = math.nan
        if "train_seconds" in entry.arrays:
            seconds = self._value(entry, "train_seconds", epochs, row, position)
        used = self._used(entry, epochs, row, position)
        if self.has_flops:
            forward = self._value(entry, "flops", epochs, row, position)
            flops = BACKWARD_FACTOR * forward * entry.attributes["train_size"] * used
        return Outcome(val_acc, Cost(seconds, used, flops, used / self.epochs[-1]), status)

    def _used(self, entry: Curves, epochs: int, row: int, seed: int | None) -> float:
        """Epochs that a training took (charging rule 6), without a seed the mean over the row's trainings."""
        if "status" not in entry.arrays:
            return float(epochs)
        codes = self._plane(entry, "status", epochs)[row]
        if not (codes > 0).any():
            return float(epochs)
        used = entry.used(row, epochs, codes)
        return float(np.nanmean(used) if seed is None else used[seed])

    def _failure(self, entry: Curves, epochs: int, row: int, seed: int | None) -> Status:
        """How the training ended that has no accuracy; of several seeds, the worst. OK where nothing says so."""
        if "status" not in entry.arrays:
            return Status.OK
        codes = self._plane(entry, "status", epochs)[row]
        if seed is not None:
            codes = codes[[min(seed, len(codes) - 1)]]
        known = codes[~np.isnan(codes)]
        return Status(int(known.max())) if len(known) else Status.OK

    def _value(self, entry: Curves, name: str, epochs: int, row: int, seed: int | None) -> float:
        if seed is None:
            return self._mean(entry, name, epochs)[row]
        plane = self._plane(entry, name, epochs)
        return float(plane[row, min(seed, plane.shape[1] - 1)])

    def _plane(self, entry: Curves, name: str, epochs: int) -> np.ndarray:
        key = (name, epochs)
        if key not in self._planes:
            self._planes[key] = entry.at(name, epochs)
        return self._planes[key]

    def _mean(self, entry: Curves, name: str, epochs: int) -> list[float]:
        key = (name, epochs)
        if key not in self._means:
            self._means[key] = entry.mean(name, epochs).tolist()
        return self._means[key]

    def seeds(self, cell: Cell, epochs: int | None = None) -> tuple[int, ...]:
        entry = self._by_epochs.get(self.epochs[-1] if epochs is None else epochs)
        row = self.table.row(cell)
        if row < 0 or entry is None:
            return ()
        if entry.schedule not in self._valid:
            self._valid[entry.schedule] = entry.valid
        return tuple(label for label, there in zip(entry.seeds, self._valid[entry.schedule][row], strict=True) if there)

    @cached_property
    def _scores(self) -> tuple[np.ndarray, np.ndarray]:
        val_acc = self._truth.mean("val_acc")
        has_test = "test_acc" in self._truth.arrays
        return val_acc, self._truth.mean("test_acc") if has_test else np.full(len(val_acc), math.nan)

    def score(self, cell: Cell) -> Score:
        row = self.table.row(cell)
        val_acc, test_acc = self._scores
        return Score(float(val_acc[row]), float(test_acc[row])) if row >= 0 else Score(math.nan, math.nan)

    @cached_property
    def best(self) -> Score:
        val_acc, test_acc = self._scores
        return Score(_maximum(val_acc), _maximum(test_acc))


class TableProxies:
    """Scores of zero-cost proxies as a table has them, with what they cost where they were computed.

    The table's attribute `proxies` says for each how many images a score looks at and how many forward passes of them
    it amounts to.
    """

    def __init__(self, benchmark: TabularBenchmark, names: tuple[str, ...]) -> None:
        self.names = names
        self._benchmark, self._truth = benchmark, benchmark._truth

    def __call__(self, cell: Cell, name: str) -> tuple[float, Cost]:
        table, facts = self._benchmark.table, self._truth.attributes
        row = table.row(cell)
        if row < 0:
            return math.nan, Cost(0.0, 0.0, 0.0, 0.0)
        score, seconds, flops = (
            self._benchmark._mean(self._truth, array, self._truth.schedule)[row]
            for array in (f"proxy_{name}", f"proxy_{name}_seconds", "flops")
        )
        if math.isnan(seconds) or math.isnan(flops):
            return math.nan, Cost(0.0, 0.0, 0.0, 0.0)  # never computed, so neither known nor to be paid
        images, passes = facts["proxies"][name]
        epochs = images / facts["train_size"]
        return score, Cost(seconds, epochs, passes * images * flops, epochs / self._benchmark.epochs[-1])


def without_test(arrays: Arrays, protocol: Protocol) -> Images:
    """What strategies may look at: everything but the test images."""
    kept = replace(arrays, x_test=arrays.x_test[:0], y_test=arrays.y_test[:0])
    return Images(kept, protocol)


def _maximum(values: np.ndarray) -> float:
    return math.nan if np.isnan(values).all() else float(np.nanmax(values))
