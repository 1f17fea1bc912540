"""The command `nasbench fit`: predictors on a table, and how good each is."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .commands import processes
from .errors import NasbenchError
from .meta_command import PREDICTORS as META_PREDICTORS
from .meta_command import SCRATCH, fit_meta, meta_options
from .meta_command import SIZES as META_SIZES
from .terminal import Progress, plural, show, some_names, table_file

if TYPE_CHECKING:
    from surrogates.study import Study

    from .tables import Table


PREDICTORS = ("ridge", "gp", "xgboost")
SIZES = (50, 100, 200)
SEEDS = 20


def fit_parser(parser: argparse.ArgumentParser) -> None:
    """Options of `nasbench fit`."""
    add = parser.add_argument
    add("--table", default="nasbench201", help="a shipped table's name or a .h5 file (default: nasbench201)")
    add("--task", help="task of the table (default: its first, or with --meta each of them in turn)")
    add(
        "--predictor",
        type=some_names,
        metavar="A,B,...",
        help="names of `nasbench list predictors`, own ones as file.py:function, or all that see cells, with "
        "--meta all that learn from the sources "
        f"and {', '.join(SCRATCH)} (default: {', '.join(PREDICTORS)}, or with --meta {', '.join(META_PREDICTORS)}; "
        "--as-benchmark needs one)",
    )
    add(
        "--train-sizes",
        type=some_names,
        metavar="N,M,...",
        help=f"numbers of labelled cells (default: {_listed(SIZES)}, or with --meta {_listed(META_SIZES)}; "
        "--as-benchmark needs one)",
    )
    add(
        "--seeds",
        type=int,
        metavar="N",
        help=f"draws of the training set (default: {SEEDS}), or with --check runs of each strategy (default: 10)",
    )
    add("--target", default="accuracy", help="accuracy, train_seconds or latency_seconds")
    add("--schedule", type=int, help="length of the training schedule (default: the longest)")
    add("--curve-epochs", type=int, help="epochs that predictors of curves see (default: a third of the schedule)")
    add("--as-benchmark", type=table_file, metavar="FILE.h5",
        help="make a surrogate benchmark instead: one predictor's predictions for every cell")  # fmt: skip
    add("--check", action="store_true", help="with --as-benchmark: do strategies rank alike on it and on the table?")
    add("--strategies", type=some_names, help="with --check: which, own ones as file.py:Class (default: all that can)")
    add("--budget", help="with --check: of each run, as of nasbench compare (default: 100evals)")
    add("--train-afresh", type=int, default=0, metavar="N",
        help="with --check: also train N classes of cells that the fit never saw")  # fmt: skip
    add("--data", type=Path, help="folder of data sets, for --train-afresh")
    add("--out", type=Path, 
        help="folder (default: results/fit-TABLE-TASK, with --meta results/meta-TABLE, with --check "
        "results/check-TABLE-TASK); an unfinished study is gone on with")  # fmt: skip
    add("--jobs", type=int, default=-1, help="processes (default: one per core); results are the same for any")
    meta_options(parser)
    parser.set_defaults(command=_fit)


def _listed(sizes: Sequence[int]) -> str:
    return ",".join(map(str, sizes))


def _check_options(options: argparse.Namespace) -> None:
    """NasbenchError for options that would do nothing beside the others."""
    if not options.check and (options.train_afresh or options.strategies or options.budget):
        raise NasbenchError(
            "--train-afresh, --strategies and --budget belong to --check, which checks a surrogate benchmark."
        )
    if options.data is not None and not options.train_afresh:
        raise NasbenchError("--data goes with --train-afresh, which alone needs images.")
    defaults: dict[str, Any] = {"sources": [], "source_tables": [], "source_counts": None, "leave_out": "task"}
    for option, default in (defaults | {"target_among_sources": False}).items():
        if not options.meta and getattr(options, option) != default:
            raise NasbenchError(f"--{option.replace('_', '-')} goes with --meta.")
    if options.predictor and "all" in options.predictor and len(options.predictor) > 1:
        which = "learns from the sources" if options.meta else "sees cells"
        raise NasbenchError(f"--predictor all stands alone: it takes every predictor that {which}.")
    if options.meta or options.as_benchmark is None:
        return
    if options.curve_epochs is not None:
        raise NasbenchError("--curve-epochs does not go with --as-benchmark, whose predictor sees cells alone.")
    for option in ("seeds", "out"):
        if not options.check and getattr(options, option) is not None:
            raise NasbenchError(f"--{option} goes with --check; --as-benchmark FILE.h5 makes one file from one draw.")
    if options.seeds is not None and options.seeds < 1:
        raise NasbenchError(f"--check needs at least one run of each strategy, not {options.seeds}.")


def _fit(options: argparse.Namespace) -> None:
    import numpy as np
    import pandas as pd

    import reports
    import strategies
    import surrogates
    from surrogates.carry_over import enough
    from surrogates.study import Study, run_study

    from .tables import open_table

    _check_options(options)
    if options.predictor:
        options.predictor = surrogates.select(options.predictor)
    processes(options)
    table = open_table(options.table)
    if "surrogate" in table.attributes:
        raise NasbenchError(f"the table {table.name} holds predictions, from which no predictor learns.")
    try:
        given = None if options.train_sizes is None else [int(text) for text in options.train_sizes]
    except ValueError:
        raise NasbenchError(f"--train-sizes are whole numbers, not {', '.join(options.train_sizes)!r}.") from None
    seeds = SEEDS if options.seeds is None else options.seeds
    if options.meta:
        fit_meta(options, table, given, seeds)
        return
    task, sizes = table.tasks[0] if options.task is None else options.task, tuple(given or SIZES)
    chosen = surrogates.available() if options.predictor == ["all"] else options.predictor or list(PREDICTORS)
    study = Study(table.name, task, tuple(chosen), sizes, seeds, options.target, options.schedule, options.curve_epochs)
    if options.as_benchmark is not None:
        if options.check and options.strategies:
            enough(strategies.select(options.strategies))
        made = _make_benchmark(table, study, options.as_benchmark)
        if options.check:
            _check_benchmark(options, table, made, study)
        else:
            _save_benchmark(made, options.as_benchmark)
        return
    if options.check:
        raise NasbenchError("--check checks a surrogate benchmark; add --as-benchmark FILE.h5.")
    sees = {name: surrogates.CATALOGUE[name].sees for name in chosen if name in surrogates.CATALOGUE}
    if options.curve_epochs is not None and len(sees) == len(chosen) and not any("curves" in s for s in sees.values()):
        raise NasbenchError(f"--curve-epochs is for predictors of curves, and none is among {', '.join(chosen)}.")
    folder = options.out or Path("results") / f"fit-{table.name}-{task}"
    with Progress(f"fit {task}", "fits", lines=True) as progress:
        run_study(study, table, folder, processes(options), progress)
    scores = pd.concat([pd.read_csv(folder / "scores.csv"), pd.read_csv(folder / "seconds.csv")])
    constant = scores["value"].isna() & (scores["metric"] == "kendall")
    scores.loc[constant, "value"] = 0.0  # a constant prediction ranks nothing
    means = scores.groupby(["predictor", "n", "metric"])["value"].mean().unstack()
    lines = []
    for name in study.predictors:
        taus = [means["kendall"].get((name, n), np.nan) for n in sizes]
        last = means.loc[name, sizes[-1]]
        facts = (f"{last['coverage_90']:.2f}", f"{last['regret']:.3g}", f"{last['fit_seconds']:.2g}")
        lines.append([name, *(f"{tau:.3f}" for tau in taus), *facts])
    columns = ["predictor", *(f"tau, n = {n}" for n in sizes)]
    columns += [f"{what}, n = {sizes[-1]}" for what in ("in 90 % interval", "regret", "fit seconds")]
    show(f"{table.name}, {task}, {options.target}: means over {plural(study.seeds, 'draw')}", columns, lines)
    if constant.any():
        print(f"In {plural(int(constant.sum()), 'fit')}, a predictor gave all cells the same value: tau is 0 there.")
    print(f"scores: {folder / 'scores.csv'}")
    print(f"report: {reports.write(folder)}")


def _make_benchmark(table: Table, study: Study, path: Path) -> Table:
    from surrogates.benchmark import make_benchmark

    from .tables import open_table

    if len(study.predictors) != 1 or len(study.train_sizes) != 1 or study.target != "accuracy":
        raise NasbenchError("a surrogate benchmark predicts accuracy, by one --predictor from one of --train-sizes.")
    if path.exists() and "surrogate" not in open_table(path).attributes:
        raise NasbenchError(f"{path} holds trainings, which predictions would replace; choose another file.")
    return make_benchmark(table, study.task, study.predictors[0], study.train_sizes[0], 0, study.schedule)


def _save_benchmark(made: Table, path: Path) -> Table:
    from .tables import open_table

    print(f"surrogate: {made.save(path)}")
    again = ["nasbench", "compare", "--mode", "surrogate", "--table", str(path), "--task", made.tasks[0]]
    print(f"use it: {shlex.join(again)}")
    return open_table(path)


def _check_benchmark(options: argparse.Namespace, table: Table, surrogate: Table, study: Study) -> None:
    import reports
    import strategies
    from surrogates.carry_over import Check, prepare, run_check

    from .runs import Suite
    from .runs.compare import suitable
    from .runs.sources import TableSource

    named = options.strategies or [name for name in strategies.CATALOGUE if not name.endswith("-paper")]
    chosen = strategies.select(named)
    asked = {name: value for name in ("seeds", "budget") if (value := getattr(options, name)) is not None}
    if not options.strategies:
        for one, schedule in ((table, study.schedule or 0), (surrogate, 0)):
            suite = Suite(
                "check", (study.task,), tuple(chosen), 1, asked.get("budget", Check.budget), schedule=schedule
            )
            reasons = suitable(suite, chosen, TableSource(one))
            chosen = {name: entry for name, entry in chosen.items() if not reasons[name]}
    check = Check(
        options.table, study.task, tuple(chosen), study.predictors[0], study.train_sizes[0], schedule=study.schedule,
        afresh=options.train_afresh, **asked,
    )  # fmt: skip
    folder = options.out or Path("results") / f"check-{table.name}-{study.task}"
    prepare(check, table, surrogate, chosen, folder, options.data)  # before the surrogate of another check is replaced
    surrogate = _save_benchmark(surrogate, options.as_benchmark)
    with Progress(f"check {study.task}", "runs", lines=True) as progress:
        found = run_check(check, table, surrogate, chosen, folder, processes(options), progress, options.data)
    facts = json.loads((found / "check.json").read_bytes())
    lines = [
        [name, *map(_digits, (*facts["regret"][name], facts["true_regret"][name], *facts["left_out"][name]))]
        for name in chosen
    ]
    columns = ["strategy", "regret on the table", "on the surrogate", "of its cell on the table",
               "tau on visited cells, fitted without them", "fitted to any"]  # fmt: skip
    show(f"after {check.budget}, means over {plural(check.seeds, 'run')}", columns, lines)
    measures = ("bias", "rmse", "kendall", "coverage_90", "seconds")
    lines = [[one["name"], one["trainings"], *(_digits(one[name]) for name in measures)] for one in facts["drift"]]
    columns = ["trainings", "", "bias", "RMSE", "tau", "in 90 % interval", "training seconds"]
    show("predictions against trainings that the fit never saw", columns, lines)
    print(facts["sentence"])
    print(f"report: {reports.write(found)}")


def _digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
