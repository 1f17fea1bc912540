"""The results of one task under one training schedule: plain arrays with named axes, nothing imputed."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..errors import NasbenchError, unknown

METRICS: dict[str, str] = {
    "val_acc": "validation accuracy, percent",
    "test_acc": "test accuracy, percent",
    "train_acc": "training accuracy, percent",
    "train_loss": "training loss, nats",
    "train_seconds": "training seconds up to and including the epoch; without an epoch axis, of the whole schedule",
    "latency_seconds": "seconds of one forward pass, as the source defines it",
    "parameters": "trainable parameters, count",
    "flops": "floating-point operations of one forward pass of one example, count",
    "status": "how the training ended: 0 ok, 1 diverged, 2 failed",
    "trainer": "who trained it: its place, from 0, in the list of the attribute `trainer`",
}
"""Every array a table may hold, with its unit. Axes are [row], [row, seed] or [row, seed, epoch]."""
PROXIES = (
    "l2_norm", "plain", "grad_norm", "snip", "grasp", "fisher", "synflow", "jacob_cov", "nwot", "epe_nas", "zen",
    "zico",
)  # fmt: skip
"""Zero-cost proxies that a table may hold scores of; parameters and flops, which are proxies too, are there anyway."""
for _proxy in PROXIES:
    METRICS[f"proxy_{_proxy}"] = f"score of the zero-cost proxy {_proxy}, nan where it is not defined"
    METRICS[f"proxy_{_proxy}_seconds"] = f"seconds that computing {_proxy} took"


@dataclasses.dataclass(frozen=True, eq=False)
class Curves:
    """One task, one schedule.

    Args:
        task: name of the task, e.g. "cifar10".
        epochs: the epochs that were recorded, ascending; the last is the schedule's length.
        arrays: arrays named as in METRICS with axes [row], [row, seed] or [row, seed, epoch]; a seed or epoch axis of
            length 1 stands for all, but for accuracies and losses, which need every recorded epoch. `val_acc` is
            required; nan marks what was not measured.
        seeds: label of every position on the seed axis; 0, 1, 2 ... if left out.
        attributes: provenance of this task: data hash, sizes, device, ... (JSON values).
    """

    task: str
    epochs: tuple[int, ...]
    arrays: Mapping[str, np.ndarray]
    seeds: tuple[int, ...] = ()
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.task, str) or not re.fullmatch(r"[^\s./\\\0][^/\\\0]*", self.task):
            raise NasbenchError(f"a task needs a name that can be a folder's, not {self.task!r}.")
        epochs = self._labels("epochs", self.epochs)
        object.__setattr__(self, "epochs", epochs)
        if "val_acc" not in self.arrays:
            raise NasbenchError(f"the results of {self.task!r} lack the array 'val_acc'.")
        for name, array in self.arrays.items():
            if not isinstance(array, np.ndarray):
                raise NasbenchError(f"{name!r} of {self.task!r} must be a numpy array, not {type(array).__name__}.")
        seeds = self.seeds or range(_length(self.arrays["val_acc"], 1))
        object.__setattr__(self, "seeds", self._labels("seeds", seeds))
        if not epochs or epochs[0] < 1 or any(a >= b for a, b in itertools.pairwise(epochs)):
            raise NasbenchError(f"epochs of {self.task!r} must be positive and ascending, not {epochs}.")
        if len(set(self.seeds)) != len(self.seeds):
            raise NasbenchError(f"seeds of {self.task!r} must be distinct, not {self.seeds}.")
        for name in self.arrays:
            if name not in METRICS:
                raise unknown("array", name, METRICS)

    def _labels(self, what: str, values: Any) -> tuple[int, ...]:
        try:
            labels = tuple(int(v) for v in values)
            if all(label == value for label, value in zip(labels, values, strict=True)):
                return labels
        except (TypeError, ValueError):
            pass
        raise NasbenchError(f"{what} of {self.task!r} must be a list of whole numbers, not {values!r}.")

    def check(self, rows: int) -> None:
        """NasbenchError unless every array has `rows` rows, fits the seed and epoch labels and has possible values."""
        for name, array in self.arrays.items():
            limits = (rows, len(self.seeds), len(self.epochs))
            shape = array.shape
            fits = 1 <= array.ndim <= 3 and shape[0] == rows
            fits = fits and all(n in (1, most) for n, most in zip(shape[1:], limits[1:], strict=False))
            real = np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating)
            if not fits or not real or array.size == 0:
                raise NasbenchError(
                    f"{name!r} of {self.task!r} is a {array.dtype} array of shape {shape}; "
                    f"it must be real, with axes [row, seed, epoch] = {limits} (trailing axes may be left out)."
                )
            if (name.endswith("_acc") or name == "train_loss") and _length(array, 2) < len(self.epochs):
                raise NasbenchError(
                    f"{name!r} of {self.task!r} has {_length(array, 2)} of {len(self.epochs)} epochs, "
                    f"{_ranges(self.epochs)}: it needs all of them, [row, seed, epoch], nan where nothing was measured."
                )
            known = array[~np.isnan(array)] if np.issubdtype(array.dtype, np.floating) else array
            low, high = (known.min(), known.max()) if known.size else (0, 0)
            most = 100 + 1e-3 if name.endswith("_acc") else np.finfo(np.float64).max
            scores = name.startswith("proxy_") and not name.endswith("_seconds")  # these may be negative
            if not (np.isfinite([low, high]).all() and (low >= 0 or scores) and high <= most):
                raise NasbenchError(
                    f"{name!r} of {self.task!r} has impossible values, from {low} to {high}; it is {METRICS[name]}."
                )
            if name == "status" and not np.isin(known, (0, 1, 2)).all():
                raise NasbenchError(f"'status' of {self.task!r} is one of 0, 1 and 2: {METRICS[name]}.")

    @property
    def schedule(self) -> int:
        """Length of the training schedule in epochs; no other schedule's curve is a prefix of this one."""
        return self.epochs[-1]

    def full(self, name: str) -> np.ndarray:
        """The array with all three axes [row, seed, epoch]; absent axes have length 1.

        KeyError if the task does not have it.
        """
        array = self.arrays[name]
        return array.reshape(*array.shape, *([1] * (3 - array.ndim)))

    def at(self, name: str, epoch: int) -> np.ndarray:
        """The array after `epoch` epochs as float64 [row, seed]; NasbenchError if that epoch was not recorded."""
        if epoch not in self.epochs:
            raise NasbenchError(
                f"{self.task!r} has no results after {epoch} epochs of its {self.schedule}-epoch schedule; "
                f"recorded: {_ranges(self.epochs)}."
            )
        array = self.full(name)
        position = min(self.epochs.index(epoch), array.shape[2] - 1)
        plane = array[:, :, position].astype(np.float64)
        if name == "train_seconds" and array.shape[2] == 1:
            plane = plane * (epoch / self.schedule)
        return plane

    def mean(self, name: str, epoch: int | None = None) -> np.ndarray:
        """Mean over the seeds that exist, float64 [row]; nan where there is none."""
        plane = self.at(name, self.schedule if epoch is None else epoch)
        known = ~np.isnan(plane)
        count = known.sum(axis=1)
        total = np.where(known, plane, 0.0).sum(axis=1)
        return np.divide(total, count, out=np.full(len(plane), np.nan), where=count > 0)

    @property
    def valid(self) -> np.ndarray:
        """Which trainings exist, bool [row, seed]: those with a final validation accuracy or a recorded status."""
        trained = ~np.isnan(self.at("val_acc", self.schedule))
        if "status" in self.arrays:
            trained = trained | (self.at("status", self.schedule) > 0)
        return np.broadcast_to(trained, (len(trained), len(self.seeds)))

    def used(self, row: int, epochs: int, status: np.ndarray) -> np.ndarray:
        """Epochs [seed] that each training of a row took of those asked for, nan where there was none.

        One that failed took them up to the epoch that was broken off, as far as the table tells: the first recorded one
        after its last accuracy or, if it has none, the first of which its seconds are known.

        Args:
            status: [seed] or [1] of the row, at these epochs.
        """

        def known(name: str) -> np.ndarray:
            """Which values there are [seed, epoch], up to the epoch asked for."""
            there = ~np.isnan(self.full(name)[row].astype(np.float64))
            return np.broadcast_to(there, (len(self.seeds), there.shape[1]))[:, : self.epochs.index(epochs) + 1]

        accuracy = known("val_acc")
        measured = known("train_seconds") if "train_seconds" in self.arrays else np.zeros_like(accuracy)
        codes = np.broadcast_to(status, len(self.seeds))
        found = np.full(len(self.seeds), np.nan)
        for at in range(len(self.seeds)):
            if accuracy[at, -1]:
                found[at] = epochs
            elif codes[at] > 0 and accuracy[at].any():
                found[at] = self.epochs[int(np.flatnonzero(accuracy[at])[-1]) + 1]
            elif codes[at] > 0:
                told = measured[at].any() and measured.shape == accuracy.shape
                found[at] = self.epochs[int(measured[at].argmax())] if told else epochs
        return found


