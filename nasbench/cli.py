"""The command line. Every error of use is one sentence and exit code 2; Ctrl-C is 130, SIGTERM 143; what is on disk
stays.
"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import __version__
from . import commands as training
from .compare_command import compare_parser
from .errors import NasbenchError, unknown
from .fit_command import fit_parser
from .processes import Terminated, ending_cleanly
from .score_command import score_parser
from .terminal import Parser, names, show, table_file

if TYPE_CHECKING:
    from .tables import Table

DESCRIPTION = """Compare architecture search strategies on real training results under one budget.

`nasbench compare` runs the suite `quick` on the shipped NAS-Bench-201 table and writes a report."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    try:
        with ending_cleanly():
            options = _parser().parse_args(_join_negative(sys.argv[1:] if arguments is None else arguments))
            options.command(options)
            sys.stdout.flush()
    except NasbenchError as error:
        return _complain(str(error), 2)
    except KeyboardInterrupt as stop:
        sentence = "interrupted; what was finished is kept, and the same command goes on from there."
        return _complain(sentence, 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("nasbench", "strategies", "reports", "surrogates"):
            raise
        return _complain(f"this needs the package {error.name!r}, which is not installed.", 2)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EPERM):
            raise
        return _complain(f"cannot write {error.filename or 'a file'}: {error.strerror}.", 2)
    return 0


