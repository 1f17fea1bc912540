"""What was found out on other tasks: the trainings that a meta-learner may learn from, and what they cost.

A source is never the target, nor a task that has images in common with it (nasbench.tasks.subsets, for the built-in
ones), nor one by another name whose images or results are the target's, so that nothing about the target gets in.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import NasbenchError, unknown
from ..records import BACKWARD_FACTOR, Cost
from ..spaces import Space
from ..tasks.features import descriptor_vector
from ..tasks.subsets import same_data_set, share_images

if TYPE_CHECKING:
    from .curves import Curves
    from .table import Table

LEAVE_OUT = ("task", "data_set")
ALIKE = 10
"""Cells that two tasks must share for equal results of all of them to mean that they are one."""


@dataclass(frozen=True, eq=False)
class SourceTask:
    """Trainings on one task.

    Attributes:
        index: [n] cells in the space, ascending.
        accuracies: [n] mean validation accuracy of each, percent.
        trainings: [n] how many trainings that is the mean of.
        cost: of all of them, and of those that failed, which somebody paid for too; nan in currencies that the table
            does not know.
        descriptor: facts about the task as numbers [k] (`nasbench.tasks.features.descriptor_vector`), or None.
    """

    name: str
    index: np.ndarray
    accuracies: np.ndarray
    trainings: np.ndarray
    cost: Cost
    descriptor: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Sources(Sequence[SourceTask]):
    """Source tasks of one space.

    Attributes:
        descriptor: the target's, None where it has none.
        learned: what was learned from exactly these sources, by name; see `remember`.
    """

    space: Space
    tasks: tuple[SourceTask, ...]
    descriptor: np.ndarray | None = None
    learned: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.tasks)

    def __getitem__(self, position: Any) -> Any:
        return self.tasks[position]

    def __iter__(self) -> Iterator[SourceTask]:
        return iter(self.tasks)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(task.name for task in self.tasks)

    @property
    def cost(self) -> Cost:
        """Of all trainings on all sources."""
        return Cost(*(math.fsum(column) for column in zip(*(task.cost for task in self.tasks), strict=True)))

    def remember(self, what: Any, make: Callable[[], Any]) -> Any:
        """`make()`, worked out once for these sources: runs with other seeds meta-learn the same."""
        return once(self.learned, what, make)

    def subset(self, positions: Iterable[int]) -> Sources:
        """Some of the sources, for the same target."""
        return Sources(self.space, tuple(self.tasks[i] for i in positions), self.descriptor)


_spared = 0.0


def working_clock() -> float:
    """Seconds on a clock that jumps by what it took to work out what is only remembered now (`once`).

    So the first run of a process, which meta-learns, and the next ones, which find it done, are seen to take the same.
    """
    return time.perf_counter() + _spared


def once(memory: dict[Any, Any], what: Any, make: Callable[[], Any]) -> Any:
    """`make()`, remembered in `memory` with the seconds that it took."""
    global _spared
    if what in memory:
        found, seconds = memory[what]
        _spared += seconds
    else:
        began = working_clock()
        found = make()
        memory[what] = found, working_clock() - began
    return found


_known: dict[tuple[str, str, int | None], SourceTask] = {}


def read_source(table: Table, task: str, schedule: int | None = None) -> SourceTask:
    """The trainings of full length on one task of a table: the same object for the same content, however often the
    table is opened, so that what is learned from it is learned once a process.

    A value that was published as the mean of several trainings (the task's attribute `trainings_per_value`) has their
    weight, at the price of one: that is what an evaluation of the target costs which shows such a value.
    """
    at = (table.checksum, task, schedule)
    if at not in _known:
        _known[at] = _read(table, task, schedule)
    return _known[at]


def _read(table: Table, task: str, schedule: int | None) -> SourceTask:
    if "surrogate" in table.attributes:
        raise NasbenchError(f"the table {table.name} holds predictions, not trainings: nothing is learned from them.")
    entry = table.curves(task, schedule)
    accuracies = entry.mean("val_acc")
    known = np.flatnonzero(~np.isnan(accuracies))
    known = known[np.argsort(table.cells[known], kind="stable")]
    trainings = (~np.isnan(entry.at("val_acc", entry.schedule))).sum(axis=1)[known]
    cost = _cost(entry)
    weight = trainings * int(entry.attributes.get("trainings_per_value", 1))
    descriptor = descriptor_vector(entry.attributes)
    return SourceTask(task, np.asarray(table.cells[known], np.int64), accuracies[known], weight, cost, descriptor)


def _cost(entry: Curves) -> Cost:
    """Of all trainings of full length; one that failed costs the epochs that it used, and its seconds where known."""
    ended = ~np.isnan(entry.at("val_acc", entry.schedule))
    used = ended.sum(axis=1) * float(entry.schedule)
    if "status" in entry.arrays:
        status = entry.at("status", entry.schedule)
        for row in np.flatnonzero((status > 0).any(axis=1)):
            found = entry.used(int(row), entry.schedule, status[row])
            used[row] = np.nansum(found) if ended.shape[1] == len(found) else np.nanmean(found)  # one value for all
    seconds = flops = math.nan
    if "train_seconds" in entry.arrays:
        mean = entry.mean("train_seconds")
        seconds = float((mean * ended.sum(axis=1))[ended.any(axis=1)].sum())
        broken = entry.valid & ~ended
        seconds += float(np.nansum(mean[broken.any(axis=1)] * broken.sum(axis=1)[broken.any(axis=1)]))
    if "flops" in entry.arrays and "train_size" in entry.attributes:
        flops = BACKWARD_FACTOR * entry.attributes["train_size"] * float((entry.mean("flops") * used)[used > 0].sum())
    return Cost(seconds, float(used.sum()), flops, float(used.sum()) / entry.schedule)


def same_images(one: SourceTask, other: SourceTask) -> bool:
    """Whether two tasks are one by two names: equal descriptors, or the same results on the cells that both have."""
    if one.descriptor is not None and other.descriptor is not None:
        return one.descriptor.shape == other.descriptor.shape and np.allclose(one.descriptor, other.descriptor)
    _, a, b = np.intersect1d(one.index, other.index, assume_unique=True, return_indices=True)
    return len(a) >= ALIKE and np.array_equal(one.accuracies[a], other.accuracies[b])


def check_leak(target_among_sources: bool, names: Sequence[str]) -> None:
    """NasbenchError where the target is allowed among sources that are not named."""
    if target_among_sources and not names:
        raise NasbenchError("--target-among-sources allows a target that --sources names, and --sources names none.")


def read_sources(
    tables: Sequence[Table],
    target: str,
    names: Sequence[str] = (),
    leave_out: str = "task",
    target_among_sources: bool = False,
    descriptor: Mapping[str, Any] | None = None,
) -> Sources:
    """What may be learned from for a target.

    Args:
        tables: of one space. A task that several of them have is read from the first.
        target: its name; a task of a table unless there is a `descriptor`.
        names: the sources; empty for all that the tables have.
        leave_out: "task" leaves out the target and tasks that share images with it, or are the same by another name;
            "data_set" also those cut from the same data set.
        target_among_sources: allow it by name, to see what leaking is worth.
        descriptor: facts about the target, if no table has it.

    Raises:
        NasbenchError: unknown names, no source left, a source that is the target, shares images with it or is to be
            left out, the target allowed among sources that are not named, or tables of several spaces.
    """
    table = tables[0]
    if leave_out not in LEAVE_OUT:
        raise unknown("way to leave sources out", leave_out, LEAVE_OUT)
    home = {name: table for name in table.tasks}
    for other in tables[1:]:
        if other.space.name != table.space.name:
            raise NasbenchError(
                f"the table {other.name} is of the space {other.space.name}, and {table.name} of {table.space.name}: "
                "all sources must be of the target's space."
            )
        home = {**{name: other for name in other.tasks}, **home}
    facts = home.get(target, table).curves(target).attributes if descriptor is None else descriptor
    vector = descriptor_vector(facts)
    itself = (
        read_source(home[target], target)
        if target in home
        else SourceTask(target, np.array([], np.int64), np.array([]), np.array([]), Cost(0, 0, 0, 0), vector)
    )
    chosen = list(names)
    check_leak(target_among_sources, chosen)
    for name in chosen:
        if name not in home:
            raise unknown("source task", name, home)
        if share_images(name, target) and not target_among_sources:
            reason = "is the target" if name == target else f"shares images with the target {target!r}"
            raise NasbenchError(f"the source {name!r} {reason}: what is learned there is not learned elsewhere.")
        if same_images(read_source(home[name], name), itself) and not target_among_sources:
            raise NasbenchError(
                f"the source {name!r} has the images or the results of the target {target!r}: what is learned there is "
                "not learned elsewhere."
            )
        if leave_out == "data_set" and same_data_set(name, target) and not target_among_sources:
            raise NasbenchError(
                f"the source {name!r} is cut from the data set of the target {target!r}, which --leave-out data_set "
                "keeps out of the sources."
            )
    if not chosen:
        apart = share_images if leave_out == "task" else same_data_set
        chosen = [name for name in home if not apart(name, target)]
        chosen = [name for name in chosen if not same_images(read_source(home[name], name), itself)]
    if not chosen:
        where = ", ".join(other.name for other in tables)
        raise NasbenchError(
            f"{target!r} has no source tasks: {where} has no other task"
            + (" of another data set." if leave_out == "data_set" else ", or only such of the same images or results.")
        )
    sources = tuple(read_source(home[name], name) for name in dict.fromkeys(chosen))
    return Sources(table.space, sources, vector)
