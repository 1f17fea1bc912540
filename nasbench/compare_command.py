"""`nasbench compare`: run a suite of strategies, show the mean regrets and write the report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from . import commands as training
from .errors import NasbenchError
from .terminal import Progress, show, some_names

if TYPE_CHECKING:
    from .runs import Results, Suite


def compare_parser(parser: argparse.ArgumentParser) -> None:
    """Options of `nasbench compare`."""
    add = parser.add_argument
    add("suite", nargs="?", default="quick", help="built-in suite or a .toml file (default: quick)")
    add("--out", type=Path, help="results folder (default: results/SUITE); an unfinished one is resumed")
    add("--table", help="table to use instead of the suite's: a shipped name or a .h5 file")
    add("--mode", help="table (look results up), surrogate (look predictions up) or train (train afresh)")
    add(
        "--tasks", "--task", type=some_names,
        help="tasks instead of the suite's, separated by commas (default for a table that lacks one: all that it has)",
    )  # fmt: skip
    add("--strategies", type=some_names, help="strategies instead of the suite's, own ones as file.py:Class; or all")
    add("--seeds", type=int, help="runs per strategy and task")
    add("--budget", help="e.g. 100evals, 12000s, 1200epochs, 3e18flops")
    add("--observe", help="what a trial shows: the mean over training seeds, or one seed")
    add("--workers", type=int, help="simulated workers with a common purse")
    add("--sources", type=some_names, help="tasks that meta-learned strategies learn on first (default: all others)")
    add("--source-tables", type=some_names, help="further tables that have source tasks")
    add("--leave-out", help="keep from the sources: the target task, or all tasks of its data_set")
    add("--target-among-sources", action="store_true", default=None, help="allow the target as a source, which leaks")
    add("--charge-overhead", action="store_true", default=None, help="charge measured time in strategies")
    add("--jobs", type=int, default=-1, help="processes (default: one per core); results are the same for any")
    add("--no-report", action="store_true", help="write the runs only")
    training.compare_options(parser)
    parser.set_defaults(command=_compare)


def _compare(options: argparse.Namespace) -> None:
    import reports
    import strategies

    from .runs import Suite, compare
    from .runs.compare import suitable
    from .runs.sources import TableSource
    from .tables import open_table

    suite = Suite.load(options.suite)
    if options.strategies and "all" in options.strategies and len(options.strategies) > 1:
        raise NasbenchError("--strategies all stands alone: it takes every strategy that can search the tasks.")
    names = list(strategies.CATALOGUE) if options.strategies == ["all"] else options.strategies
    chosen = strategies.select(names or suite.strategies)
    own = (options.tasks, options.strategies, options.budget, options.table, options.mode)
    differs = (options.table, options.mode, options.observe)
    suite = suite.replace(
        notes=() if any(option is not None for option in differs) else None,
        title="" if any(option is not None for option in own) else None,
        tasks=options.tasks or _tasks_elsewhere(suite, options),
        strategies=list(chosen),
        seeds=options.seeds,
        budget=options.budget,
        observe=options.observe,
        workers=options.workers,
        charge_overhead=options.charge_overhead,
        table=options.table,
        mode=options.mode,
        sources=options.sources,
        source_tables=options.source_tables,
        leave_out=options.leave_out,
        target_among_sources=options.target_among_sources,
        **training.suite_changes(options),
    )
    if suite.mode != "train" and not suite.table:
        raise NasbenchError(
            f"the suite {suite.name!r} needs a table that is not shipped; give it with --table, made by "
            "`nasbench table import` from the official release."
        )
    table = open_table(suite.table) if suite.mode != "train" else None
    if table is None and options.table is not None:
        raise NasbenchError("--table names results to look up, and mode 'train' trains afresh; leave one of them out.")
    if table is not None:
        training.check_unused(options, suite.mode)
    trained = None if table is not None else training.training_source(options)
    if options.strategies == ["all"]:
        reasons = suitable(suite, chosen, trained or TableSource(open_table(suite.table)))
        suite = suite.replace(strategies=[name for name in chosen if not reasons[name]])
        for name in filter(reasons.get, chosen):
            print(f"nasbench: without {name}: {reasons[name]}", file=sys.stderr)
    folder = options.out or Path("results") / suite.name
    with Progress(suite.name, lines=True) as progress:
        catalogue = {**strategies.CATALOGUE, **chosen}
        results = compare(suite, catalogue, folder, table, options.jobs, progress, trained)
    _summarise(results)
    if results.leaks:
        print("These results leak: what was found was learned from the same images, and says nothing about new tasks.")
    shares = {task: f"{share:.1%}" for task, share in results.shares.items() if share < 1}
    for share in dict.fromkeys(shares.values()):
        tasks = [task for task in shares if shares[task] == share]
        which = "all tasks" if len(tasks) == len(suite.tasks) > 1 else ", ".join(tasks)
        print(f"{which}: {share} of the space has results, and strategies draw from these only.")
    print(f"runs: {folder / 'runs.csv'}")
    if results.runs["best_val"].isna().all():
        raise NasbenchError(f"no run found a cell with a result: {_why_nothing(results)}. The runs are kept.")
    if not options.no_report:
        print(f"report: {reports.write(folder)}")


def _why_nothing(results: Results) -> str:
    """Why no run has a result, as far as all of them ended for one reason."""
    status = set(results.runs["status"])
    if status == {"finished"}:
        return "every strategy's ask returned None before a training"
    if status == {"missing"}:
        return "there are none for the cells, epochs and seeds that were asked for"
    steps = [document["steps"]["status"] for document in results.documents]
    if all(steps) and all(code for codes in steps for code in codes):
        return "every training that was asked for failed"
    return f"{results.suite.budget} may be less than one training costs, or than a strategy's own work before its first"


def _tasks_elsewhere(suite: Suite, options: argparse.Namespace) -> list[str] | None:
    """The tasks of a table that was given in place of the suite's and lacks one of the suite's tasks."""
    from .tables import open_table

    if options.table is None or "train" in (suite.mode, options.mode):
        return None
    tasks = open_table(options.table).tasks
    return None if set(suite.tasks) <= set(tasks) else list(tasks)


def _summarise(results: Results) -> None:
    """Mean final regret per task and strategy; whichever there are more of are the rows.

    In bold the best of each task, among strategies whose runs all have a result: who fails at times is no winner.
    """
    suite: Suite = results.suite
    runs = results.runs
    known = bool(runs["val_regret"].notna().any())
    column, what = ("val_regret", "regret") if known else ("best_val", "accuracy")
    groups = runs.groupby(["strategy", "task"], observed=True)
    means = groups[column].mean().unstack()
    means = means.reindex(index=list(suite.strategies), columns=list(suite.tasks))
    whole = means.where(
        groups["best_val"].apply(lambda found: found.notna().all()).unstack().reindex_like(means).eq(True)
    )
    best = whole.min() if known else whole.max()
    cells = [
        [
            "-" if v != v else f"[bold]{v:.3f}[/]" if whole.loc[name, task] == best[task] else f"{v:.3f}"
            for task, v in line.items()
        ]
        for name, line in means.iterrows()
    ]
    head, names, columns = "strategy", suite.strategies, suite.tasks
    if len(columns) > len(names):
        head, names, columns, cells = "task", columns, names, list(map(list, zip(*cells, strict=True)))
    seeds = "1 seed" if suite.seeds == 1 else f"{suite.seeds} seeds"
    show(
        f"{suite.title or suite.name}: mean validation {what} (%) after {suite.budget}, {seeds}",
        [head, *columns],
        [[name, *line] for name, line in zip(names, cells, strict=True)],
    )
    without = int(runs["best_val"].isna().sum())
    if without:
        print(f"{without} of {len(runs)} runs found no cell with a result and are left out of these means.")
