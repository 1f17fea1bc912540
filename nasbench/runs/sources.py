"""Where a comparison's results come from: a table, or training afresh. The word for it in a suite is `mode`."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..benchmarks import Benchmark, TabularBenchmark
from ..errors import NasbenchError
from ..tables import Table, open_table
from ..tables.noise import noise
from ..tables.source_tasks import Sources, read_sources
from .suite import Suite


class Source(Protocol):
    """Makes a suite's benchmarks; can be sent to other processes."""

    def benchmark(self, suite: Suite, task: str) -> Benchmark: ...

    def key(self, suite: Suite, task: str) -> tuple:
        """What tells one benchmark from another within a process."""
        ...

    def describe(self, suite: Suite) -> dict[str, Any]:
        """What the results folder records; its `checksum` decides whether runs belong together."""
        ...


def _other_tasks(
    suite: Suite, tables: Sequence[Table], target: str, descriptor: Mapping[str, Any] | None = None
) -> Callable[[], Sources] | None:
    """Reads what meta-learned strategies may learn from, once; None where no table has another task."""
    tables = (*tables, *(open_table(name) for name in suite.source_tables))
    if not {name for table in tables for name in table.tasks} - {target} and not suite.sources:
        return None
    read = functools.cache(
        functools.partial(
            read_sources, tables, target, suite.sources, suite.leave_out, suite.target_among_sources, descriptor
        )
    )
    if suite.sources or suite.source_tables:
        read()  # what is asked for by name has to be right, whether a strategy looks at it or not
    return read


@dataclass(frozen=True)
class TableSource:
    """Results are looked up in a table: of trainings, or in mode "surrogate" of predictions."""

    table: Table

    def check(self, suite: Suite) -> None:
        """NasbenchError where the table is of the other kind."""
        predicted = "surrogate" in self.table.attributes
        if predicted and suite.mode == "table":
            raise NasbenchError(f"the table {self.table.name} holds predictions, not trainings; use mode 'surrogate'.")
        if not predicted and suite.mode == "surrogate":
            raise NasbenchError(
                f"the table {self.table.name} holds trainings; mode 'surrogate' needs a table made by "
                "`nasbench fit --as-benchmark FILE`."
            )

    def benchmark(self, suite: Suite, task: str) -> TabularBenchmark:
        target = suite.search_task or task
        return TabularBenchmark(
            self.table, task, suite.schedule or None, suite.score_schedule or None, suite.search_task or None,
            _other_tasks(suite, (self.table,), target),
        )  # fmt: skip

    def key(self, suite: Suite, task: str) -> tuple:
        learned = (suite.sources, suite.source_tables, suite.leave_out, suite.target_among_sources)
        return (self.table.checksum, suite.schedule, suite.score_schedule, suite.search_task, task, learned)

    def describe(self, suite: Suite) -> dict[str, Any]:
        table = self.table
        return {
            "name": table.name,
            "space": table.space.name,
            "checksum": table.checksum,
            "rows": table.rows,
            "attributes": table.attributes,
            "noise": {task: self._noise(suite, task) for task in suite.tasks},
            "share": {task: self.share(suite, task) for task in suite.tasks},
        }

    def share(self, suite: Suite, task: str) -> float:
        """The share of the space's cells that have a result, from which strategies then draw."""
        benchmark = self.benchmark(suite, task)
        return len(benchmark.search_space) / len(benchmark.space)

    def _noise(self, suite: Suite, task: str) -> dict[str, Any]:
        curves = self.table.curves(task, suite.score_schedule or None)
        found = {metric: noise(curves, metric) for metric in ("val_acc", "test_acc")}
        return {metric: value.to_dict() for metric, value in found.items() if value is not None}


@dataclass(frozen=True)
class TrainingSource:
    """Results are trained when they are asked for; importing the room that trains happens only then.

    Attributes:
        device, trainer: as in `nasbench.training.train`.
        keep: a folder in which every task's trainings are kept as shards, in a folder of its own; None for none.
        data: a folder of data sets.
    """

    device: str = "auto"
    trainer: str = "auto"
    keep: Path | None = None
    data: Path | None = None

    def _settings(self, suite: Suite, name: str) -> tuple[Any, Any, str]:
        """Task, protocol and device."""
        from ..tasks import load_task
        from ..training import choose_device, task_protocol

        if Path(name).name != name:
            raise NasbenchError(
                f"a comparison trains tasks by name, or an .npz file in the current folder, not {name!r}."
            )
        task = load_task(name, self.data)
        protocol = task_protocol(task.name, suite.protocol)
        return task, protocol, choose_device(self.device, protocol, self.trainer)

    def benchmark(self, suite: Suite, task: str) -> Benchmark:
        from ..benchmarks import TrainingBenchmark
        from ..training.shards import Setting, Shards

        if suite.observe == "mean" and len(suite.train_seeds) > 1:
            raise NasbenchError(
                'training afresh has no mean over several seeds: use observe = "seed", or one of train_seeds.'
            )
        loaded, protocol, device = self._settings(suite, task)
        keep = None
        if self.keep is not None:
            keep = Shards(self.keep / loaded.name, Setting.of(loaded, protocol, device, self.trainer))
        others = _other_tasks(suite, (), loaded.name, loaded.descriptor())
        return TrainingBenchmark(
            loaded, protocol, suite.train_seeds, device, self.trainer, keep=keep, sources=others
        )  # fmt: skip

    def key(self, suite: Suite, task: str) -> tuple:
        learned = (suite.sources, suite.source_tables, suite.leave_out, suite.target_among_sources)
        return (self, tuple(sorted(suite.protocol.items())), suite.train_seeds, task, learned)

    def describe(self, suite: Suite) -> dict[str, Any]:
        from ..training.shards import Setting

        settings = {}
        for name in suite.tasks:
            task, protocol, device = self._settings(suite, name)
            found = Setting.of(task, protocol, device, self.trainer)
            settings[name] = {
                "task": task.key, "sha256": task.digest, "protocol": found.to_fields()["protocol"],
                "trainer": found.trainer,
            }  # fmt: skip
        text = json.dumps([settings[min(settings)]["trainer"], list(suite.train_seeds), dict(suite.protocol)])
        return {
            "name": "training",
            "space": "nasbench201",
            "checksum": hashlib.sha256(text.encode()).hexdigest(),
            "rows": "classes",
            "attributes": {"source": "trained afresh", "trainer": found.trainer, "device": found.device},
            "noise": {},
            "trainings": settings,
        }
