"""Do a surrogate's predictions fit trainings that it never saw, and above all those done later?

Cells left out of the sample tell how well it predicts on the whole, other seeds of sampled cells what a repeated
training tells it, and rows that `nasbench train` took last, or trains afresh now, whether anything changed since: the
machine, the trainer, a library. A fresh training costs what one of the table's did, the rest is looked up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasbench.errors import NasbenchError
from nasbench.tables import Table

from .benchmark import Sample
from .fitted import Fitted
from .scores import score
from .study import space_cells

if TYPE_CHECKING:
    from nasbench.training import Arrays
    from nasbench.training.shards import Setting

LATE = 0.2
"""Share of the classes, in the order in which `nasbench train` takes them, that are called its last."""
ORDINARY = 1.959964
"""Standard errors on either side of a mean that make a 95 % interval."""
WORDS = {
    "other seeds": "sampled cells, trained with another seed,",
    "left out": "cells left out of the fit",
    "trained last": "the cells that were trained last",
    "trained afresh": "cells trained afresh",
}
"""Name of a group -> what it is, as within a sentence; from what the fit knows best to what is newest."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Group:
    """Trainings of one kind, and what was predicted of them.

    Attributes:
        name: what they are, of WORDS.
        cells, seeds: [m], index in the space and training seed.
        predicted, spread: [m], percent.
        trained: [m], validation accuracies in percent.
        seconds: [m] that the trainings took; nan where that is not known.
    """

    name: str
    cells: np.ndarray
    seeds: np.ndarray
    predicted: np.ndarray
    spread: np.ndarray
    trained: np.ndarray
    seconds: np.ndarray

    def scores(self) -> dict[str, Any]:
        """Trainings, bias (above 0: predicted too high) with its 95 % interval, RMSE, Kendall's tau, coverage of the
        90 % interval, and the trainings' seconds in all; nan where there are too few."""
        found = dict.fromkeys(("rmse", "kendall", "coverage_90"), float("nan"))
        if len(self.trained) > 1:
            found |= {k: v for k, v in score(self.trained, self.predicted, self.spread).items() if k in found}
        errors = self.predicted - self.trained
        bias = float(errors.mean()) if len(errors) else float("nan")
        reach = ORDINARY * float(errors.std(ddof=1)) / len(errors) ** 0.5 if len(errors) > 1 else float("nan")
        facts = {"name": self.name, "trainings": len(errors), "bias": bias, "low": bias - reach, "high": bias + reach}
        return {**facts, **found, "seconds": float(self.seconds.sum())}


def known_groups(
    table: Table, task: str, sample: Sample, predictor: Fitted, schedule: int | None = None
) -> list[Group]:
    """The groups that the table itself has: other seeds of sampled cells, cells left out, and the last of them.

    Args:
        predictor: fitted to the sample.
    """
    entry, data = table.curves(task, schedule), sample.data
    seconds = entry.at("train_seconds", entry.schedule) if "train_seconds" in entry.arrays else None
    mean, spread = predictor.predict(data.cells, return_std=True)

    def group(name: str, places: np.ndarray, which: np.ndarray) -> Group:
        rows = table.row_of_cell[data.index[places]]
        spent = np.full(len(places), np.nan)
        if seconds is not None:
            spent = seconds[rows, np.minimum(which, seconds.shape[1] - 1)]
        seeds = np.array(entry.seeds)[which]
        trained = data.labels[places, which]
        return Group(name, data.index[places], seeds, mean[places], spread[places], trained, spent)

    inside, used = sample.order[: sample.n], sample.chosen[: sample.n]
    others = ~np.isnan(data.labels[inside])
    others[np.arange(sample.n), used] = False
    at, which = np.nonzero(others)
    left, chosen = sample.order[sample.n :], sample.chosen[sample.n :]
    late = np.isin(data.index[left], _last_trained(table, task))
    found = [
        group("other seeds", inside[at], which),
        group("left out", left, chosen),
        group("trained last", left[late], chosen[late]),
    ]
    return [one for one in found if len(one.trained)]


def _last_trained(table: Table, task: str) -> np.ndarray:
    """Cells of the table's rows that `nasbench train` took last; none for a table of others."""
    if not {"protocol", "sha256"} <= set(table.curves(task).attributes) or table.rows != "classes":
        return np.array([], np.int64)
    from nasbench.training.campaign import class_order

    rows = table.row_of_cell[class_order(table.space)]
    valid = np.flatnonzero(table.curves(task).valid.any(axis=1))
    trained = rows[np.isin(rows, valid)]
    last: np.ndarray = table.cells[trained[round((1 - LATE) * len(trained)) :]]
    return last


class Afresh:
    """Trains cells as a table's were, with a seed that it does not have.

    Args:
        data: a folder of data sets, beside the usual ones.

    Attributes:
        then, now: the table's setting, and that of this machine.
        seed: of the trainings.

    Raises:
        NasbenchError: the table was not made by `nasbench train`, or its images are not at hand.
    """

    def __init__(self, table: Table, task: str, data: Path | None = None) -> None:
        from nasbench.tasks import load_task
        from nasbench.training import Arrays, choose_device
        from nasbench.training.shards import Setting
        from nasbench.training.tabulate import table_setting

        self.then: Setting = table_setting(table, task)
        facts = self.then.task
        loaded = load_task(task, data, facts["n_train"], facts["n_val"], facts["n_test"])
        self._device = choose_device("auto", self.then.protocol)
        self.now: Setting = Setting.of(loaded, self.then.protocol, self._device)
        same = Setting(self.then.space, self.then.task, self.then.protocol, self.now.trainer)
        if difference := self.now.differs(same):
            raise NasbenchError(f"the table {table.name} holds {difference}, so nothing can be trained as it was.")
        self._arrays: Arrays = Arrays.of(loaded)
        self._table, self.seed = table, max(table.curves(task).seeds) + 1

    def classes(self, sample: Sample) -> np.ndarray:
        """Cells, one for every class that can be trained and that the sample does not have, in a random order."""
        from nasbench.training.campaign import class_order

        space = self._table.space
        classes = space.classes("exact")
        seen = classes[sample.data.index[sample.order[: sample.n]]]
        order = class_order(space)[:-1]  # all but the constant class, which cannot see its image
        order = order[~np.isin(classes[order], seen)]
        unseen: np.ndarray = np.random.default_rng([sample.n, 0xAF5E]).permutation(order)
        return unseen

    def train(
        self, cells: np.ndarray, predictor: Fitted, processes: int = 1, progress: Progress | None = None
    ) -> tuple[Group, float]:
        """Train these cells; returns what came of it, failed ones left out, and the seconds that all of it took."""
        from nasbench.training import train_many
        from nasbench.training.tabulate import cumulative_seconds, percent

        space, start = self._table.space, time.perf_counter()
        jobs = [(space.cell(int(cell)), self.seed) for cell in cells]
        trained, seconds = np.full(len(cells), np.nan), np.full(len(cells), np.nan)
        finished = train_many(jobs, self._arrays, self.then.protocol, self._device, processes)
        for count, one in enumerate(finished, 1):
            trained[one.index] = percent(one.curves.val_acc)[-1]
            seconds[one.index] = cumulative_seconds(one.curves)[-1]
            if progress:
                progress(count, len(jobs))
        took = time.perf_counter() - start
        mean, spread = predictor.predict(space_cells(space, cells), return_std=True)
        ok = ~np.isnan(trained)
        seeds = np.full(len(cells), self.seed)
        columns = (cells, seeds, mean, spread, trained, seconds)
        return Group("trained afresh", *(column[ok] for column in columns)), took
