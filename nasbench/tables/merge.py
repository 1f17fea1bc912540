"""Several tables over one space as one: shards of a training campaign, more seeds, more tasks, more cells.

Everything that was measured is kept and nothing is made up: what no table holds is nan. One training that two
tables hold must say the same in both, but for the seconds it took: those of the first table stay.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import NasbenchError
from ..spaces import Space
from .curves import Curves
from .table import Table

OF_TRAININGS = ("val_acc", "test_acc", "train_acc", "train_loss", "status")
"""Arrays that say of a seed that it was trained: one value a row stands for that table's seeds, and no others."""
OF_THE_SCHEDULE = ("train_seconds", "latency_seconds", "parameters", "flops", "status")
"""Arrays that say the same at every epoch, or (seconds) that the epochs share evenly, where they lack an
epoch axis."""


def merge(tables: Sequence[Table]) -> Table:
    """The union of rows, tasks, schedules, seeds and epochs; rows in ascending order of cell index.

    Integer arrays stay integer where the union is complete, and become float64 with nan where it is not.
    Attributes on which the tables agree are kept, others become the list of their values; where that happens to a
    task's `trainer`, an array of that name says which of them trained each row and seed. Where rows are
    classes, two tables' rows of one class are the same row, under the smaller of their cells.

    NasbenchError if the tables differ in space, kind of rows or the attribute `protocol`, if one holds a surrogate's
    predictions, or if they hold different values for the same task, schedule, seed and cell; values that differ by
    less than float32 resolves are the same where one of the tables has them in float32.
    """
    if not tables:
        raise NasbenchError("there are no tables to merge.")
    first = tables[0]
    for table in tables:
        if "surrogate" in table.attributes and len(tables) > 1:
            raise NasbenchError(f"the table {table.name} holds predictions; they are not merged with anything.")
    for table in tables[1:]:
        if table.space.name != first.space.name:
            raise NasbenchError(f"a table over {first.space.name} and one over {table.space.name} cannot be merged.")
        if table.rows != first.rows:
            raise NasbenchError(f"a table whose rows are {first.rows} and one of {table.rows} cannot be merged.")
    cells, rows = _union_of_rows(tables)
    keys = dict.fromkeys((task, schedule) for t in tables for task in t.tasks for schedule in t.schedules(task))
    curves = []
    for task, schedule in keys:
        parts = [
            (rows[i], t.curves(task, schedule))
            for i, t in enumerate(tables)
            if task in t.tasks and schedule in t.schedules(task)
        ]
        curves.append(_merge_curves(parts, cells, first.space))
    attributes = _merge_attributes([t.attributes for t in tables])
    return Table.from_arrays(first.space, curves, first.rows, cells, attributes)


def expanded(entry: Curves, name: str) -> np.ndarray:
    """The array with its full axes [row, seed, epoch], one place per label.

    A value that stands for all seeds is given to those that were trained, or to all in rows where none was;
    seconds of the whole schedule are shared evenly among its epochs.
    """
    array = entry.full(name)
    if array.shape[2] != len(entry.epochs):
        array = np.repeat(array, len(entry.epochs), axis=2)
        if name == "train_seconds":
            array = array * (np.array(entry.epochs) / entry.schedule)
    if array.shape[1] != len(entry.seeds):
        trained = entry.valid | ~entry.valid.any(axis=1, keepdims=True)
        array = np.where(trained[:, :, None], array, np.nan)
    return array


