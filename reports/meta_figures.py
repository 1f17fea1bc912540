"""Figures of tau: against labels, on every target, against the number of source tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from . import style, tables
from .meta_study import MetaStudy, with_labels
from .statistics import Estimate, band
from .style import INK, MUTED, Look

TALLEST = 15.0
"""Inches of the figure of targets, at most."""
CEILING: Any = {"color": MUTED, "linewidth": 0.9, "linestyle": (0, (3, 2))}


def curve(study: MetaStudy, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean tau for every n that was asked, and its interval over targets; of one target, over draws."""
    if len(study.targets) == 1:
        return band(study.draws(name, study.targets[0]))
    return band(study.of(name)[study.asked(name)].to_numpy())


def banded(study: MetaStudy) -> list[str]:
    """Predictors whose intervals are drawn as bands: the best of either kind; the table has them all."""
    return [*study.learned[:1], *study.scratch[:1]]


def adaptation(study: MetaStudy, looks: dict[str, Look]) -> Figure:
    """Mean tau against the number of the target's labels."""
    with style.styled():
        figure = Figure(figsize=(8.6, 4.8))
        ax = figure.add_axes((0.075, 0.11, 0.69, 0.85))
        for name in _by_last(study):
            mean, low, high = curve(study, name)
            ax.plot(study.asked(name), mean, marker=looks[name].marker, markersize=4, label=name, **looks[name].line)
            if name in banded(study):
                ax.fill_between(study.asked(name), low, high, color=looks[name].colour, alpha=0.12, linewidth=0)
        ceilings = study.ceilings()
        if ceilings:
            ax.axhline(float(np.mean(list(ceilings.values()))), label="noise ceiling", **CEILING)
        _labels_axis(ax, study.sizes)
        ax.set_ylabel("Kendall's τ on unlabelled cells" + ", mean over targets" * (len(study.targets) > 1))
        ax.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), handlelength=3)
    return figure


def adaptation_table(study: MetaStudy) -> tables.Table:
    """Mean tau and its interval, a row for every predictor; the best of each number of labels in bold."""
    rows, lines = [], []
    for name in study.names:
        found = dict(zip(study.asked(name), zip(*curve(study, name), strict=True), strict=True))
        lines += [(name, n, *values) for n, values in found.items()]
        cells = [
            tables.Text(tables.interval(Estimate(*map(float, found[n]))), name in study.firsts(study.names, n))
            if n in found else tables.Text(tables.NOTHING)
            for n in study.sizes
        ]  # fmt: skip
        rows.append([tables.strategy(name), *cells])
    frame = pd.DataFrame(lines, columns=["predictor", "n", "tau", "low", "high"])
    return tables.build("adaptation", ["predictor", *(f"{n} labels" for n in study.sizes)], rows, frame)


def by_ease(study: MetaStudy) -> list[str]:
    """Targets, those first on which predictors do best with the labels of the middle."""
    means = study.tau[study.middle].groupby("task").mean()
    return sorted(study.targets, key=lambda target: -means[target])


def per_target(study: MetaStudy, looks: dict[str, Look]) -> Figure:
    """Tau on every target with the labels of the middle; bars are intervals over draws."""
    n = study.middle
    names = [name for name in study.names if n in study.asked(name)]
    targets = by_ease(study)
    tall = min(0.075 * len(names) + 0.14, (TALLEST - 1.1) / len(targets))
    height = max(tall * len(targets) + 0.75, 0.22 * (len(names) + 2))
    left = 0.3 + 0.068 * max(map(len, targets))
    width = left + 5.6 + 1.9
    with style.styled():
        figure = Figure(figsize=(width, height))
        ax = figure.add_axes((left / width, 0.5 / height, 5.4 / width, 1 - 0.6 / height))
        ceilings = study.ceilings()
        for row, target in enumerate(targets):
            if row % 2:
                ax.axhspan(row - 0.5, row + 0.5, color="#f3f6f9", linewidth=0, zorder=0)
            for k, name in enumerate(names):
                y = row + 0.8 * ((k + 0.5) / len(names) - 0.5)
                mean, low, high = (float(part[0]) for part in band(_at(study, name, target, n)))
                ax.plot((low, high), (y, y), color=looks[name].colour, linewidth=1.1, solid_capstyle="butt")
                ax.plot(mean, y, looks[name].marker, color=looks[name].colour, markersize=3.4,
                        label=name if row == 0 else None)  # fmt: skip
            if target in ceilings:
                ax.plot((ceilings[target],) * 2, (row - 0.45, row + 0.45),
                        label="noise ceiling" if target == next(iter(t for t in targets if t in ceilings)) else None,
                        **CEILING)  # fmt: skip
        ax.set_yticks(range(len(targets)), targets)
        ax.tick_params(axis="y", length=0, labelcolor=INK)
        ax.set_ylim(len(targets) - 0.5, -0.5)
        ax.grid(axis="y", visible=False)
        ax.set_xlabel(f"Kendall's τ {with_labels(n)}")
        ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0)
    return figure


