"""The table file, format version 1.

    /                    attributes: format, version, checksum, and `about`: one JSON text with space, kind of rows,
                         provenance, and for every dataset below its SHA-256
    /cells               space index of each row, int32 [row]
    /row_of_cell         row that answers for each cell, int32 [len(space)]; only where rows are classes
    /TASK/SCHEDULE/NAME  one array of `curves.METRICS` with axes [row], [row, seed] or [row, seed, epoch]

The root checksum covers `about`, which covers every dataset, so one flipped byte is noticed either when the file is
opened or when the array it hit is first read.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import NasbenchError
from ..files import write_whole
from ..spaces import SPACES, open_space
from .curves import Curves
from .table import Table

FORMAT, VERSION = "nasbench-table", 1
CHUNK_BYTES = 1 << 20
"""Size of a compressed block; arrays are read whole, and few blocks are read faster than many."""
_log = logging.getLogger(__name__)


def _digest(array: np.ndarray) -> str:
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    head = f"{little.dtype.str}{little.shape}".encode()
    return hashlib.sha256(head + little.tobytes()).hexdigest()


def _datasets(table: Table) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {"cells": table.cells}
    if table.rows == "classes":
        found["row_of_cell"] = table.row_of_cell
    for task in table.tasks:
        for schedule in table.schedules(task):
            arrays = table.curves(task, schedule).arrays
            found |= {f"{task}/{schedule}/{name}": np.asarray(arrays[name]) for name in sorted(arrays)}
    return found


def _about(table: Table, datasets: Mapping[str, np.ndarray]) -> str:
    curves = [table.curves(task, s) for task in table.tasks for s in table.schedules(task)]
    about = {
        "space": table.space.name,
        "rows": table.rows,
        "attributes": table.attributes,
        "curves": [
            {"task": c.task, "epochs": c.epochs, "seeds": c.seeds, "attributes": dict(c.attributes)} for c in curves
        ],
        "sha256": {name: _digest(array) for name, array in datasets.items()},
    }
    try:
        return json.dumps(about, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise NasbenchError(f"the attributes of a table are values of JSON: {error}.") from None


def content_checksum(table: Table) -> str:
    """SHA-256 hex digest over the table's content, whatever it was compressed with."""
    return hashlib.sha256(_about(table, _datasets(table)).encode()).hexdigest()


def write(table: Table, path: Path) -> Path:
    """Write `table` to `path`, whole or not at all. NasbenchError if it cannot be written.

    It is made in memory: of a disk that is full HDF5 says nothing but on the way out, where nobody can be told.
    """
    datasets = _datasets(table)
    about = _about(table, datasets)
    data = io.BytesIO()
    with h5py.File(data, "w", libver=("v110", "v110")) as file:
        file.attrs["format"], file.attrs["version"] = np.bytes_(FORMAT), VERSION
        file.attrs["checksum"] = np.bytes_(hashlib.sha256(about.encode()).hexdigest())
        file["about"] = np.frombuffer(about.encode(), dtype=np.uint8)
        for name, array in datasets.items():
            rows = max(1, CHUNK_BYTES * len(array) // max(1, array.nbytes))
            chunks = (min(rows, max(1, len(array))), *array.shape[1:])
            file.create_dataset(name, data=array, chunks=chunks, compression="gzip", compression_opts=9, shuffle=True)
    write_whole(path, data.getvalue())  # not a view, which an error on the way would keep alive
    return path


class _Arrays(Mapping[str, np.ndarray]):
    """The arrays of one group, each read from the file and verified when it is first asked for."""

    def __init__(self, path: Path, digests: dict[str, str]) -> None:
        self._path, self._digests = path, digests
        self._read: dict[str, np.ndarray] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(key.rpartition("/")[2] for key in self._digests)

    def __len__(self) -> int:
        return len(self._digests)

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._read:
            key = next((k for k in self._digests if k.rpartition("/")[2] == name), None)
            if key is None:
                raise KeyError(name)
            self._read[name] = _read_dataset(self._path, key, self._digests[key])
        return self._read[name]


def _damaged(path: Path, what: str) -> NasbenchError:
    return NasbenchError(
        f"{path} is damaged ({what}); copy or build it again, for a shipped table by reinstalling the package."
    )


def _read_dataset(path: Path, name: str, digest: str) -> np.ndarray:
    try:
        with h5py.File(path, "r") as file:
            array = file[name][()]
    except (OSError, KeyError, RuntimeError, ValueError, TypeError):
        raise _damaged(path, f"{name} cannot be read") from None
    if not isinstance(array, np.ndarray) or _digest(array) != digest:
        raise _damaged(path, f"the checksum of {name} is wrong")
    array.flags.writeable = False
    return array


def read(path: Path) -> Table:
    """Open a table file; reads the attributes only.

    NasbenchError if it is not a table, is of another format version, or fails its checksum.
    """
    try:
        with h5py.File(path, "r") as file:
            kind, version = file.attrs.get("format"), file.attrs.get("version")
            checksum = file.attrs.get("checksum")
            about_bytes = bytes(file["about"][()]) if "about" in file else b""
    except PermissionError:
        raise NasbenchError(f"{path} may not be read by you: check its permissions.") from None
    except (OSError, RuntimeError, KeyError, ValueError, TypeError):
        try:
            signature = path.read_bytes()[:8]
        except OSError as error:
            raise NasbenchError(f"{path} cannot be read: {error.strerror or error}.") from None
        if signature != b"\x89HDF\r\n\x1a\n":
            raise NasbenchError(f"{path} is not an HDF5 file; `nasbench table import` makes tables.") from None
        raise _damaged(path, "it is truncated or altered") from None
    if kind != FORMAT.encode():
        raise NasbenchError(f"{path} is an HDF5 file but not a nasbench table; `nasbench table import` makes tables.")
    if version != VERSION:
        raise NasbenchError(
            f"{path} has table format {version}, and this release reads format {VERSION}: "
            "install the release that wrote it, or export the table again with this one."
        )
    if hashlib.sha256(about_bytes).hexdigest().encode() != checksum:
        raise _damaged(path, "the checksum of its description is wrong")
    about = json.loads(about_bytes)
    if about["space"] not in SPACES:
        raise NasbenchError(f"{path} is over the space {about['space']!r}, which this release does not have.")
    digests: dict[str, str] = about["sha256"]
    curves = []
    for entry in about["curves"]:
        prefix = f"{entry['task']}/{entry['epochs'][-1]}/"
        group = {k: v for k, v in digests.items() if k.startswith(prefix)}
        arrays = _Arrays(path, group)
        curves.append(Curves(entry["task"], entry["epochs"], arrays, entry["seeds"], entry["attributes"]))
    cells = _read_dataset(path, "cells", digests["cells"])
    rows = None
    if "row_of_cell" in digests:
        rows = _read_dataset(path, "row_of_cell", digests["row_of_cell"])
    table = Table(open_space(about["space"]), curves, about["rows"], cells, about["attributes"], path, rows)
    table.__dict__["checksum"] = checksum.decode()
    return table


def verify(path: Path) -> dict[str, Any]:
    """Read every array of the file against its checksum; returns {"datasets": count, "bytes": in memory}.

    NasbenchError naming the first array that fails.
    """
    table = read(path)
    datasets = _datasets(table)
    for task in table.tasks:
        for schedule in table.schedules(task):
            table.curves(task, schedule).check(len(table))
    return {"datasets": len(datasets), "bytes": sum(a.nbytes for a in datasets.values())}
