"""Your own results as a table: one npz of arrays, or one CSV with a line per training or per epoch of it.

npz, TASK being the task's name and EPOCHS the length of the training schedule:

    cells                  [row]    cells in the space's notation, or their indices; left out, row i is cell i
    TASK/EPOCHS/val_acc    [row], [row, seed] or [row, seed, epoch]: percent, nan where nothing was measured
    TASK/EPOCHS/test_acc   likewise, and any other array of `nasbench.tables.METRICS`, in its unit
    TASK/EPOCHS/epochs     [epoch]  the recorded epochs, ascending; left out, consecutive up to EPOCHS
    TASK/EPOCHS/seeds      [seed]   labels of the seeds; left out, 0, 1, 2, ...
    about                  JSON text, see below; may be left out

CSV, whose first line names the columns, in any order:

    cell, task, epochs, val_acc     cell as above; EPOCHS as above; an empty field is not measured
    seed                            label of the training's seed; without the column 0
    epoch                           the epoch that was measured; without the column, or empty, the last
    test_acc, train_seconds, ...    any other of METRICS

A line before it may hold `about` after a `#`: a JSON object with `space` (name of the cell space), `rows`
("cells" or "classes"), `attributes` (provenance), and `curves`, the attributes of each TASK/EPOCHS. Nothing
is unpickled.
"""

from __future__ import annotations

import csv
import io
import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import NasbenchError, unknown
from ...spaces import Space, open_space
from ..curves import METRICS, Curves, refuse_fractions
from ..table import Table

REQUIRED = ("cell", "task", "epochs", "val_acc")
LABELS = ("cell", "task", "epochs", "seed", "epoch")
ACCURACIES = ("val_acc", "test_acc", "train_acc")
OF_THE_CELL = ("latency_seconds", "parameters", "flops")
WHOLE = ("parameters", "flops", "status")
ABOUT = ("space", "rows", "attributes", "curves")


