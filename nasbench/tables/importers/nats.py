"""The official NATS-Bench topology release: a folder of `NNNNNN.pickle.pbz2`, one file a cell, and their
list.

Which number is which, as the release's own interface reports them: validation accuracy of cifar10 is
`x-valid` of the run `cifar10-valid` (trained on half of the training set), its test accuracy is `ori-test` of
the run `cifar10` (trained on all of it, under the same seed); cifar100 and ImageNet16-120 have one run each,
with `x-valid` and `x-test`. Files are read one at a time, some 60 a second; all curves of all 15,625 cells
take about 600 MB, `epochs="final"` a few. Paper: Dong et al., "NATS-Bench", TPAMI 2021 (arXiv:2009.00437).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import NasbenchError, unknown
from ...spaces import Space, open_space
from ..curves import Curves
from ..table import Table
from . import plain_pickle
from .nasbench201 import CITATION, PARAMETERS, PROTOCOL, SPLITS, TASKS, parameter_counts

SUFFIX = ".pickle.pbz2"
SCHEDULES = (12, 200)
RUNS = {
    "cifar10": ("cifar10-valid", "x-valid", "cifar10", "ori-test"),
    "cifar100": ("cifar100", "x-valid", "cifar100", "x-test"),
    "ImageNet16-120": ("ImageNet16-120", "x-valid", "ImageNet16-120", "x-test"),
}
"""Task -> (run, split) of the validation accuracy and (run, split) of the test accuracy."""

ATTRIBUTES = {
    "name": "nats_tss",
    "source": "NATS-Bench topology release NATS-tss-v1_0-3ffb9-simple, github.com/D-X-Y/NATS-Bench",
    "licence": "MIT (NATS-Bench)",
    "citation": [
        CITATION,
        "Dong, Liu, Musial and Gabrys, NATS-Bench: Benchmarking NAS Algorithms for Architecture Topology "
        "and Size, TPAMI 2021, arXiv:2009.00437",
    ],
    "protocol": PROTOCOL,
    "seeds": "labels are the training seeds of the release",
    "train_seconds": "training of the run that the validation accuracy is from, without evaluation",
    "flops": "of one forward pass, twice the multiply-adds that the release records",
}

TESTS = {
    "cifar10": {
        "val_acc": "run cifar10-valid, split x-valid; train_acc, train_loss and train_seconds are of it too",
        "test_acc": "run cifar10 (trained on all 50,000 images, same seed), split ori-test: 10,000 images",
    },
    "cifar100": {
        "val_acc": "run cifar100, split x-valid; under 200 epochs it is known after the last epoch only",
        "test_acc": "run cifar100, split x-test: the other half of the original test set; likewise",
    },
    "ImageNet16-120": {
        "val_acc": "run ImageNet16-120, split x-valid; under 200 epochs known after the last epoch only",
        "test_acc": "run ImageNet16-120, split x-test: 3,000 images, the other half; likewise",
    },
}


def import_nats(
    folder: str | Path,
    epochs: str | Iterable[int] = "all",
    tasks: Sequence[str] = TASKS,
) -> Table:
    """The table of the cells whose files are in `folder`; rows in ascending order of the cell's index.

    Per task and schedule (12 and 200 epochs): val_acc, test_acc, train_acc (percent) and train_loss, float32
    [row, seed, epoch]; train_seconds, cumulative; latency_seconds, parameters, flops. nan marks what the
    release lacks.

    Args:
        folder: the unpacked release, or part of it.
        epochs: which to keep: "all", "final", or epochs counted from 1; a schedule's last is always kept.
        tasks: which of TASKS to keep.

    NasbenchError if there are no result files, or one is damaged, is refused, or is not of the cell its name
    says.
    """
    space, folder = open_space("nasbench201"), Path(folder)
    for task in tasks:
        if task not in TASKS:
            raise unknown("NATS-Bench task", task, TASKS)
    kept = {schedule: _kept(epochs, schedule) for schedule in SCHEDULES}
    files = _files(folder, space)
    cells = np.array(sorted(files), dtype=np.int32)
    shelves = {(task, schedule): _Shelf(len(cells), kept[schedule]) for task in tasks for schedule in SCHEDULES}
    for row, index in enumerate(cells.tolist()):
        _read_cell(files[index], space.to_string(space.cell(index)), row, shelves)
    for (task, schedule), shelf in shelves.items():
        if shelf.seeds and not shelf.trained:
            run = RUNS[task][0]
            raise NasbenchError(f"{folder} lacks the run {run} of {schedule} epochs, in which {task} is validated.")
    curves = [shelf.curves(space, cells, *key) for key, shelf in shelves.items() if shelf.seeds]
    if not curves:
        raise NasbenchError(f"{folder} has no results of {', '.join(tasks)}.")
    return Table.from_arrays(space, curves, cells=cells, attributes=ATTRIBUTES)


def _kept(epochs: str | Iterable[int], schedule: int) -> tuple[int, ...]:
    if isinstance(epochs, str):
        if epochs not in ("all", "final"):
            raise unknown("choice of epochs", epochs, ("all", "final"))
        return tuple(range(1, schedule + 1)) if epochs == "all" else (schedule,)
    chosen = {int(epoch) for epoch in epochs}
    for epoch in chosen:
        if not 1 <= epoch <= max(SCHEDULES):
            raise NasbenchError(f"NATS-Bench has epochs 1 to {max(SCHEDULES)}; there is no epoch {epoch}.")
    return tuple(sorted({epoch for epoch in chosen if epoch < schedule} | {schedule}))


def _files(folder: Path, space: Space) -> dict[int, Path]:
    """Cell index -> file, after checking the folder's own list of cells, if it has one, against the space's
    order."""
    files = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        stem = path.name.removesuffix(SUFFIX)
        if stem.isdigit():
            space.cell(int(stem))
            files[int(stem)] = path
    if not files:
        raise NasbenchError(
            f"{folder} has no files named like 000011{SUFFIX}: give the folder of the unpacked release."
        )
    meta = folder / f"meta{SUFFIX}"
    if meta.exists():
        content = plain_pickle.load(meta)
        listed = content.get("meta_archs") if isinstance(content, dict) else None
        if listed != [space.to_string(space.cell(index)) for index in range(len(space))]:
            raise NasbenchError(f"{meta} does not list the cells of NAS-Bench-201 in the published order.")
    return files


def _read_cell(path: Path, cell: str, row: int, shelves: dict[tuple[str, int], _Shelf]) -> None:
    content = plain_pickle.load(path)
    try:
        for (task, schedule), shelf in shelves.items():
            if str(schedule) not in content:
                continue
            entry = content[str(schedule)]
            if entry["arch_str"] != cell:
                raise NasbenchError(f"{path} is of the cell {entry['arch_str']}, not of {cell} as its name says.")
            val_run, val_split, test_run, test_split = RUNS[task]
            for (run, seed), results in entry["all_results"].items():
                if run == val_run:
                    shelf.training(row, seed, results)
                    shelf.accuracy("val_acc", row, seed, results, val_split)
                if run == test_run:
                    shelf.accuracy("test_acc", row, seed, results, test_split)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, NasbenchError):
            raise
        raise NasbenchError(f"{path} is not a NATS-Bench topology result ({error!r}).") from None


class _Shelf:
    """The growing results of one task under one schedule; a seed's arrays are made when the seed first
    appears."""

    def __init__(self, rows: int, epochs: tuple[int, ...]) -> None:
        self.rows, self.epochs = rows, epochs
        self._positions = np.array(epochs) - 1
        self._arrays: dict[str, dict[int, np.ndarray]] = {}
        self._uneven: dict[tuple[int, int], np.ndarray] = {}

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(sorted({seed for by_seed in self._arrays.values() for seed in by_seed}))

    @property
    def trained(self) -> bool:
        """Whether there is any run with validation accuracies."""
        return "val_acc" in self._arrays

    def _put(self, name: str, row: int, seed: int, values: Any, dtype: type = np.float64, width: int = 1) -> None:
        by_seed = self._arrays.setdefault(name, {})
        if seed not in by_seed:
            by_seed[int(seed)] = np.full((self.rows, width), np.nan, dtype)
        by_seed[seed][row] = values

    def _curve(self, name: str, row: int, seed: int, values: Any, dtype: type = np.float32) -> None:
        self._put(name, row, seed, values, dtype, len(self.epochs))

    def training(self, row: int, seed: int, results: dict[str, Any]) -> None:
        every = range(self.epochs[-1])
        for name, key in (("train_acc", "train_acc1es"), ("train_loss", "train_losses")):
            self._curve(name, row, seed, [results[key][p] for p in self._positions.tolist()])
        seconds = np.cumsum([results["train_times"][p] for p in every])
        self._put("train_seconds", row, seed, seconds[-1])
        if not np.allclose(seconds, seconds[-1] * (np.arange(len(seconds)) + 1) / len(seconds), rtol=1e-9):
            self._uneven[row, int(seed)] = seconds[self._positions]
        self._put("parameters", row, seed, round(float(results["params"]) * 1e6))
        self._put("flops", row, seed, round(2 * float(results["flop"]) * 1e6))
        latency = results.get("latency") or [np.nan]
        self._put("latency_seconds", row, seed, float(latency[0]) if latency[0] > 0 else np.nan)

    def accuracy(self, name: str, row: int, seed: int, results: dict[str, Any], split: str) -> None:
        found = results["eval_acc1es"]
        self._curve(name, row, seed, [found.get(f"{split}@{p}", np.nan) for p in self._positions.tolist()])

    def curves(self, space: Space, cells: np.ndarray, task: str, schedule: int) -> Curves:
        """Hand everything over, freeing it here; axes along which nothing varies are left out."""
        seeds = self.seeds
        arrays: dict[str, np.ndarray] = {}
        for name in list(self._arrays):
            by_seed = self._arrays.pop(name)
            width, dtype = next((a.shape[1], a.dtype) for a in by_seed.values())
            array = np.full((self.rows, len(seeds), width), np.nan, dtype)
            for position, seed in enumerate(seeds):
                if seed in by_seed:
                    array[:, position] = by_seed.pop(seed)
            arrays[name] = array
        for name in ("train_seconds", "latency_seconds", "flops"):
            arrays[name] = _without_seeds(arrays[name][:, :, 0])
        if self._uneven:
            arrays["train_seconds"] = self._second_curves(arrays["train_seconds"], seeds)
        recorded = arrays["parameters"][:, :, 0]
        arrays["parameters"] = parameter_counts([space.cell(index) for index in cells.tolist()], task)
        other = int((~np.isnan(recorded) & (recorded != arrays["parameters"][:, None])).sum())
        attributes = SPLITS[task] | TESTS[task] | {"parameters": PARAMETERS.format(runs=other)}
        return Curves(task, self.epochs, arrays, seeds, attributes)

    def _second_curves(self, totals: np.ndarray, seeds: tuple[int, ...]) -> np.ndarray:
        """Seconds [row, seed, epoch] from totals [row] or [row, seed]; runs whose epochs differ keep their
        own."""
        by_seed = np.broadcast_to(totals.reshape(self.rows, -1), (self.rows, len(seeds)))
        curves = by_seed[:, :, None] * (np.array(self.epochs) / self.epochs[-1])
        for (row, seed), seconds in self._uneven.items():
            curves[row, seeds.index(seed)] = seconds
        return curves


def _without_seeds(array: np.ndarray) -> np.ndarray:
    """One value a row [row] if the seeds of [row, seed] that exist agree everywhere, else the array
    itself."""
    if np.isnan(array).all(axis=1).any():
        return array
    first = array[np.arange(len(array)), np.isnan(array).argmin(axis=1)]
    return first if (np.isnan(array) | (array == first[:, None])).all() else array
