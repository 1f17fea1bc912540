"""Writes a report: everything is built in a temporary folder beside the target, which is then swapped in."""

from __future__ import annotations

import logging
import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup, escape

from nasbench.errors import NasbenchError

from . import (
    accounts,
    choices,
    costs,
    currencies,
    elsewhere,
    findings,
    first_cells,
    pareto,
    provenance,
    sources,
    standings,
    tables,
)
from .amounts import Amounts
from .analysis import Analysis, analyse
from .cells import Found, best_cells, draw_cells
from .study import METRICS, Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nasbench.spaces import Space

    from .figures import Bands
    from .style import Look

log = logging.getLogger(__name__)

PARTS = {"index.html", "figures", "tables"}
"""What a report consists of; a folder with anything else in it is never replaced."""

UTF8: Any = {"encoding": "utf-8", "errors": "backslashreplace"}
"""Whatever bytes a path or an argument held, which Python keeps as surrogates, the page can be written."""

LIBRARIES = ("nasbench", "numpy", "scipy", "pandas", "scikit-posthocs", "matplotlib")


@dataclass(frozen=True)
class Shown:
    """A figure on the page."""

    name: str
    svg: Markup


def write_page(folder: Path, out: Path, judge: str | Path | None = None) -> Path:
    """See `reports.write`."""
    others = [name for name in ("study.json", "check.json", "meta.json") if (folder / name).is_file()]
    if others and judge is not None:
        raise NasbenchError(
            f"{folder} holds no comparison: only cells that a comparison found are looked up elsewhere."
        )
    if (folder / "study.json").is_file():
        from .predictors import PredictorStudy, build

        predictors = PredictorStudy(folder)
        return swap_in(folder, out, lambda temporary: build(predictors, temporary))
    if (folder / "check.json").is_file():
        from . import carry_over

        check = carry_over.CheckStudy(folder)
        return swap_in(folder, out, lambda temporary: carry_over.build(check, temporary))
    if (folder / "meta.json").is_file():
        from . import meta
        from .meta_study import MetaStudy

        learned = MetaStudy(folder)
        return swap_in(folder, out, lambda temporary: meta.build(learned, temporary))
    study = Study(folder)
    judged = None if judge is None else elsewhere.look_up(study, judge)
    return swap_in(folder, out, lambda temporary: _build(study, temporary, judged))


def swap_in(folder: Path, out: Path, build: Callable[[Path], None]) -> Path:
    """Build a report in a temporary folder and put it in the place of `out`; returns its index.html."""
    _check_replaceable(folder, out)
    target = Path(os.path.abspath(out))
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir(parents=True)
        build(temporary)
        _swap(temporary, target)
    except OSError as error:
        raise NasbenchError(f"the report cannot be written to {out}: {error.strerror or error}.") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return out / "index.html"


