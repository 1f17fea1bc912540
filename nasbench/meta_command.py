"""`nasbench fit --meta`: predictors that learn on other tasks first, each target left out in turn."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .commands import numbers, processes
from .errors import NasbenchError
from .terminal import Progress, names, plural, show, some_names

if TYPE_CHECKING:
    from .tables import Table
    from .tables.source_tasks import Sources

SCRATCH = ("ridge", "random_forest", "xgboost", "gp")
"""Predictors that learn from the target alone, to compare with."""
PREDICTORS = ("rank_transfer", "stacked", "gp_transfer", "xgboost_transfer", *SCRATCH)
SIZES = (0, 5, 10, 20, 50)


def meta_options(parser: argparse.ArgumentParser) -> None:
    """Options of `nasbench fit` that go with --meta."""
    parser.add_argument("--meta", action="store_true", help="predictors learn on the other tasks first")
    add = parser.add_argument_group("with --meta, where --task may name several targets").add_argument
    add("--sources", type=some_names, default=[], metavar="A,B,...", help="source tasks (default: all but the target)")
    add("--source-tables", type=some_names, default=[], metavar="T,...", help="further tables that have source tasks")
    add("--leave-out", default="task", help="task, or data_set: with every task cut from the target's data set")
    add("--source-counts", metavar="N,...", help="also learn from so many sources only")
    add(
        "--target-among-sources", action="store_true", help="allow the target as a source, to see what leaking is worth"
    )


def fit_meta(options: argparse.Namespace, table: Table, sizes: list[int] | None, seeds: int) -> None:
    """Run the study, show its means and write its page."""
    import reports
    import surrogates
    from reports import meta_bill, meta_findings, meta_study
    from surrogates.meta.study import MetaStudy, run_meta_study

    from .tables import open_table
    from .tables.source_tasks import read_sources

    given = {"target": "accuracy", "schedule": None, "as_benchmark": None, "curve_epochs": None, "check": False}
    for option, default in given.items():
        if getattr(options, option) != default:
            raise NasbenchError(f"--{option.replace('_', '-')} does not go with --meta, which predicts final accuracy.")
    chosen = options.predictor or list(PREDICTORS)
    counts = [] if options.source_counts is None else numbers(options.source_counts, "--source-counts")
    targets = list(table.tasks) if options.task is None else names(options.task)
    others = [open_table(name) for name in options.source_tables]
    if chosen == ["all"]:
        rules = options.sources, options.leave_out, options.target_among_sources
        sources = [read_sources((table, *others), target, *rules) for target in targets]
        chosen = [*_able(surrogates.available("tasks"), sources), *SCRATCH]
    study = MetaStudy(
        table.name, tuple(targets), tuple(chosen), tuple(SIZES if sizes is None else sizes), seeds,
        tuple(options.sources), options.leave_out, tuple(counts), options.target_among_sources,
    )  # fmt: skip
    folder = options.out or Path("results") / f"meta-{table.name}"
    with Progress(f"meta {table.name}", "targets", lines=True) as progress:
        run_meta_study(study, table, folder, others, processes(options), progress)
    _show(folder, study.predictors, study.train_sizes, len(targets), study.seeds)
    read = meta_study.MetaStudy(folder)
    print("\n".join([*meta_findings.headline(read), meta_bill.sentence(read)]))
    print(f"scores: {folder / 'scores.csv'}")
    print(f"report: {reports.write(folder)}")


def _able(predictors: list[str], sources: list[Sources]) -> list[str]:
    """Those that can learn from the sources of every target; why the others cannot is said."""
    import surrogates

    able = []
    for name in predictors:
        predictor = surrogates.build(name, sources[0].space)
        try:
            for found in sources:
                predictor.check_sources(found)
        except NasbenchError as error:
            print(f"nasbench: without {name}: {error}", file=sys.stderr)
        else:
            able.append(name)
    return able


def _show(folder: Path, predictors: tuple[str, ...], sizes: tuple[int, ...], targets: int, seeds: int) -> None:
    import pandas as pd

    scores = pd.read_csv(folder / "scores.csv")
    whole = scores[scores["sources"] == scores.groupby("task")["sources"].transform("max")]
    taus = whole[whole["metric"] == "kendall"].fillna({"value": 0.0})  # a constant prediction ranks nothing
    means = taus.groupby(["predictor", "n"])["value"].mean()
    lines = [
        [name, *("-" if (name, n) not in means else f"{means[name, n]:.3f}" for n in sizes)] for name in predictors
    ]
    show(
        f"Kendall's tau, means over {plural(targets, 'target')} and {plural(seeds, 'draw')}",
        ["predictor", *map("n = {}".format, sizes)],
        lines,
    )
