"""How alike a table's tasks, two trainings of one task, and zero-cost proxies order its rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .curves import PROXIES, Curves
from .table import Table

FEWEST = 10
"""Rows that two tasks must share for a correlation to be given."""


@dataclass(frozen=True)
class Agreement:
    """Spearman's rank correlations of final accuracies.

    Attributes:
        tasks: their names, [t].
        correlations: [t, t] between every two tasks over the rows that both have, from the first seed alone, so that
            the places on the diagonal and off it are held to the same noise; on the diagonal between the first two
            seeds of the task. nan where too few rows are shared.
        rows: [t, t] how many rows that is.
    """

    tasks: tuple[str, ...]
    correlations: np.ndarray
    rows: np.ndarray


def proxy_correlations(curves: Curves, metric: str = "val_acc") -> dict[str, float]:
    """Spearman's rank correlation of every proxy that a task has scores of with the final mean of the metric.

    Over the rows that have both; nan where they are too few, or all alike. Networks' sizes are proxies too.
    """
    truth = curves.mean(metric)
    arrays = {"parameters": "parameters", "flops": "flops", **{name: f"proxy_{name}" for name in PROXIES}}
    return {
        name: _spearman(curves.mean(array), truth)[0] for name, array in arrays.items() if array in curves.arrays
    }  # fmt: skip


def _spearman(a: np.ndarray, b: np.ndarray) -> tuple[float, int]:
    """The correlation of a [n] and b [n] over what both have, or nan; and how many that is."""
    from scipy.stats import spearmanr

    both = ~(np.isnan(a) | np.isnan(b))
    told = both.sum() >= FEWEST and np.ptp(a[both]) > 0 and np.ptp(b[both]) > 0
    return float(spearmanr(a[both], b[both]).statistic) if told else np.nan, int(both.sum())


def agreement(table: Table, metric: str = "val_acc") -> Agreement:
    """Between all tasks that have the metric, each at the end of its longest schedule."""
    tasks = tuple(task for task in table.tasks if metric in table.curves(task).arrays)
    planes = [curves.at(metric, curves.schedule) for curves in map(table.curves, tasks)]
    shape = (len(tasks), len(tasks))
    correlations, rows = np.full(shape, np.nan), np.zeros(shape, np.int64)
    for i, first in enumerate(planes):
        for j, second in enumerate(planes[: i + 1]):
            a, b = first[:, 0], second[:, 0] if j < i else first[:, 1] if first.shape[1] > 1 else None
            if b is None:
                continue
            correlations[i, j], rows[i, j] = correlations[j, i], rows[j, i] = _spearman(a, b)
    return Agreement(tasks, correlations, rows)
