"""A table of training results over a cell space: made from arrays, or opened from its HDF5 file.

    table = open_table("nasbench201")
    table.query(cell, "cifar10").val_acc

Opening reads the attributes only; each array is read, and its checksum verified, when it is first asked for.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import NasbenchError, unknown
from ..spaces import Space, open_space
from .curves import Curves, refuse_fractions

if TYPE_CHECKING:
    import pandas as pd

ROWS = ("cells", "classes")


@dataclasses.dataclass(frozen=True)
class Result:
    """What the table holds for one cell: means over the seeds that exist, or one seed; nan where nothing is known.

    `failed` are those of the `seeds` whose training broke off, by its end at the latest: they have no part in means.
    """

    cell: str
    task: str
    epochs: int
    seeds: tuple[int, ...]
    failed: tuple[int, ...]
    val_acc: float
    test_acc: float
    train_seconds: float
    latency_seconds: float
    parameters: float


class Table:
    """Results of the rows of a space on one or more tasks.

    Args:
        space: the space or its name.
        curves: the results; every array has the same number of rows.
        rows: "cells" if each cell was trained separately, "classes" if one training answers for all cells of an
            exact-equality class (charging rule 4).
        cells: index [row] of each row's cell in the space; None if row i is cell i.
        attributes: provenance as JSON values: source, licence, citation, protocol, device, ...
    """

    def __init__(
        self,
        space: Space | str,
        curves: Iterable[Curves],
        rows: str = "cells",
        cells: np.ndarray | None = None,
        attributes: Mapping[str, Any] | None = None,
        path: Path | None = None,
        row_of_cell: np.ndarray | None = None,
    ) -> None:
        self.space = open_space(space) if isinstance(space, str) else space
        self.rows = rows
        if rows not in ROWS:
            raise unknown("kind of rows", rows, ROWS)
        self.cells = np.arange(len(self.space), dtype=np.int32) if cells is None else np.asarray(cells, np.int32)
        self.attributes = dict(attributes or {})
        self.path = path
        self._row_of_cell = row_of_cell
        self._curves: dict[str, dict[int, Curves]] = {}
        for entry in curves:
            schedules = self._curves.setdefault(entry.task, {})
            if entry.schedule in schedules:
                raise NasbenchError(f"{entry.task!r} has two sets of results for {entry.schedule} epochs.")
            schedules[entry.schedule] = entry
        if not self._curves:
            raise NasbenchError("a table needs the results of at least one task.")

    @classmethod
    def from_arrays(
        cls,
        space: Space | str,
        curves: Iterable[Curves],
        rows: str = "cells",
        cells: np.ndarray | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Table:
        """A table from anybody's own results, checked; arguments as for the class.

        NasbenchError on wrong shapes and impossible values, among them accuracies that look like fractions.
        """
        if isinstance(curves, Curves):
            raise NasbenchError("a table takes a list of curves, one of each task and schedule, not one by itself.")
        curves = list(curves)
        space = open_space(space) if isinstance(space, str) else space
        if cells is not None:
            cells = np.asarray(cells)
            if cells.ndim != 1 or not (np.issubdtype(cells.dtype, np.number)) or np.iscomplexobj(cells):
                raise NasbenchError(
                    f"cells are a list of indices in {space.name}, not an array {cells.dtype}{cells.shape}."
                )
            outside = ~((cells >= 0) & (cells < len(space)) & (cells == np.floor(cells)))
            if outside.any():
                raise NasbenchError(
                    f"cells of {space.name} are given by whole numbers from 0 to {len(space) - 1}, "
                    f"not {cells[outside][0]}."
                )
            if len(np.unique(cells)) != len(cells):
                raise NasbenchError("two rows of the table belong to the same cell.")
        table = cls(space, curves, rows, cells, attributes)
        if rows == "classes" and len(np.unique(table.space.classes("exact")[table.cells])) != len(table):
            raise NasbenchError("two rows of the table belong to the same equivalence class.")
        for schedules in table._curves.values():
            for entry in schedules.values():
                entry.check(len(table))
        refuse_fractions(curves)
        return table

    def __len__(self) -> int:
        return len(self.cells)

    def __repr__(self) -> str:
        return f"Table({self.space.name!r}, {len(self)} {self.rows}, tasks {', '.join(self.tasks)})"

    def __reduce__(self) -> tuple:
        if self.path is not None:
            return open_table, (str(self.path),)
        curves = [entry for schedules in self._curves.values() for entry in schedules.values()]
        return Table, (self.space, curves, self.rows, self.cells, self.attributes, None, self._row_of_cell)

    @property
    def name(self) -> str:
        """The file's stem, or the space's name for a table that was never saved."""
        return self.path.stem if self.path else str(self.attributes.get("name", self.space.name))

    @property
    def address(self) -> str:
        """What opens the table again: the name of a shipped one, the path of another; its name if never saved."""
        shipped = self.path is None or shipped_tables().get(self.name) == self.path
        return self.name if shipped else str(self.path)

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(self._curves)

    def schedules(self, task: str) -> tuple[int, ...]:
        """Lengths in epochs of the training schedules that the table holds for `task`, ascending."""
        return tuple(sorted(self._of(task)))

    def curves(self, task: str, schedule: int | None = None) -> Curves:
        """The results of `task` under one schedule, by default the longest."""
        schedules = self._of(task)
        if schedule is None:
            schedule = max(schedules)
        if schedule not in schedules:
            known = ", ".join(map(str, sorted(schedules)))
            raise NasbenchError(f"{task!r} was not trained for {schedule} epochs in {self.name}; schedules: {known}.")
        return schedules[schedule]

    def _of(self, task: str) -> dict[int, Curves]:
        if task not in self._curves:
            raise unknown(f"task in table {self.name}", task, self._curves)
        return self._curves[task]

    @functools.cached_property
    def row_of_cell(self) -> np.ndarray:
        """Row [len(space)] that answers for each cell, -1 where none does."""
        if self._row_of_cell is not None:
            return self._row_of_cell
        rows = np.full(len(self.space), -1, dtype=np.int32)
        rows[self.cells] = np.arange(len(self), dtype=np.int32)
        if self.rows == "classes":
            classes = self.space.classes("exact")
            of_class = np.full(classes.max() + 1, -1, dtype=np.int32)
            of_class[classes[self.cells]] = np.arange(len(self), dtype=np.int32)
            rows = of_class[classes]
        return rows

    def row(self, cell: Any) -> int:
        """The row that answers for `cell`, -1 if none does; NasbenchError if it is not a cell of the space."""
        return int(self.row_of_cell[self.space.index(cell)])

    def query(
        self,
        cell: Any,
        task: str,
        epochs: int | None = None,
        schedule: int | None = None,
        seed: int | None = None,
    ) -> Result:
        """Look one cell up, for analysis: no budget is charged.

        Args:
            cell: a cell, or its published string.
            epochs: after how many epochs of the schedule; by default all of them.
            seed: label of one training seed; None averages those that exist. A cell that was not trained with it
                has no accuracy and no `seeds`.
        """
        if isinstance(cell, str):
            cell = self.space.from_string(cell)
        entry = self.curves(task, schedule)
        epochs = entry.schedule if epochs is None else epochs
        row = self.row(cell)
        if row < 0:
            raise NasbenchError(f"{self.name} has no results for the cell {self.space.to_string(cell)}.")
        if seed is not None and seed not in entry.seeds:
            known = ", ".join(map(str, entry.seeds))
            raise NasbenchError(f"{task!r} has no training seed {seed}; seeds: {known}.")
        entry.at("val_acc", epochs)
        exist = entry.valid[row]
        last = np.broadcast_to(entry.at("val_acc", entry.schedule)[row], len(entry.seeds))
        trained = seed is None or bool(exist[entry.seeds.index(seed)])

        def value(name: str) -> float:
            if name not in entry.arrays or (name == "train_seconds" and not trained):
                return math.nan
            if seed is None:
                return float(entry.mean(name, epochs)[row])
            plane = entry.at(name, epochs)[row]
            return float(plane[min(entry.seeds.index(seed), len(plane) - 1)])

        used = [label for label, there in zip(entry.seeds, exist, strict=True) if there and seed in (None, label)]
        return Result(
            cell=self.space.to_string(cell),
            task=task,
            epochs=epochs,
            seeds=tuple(used),
            failed=tuple(label for label in used if np.isnan(last[entry.seeds.index(label)])),
            val_acc=value("val_acc"),
            test_acc=value("test_acc"),
            train_seconds=value("train_seconds"),
            latency_seconds=value("latency_seconds"),
            parameters=value("parameters"),
        )

    def to_frame(self, task: str, schedule: int | None = None) -> pd.DataFrame:
        """One line per row at the end of the schedule: cell, each metric's mean over seeds, number of seeds."""
        import pandas as pd

        entry = self.curves(task, schedule)
        strings = [self.space.to_string(self.space.cell(int(i))) for i in self.cells]
        columns: dict[str, Any] = {"index": self.cells, "cell": strings, "seeds": entry.valid.sum(axis=1)}
        columns |= {name: entry.mean(name) for name in entry.arrays}
        return pd.DataFrame(columns)

    @functools.cached_property
    def checksum(self) -> str:
        """SHA-256 over everything the table says, the same for a table in memory and for its file."""
        from .hdf5 import content_checksum

        return content_checksum(self)

    def save(self, path: str | Path) -> Path:
        """Write the HDF5 file through a temporary name; an existing file stays whole until the new one is."""
        from .hdf5 import write

        return write(self, Path(path))


def open_table(name_or_path: str | Path) -> Table:
    """A shipped table by name, or any table by the path of its file.

    NasbenchError for an unknown name, a file that is not a table, another format version, or wrong checksums.
    """
    from .hdf5 import read

    return read(find_table(name_or_path))


def shipped_tables() -> dict[str, Path]:
    """Name -> file of every table that comes with the package."""
    import importlib.resources

    try:
        folder = Path(str(importlib.resources.files("tabular_data")))
    except ModuleNotFoundError:
        return {}
    return {path.stem: path for path in sorted(folder.glob("*.h5"))}


def find_table(name_or_path: str | Path) -> Path:
    """The file of a shipped table's name or of a path; NasbenchError if there is none."""
    path = Path(name_or_path)
    if path.is_dir():
        raise NasbenchError(f"{path} is a folder, not a table's .h5 file.")
    if path.exists():
        return path
    shipped = shipped_tables()
    if str(name_or_path) in shipped:
        return shipped[str(name_or_path)]
    if path.suffix or len(path.parts) > 1:
        raise NasbenchError(f"there is no table file {path}.")
    raise unknown("table", str(name_or_path), shipped)