def import_npz(path: str | Path, space: str | None = None, attributes: Mapping[str, Any] | None = None) -> Table:
    """The table in an npz file of the layout above.

    Args:
        space: name of the cell space; may be left out where the file's `about` names it.
        attributes: provenance (source, licence, protocol, ...), taking precedence over what the file says.

    NasbenchError, naming the array, if the file is not of this layout.
    """
    path = Path(path)
    found = load_arrays(path)
    about = _about(str(found.pop("about", "{}")), path)
    where = _space(space, about, path)
    cells = _indices(found.pop("cells"), where, path) if "cells" in found else None
    groups: dict[tuple[str, int], dict[str, np.ndarray]] = {}
    for key, array in found.items():
        task, schedule, name = [*key.rsplit("/", 2), "", ""][:3]
        if not (schedule.isascii() and schedule.isdigit()):
            raise NasbenchError(f"{path} has an array {key!r}; names are cells, about or TASK/EPOCHS/NAME.")
        groups.setdefault((task, int(schedule)), {})[name] = array
    if not groups:
        raise NasbenchError(f"{path} has no array named TASK/EPOCHS/val_acc.")
    curves = [_group(task, schedule, group, about, path) for (task, schedule), group in groups.items()]
    rows = len(np.atleast_1d(curves[0].arrays["val_acc"]))
    if cells is None and rows != len(where):
        raise NasbenchError(
            f"{path} has {rows} rows for the {len(where)} cells of {where.name}; an array `cells` must say which."
        )
    return _table(where, curves, cells, about, attributes, path)


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Every array of an npz file by name; NasbenchError if it cannot be read, or only by unpickling."""
    try:
        with open(path, "rb") as stream:
            file = np.load(stream, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError("it holds one bare array")
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise NasbenchError(f"there is no file {path}.") from None
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise NasbenchError(f"{path} is not a readable npz file of plain arrays ({error}).") from None


def _group(task: str, schedule: int, group: dict[str, np.ndarray], about: dict[str, Any], path: Path) -> Curves:
    """The arrays of one TASK/EPOCHS as curves."""
    labels = {name: group.pop(name) for name in ("epochs", "seeds") if name in group}
    for name, array in labels.items():
        if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
            raise NasbenchError(f"{path}: {task}/{schedule}/{name} must be whole numbers along one axis.")
    width, length = (max((a.shape[axis] for a in group.values() if a.ndim > axis), default=1) for axis in (1, 2))
    epochs = labels["epochs"].tolist() if "epochs" in labels else list(range(schedule - length + 1, schedule + 1))
    seeds = labels["seeds"].tolist() if "seeds" in labels else list(range(width))
    if not epochs or epochs[-1] != schedule:
        raise NasbenchError(f"{path}: {task}/{schedule}/epochs must end at {schedule}, not be {epochs}.")
    return _curves(task, tuple(epochs), group, tuple(seeds), about, path)


class _Line(NamedTuple):
    """One line of a CSV: what was measured after one epoch of one training."""

    number: int
    cell: int
    task: str
    schedule: int
    seed: int
    epoch: int
    values: dict[str, float]


def import_csv(path: str | Path, space: str | None = None, attributes: Mapping[str, Any] | None = None) -> Table:
    """The table in a CSV file of the layout above; arguments as for `import_npz`.

    Latency, parameters, floating-point operations and, where there are no curves, seconds become [row] arrays
    if the lines of each cell agree on them.

    NasbenchError naming the line and column of a bad number, an unknown cell, or a training that stands there
    twice.
    """
    path = Path(path)
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise NasbenchError(f"cannot read {path} as CSV: {getattr(error, 'strerror', None) or error}.") from None
    first, _, rest = text.partition("\n")
    about = _about(first[1:].strip() or "{}", path) if first.startswith("#") else {}
    where = _space(space, about, path)
    lines = _lines(rest if first.startswith("#") else text, 2 if first.startswith("#") else 1, where, path)
    cells = np.array(sorted({line.cell for line in lines}), dtype=np.int32)
    groups: dict[tuple[str, int], list[_Line]] = {}
    for line in lines:
        groups.setdefault((line.task, line.schedule), []).append(line)
    row_of = {cell: row for row, cell in enumerate(cells.tolist())}
    curves = []
    for (task, schedule), group in groups.items():
        epochs = tuple(sorted({line.epoch for line in group} | {schedule}))
        seeds = tuple(sorted({line.seed for line in group}))
        arrays = _fill(group, row_of, seeds, epochs, path)
        curves.append(_curves(task, epochs, arrays, seeds, about, path))
    return _table(where, curves, cells, about, attributes, path)


def _lines(text: str, first: int, space: Space, path: Path) -> list[_Line]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        for name in REQUIRED:
            if name not in header:
                known = ", ".join(header) or "nothing"
                others = [mark for mark in ";\t|" if mark in known] if len(header) == 1 else []
                hint = ", and columns are separated by commas" if others else ""
                raise NasbenchError(f"{path} lacks the column {name!r}; its first line has: {known}{hint}.")
        for name in header:
            if name not in LABELS and name not in METRICS:
                raise unknown("column", name, (*LABELS, *(m for m in METRICS if not m.startswith("proxy_"))))
        if len(set(header)) != len(header):
            raise NasbenchError(f"{path} has two columns of the same name.")
        known_cells: dict[str, int] = {}
        lines = []
        for fields in reader:
            if fields:
                number = first + reader.line_num - 1
                if len(fields) != len(header):
                    raise NasbenchError(f"{path} line {number} has {len(fields)} fields for {len(header)} columns.")
                lines.append(_line(number, dict(zip(header, fields, strict=True)), known_cells, space, path))
    except csv.Error as error:
        raise NasbenchError(f"{path} line {first + reader.line_num - 1} is not CSV: {error}.") from None
    if not lines:
        raise NasbenchError(f"{path} has no lines after the names of its columns.")
    return lines


def _line(number: int, fields: dict[str, str], known: dict[str, int], space: Space, path: Path) -> _Line:
    place = f"{path} line {number}"

    def whole(column: str, default: int | None = None) -> int:
        text = fields.get(column, "").strip()
        if not text and default is not None:
            return default
        try:
            return int(text)
        except ValueError:
            raise NasbenchError(f"{place}, column {column}: {text!r} is not a whole number.") from None

    values = {}
    for column in fields:
        if column in METRICS and (text := fields[column].strip()):
            try:
                values[column] = float(text)
            except ValueError:
                raise NasbenchError(f"{place}, column {column}: {text!r} is not a number.") from None
            if column in ACCURACIES and not (math.isnan(values[column]) or 0 <= values[column] <= 100):
                raise NasbenchError(f"{place}, column {column}: {text} is not a percentage.")
    cell = fields["cell"].strip()
    if cell not in known:
        try:
            known[cell] = int(cell) if cell.isdecimal() else space.index(space.from_string(cell))
            space.cell(known[cell])
        except NasbenchError as error:
            raise NasbenchError(f"{place}, column cell: {error}") from None
    schedule = whole("epochs")
    epoch = whole("epoch", schedule)
    if not 1 <= epoch <= schedule:
        raise NasbenchError(f"{place}, column epoch: epoch {epoch} is not among 1 to {schedule}.")
    return _Line(number, known[cell], fields["task"].strip(), schedule, whole("seed", 0), epoch, values)


def _fill(
    lines: list[_Line], row_of: dict[int, int], seeds: tuple[int, ...], epochs: tuple[int, ...], path: Path
) -> dict[str, np.ndarray]:
    """Arrays [row, seed, epoch] of the lines of one task and schedule, fewer axes where nothing is lost."""
    seed_of, epoch_of = {s: i for i, s in enumerate(seeds)}, {e: i for i, e in enumerate(epochs)}
    present = {name for line in lines for name in line.values} | {"val_acc"}
    arrays = {n: np.full((len(row_of), len(seeds), len(epochs)), np.nan) for n in METRICS if n in present}
    seen: dict[tuple[int, int, int], int] = {}
    for line in lines:
        place = row_of[line.cell], seed_of[line.seed], epoch_of[line.epoch]
        if place in seen:
            raise NasbenchError(f"{path} line {line.number} is for the same training and epoch as line {seen[place]}.")
        seen[place] = line.number
        for name, value in line.values.items():
            arrays[name][place] = value
    for name, array in arrays.items():
        flat = array.reshape(len(array), -1)
        known = ~np.isnan(flat)
        first = flat[np.arange(len(flat)), known.argmax(axis=1)]
        of_the_cell = name in OF_THE_CELL or (name == "train_seconds" and len(epochs) == 1)
        if of_the_cell and known.any(axis=1).all() and (~known | (flat == first[:, None])).all():
            array = first
        elif len(epochs) == 1:
            array = array[:, :, 0]
        if name in WHOLE and np.isfinite(array).all() and (array == np.rint(array)).all():
            array = array.astype(np.int32 if np.abs(array).max() < 2**31 else np.int64)
        arrays[name] = array
    return arrays


def _about(text: str, path: Path) -> dict[str, Any]:
    try:
        about = json.loads(text)
    except json.JSONDecodeError as error:
        raise NasbenchError(f"the description in {path} is not JSON: {error}.") from None
    parts = (about.get(name, {}) for name in ("attributes", "curves")) if isinstance(about, dict) else [None]
    if not all(isinstance(part, dict) for part in parts):
        raise NasbenchError(f"the description in {path} must be a JSON object, as must its attributes and curves.")
    for name in about:
        if name not in ABOUT:
            raise unknown(f"name in the description in {path}", name, ABOUT)
    for group, attributes in about.get("curves", {}).items():
        if not isinstance(attributes, dict):
            raise NasbenchError(f"the description in {path} has attributes of {group} that are no JSON object.")
    return about


def _space(name: str | None, about: dict[str, Any], path: Path) -> Space:
    own = about.get("space")
    if not name and not own:
        hint = "`--space nasbench201`, or space='nasbench201' from Python"
        raise NasbenchError(f"{path} does not name its cell space; give it, as in {hint}.")
    if name and own and name != own:
        raise NasbenchError(f"{path} has cells of {own}, not of {name}.")
    return open_space(str(name or own))


def _indices(cells: np.ndarray, space: Space, path: Path) -> np.ndarray:
    if cells.ndim != 1 or cells.dtype.kind not in "iuUS":
        what = f"a {cells.dtype} array of shape {cells.shape}"
        raise NasbenchError(f"{path}: `cells` must be strings or whole numbers along one axis, not {what}.")
    if cells.dtype.kind in "iu":
        for index in cells[(cells < 0) | (cells >= len(space))][:1].tolist():
            raise NasbenchError(f"{path}: cells of {space.name} are 0 to {len(space) - 1}; {index} is outside.")
        return cells.astype(np.int64)
    texts = cells.astype(str).tolist()
    return np.array([space.index(space.from_string(text)) for text in texts], dtype=np.int64)


def _curves(
    task: str,
    epochs: tuple[int, ...],
    arrays: dict[str, np.ndarray],
    seeds: tuple[int, ...],
    about: dict[str, Any],
    path: Path,
) -> Curves:
    try:
        return Curves(task, epochs, arrays, seeds, about.get("curves", {}).get(f"{task}/{epochs[-1]}", {}))
    except NasbenchError as error:
        raise NasbenchError(f"{path}: {error}") from None


def _accumulates(entry: Curves) -> bool:
    """Whether seconds add up along the epochs: of nine trainings in ten, or by and large, as in curves of two machines.

    Only epochs with an accuracy count, as a training that ended early has its seconds to the end.
    """
    if "train_seconds" not in entry.arrays or entry.full("train_seconds").shape[2] == 1:
        return True
    seconds, accuracy = np.broadcast_arrays(entry.full("train_seconds").astype(np.float64), entry.full("val_acc"))
    seconds = np.where(np.isnan(accuracy), np.nan, seconds).reshape(-1, len(entry.epochs))
    seconds = seconds[(seconds > 0).sum(axis=1) > 1]
    if not len(seconds):
        return True
    known = seconds > 0
    first, last = known.argmax(axis=1), known.shape[1] - 1 - known[:, ::-1].argmax(axis=1)
    rows, epochs = np.arange(len(seconds)), np.array(entry.epochs)
    growth = seconds[rows, last] / seconds[rows, first]
    before = np.fmax.accumulate(seconds, axis=1)
    falls = (seconds < before).any(axis=1)
    return bool((~falls & (growth > 1)).mean() > 0.9 or np.median(growth / np.sqrt(epochs[last] / epochs[first])) >= 1)


def _table(
    space: Space,
    curves: list[Curves],
    cells: np.ndarray | None,
    about: dict[str, Any],
    attributes: Mapping[str, Any] | None,
    path: Path,
) -> Table:
    notes = about.get("attributes", {}) | dict(attributes or {})
    try:
        table = Table.from_arrays(space, curves, about.get("rows", "cells"), cells, notes)
        refuse_fractions(curves, small=True)
    except NasbenchError as error:
        raise NasbenchError(f"{path}: {error}") from None
    for entry in curves:
        if not _accumulates(entry):
            raise NasbenchError(
                f"{path}: train_seconds of {entry.task!r} do not grow from epoch to epoch; they are those of the "
                "training up to and including the epoch, not of the epoch alone."
            )
        for name in ACCURACIES:
            values = entry.arrays.get(name, np.zeros(1))
            outside = (values < 0) | (values > 100)
            if outside.any():
                raise NasbenchError(
                    f"{path}: {name} of {entry.task!r} has {values[outside][0]}, which is no percentage."
                )
    return table
