"""A table as npz or CSV for other programs, in the layout that `importers.arrays` describes and reads
back."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import NasbenchError, unknown
from ..files import replacing
from .curves import METRICS, Curves
from .merge import expanded
from .table import Table


def export(table: Table, path: str | Path, task: str | None = None) -> Path:
    """Write `table`, or one task of it, to `path`; the suffix, .npz or .csv, says which format.

    npz keeps every array as it is. CSV has a line for every training (every recorded epoch of it, where there
    are several) of which anything was measured, and one for a row of which nothing was; numbers are written
    in full, so that both read back as the same content. An existing file stays whole until the new one is.

    NasbenchError for another suffix, an unknown task, or a path that cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in (".npz", ".csv"):
        raise NasbenchError(f"tables are exported as .npz or .csv, and {path.name!r} is neither.")
    if task is not None and task not in table.tasks:
        raise unknown(f"task in table {table.name}", task, table.tasks)
    curves = [table.curves(t, s) for t in ([task] if task else table.tasks) for s in table.schedules(t)]
    about: dict[str, Any] = {"space": table.space.name, "rows": table.rows, "attributes": table.attributes}
    about["curves"] = {f"{c.task}/{c.schedule}": dict(c.attributes) for c in curves if c.attributes}
    text = json.dumps(about, sort_keys=True)
    write = _write_npz if path.suffix.lower() == ".npz" else _write_csv
    with replacing(path) as temporary, temporary.open("wb") as file:
        write(table, curves, text, file)
    return path


def _write_npz(table: Table, curves: list[Curves], about: str, file: IO[bytes]) -> None:
    arrays: dict[str, Any] = {"about": np.array(about), "cells": table.cells}
    for entry in curves:
        prefix = f"{entry.task}/{entry.schedule}"
        arrays[f"{prefix}/epochs"] = np.array(entry.epochs)
        arrays[f"{prefix}/seeds"] = np.array(entry.seeds)
        arrays |= {f"{prefix}/{name}": array for name, array in entry.arrays.items()}
    np.savez_compressed(file, **arrays)


def _write_csv(table: Table, curves: list[Curves], about: str, file: IO[bytes]) -> None:
    stream = io.TextIOWrapper(file, encoding="utf-8", newline="")
    stream.write(f"# {about}\n")
    writer = csv.writer(stream, lineterminator="\n")
    names = [name for name in METRICS if any(name in entry.arrays for entry in curves)]
    curved = any(len(entry.epochs) > 1 for entry in curves)
    writer.writerow(["cell", "task", "epochs", "seed", *(["epoch"] if curved else []), *names])
    strings = [table.space.to_string(table.space.cell(cell)) for cell in table.cells.tolist()]
    for entry in curves:
        for row, seed, epoch, values in _lines(entry, names):
            label = [strings[row], entry.task, entry.schedule, entry.seeds[seed]]
            writer.writerow([*label, *([entry.epochs[epoch]] if curved else []), *values])
    stream.flush()
    stream.detach()


def _lines(entry: Curves, names: list[str]) -> Iterator[tuple[int, int, int, list[str]]]:
    """Row, position of seed and epoch, and the fields of `names`, for every line that `entry` needs."""
    full = {name: expanded(entry, name) for name in names if name in entry.arrays}
    measured = np.zeros((len(full["val_acc"]), len(entry.seeds), len(entry.epochs)), dtype=bool)
    for name, array in full.items():
        if entry.arrays[name].ndim > 1:
            measured |= ~np.isnan(array)
    measured[~measured.any(axis=(1, 2)), 0, -1] = True
    for row, seed, epoch in np.argwhere(measured).tolist():
        yield (
            row,
            seed,
            epoch,
            [_text(full[name][row, seed, epoch]) if name in full else "" for name in names],
        )


def _text(value: np.generic) -> str:
    number = value.item()
    return "" if number != number else repr(number)
