"""The page of a study of meta-learned predictors (`nasbench fit --meta`): what old tasks are worth on new ones.

A study's folder is read by meta_study; nothing is fitted here.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from . import meta_bill, meta_figures, meta_findings, meta_harm, meta_maps, style, tables
from .meta_study import BASELINE, EQUAL, MetaStudy, with_labels
from .page import UTF8, environment, save_figure, save_table
from .predictors import METRICS, as_asked

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = ("kendall", "spearman", "rmse", "regret", "precision_top1", "coverage_90")
MEASURED = {"meta_seconds": "meta-training, s", "fit_seconds": "fit, s", "query_seconds": "query, s"}
LOW = ("rmse", "regret", "fit_seconds", "query_seconds")
"""Metrics that are better low."""


def build(study: MetaStudy, folder: Path) -> None:
    """Write the page, its figures and tables into an empty folder."""
    looks = _looks(study)
    places = meta_maps.places(study)
    matrix = meta_maps.help_matrix(study) if len(study.helps) else None
    numbers = meta_figures.source_numbers(study)
    drawn: dict[str, tuple[Figure, str]] = {
        "adaptation": (meta_figures.adaptation(study, looks), "Kendall's tau against the number of target labels"),
        "targets": (meta_figures.per_target(study, looks), "Kendall's tau on every target"),
    }
    compared = meta_harm.compared(study)
    if len(compared):
        figure = meta_harm.figure(study, compared, meta_figures.by_ease(study))
        drawn["harm"] = (figure, "difference of tau to the best predictor from scratch")
    if numbers["sources"].nunique() > 1 and study.learned:
        figure = meta_figures.by_sources(study, looks, numbers)
        drawn["sources"] = (figure, "Kendall's tau against the number of source tasks")
    if not isinstance(places, str):
        drawn["map"] = (meta_maps.map_figure(places), "map of tasks by their descriptors")
    if matrix is not None:
        drawn["helps"] = (meta_maps.help_figure(matrix), "which sources order cells as which targets do")
    with style.styled():
        figures = {name: save_figure(folder, name, figure, title) for name, (figure, title) in drawn.items()}
    shown = {table.name: table for table in _tables(study)}
    for table in shown.values():
        save_table(folder, table)
    _points(study, folder, numbers, matrix)
    page = environment().get_template("meta.html").render(
        study=study, facts=study.facts, figures=figures, tables=shown, looks=looks,
        headline=meta_findings.headline(study), bill=meta_bill.sentence(study),
        baseline=meta_findings.baseline_sentence(study), harm=meta_harm.sentence(study, shown["harm"].frame),
        no_map=places if isinstance(places, str) else "", data_sets=meta_maps.data_sets(study),
        helps=meta_maps.help_sentence(matrix) if matrix is not None else "", leak=leak(study),
        with_labels=with_labels, banded=meta_figures.banded(study), again=again(study),
    )  # fmt: skip
    (folder / "index.html").write_text(page, **UTF8)


def _looks(study: MetaStudy) -> dict[str, style.Look]:
    """A hue a family, the meta-learned ones first; the baseline, which is to be beaten, in the colour of ink."""
    families = {name: study.facts["families"].get(name, "") for name in study.names if name != BASELINE}
    return style.looks(families) | {BASELINE: style.Look(style.INK, (), "o", style.INK)}


def _tables(study: MetaStudy) -> list[tables.Table]:
    found = [meta_figures.adaptation_table(study), scores_table(study)]
    scratch, baseline = meta_findings.against_scratch(study), meta_findings.against_baseline(study)
    if scratch:
        found.append(meta_findings.signs_table("signs", scratch, "meta-learned", "from scratch"))
    if baseline:
        found.append(meta_findings.signs_table("baseline", baseline, "baseline", "meta-learned"))
    found.append(meta_harm.table(study, meta_harm.harm(study)))
    found.append(meta_bill.readings_table(study))
    if study.learned and study.scratch:
        found.append(meta_bill.payback_table(study))
    return found


def _points(study: MetaStudy, folder: Path, numbers: pd.DataFrame, matrix: pd.DataFrame | None) -> None:
    """The points of figures as CSV."""
    frames = {"targets": study.tau.reset_index(), "sources": numbers}
    if matrix is not None:
        frames["helps"] = matrix.reset_index()
    for name, frame in frames.items():
        text = frame.to_csv(index=False, lineterminator="\n", float_format="%.6g")
        (folder / "tables" / f"{name}.csv").write_text(text, **UTF8)


def scores_table(study: MetaStudy) -> tables.Table:
    """Means over targets of every metric, a row for every number of labels and predictor; the best of each in bold."""
    known = set(study.scores["metric"])
    means = {m: study.mean(m) for m in (*SHOWN, *MEASURED) if m in known}
    rows, frames = [], []
    for n in study.sizes:
        frame = pd.DataFrame({m: values[n] for m, values in means.items()})
        frame = frame.loc[[name for name in study.names if n in study.asked(name)]]
        best = {m: _best(m, frame[m]) for m in frame}
        for name in frame.index:
            cells = [
                tables.Text(tables.NOTHING) if m == "meta_seconds" and name in study.scratch
                else tables.Text(tables.number(frame.loc[name, m], 3), name in best[m])
                for m in frame
            ]  # fmt: skip
            rows.append([tables.strategy(name), n, *cells])
        frames.append(frame.rename_axis("predictor").reset_index().assign(n=n))
    columns = ["predictor", "labels", *((METRICS | MEASURED)[m] for m in means)]
    return tables.build("scores", columns, rows, pd.concat(frames, ignore_index=True))


def _best(metric: str, values: pd.Series) -> list[str]:
    """The predictors with the best value."""
    if metric == "meta_seconds":
        return []
    if metric == "coverage_90":
        values = -(values - 0.9).abs()
    elif metric in LOW:
        values = -values
    return list(values.index[values >= values.max() - EQUAL])


def leak(study: MetaStudy) -> str:
    """A warning where targets may be among their own sources."""
    if not study.facts["target_among_sources"]:
        return ""
    found = study.leaks()
    if not found:
        return "This study allowed targets among their own sources, so that its results might leak; no target is."
    share = f"{len(found)} of {len(study.targets)} {'is' if len(found) == 1 else 'are'}"
    return (
        f"These results leak: the study allowed targets among their own sources, and {share} learned from with their "
        "own images. They show what leaking is worth, and say nothing about new tasks."
    )


def again(study: MetaStudy) -> str:
    """The command that makes the study again."""
    facts = study.facts
    parts = ["nasbench", "fit", "--meta", "--table", facts.get("address", facts["table"])]
    parts += ["--task", ",".join(study.targets)]
    parts += ["--predictor", ",".join(as_asked(facts)), "--train-sizes", ",".join(map(str, facts["train_sizes"]))]
    parts += ["--seeds", str(facts["seeds"])]
    if facts["sources"]:
        parts += ["--sources", ",".join(facts["sources"])]
    if len(facts["checksums"]) > 1:
        parts += ["--source-tables", ",".join(facts["source_tables"])]
    if facts["leave_out"] != "task":
        parts += ["--leave-out", facts["leave_out"]]
    if facts["source_counts"]:
        parts += ["--source-counts", ",".join(map(str, facts["source_counts"]))]
    return shlex.join(parts + ["--target-among-sources"] * bool(facts["target_among_sources"]))