FRACTIONS = 20
"""Rows whose accuracies are all at most 1 that are taken for fractions: fewer may be networks that learned nothing."""


def refuse_fractions(curves: Iterable[Curves], small: bool = False) -> None:
    """NasbenchError if an accuracy of a task never is above 1 in FRACTIONS rows or more: it is a percentage.

    With `small` in two rows already, if no accuracy of any task is above 1, or another of the same task above 10.
    """
    highest: dict[tuple[str, str], float] = {}
    known: dict[tuple[str, str], int] = {}
    for entry in curves:
        for name in entry.arrays:
            if name.endswith("_acc"):
                values, key = entry.full(name), (entry.task, name)
                there = ~np.isnan(values)
                highest[key] = max(highest.get(key, 0.0), float(values[there].max(initial=0)))
                known[key] = max(known.get(key, 0), int(there.any(axis=(1, 2)).sum()))
    most = max(highest.values(), default=0.0)
    for (task, name), value in highest.items():
        beside = max(other for (of, _), other in highest.items() if of == task)
        few = small and known[task, name] > 1 and (most <= 1 or beside > 10)
        if 0 < value <= 1 and (few or known[task, name] >= FRACTIONS):
            raise NasbenchError(
                f"no {name} of {task!r} is above {value:g}, and accuracies are percentages: multiply them by 100."
            )


def _length(array: np.ndarray, axis: int) -> int:
    return array.shape[axis] if array.ndim > axis else 1


def _ranges(epochs: tuple[int, ...]) -> str:
    if len(epochs) > 2 and epochs == tuple(range(epochs[0], epochs[-1] + 1)):
        return f"{epochs[0]} to {epochs[-1]}"
    return ", ".join(map(str, epochs))