def _check_replaceable(folder: Path, out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise NasbenchError(f"{out} is a file; a report needs a folder.")
    if out.resolve() == folder.resolve():
        raise NasbenchError(f"{out} holds the results themselves; choose another folder for the report.")
    others = sorted(p.name for p in out.iterdir() if p.name not in PARTS) if out.exists() else []
    if others:
        raise NasbenchError(f"{out} holds {others[0]!r}, which is not part of a report; choose another folder.")


def _swap(new: Path, target: Path) -> None:
    """Put `new` in the place of `target`; if that fails, `target` is as before."""
    if not target.exists():
        new.rename(target)
        return
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    target.rename(old)
    try:
        new.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _build(study: Study, folder: Path, judged: elsewhere.Elsewhere | None) -> None:
    from . import style
    from .figures import bands, mean_bands

    analyses = [analyse(study, metric) for metric in study.metrics]
    curves = {found.metric: bands(study, found.metric, found.order) for found in analyses}
    many = len(study.tasks) > findings.MANY
    means = {found.metric: mean_bands(study, found.metric, found.order) for found in analyses if many}
    looks = style.looks(study.families)
    space = study.space
    cells = best_cells(study, space)
    with style.styled():
        figures = {shown.name: shown for shown in _figures(study, analyses, curves, means, looks, folder, space, cells)}
    amounts = Amounts(study)
    chosen = {metric: choices.choices(amounts, metric) for metric in study.metrics}
    shown_tables = {table.name: table for table in _tables(study, analyses, cells)}
    compared = []
    if len(study.strategies) > 1:
        compared = [currencies.compare_currencies(amounts, metric) for metric in study.metrics]
        with style.styled():
            figures |= {
                shown.name: shown for shown in _spending_figures(study, analyses[0].order, compared, looks, folder)
            }
    for table in (costs.table(study, analyses[0].order), *_currency_tables(study, compared)):
        shown_tables[table.name] = table
    first = first_cells.first_cells(study)
    if len(first):
        shown = first_cells.table(study, first, analyses[0].order)
        shown_tables[shown.name] = shown
        with style.styled():
            figure = first_cells.figure(study, first, analyses[0].order)
            figures[shown.name] = save_figure(folder, shown.name, figure, "operations of the first cells")
    looked_up = elsewhere.tables(judged, analyses[0].order) if judged else []
    shown_tables |= {table.name: table for table in looked_up}
    learned = sources.table(study, amounts, analyses[0])
    if learned is not None:
        shown_tables[learned.name] = learned
    paretos = pareto.all_fronts(study)
    if paretos:
        with style.styled():
            figure = pareto.surfaces(study, paretos, looks)
            figures["fronts"] = save_figure(folder, "fronts", figure, "median attainment surfaces")
    shown_tables |= {table.name: table for table in (pareto.table(study, found) for found in paretos)}
    shown_tables |= {f"choice_{m}": choices.matrix(amounts, m, found) for m, found in chosen.items()}
    for table in shown_tables.values():
        save_table(folder, table)
    (folder / "tables" / "anytime.csv").write_text(_curves(study, analyses, curves, means), **UTF8)
    more: dict[str, Any] = {"chosen": chosen, "compared": compared, "paretos": paretos}
    more["learned"] = sources.in_words(study, amounts, analyses[0]) if learned is not None else []
    more["first"] = first_cells.in_words(study, first) if len(first) else []
    more["judged"], more["looked_up"] = judged, looked_up
    more["judgement"] = elsewhere.in_words(study, judged) if judged else []
    page = _render(study, analyses, figures, shown_tables, looks, **more)
    (folder / "index.html").write_text(page, **UTF8)


def _figures(
    study: Study,
    analyses: Sequence[Analysis],
    curves: Mapping[str, dict[str, Bands]],
    means: Mapping[str, dict[str, Bands]],
    looks: dict[str, Look],
    folder: Path,
    space: Space | None,
    cells: Sequence[Found],
) -> Iterator[Shown]:
    """Every figure, written as SVG and PNG on the way."""
    from . import comparisons, crowds, figures

    def show(name: str, figure: Figure, title: str) -> Shown:
        return save_figure(folder, name, figure, title)

    for found in analyses:
        metric, word = found.metric, METRICS[found.metric]
        crowded = len(found.order) > figures.CROWD
        draw = crowds.overview if crowded else figures.anytime
        figure = draw(study, metric, looks, found.order, curves[metric])
        yield show(f"anytime_{metric}", figure, f"{word} regret over budget")
        if metric in means:
            figure = draw(study, metric, looks, found.order, means[metric])
            yield show(f"together_{metric}", figure, f"{word} regret over budget, mean over tasks")
        if crowded:
            figure = crowds.by_family(study, metric, looks, found.order, means.get(metric, curves[metric]))
            yield show(f"families_{metric}", figure, f"{word} regret over budget, family by family")
        if study.suite.workers > 1:
            along = figures.bands(study, metric, found.order, "clock")
            figure = draw(study, metric, looks, found.order, along, "clock")
            yield show(f"clock_{metric}", figure, f"{word} regret over simulated time")
        figure = figures.distribution(study, metric, looks, found.order, found.middles)
        yield show(f"distribution_{metric}", figure, f"distribution of final {word} regret")
        if found.tested:
            figure = comparisons.critical_difference(found.ranks["value"], found.p_values, looks)
            yield show(f"ranks_{metric}", figure, f"critical-difference diagram, {word} regret")
        if found.pairs is not None:
            figure = comparisons.pairwise(found.pairs, found.p_values)
            yield show(f"pairwise_{metric}", figure, f"probability of improvement, {word} regret")
    if space is not None and cells:
        try:
            yield show("best_cells", draw_cells(study, space, cells), "the best cells that were found")
        except (NasbenchError, NotImplementedError) as error:
            log.warning("cells are not drawn: %s", error)


def _spending_figures(
    study: Study,
    order: Sequence[str],
    compared: Sequence[currencies.Comparison],
    looks: dict[str, Look],
    folder: Path,
) -> Iterator[Shown]:
    """Figures of what was spent, and of rankings by what was spent."""
    figure = costs.bars(study, order, looks)
    if figure is not None:
        yield save_figure(folder, "costs", figure, "expenses by kind")
    for found in compared:
        if len(found.currencies) > 1:
            title = f"places by {METRICS[found.metric]} regret under each currency"
            yield save_figure(folder, f"currencies_{found.metric}", currencies.slopes(found, looks), title)


def _currency_tables(study: Study, compared: Sequence[currencies.Comparison]) -> Iterator[tables.Table]:
    for found in compared:
        if len(found.currencies) > 1:
            yield from currencies.tables(found, study.tasks)
            yield currencies.held_table(found, study.tasks)


def save_figure(folder: Path, name: str, figure: Figure, title: str) -> Shown:
    """Write a figure as SVG and PNG into `figures`, and return it as it stands on the page."""
    from . import style

    (folder / "figures").mkdir(exist_ok=True)
    svg = style.to_svg(figure)
    (folder / "figures" / f"{name}.svg").write_text(svg, **UTF8)
    (folder / "figures" / f"{name}.png").write_bytes(style.to_png(figure))
    return Shown(name, Markup(style.inline(svg, name, title)))


def save_table(folder: Path, table: tables.Table) -> None:
    """Write a table as CSV and Markdown into `tables`."""
    (folder / "tables").mkdir(exist_ok=True)
    (folder / "tables" / f"{table.name}.csv").write_text(table.to_csv(), **UTF8)
    (folder / "tables" / f"{table.name}.md").write_text(table.to_markdown(), **UTF8)


def _tables(study: Study, analyses: Sequence[Analysis], cells: Sequence[Found]) -> Iterator[tables.Table]:
    for found in analyses:
        yield standings.ranking(study, found)
        for task in study.tasks:
            yield standings.scores(study, found, task)
    yield standings.improvement(analyses)
    yield standings.pairs(study, analyses)
    yield accounts.budget(study)
    yield accounts.cells(cells, "test" in study.metrics)
    yield accounts.settings(study)
    for table in (accounts.noise(study), accounts.agreement(study)):
        if table is not None:
            yield table


def _curves(
    study: Study,
    analyses: Sequence[Analysis],
    curves: Mapping[str, dict[str, Bands]],
    means: Mapping[str, dict[str, Bands]],
) -> str:
    """The points of the curves as CSV; of many tasks those of their mean too."""
    frames = []
    for found in analyses:
        for task, shown in (means.get(found.metric, {}) | curves[found.metric]).items():
            of = [task] if task in study.tasks else study.tasks
            for name, (x, mean, low, high) in shown.items():
                runs = min(len(study.values(found.metric, one, name)) for one in of)
                labels = {"metric": METRICS[found.metric], "task": task, "strategy": name, "runs": runs}
                frames.append(pd.DataFrame(labels | {"spent": x, "regret_mean": mean, "low": low, "high": high}))
    found_frame = pd.concat(frames) if frames else pd.DataFrame()
    return found_frame.to_csv(index=False, lineterminator="\n", float_format="%.6g")


def _render(
    study: Study,
    analyses: Sequence[Analysis],
    figures: dict[str, Shown],
    shown_tables: dict[str, tables.Table],
    looks: dict[str, Look],
    **more: Any,
) -> str:
    suite, table = study.suite, study.manifest["table"]
    return (
        environment()
        .get_template("template.html")
        .render(
            study=study,
            suite=suite,
            table=table,
            attributes=table.get("attributes", {}),
            analyses=analyses,
            words=METRICS,
            figures=figures,
            tables=shown_tables,
            looks=looks,
            findings=findings,
            choices=choices,
            costs=costs,
            currencies=currencies,
            pareto=pareto,
            budget=findings.budget_in_words(study),
            headline=findings.headline(study, analyses),
            provenance=provenance.read_provenance(study.results.folder),
            libraries={name: provenance.version(name) for name in LIBRARIES},
            toml=provenance.to_toml(study),
            again=shlex.quote(f"{suite.name}-again"),
            from_python=provenance.from_python(study),
            finite=np.isfinite,
            **more,
        )
    )


def environment() -> jinja2.Environment:
    """Jinja with the templates beside this file; unknown names are errors."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    made.filters["links"] = _links
    return made


def _links(text: Any) -> Markup:
    """Plain text with arXiv numbers and addresses as links."""
    escaped = str(escape(str(text)))
    linked = re.sub(r"\barXiv:(\d{4}\.\d{4,5})", r'<a href="https://arxiv.org/abs/\1">arXiv:\1</a>', escaped)
    linked = re.sub(
        r"(?<![\w/.\"])((?:https?://)?github\.com/[\w.-]+/[\w-]+)",
        lambda m: f'<a href="{m[1] if m[1].startswith("http") else "https://" + m[1]}">{m[1]}</a>',
        linked,
    )
    return Markup(linked)