def _union_of_rows(tables: Sequence[Table]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Cell of every merged row, ascending, and for each table the merged row of each of its rows."""
    if tables[0].rows == "cells":
        cells = np.unique(np.concatenate([t.cells for t in tables]))
        return cells, [np.searchsorted(cells, t.cells) for t in tables]
    classes = tables[0].space.classes("exact")
    smallest: dict[int, int] = {}
    for cell in np.sort(np.concatenate([t.cells for t in tables])).tolist():
        smallest.setdefault(int(classes[cell]), cell)
    cells = np.array(sorted(smallest.values()), dtype=np.int32)
    return cells, [np.searchsorted(cells, [smallest[c] for c in classes[t.cells].tolist()]) for t in tables]


def _merge_curves(parts: list[tuple[np.ndarray, Curves]], cells: np.ndarray, space: Space) -> Curves:
    entries = [entry for _, entry in parts]
    for (first_rows, first), (second_rows, second) in itertools.combinations(parts, 2):
        _refuse_relabelled(first_rows, first, second_rows, second)
    epochs = tuple(sorted({epoch for entry in entries for epoch in entry.epochs}))
    seeds = tuple(sorted({seed for entry in entries for seed in entry.seeds}))
    arrays = {}
    for name in dict.fromkeys(name for entry in entries for name in entry.arrays if name != "trainer"):
        having = [(rows, entry) for rows, entry in parts if name in entry.arrays]
        stand = name not in OF_TRAININGS or all(entry.seeds == seeds for _, entry in having)
        merged = _merge_by_row(having, name, len(cells)) if stand else None
        if merged is None:
            merged = _merge_by_training(having, name, seeds, epochs, cells, space)
        kinds = [entry.arrays[name].dtype for _, entry in having]
        if all(kind.kind in "iu" for kind in kinds) and not np.isnan(merged).any():
            merged = merged.astype(np.result_type(*kinds))
        arrays[name] = merged
    attributes = _merge_attributes([entry.attributes for entry in entries])
    if isinstance(attributes.get("trainer"), list):
        arrays["trainer"] = _merge_trainers(parts, attributes["trainer"], len(cells), seeds)
    return Curves(entries[0].task, epochs, arrays, seeds, attributes)


def _merge_trainers(
    parts: list[tuple[np.ndarray, Curves]], trainers: list[str], count: int, seeds: tuple[int, ...]
) -> np.ndarray:
    """Place in `trainers` [row, seed] of who trained it; nan where nobody did, or its table does not say."""
    target = np.full((count, len(seeds)), np.nan, np.float32)
    for rows, entry in parts:
        own = entry.attributes.get("trainer")
        if own is None:
            continue
        names = own if isinstance(own, list) else [own]
        places = np.array([trainers.index(name) for name in names], np.float32)
        done = entry.valid if "status" not in entry.arrays else ~np.isnan(entry.full("status")[:, :, 0])
        if "trainer" in entry.arrays:
            codes = entry.full("trainer")[:, :, 0]
            done = done & ~np.isnan(codes)
            codes = places[np.where(np.isnan(codes), 0, codes).astype(int)]
        elif len(names) > 1:
            continue
        else:
            codes = places[0]
        where = np.ix_(rows, np.searchsorted(seeds, entry.seeds))
        there = target[where]
        target[where] = np.where(np.isnan(there) & done, codes, there)
    return target if np.isnan(target).any() else target.astype(np.int8)


def _refuse_relabelled(first_rows: np.ndarray, first: Curves, second_rows: np.ndarray, second: Curves) -> None:
    """NasbenchError if a seed of one table looks like another seed of the other: the same trainings, counted twice."""
    _, here, there = np.intersect1d(first_rows, second_rows, return_indices=True)
    shared = [name for name in ("val_acc", "test_acc", "train_loss") if name in first.arrays and name in second.arrays]
    found = [(first.at(n, first.schedule)[here], second.at(n, second.schedule)[there]) for n in shared]
    mine, others = found[0]
    for i, j in itertools.product(range(mine.shape[1]), range(others.shape[1])):
        both = ~(np.isnan(mine[:, i]) | np.isnan(others[:, j]))
        labels = first.seeds[i], second.seeds[j]
        if labels[0] == labels[1] or both.sum() < 3 or not np.ptp(mine[both, i]) > 0:
            continue
        pairs = ((a[both, min(i, a.shape[1] - 1)], b[both, min(j, b.shape[1] - 1)]) for a, b in found)
        if all(np.isclose(a, b, rtol=0, atol=1e-4, equal_nan=True).all() for a, b in pairs):
            raise NasbenchError(
                f"seed {labels[0]} of one table and seed {labels[1]} of another hold the same results of "
                f"{first.task!r}: they are one training under two labels, and would be counted twice."
            )


def _empty(parts: list[tuple[np.ndarray, Curves]], name: str, shape: tuple[int, ...]) -> tuple[np.ndarray, float]:
    """An array of nan wide enough for all parts, and the relative difference up to which their values are
    equal."""
    dtypes = [entry.arrays[name].dtype for _, entry in parts]
    dtype = np.result_type(*dtypes)
    dtype = dtype if dtype.kind == "f" else np.dtype(np.float64)
    return np.full(shape, np.nan, dtype), 1e-6 if np.dtype(np.float32) in dtypes else 0.0


def _merge_by_row(parts: list[tuple[np.ndarray, Curves]], name: str, count: int) -> np.ndarray | None:
    """The union [row] of arrays [row], or None if they have more axes or disagree, and so need an axis of
    seeds."""
    if any(entry.arrays[name].ndim > 1 for _, entry in parts):
        return None
    target, tolerance = _empty(parts, name, (count,))
    for rows, entry in parts:
        values = entry.arrays[name]
        if _conflicts(target[rows], values, tolerance).any():
            return None
        target[rows] = np.where(np.isnan(target[rows]), values, target[rows])
    return target


def _merge_by_training(
    parts: list[tuple[np.ndarray, Curves]],
    name: str,
    seeds: tuple[int, ...],
    epochs: tuple[int, ...],
    cells: np.ndarray,
    space: Space,
) -> np.ndarray:
    """The union [row, seed, epoch], or [row, seed] where no epochs need telling apart; NasbenchError on
    conflicts."""
    curved = any(entry.arrays[name].ndim == 3 for _, entry in parts)
    if name not in OF_THE_SCHEDULE:
        curved = curved or any(entry.epochs != epochs for _, entry in parts)
    target, tolerance = _empty(parts, name, (len(cells), len(seeds), len(epochs) if curved else 1))
    for rows, entry in parts:
        values = expanded(entry, name)
        own_seeds = np.searchsorted(seeds, entry.seeds)
        own_epochs = np.searchsorted(epochs, entry.epochs)
        if not curved:
            values, own_epochs = values[:, :, -1:], np.zeros(1, dtype=np.int64)
        where = np.ix_(rows, own_seeds, own_epochs)
        there = target[where]
        conflicts = _conflicts(there, values, tolerance)
        if conflicts.any() and not name.endswith("seconds"):  # which differ each time that they are measured
            row, seed, epoch = np.argwhere(conflicts)[0].tolist()
            cell = space.to_string(space.cell(int(cells[rows[row]])))
            raise NasbenchError(
                f"the tables disagree on {name} of {entry.task!r} ({entry.schedule} epochs), seed "
                f"{entry.seeds[seed]}, cell {cell}: {there[row, seed, epoch]:g} and "
                f"{values[row, seed, epoch]:g}."
            )
        target[where] = np.where(np.isnan(there), values, there)
    return target if curved else target[:, :, 0]


def _conflicts(there: np.ndarray, values: np.ndarray, tolerance: float) -> np.ndarray:
    """Where both are known and differ by more than `tolerance` of what is there."""
    with np.errstate(invalid="ignore"):
        far = np.abs(there - values) > tolerance * np.abs(there)
    known = ~np.isnan(there) & ~np.isnan(values)
    conflicts: np.ndarray = known & (there != values) & (far | np.isinf(there) | np.isinf(values))
    return conflicts


def _merge_attributes(all_attributes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for name in dict.fromkeys(name for attributes in all_attributes for name in attributes):
        values: list[Any] = []
        for attributes in all_attributes:
            if name in attributes and attributes[name] not in values:
                values.append(attributes[name])
        if len(values) == 1:
            merged[name] = values[0]
        elif name == "protocol":
            raise NasbenchError(
                f"tables of different training protocols cannot be merged: {values[0]!r} and {values[1]!r}."
            )
        else:
            flat = [item for value in values for item in (value if isinstance(value, list | tuple) else [value])]
            distinct = [item for i, item in enumerate(flat) if item not in flat[:i]]
            merged[name] = distinct
            if name == "name":
                merged[name] = " + ".join(dict.fromkeys(part for item in distinct for part in str(item).split(" + ")))
    return merged
