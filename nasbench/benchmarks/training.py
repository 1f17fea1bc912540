"""A benchmark that trains afresh: the same calls as a table, real networks behind them.

One training answers for all cells of an exact-equality class, and a benchmark remembers what it trained: a strategy
that asks again, or another run in the same process, is charged the same without training twice. On the machine that
made a table, answers are the table's own to the last bit. Costs a fraction of a second a training on small tasks.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import NasbenchError
from ..networks import count_flops, count_parameters
from ..records import BACKWARD_FACTOR, Cell, Cost, Outcome, Score, Status, Trial
from ..spaces import open_space
from ..tables.source_tasks import Sources
from ..tasks import Task
from ..training import Arrays, History, Protocol, task_protocol, train_many, train_safely, trainer_name
from ..training.population import STORAGES
from ..training.shards import Key, Setting, Shards, is_whole, trained_epochs
from ..training.tabulate import (
    STATUS_CODES,
    cumulative_seconds,
    measure_latency,
    percent,
    setting_skeleton,
    task_attributes,
)
from .base import Benchmark, Images
from .tabular import MISSING, without_test

KEEP_EVERY, KEEP_SECONDS = 100, 60.0
"""Trainings, or seconds, after which what was trained is written to the folder of shards."""


class TrainingBenchmark(Benchmark):
    """One task under one protocol, trained when it is asked for.

    A trial of fewer epochs than the protocol's stops early on the same schedule, so its curve is the first part of
    the full one. Seconds are measured, without the evaluations; a failed training costs the seconds that it used.

    Args:
        task: what `nasbench.tasks.load_task` returns.
        protocol: by default the task's.
        seeds: labels of the training seeds that can be asked for. With one, a trial need not name it; with several
            it must, since a mean over seeds would be the work of several trainings at the price of one.
        processes: worker processes for batches of trials; single trials are trained in this process, and so are all
            on CUDA, where a batch is one population.
        sources: reads what was found out on other tasks, for strategies that learn from it.
        keep: the folder of shards that trainings are kept in, and taken from if they are there already.

    Raises:
        NasbenchError: seeds that are negative, repeated or none, fewer images than a batch, a device that is not there,
            or a folder with trainings of another setting.
    """

    has_seconds = True
    has_flops = True

    def __init__(
        self,
        task: Task,
        protocol: Protocol | None = None,
        seeds: Sequence[int] = (0,),
        device: str = "cpu",
        trainer: str = "auto",
        processes: int = 1,
        keep: Shards | None = None,
        sources: Callable[[], Sources] | None = None,
    ) -> None:
        self.sources = sources
        self.protocol = task_protocol(task.name) if protocol is None else protocol
        if not seeds or min(seeds) < 0 or len(set(seeds)) != len(seeds):
            raise NasbenchError(f"training seeds are distinct numbers from 0, not {tuple(seeds)}.")
        self.labels = tuple(seeds)
        self.setting = Setting.of(task, self.protocol, device, trainer)
        self.space = open_space(self.setting.space)
        self.task = task.name
        self.epochs = tuple(range(1, self.protocol.epochs + 1))
        self.resumable = len(self.epochs) > 1
        self.identity: Callable[[Cell], Hashable] | None = self._representative
        self.descriptor: Mapping[str, Any] = task_attributes(self.setting)
        self._arrays = Arrays.of(task)
        self._skeleton = setting_skeleton(self.setting)
        self._device, self._processes = device, processes
        self._trainer = trainer_name(self.protocol, device, trainer)
        self._first = self.space.representatives("exact")[self.space.classes("exact")]
        self._keep = keep
        self._trained: dict[Key, History] = {} if keep is None else keep.read()
        self._unkept: dict[Key, History] = {}
        self._latencies: dict[int, float] = {}
        self._kept_at = time.monotonic()

    def _representative(self, cell: Cell) -> int:
        return int(self._first[self.space.index(cell)])

    def evaluate(self, trials: Sequence[Trial]) -> list[Outcome]:
        keys = [self._key(trial) for trial in trials]
        wanted: dict[Key, int] = {}
        for trial, key in zip(trials, keys, strict=True):
            if key is not None:
                wanted[key] = max(trial.epochs, wanted.get(key, 0))
        self._train(wanted)
        return [
            MISSING if key is None else self._outcome(self._trained[key], key, trial.epochs)
            for trial, key in zip(trials, keys, strict=True)
        ]

    def _key(self, trial: Trial) -> Key | None:
        if trial.epochs not in self.epochs:
            offered = f"1 to {self.epochs[-1]}"
            raise NasbenchError(f"{self.task!r} offers trainings of {offered} epochs, not of {trial.epochs}.")
        if trial.seed is None and len(self.labels) > 1:
            raise NasbenchError(
                "training afresh has no mean over several seeds: observe one seed, or train with one seed only."
            )
        seed = self.labels[0] if trial.seed is None else trial.seed
        return (self._representative(trial.cell), seed) if seed in self.labels else None

    def _train(self, wanted: Mapping[Key, int]) -> None:
        """Train what is not known yet, up to the epoch that is wanted."""
        todo = {key: epochs for key, epochs in wanted.items() if not self._has(key, epochs)}
        for until in sorted(set(todo.values())):
            keys = [key for key, epochs in todo.items() if epochs == until]
            # Worker processes take long to start, so they are for whole trainings.
            together = self._trainer in STORAGES or (self._processes > 1 and until == self.epochs[-1])
            if len(keys) < 2 or not together:
                continue
            jobs = [(self.space.cell(cell), seed) for cell, seed in keys]
            how = (self._device, min(self._processes, len(keys)), self._trainer, until)
            for one in train_many(jobs, self._arrays, self.protocol, *how):
                self._remember(keys[one.index], one.curves)
                del todo[keys[one.index]]
        for (cell, seed), epochs in todo.items():
            codes = self.space.cell(cell)
            with _one_thread(self._trainer):
                history = train_safely(codes, seed, self._arrays, self.protocol, self._device, self._trainer, epochs)
            self._remember((cell, seed), history)

    def _has(self, key: Key, epochs: int) -> bool:
        known = self._trained.get(key)
        return known is not None and (is_whole(known) or trained_epochs(known) >= epochs)

    def _remember(self, key: Key, history: History) -> None:
        self._trained[key] = history = history.padded(self.epochs[-1])
        if self._keep is None:
            return
        self._unkept[key] = history
        if len(self._unkept) >= KEEP_EVERY or time.monotonic() - self._kept_at >= KEEP_SECONDS:
            self.flush()

    @property
    def measures(self) -> Mapping[str, Callable[[Cell], float]]:
        """What is known of a cell without training: parameters and FLOPs are counted, a forward pass is timed once."""
        return {"parameters": self._parameters, "flops": self._flops, "latency_seconds": self._latency}

    def _parameters(self, cell: Cell) -> float:
        return float(count_parameters(self.space.cell(self._representative(cell)), self._skeleton, pruned=True))

    def _flops(self, cell: Cell) -> float:
        return float(count_flops(self.space.cell(self._representative(cell)), self._skeleton))

    def _latency(self, cell: Cell) -> float:
        first = self._representative(cell)
        if first not in self._latencies:
            self._latencies[first] = measure_latency(self.space.cell(first), self._skeleton)
        return self._latencies[first]

    def images(self) -> Images:
        """Training and validation images and the protocol."""
        return without_test(self._arrays, self.protocol)

    def flush(self) -> None:
        """Write what was trained to the folder that keeps it; NasbenchError if it cannot be written."""
        if self._keep is not None:
            self._keep.write(self._unkept)
            self._unkept, self._kept_at = {}, time.monotonic()

    def _outcome(self, history: History, key: Key, epochs: int) -> Outcome:
        val_acc = float(percent(history.val_acc)[epochs - 1])
        seconds = float(cumulative_seconds(history)[epochs - 1])
        forward = count_flops(self.space.cell(key[0]), self._skeleton)
        failed = math.isnan(val_acc)
        if failed:  # charging rule 6: up to the epoch that was broken off
            epochs = int(np.isnan(percent(history.val_acc)).argmax()) + 1
        flops = BACKWARD_FACTOR * float(forward) * self.descriptor["train_size"] * epochs
        cost = Cost(seconds, float(epochs), flops, epochs / self.epochs[-1])
        return Outcome(val_acc, cost, Status(STATUS_CODES[history.status]) if failed else Status.OK)

    def seeds(self, cell: Cell, epochs: int | None = None) -> tuple[int, ...]:
        return self.labels

    def score(self, cell: Cell) -> Score:
        """Means over all the seeds that can be asked for; what was not trained yet is trained, at no charge."""
        keys = [(self._representative(cell), seed) for seed in self.labels]
        self._train(dict.fromkeys(keys, self.epochs[-1]))
        histories = [self._trained[key] for key in keys]
        val_accs = [percent(history.val_acc)[-1] for history in histories]
        test_accs = [percent(history.test_acc)[-1] for history in histories]
        return Score(_mean(val_accs), _mean(test_accs))

    @property
    def best(self) -> Score:
        """Unknown: that would take the whole space."""
        return Score(math.nan, math.nan)


def _mean(values: Sequence[Any]) -> float:
    """As tables take it: the mean of those that exist, float64."""
    known = np.array([v for v in values if not np.isnan(v)], np.float64)
    return float(known.sum() / len(known)) if len(known) else math.nan


class _one_thread:
    """Torch on one thread meanwhile, as in the worker processes: the number of threads changes torch's rounding."""

    def __init__(self, trainer: str) -> None:
        self._plain = trainer == "plain"

    def __enter__(self) -> None:
        if self._plain:
            import torch

            self._threads = torch.get_num_threads()
            torch.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        if self._plain:
            import torch

            torch.set_num_threads(self._threads)
