"""The command line's `table score`: zero-cost proxies of every row of a table, as arrays of the table."""

from __future__ import annotations

import argparse
import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import NasbenchError
from .terminal import Progress, names

if TYPE_CHECKING:
    from .tables import Table

BLOCK = 64
"""Rows between two looks at the clock of what would be lost if the process were killed."""


def score_parser(commands: Any) -> None:
    """`nasbench table score`."""
    add = commands.add_parser("score", help="add zero-cost proxies' scores, and their seconds, for every row")
    add.add_argument("table", help="a table that `nasbench train` made")
    add.add_argument("out", type=Path, help="the .h5 file to write; an unfinished one is gone on with")
    add.add_argument("--task", help="which task, where the table has several")
    add.add_argument("--proxies", type=names, help="names, separated by commas (default: all that tables hold)")
    add.add_argument("--jobs", type=int, default=-1, help="processes (default: one per core)")
    add.set_defaults(command=_score)


def _score(options: argparse.Namespace) -> None:
    from surrogates.proxies import PROXIES as CATALOGUE
    from surrogates.proxies import score_cells
    from surrogates.proxies.catalogue import entry_of
    from surrogates.proxies.charged import BATCH, BATCHES

    from .benchmarks import TabularBenchmark
    from .commands import processes
    from .tables import PROXIES, Curves, Table, open_table
    from .training.shards import write_synced

    if options.out.suffix != ".h5" or options.out.is_dir() or not options.out.parent.is_dir():
        raise NasbenchError(f"{options.out} cannot be written: the result is an .h5 file in a folder that is there.")
    table = open_table(options.table)
    if options.task is None and len(table.tasks) > 1:
        raise NasbenchError(f"{table.name} has several tasks: choose one with --task, of {', '.join(table.tasks)}.")
    task = options.task or table.tasks[0]
    wanted = list(PROXIES if options.proxies is None else dict.fromkeys(options.proxies))
    if not wanted:
        raise NasbenchError("no proxy was named: --proxies takes names separated by commas.")
    for name in wanted:
        entry_of(name)
        if name not in PROXIES:
            raise NasbenchError(f"tables hold no scores of {name}: it is a count, or made of the others.")
    benchmark, entry = TabularBenchmark(table, task), table.curves(task)
    if benchmark.images is None:
        raise NasbenchError(f"the table {table.name} does not say which images {task!r} has: it was not trained here.")
    images = benchmark.images()
    rows = np.flatnonzero(entry.valid.any(axis=1))
    part = options.out.with_name(options.out.name + ".part.npz")
    scores, done = _resume(part, table, wanted)
    todo = [int(row) for row in rows if not done[row]]
    with Progress(f"{table.name}, {task}", "rows", lines=True) as progress:
        for start in range(0, len(todo), BLOCK):
            block = todo[start : start + BLOCK]
            cells = [table.space.cell(int(table.cells[row])) for row in block]
            found, seconds = score_cells(
                cells, images.arrays, images.protocol, wanted, 0, BATCH, BATCHES, processes(options)
            )
            for i, name in enumerate(wanted):
                scores[block, i, 0], scores[block, i, 1] = found[name], seconds[name]
            done[block] = True
            buffer = io.BytesIO()
            np.savez(buffer, scores=scores, done=done, names=np.array(wanted), checksum=table.checksum)
            write_synced(part, buffer.getvalue())
            progress(int(done.sum()), len(rows))
    arrays = {name: entry.arrays[name] for name in entry.arrays}
    for i, name in enumerate(wanted):
        arrays[f"proxy_{name}"] = scores[:, i, 0].astype(np.float32)
        arrays[f"proxy_{name}_seconds"] = scores[:, i, 1].astype(np.float32)
    work = {**entry.attributes.get("proxies", {}), **{name: list(CATALOGUE[name].work(BATCH)) for name in wanted}}
    scored = Curves(task, entry.epochs, arrays, entry.seeds, {**entry.attributes, "proxies": work})
    others = [table.curves(t, s) for t in table.tasks for s in table.schedules(t) if (t, s) != (task, entry.schedule)]
    result = Table.from_arrays(table.space, [scored, *others], table.rows, table.cells, table.attributes)
    print(f"{result!r} written to {result.save(options.out)}")
    part.unlink(missing_ok=True)


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
