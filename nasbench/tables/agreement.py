"""How alike a table's tasks order its rows, beside how alike two trainings of one task do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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


def agreement(table: Table, metric: str = "val_acc") -> Agreement:
    """Between all tasks that have the metric, each at the end of its longest schedule."""
    from scipy.stats import spearmanr

    tasks = tuple(task for task in table.tasks if metric in table.curves(task).arrays)
    planes = [curves.at(metric, curves.schedule) for curves in map(table.curves, tasks)]
    shape = (len(tasks), len(tasks))
    correlations, rows = np.full(shape, np.nan), np.zeros(shape, np.int64)
    for i, first in enumerate(planes):
        for j, second in enumerate(planes[: i + 1]):
            a, b = first[:, 0], second[:, 0] if j < i else first[:, 1] if first.shape[1] > 1 else None
            if b is None:
                continue
            both = ~(np.isnan(a) | np.isnan(b))
            rows[i, j] = rows[j, i] = both.sum()
            if both.sum() >= FEWEST and np.ptp(a[both]) > 0 and np.ptp(b[both]) > 0:
                correlations[i, j] = correlations[j, i] = spearmanr(a[both], b[both]).statistic
    return Agreement(tasks, correlations, rows)
