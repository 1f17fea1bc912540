"""The command line's `table score`: zero-cost proxies of every row of a table, as arrays of the table."""

from __future__ import annotations

import argparse
import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import NasbenchError
from .terminal import Progress, some_names, table_file

if TYPE_CHECKING:
    from .benchmarks import TabularBenchmark
    from .tables import Curves, Table

BLOCK = 64
"""Rows between two looks at the clock of what would be lost if the process were killed."""


def score_parser(commands: Any) -> None:
    """`nasbench table score`."""
    add = commands.add_parser("score", help="add zero-cost proxies' scores, and their seconds, for every row")
    add.add_argument("table", help="a table that `nasbench train` made")
    add.add_argument("out", type=table_file, help="the .h5 file to write; an unfinished one is gone on with")
    add.add_argument("--task", help="which task (default: every one of the table)")
    add.add_argument("--proxies", type=some_names, help="names, separated by commas (default: all that tables hold)")
    add.add_argument("--jobs", type=int, default=-1, help="processes (default: one per core)")
    add.set_defaults(command=_score)


def _score(options: argparse.Namespace) -> None:
    from surrogates.proxies.catalogue import entry_of

    from .benchmarks import TabularBenchmark
    from .commands import processes
    from .tables import PROXIES, Table, open_table

    if not options.out.parent.is_dir():
        raise NasbenchError(f"{options.out} cannot be written: the result is an .h5 file in a folder that is there.")
    table = open_table(options.table)
    wanted = list(PROXIES if options.proxies is None else dict.fromkeys(options.proxies))
    for name in wanted:
        entry_of(name)
        if name not in PROXIES:
            raise NasbenchError(f"tables hold scores of {', '.join(PROXIES)} only, not of {name}.")
    chosen = {task: TabularBenchmark(table, task) for task in ([options.task] if options.task else table.tasks)}
    for task, benchmark in chosen.items():
        if benchmark.images is None:
            raise NasbenchError(
                f"the table {table.name} does not say which images {task!r} has: it was not trained here."
            )
    workers, parts = processes(options), []
    entries = {(t, s): table.curves(t, s) for t in table.tasks for s in table.schedules(t)}
    for task, benchmark in chosen.items():
        parts.append(options.out.with_name(f"{options.out.name}.{task}.part.npz"))
        scored = _score_task(benchmark, wanted, parts[-1], workers)
        entries[task, scored.schedule] = scored
    result = Table.from_arrays(table.space, list(entries.values()), table.rows, table.cells, table.attributes)
    print(f"{result!r} written to {result.save(options.out)}")
    for part in parts:
        part.unlink(missing_ok=True)


def _score_task(benchmark: TabularBenchmark, wanted: list[str], part: Path, workers: int) -> Curves:
    """The task's curves with scores and seconds of every row, and with what the task is like where they lack it."""
    from surrogates.proxies import PROXIES as CATALOGUE
    from surrogates.proxies import score_cells
    from surrogates.proxies.charged import BATCH, BATCHES

    from .files import write_whole
    from .tables import Curves

    table, entry = benchmark.table, benchmark.table.curves(benchmark.task)
    assert benchmark.images is not None  # as the command has seen
    images = benchmark.images()
    rows = np.flatnonzero(entry.valid.any(axis=1))
    scores, done = _resume(part, table, wanted)
    todo = [int(row) for row in rows if not done[row]]
    with Progress(f"{table.name}, {entry.task}", "rows", lines=True) as progress:
        for start in range(0, len(todo), BLOCK):
            block = todo[start : start + BLOCK]
            cells = [table.space.cell(int(table.cells[row])) for row in block]
            found, seconds = score_cells(cells, images.arrays, images.protocol, wanted, 0, BATCH, BATCHES, workers)
            for i, name in enumerate(wanted):
                scores[block, i, 0], scores[block, i, 1] = found[name], seconds[name]
            done[block] = True
            buffer = io.BytesIO()
            np.savez(buffer, scores=scores, done=done, names=np.array(wanted), checksum=table.checksum)
            write_whole(part, buffer.getvalue())
            progress(int(done.sum()), len(rows))
    arrays = dict(entry.arrays)
    for i, name in enumerate(wanted):
        arrays[f"proxy_{name}"] = scores[:, i, 0].astype(np.float32)
        arrays[f"proxy_{name}_seconds"] = scores[:, i, 1].astype(np.float32)
    work = {**entry.attributes.get("proxies", {}), **{name: list(CATALOGUE[name].work(BATCH)) for name in wanted}}
    attributes = {**benchmark.load_task().descriptor(), **entry.attributes, "proxies": work}
    return Curves(entry.task, entry.epochs, arrays, entry.seeds, attributes)


def _resume(part: Path, table: Table, wanted: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Scores and seconds [row, proxy, 2] and which rows [row] are done, from an unfinished file if there is one."""
    scores, done = np.full((len(table), len(wanted), 2), np.nan), np.zeros(len(table), bool)
    try:
        with np.load(part) as file:
            found = {name: file[name] for name in ("scores", "done", "names", "checksum")}
    except FileNotFoundError:
        return scores, done
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        raise NasbenchError(f"{part} is damaged: delete it, and the same command begins anew.") from None
    if found["names"].tolist() != wanted or str(found["checksum"]) != table.checksum:
        raise NasbenchError(f"{part} belongs to another table or other proxies: delete it, or choose another OUT.")
    return found["scores"], found["done"]