def _join_negative(arguments: Sequence[str]) -> list[str]:
    """Writes `--budget -5evals` as `--budget=-5evals`, which argparse would take for an option of its own."""
    joined: list[str] = []
    for argument in arguments:
        negative = argument[:1] == "-" and argument[1:2].isdigit()
        if negative and joined and joined[-1].startswith("--") and joined[-1] != "--":
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _complain(sentence: str, code: int) -> int:
    print(f"nasbench: {sentence}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = Parser("nasbench", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"nasbench {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    compare_parser(commands.add_parser("compare", help="run a suite of strategies and write a report"))

    add = commands.add_parser("report", help="write the report of a results folder")
    add.add_argument("folder", type=Path)
    add.add_argument("--out", type=Path, help="folder of the report (default: FOLDER/report)")
    add.add_argument("--judge", metavar="TABLE", help="also look the cells that were found up in this table")
    add.set_defaults(command=_report)

    add = commands.add_parser("list", help="list suites, strategies, predictors, tables or spaces")
    add.add_argument("what", choices=["suites", "strategies", "predictors", "tables", "spaces"])
    add.set_defaults(command=_list)

    add = commands.add_parser("query", help="look one cell up in a table")
    add.add_argument("table", help="a shipped table's name or a .h5 file")
    add.add_argument("cell", help="the published string, or the index in the space")
    add.add_argument("--task", help="one task only")
    add.add_argument("--epochs", type=int, help="after how many epochs (default: the whole schedule)")
    add.add_argument("--schedule", type=int, help="length of the training schedule (default: the longest)")
    add.add_argument("--seed", type=int, help="one training seed (default: mean over those that exist)")
    add.set_defaults(command=_query)

    _table_parser(commands.add_parser("table", help="list, inspect, verify, import, merge, export or replay tables"))
    training.train_parser(commands.add_parser("train", help="train one cell, or many classes of cells into shards"))
    fit_parser(commands.add_parser("fit", help="fit predictors to a table and score them on the cells left out"))
    training.task_parser(commands.add_parser("task", help="list or inspect the tasks that can be trained"))
    return parser


def _table_parser(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("list", help="the shipped tables").set_defaults(command=_list, what="tables")

    for name, action, text in (
        ("info", _table_info, "what a table holds, and how noisy it is"),
        ("verify", _table_verify, "read everything against the checksums"),
    ):
        add = commands.add_parser(name, help=text)
        add.add_argument("table", help="a shipped table's name or a .h5 file")
        add.set_defaults(command=action)
        if name == "info":
            add.add_argument("--proxies", action="store_true", help="also how well zero-cost proxies order each task")

    add = commands.add_parser("import", help="make a table from published files or from your own results")
    add.add_argument("source", help="file or folder; '-' lets importers of wheels fetch their own")
    add.add_argument("out", type=table_file, help="the .h5 file to write")
    add.add_argument("--kind", help="what the source is; guessed if not given")
    add.add_argument("--epochs", help="epochs to keep of full curves: all, final, or numbers separated by commas")
    add.add_argument("--space", help="cell space of a .csv or .npz that does not name it")
    add.set_defaults(command=_table_import)

    add = commands.add_parser("export", help="write a table as .csv or .npz")
    add.add_argument("table")
    add.add_argument("out", type=Path)
    add.add_argument("--task", help="one task only")
    add.set_defaults(command=_table_export)

    add = commands.add_parser("draw", help="draw one task: accuracies, curves, seed noise, best cells")
    add.add_argument("table")
    add.add_argument("out", type=Path, help="a .png or .svg file")
    add.add_argument("--task", help="default: the table's first")
    add.add_argument("--schedule", type=int, help="length of the training schedule (default: the longest)")
    add.add_argument("--between-tasks", action="store_true", help="draw how alike its tasks order the rows instead")
    add.set_defaults(command=_table_draw)
    training.table_parsers(commands)
    score_parser(commands)


def _report(options: argparse.Namespace) -> None:
    import reports

    print(f"report: {reports.write(options.folder, options.out, options.judge)}")


def _list(options: argparse.Namespace) -> None:
    from .runs import Suite, suites
    from .spaces import SPACES, open_space
    from .tables import open_table, shipped_tables

    if options.what == "suites":
        found = [Suite.load(name) for name in suites()]
        lines = [[s.name, s.title, s.table, s.budget, s.seeds, len(s.strategies), ", ".join(s.tasks)] for s in found]
        show("Suites", ["suite", "", "table", "budget", "seeds", "strategies", "tasks"], lines)
    elif options.what == "strategies":
        import strategies

        entries = strategies.CATALOGUE.items()
        show(
            "Strategies",
            ["strategy", "family", "settings", "source"],
            [[n, e.family, ", ".join(f"{k}={v}" for k, v in e.settings.items()), e.paper] for n, e in entries],
        )
    elif options.what == "predictors":
        import surrogates

        known = surrogates.CATALOGUE.items()
        show(
            "Predictors", ["predictor", "family", "sees", "source"], [[n, e.family, e.sees, e.paper] for n, e in known]
        )
    elif options.what == "spaces":
        spaces = [open_space(name) for name in SPACES]
        show("Spaces", ["space", "cells", "operations"], [[s.name, len(s), ", ".join(s.operations)] for s in spaces])
    else:
        lines = []
        for name, path in shipped_tables().items():
            table = open_table(path)
            size = f"{path.stat().st_size / 1e6:.1f} MB"
            lines.append([name, table.space.name, f"{len(table)} {table.rows}", size, ", ".join(table.tasks)])
        show("Shipped tables", ["table", "space", "rows", "size", "tasks"], lines)


def _query(options: argparse.Namespace) -> None:
    import dataclasses

    from .tables import open_table

    table = open_table(options.table)
    cell = table.space.cell(int(options.cell)) if options.cell.isdecimal() else table.space.from_string(options.cell)
    tasks = [options.task] if options.task else table.tasks
    found = [
        dataclasses.asdict(table.query(cell, task, options.epochs, options.schedule, options.seed)) for task in tasks
    ]
    columns = [
        name for name in found[0] if name != "cell" and any(line[name] == line[name] != () for line in found)
    ]  # fmt: skip
    lines = [[_text(line[name]) for name in columns] for line in found]
    show(f"cell {table.space.index(cell)}: {found[0]['cell']}", columns, lines)


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    if value != value:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _table_info(options: argparse.Namespace) -> None:
    import numpy as np

    from .tables import open_table
    from .tables.noise import noise

    table = open_table(options.table)
    answered = f"{(table.row_of_cell >= 0).sum():,} of the {len(table.space):,} cells of the space {table.space.name}"
    rows = f"{len(table):,} classes of equal cells, which answer for " if table.rows == "classes" else ""
    print(f"{table.name}: {rows}{answered}; checksum {table.checksum}")
    lines, arrays, failures = [], dict[str, None](), []
    for task in table.tasks:
        for schedule in table.schedules(task):
            curves = table.curves(task, schedule)
            found = noise(curves)
            share = f"{np.append(curves.valid.any(axis=1), False)[table.row_of_cell].mean():.1%}"  # row -1 is the False
            tau = "-"
            if found is not None:
                top = "-" if found.kendall_top is None else f"{found.kendall_top:.3f}"
                tau = f"{found.kendall:.3f} / {top} ({found.rows:,} rows)"
            resolution = "-" if found is None else f"{found.resolution:.2f}"
            epochs = f"{len(curves.epochs)} of {schedule}" if len(curves.epochs) > 1 else str(schedule)
            mean = curves.mean("val_acc")
            known = mean[~np.isnan(mean)]
            levels = (
                " / ".join(f"{v:.2f}" for v in np.percentile(known, [0, 10, 50, 90, 99, 100])) if len(known) else "-"
            )
            best = int(table.cells[np.nanargmax(mean)]) if len(known) else "-"
            lines.append([task, epochs, len(curves.seeds), share, levels, best, tau, resolution])
            arrays[", ".join(curves.arrays)] = None
            failed = int((curves.valid & np.isnan(curves.at("val_acc", schedule))).sum())
            if failed:
                failures.append(f"{failed:,} of {curves.valid.sum():,} on {task} after {schedule} epochs")
    columns = ["task", "epochs", "seeds", "cells with results", "val_acc: min / 10 % / 50 % / 90 % / 99 % / max"]
    columns += ["best cell", "tau of seeds: all / best 10 %", "resolution (%)"]
    show("", columns, lines)
    print(f"arrays: {'; '.join(arrays)}")
    if failures:
        print(f"trainings that failed: {'; '.join(failures)}")
    if options.proxies:
        _show_proxies(table)
    for name, value in table.attributes.items():
        print(f"{name}:" + "".join(f"\n  {one}" for one in value) if isinstance(value, list) else f"{name}: {value}")


def _show_proxies(table: Table) -> None:
    import math

    from .tables.agreement import proxy_correlations

    found = {task: proxy_correlations(table.curves(task)) for task in table.tasks}
    columns = list(dict.fromkeys(name for one in found.values() for name in one))
    if not columns:
        raise NasbenchError(f"{table.name} has no proxies' scores; `nasbench table score` adds them to its own tables.")
    lines = []
    for task, one in found.items():
        values = [one.get(name, math.nan) for name in columns]
        lines.append([task, *("-" if math.isnan(value) else f"{value:.2f}" for value in values)])
    show("Spearman with the mean validation accuracy, over the rows that have both", ["task", *columns], lines)


def _table_verify(options: argparse.Namespace) -> None:
    from .tables.hdf5 import verify
    from .tables.table import find_table

    path = find_table(options.table)
    found = verify(path)
    print(f"{path}: {found['datasets']} arrays, {found['bytes'] / 1e6:.1f} MB in memory, all checksums right")


def _table_import(options: argparse.Namespace) -> None:
    from .tables.importers import import_table

    extra = {} if options.epochs is None else {"epochs": _epochs(options.epochs)}
    if options.space is not None:
        extra["space"] = options.space
    if options.out.exists() and Path(options.source).exists() and options.out.samefile(options.source):
        raise NasbenchError(f"{options.out} is what is imported; write the table to another file.")
    table = import_table(options.kind, None if options.source == "-" else options.source, **extra)
    print(f"{table!r} written to {table.save(options.out)}")


def _epochs(text: str) -> str | list[int]:
    if text in ("all", "final"):
        return text
    if not names(text) or not all(part.isdecimal() for part in names(text)):
        raise NasbenchError(f"epochs to keep are all, final or numbers separated by commas, not {text!r}.")
    return [int(part) for part in names(text)]


def _table_draw(options: argparse.Namespace) -> None:
    from reports.portrait import draw_table
    from reports.task_map import draw_agreement

    from .tables import open_table

    table = open_table(options.table)
    if options.between_tasks and (options.task or options.schedule):
        raise NasbenchError(
            "--between-tasks draws all tasks at the end of their longest schedule; leave --task and --schedule out."
        )
    if options.between_tasks:
        print(f"drawn to {draw_agreement(table, options.out)}")
        return
    print(f"drawn to {draw_table(table, options.task or table.tasks[0], options.out, options.schedule)}")


def _table_export(options: argparse.Namespace) -> None:
    from .tables import open_table
    from .tables.export import export

    if options.out.suffix not in (".csv", ".npz"):
        raise unknown("kind of export", options.out.suffix, [".csv", ".npz"])
    print(f"written to {export(open_table(options.table), options.out, options.task)}")


if __name__ == "__main__":
    sys.exit(main())