def _at(study: MetaStudy, name: str, target: str, n: int) -> np.ndarray:
    """Tau [seed, 1]."""
    return study.draws(name, target)[:, [study.asked(name).index(n)]]


def source_numbers(study: MetaStudy) -> pd.DataFrame:
    """Mean tau over draws: [predictor, task, sources, n, value] of targets that have every smaller number of sources.

    `sources` is 0 where all of a target's are learned from.
    """
    chosen = study.fewer[(study.fewer["metric"] == "kendall") & study.fewer["predictor"].isin(study.learned)]
    keys = ["predictor", "task", "sources", "n"]
    found = chosen.groupby(keys, as_index=False)["value"].mean()
    numbers = found.groupby("task")["sources"].nunique()
    whole = [target for target in study.targets if numbers.get(target, 0) == numbers.max()] if len(numbers) else []
    full = study.tau.rename_axis(columns="n").stack().rename("value").reset_index()
    full = full[full["predictor"].isin(study.learned)].assign(sources=0)
    found = pd.concat([found, full[[*keys, "value"]]])
    return found[found["task"].isin(whole)].reset_index(drop=True)


def by_sources(study: MetaStudy, looks: dict[str, Look], found: pd.DataFrame) -> Figure:
    """Mean tau against the number of source tasks, a panel without labels and one with those of the middle."""
    sizes = list(dict.fromkeys([study.sizes[0], study.middle]))
    counts = [int(count) for count in sorted(found["sources"].unique()) if count]
    everything = float(np.mean([len(study.facts["tasks"][task]["sources"]) for task in found["task"].unique()]))
    places = [*counts, everything]
    with style.styled():
        figure = Figure(figsize=(3.4 * len(sizes) + 1.9, 3.9), layout="constrained")
        axes = figure.subplots(1, len(sizes), squeeze=False, sharey=True)[0]
        for ax, n in zip(axes, sizes, strict=True):
            for name in study.learned:
                chosen = found[(found["predictor"] == name) & (found["n"] == n)]
                values = chosen.pivot(index="task", columns="sources", values="value")[[*counts, 0]].to_numpy()
                mean, low, high = band(values)
                ax.plot(places, mean, marker=looks[name].marker, markersize=4, label=name, **looks[name].line)
                if name in banded(study):
                    ax.fill_between(places, low, high, color=looks[name].colour, alpha=0.12, linewidth=0)
            best = study.best(study.scratch, n)
            if best:
                level = float(study.tau[n].loc[best].reindex(found["task"].unique()).mean())
                ax.axhline(level, label="best from scratch", color=looks[best].colour, linewidth=1.2, linestyle=":")
            ax.set_title(with_labels(n))
            ax.xaxis.set_major_locator(FixedLocator(places))
            ax.xaxis.set_minor_locator(NullLocator())
            ax.set_xticklabels([*map(str, counts), f"all ({everything:.3g})"])
            ax.set_xlabel("source tasks")
        axes[0].set_ylabel("Kendall's τ, mean over targets")
        handles: dict[str, Any] = {}
        for ax in axes:
            handles |= {label: handle for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        figure.legend(list(handles.values()), list(handles), loc="outside right center", handlelength=3)
    return figure


def _by_last(study: MetaStudy) -> list[str]:
    """Predictors as their curves end, from top to bottom, so that the legend reads like the figure."""
    means = study.mean()
    return sorted(study.names, key=lambda name: -means.loc[name, study.asked(name)[-1]])


def _labels_axis(ax: Any, sizes: Sequence[int]) -> None:
    ax.xaxis.set_major_locator(FixedLocator(list(sizes)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    ax.set_xlabel("labelled cells of the target")
