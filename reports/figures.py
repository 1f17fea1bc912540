"""Figures of runs: regret as the budget is spent, and where it ends."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from .statistics import Estimate, band
from .study import METRICS, Study
from .style import INK, MUTED, Look, mixed

CROWD = 9
"""With more strategies than this, curves are drawn as in crowds.py."""

DOTS = 100
"""Most dots in a row of the distributions; more runs than this are shown by as many quantiles."""

LONG = 36_000
"""Seconds from which a time axis counts hours."""

UNITS = {
    "evals": "budget spent (full trainings)", "epochs": "budget spent (training epochs)",
    "s": "budget spent (training seconds)", "flops": "budget spent (training FLOPs)",
}  # fmt: skip


Bands = dict[str, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]
"""Strategy -> x, mean, low and high of its curve."""


def bands(study: Study, metric: str, order: Sequence[str], along: str = "spent") -> dict[str, Bands]:
    """Task -> mean regret, and its bootstrap interval, of every strategy that has a curve."""
    found: dict[str, Bands] = {}
    for task in study.tasks:
        curves = {name: study.curve(metric, task, name, along) for name in order}
        found[task] = {name: (curve.x, *band(curve.regret)) for name, curve in curves.items() if curve is not None}
    return found


def mean_bands(study: Study, metric: str, order: Sequence[str]) -> dict[str, Bands]:
    """The mean over all tasks of every strategy that has a curve on each, under one heading.

    The bootstrap resamples runs, each of which is the mean over tasks of the runs of one seed.
    """
    found: Bands = {}
    for name in order:
        curves = [study.curve(metric, task, name) for task in study.tasks]
        there = [curve for curve in curves if curve is not None]
        if len(there) < len(curves):
            continue
        x = functools.reduce(np.union1d, [curve.x for curve in there])
        x = x[x >= max(curve.x[0] for curve in there)]
        runs = min(len(curve.regret) for curve in there)
        regret = [curve.regret[:runs, np.searchsorted(curve.x, x, side="right") - 1] for curve in there]
        found[name] = (x, *band(np.mean(regret, axis=0)))
    return {f"mean over {len(study.tasks)} tasks": found}


def anytime(
    study: Study,
    metric: str,
    looks: dict[str, Look],
    order: Sequence[str],
    curves: dict[str, Bands],
    along: str = "spent",
) -> Figure:
    """Mean regret with its bootstrap band against the budget spent or the simulated clock, one panel a task.

    Args:
        order: strategies, best first, as the legend lists them.
        curves: of `bands` or `mean_bands`.
    """
    tasks = list(curves)
    wide = min(len(tasks), 3)
    down = math.ceil(len(tasks) / wide)
    side = 0.22
    width = max(3.7 * wide, 5.2)
    legend = 0.19 * math.ceil(len(order) / _legend_columns(width, order)) + 0.1
    height = 3.0 * down + 0.35 + legend
    figure = Figure(figsize=(width, height))
    axes = figure.subplots(down, wide, squeeze=False)
    for ax, task in zip(axes.flat, tasks, strict=False):
        for name, values in curves[task].items():
            draw_curve(ax, values, looks[name])
        dress(ax, study, metric, task, curves[task], along)
    for ax in list(axes.flat)[len(tasks) :]:
        ax.set_visible(False)
    for row in axes:
        row[0].set_ylabel(f"mean {METRICS[metric]} regret\n(percent points)")
    handles = [Line2D([], [], **looks[name].line, label=name) for name in order]
    figure.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0.55 / width, 0), borderaxespad=0.2,
        ncols=_legend_columns(width, order), handlelength=3, columnspacing=1.6,
    )  # fmt: skip
    figure.subplots_adjust(
        left=0.72 / width, right=1 - side / width, top=1 - 0.3 / height, bottom=(0.5 + legend) / height,
        wspace=0.2, hspace=0.42,
    )  # fmt: skip
    return figure


def draw_curve(ax: Axes, values: tuple[np.ndarray, ...], look: Look) -> None:
    """A strategy's mean and its band."""
    x, mean, low, high = values
    marker = "o" if len(x) == 1 else None
    ax.plot(x, mean, marker=marker, markersize=4, drawstyle="steps-post", zorder=3, **look.line)
    ax.fill_between(x, low, high, step="post", zorder=2, color=look.colour, alpha=0.16, linewidth=0)


def dress(ax: Axes, study: Study, metric: str, task: str, curves: Bands, along: str) -> None:
    """Axes that fit all curves of a task, the table's resolution, and the task's name."""
    shown = [values for _, mean, low, _ in curves.values() for values in (mean, low[-1:])]
    resolution = study.resolution(task, metric)
    _regret_axis(ax.yaxis, shown, resolution)
    if np.isfinite(resolution):
        ax.axhspan(0, resolution, color="#f1f3f6", linewidth=0, zorder=0)
    _budget_axis(ax, study, task, along)
    ax.set_title(task)


def _legend_columns(width: float, names: Sequence[str]) -> int:
    if sum(0.72 + 0.075 * len(name) for name in names) < width - 0.6:
        return len(names)
    each = 0.72 + 0.08 * max(map(len, names))
    columns = max(1, min(len(names), int((width - 0.6) / each)))
    return math.ceil(len(names) / math.ceil(len(names) / columns))


def _budget_axis(ax: Axes, study: Study, task: str, along: str) -> None:
    end = study.end(task, along) or 1.0
    seconds = study.budget.unit == "s" if along == "spent" else study.clock_unit == "seconds"
    hours = seconds and end >= LONG
    ticks = MaxNLocator(5).tick_values(0, end / 3600 if hours else end)
    ax.set_xlim(0, end)
    ax.xaxis.set_major_locator(FixedLocator([t * 3600 if hours else t for t in ticks if t >= 0]))
    shown = FuncFormatter(lambda x, _: _plain(x / 3600 if hours else x))
    ax.xaxis.set_major_formatter(shown)
    label = UNITS[study.budget.unit] if along == "spent" else f"simulated clock ({study.clock_unit})"
    ax.set_xlabel(label.replace("seconds", "hours") if hours else label)


def _plain(x: float) -> str:
    return f"{x:.3g}" if x >= 1e7 else f"{x:,.0f}" if abs(x - round(x)) < 1e-9 else f"{x:g}"


def _regret_axis(axis: XAxis | YAxis, curves: Sequence[np.ndarray], resolution: float = math.nan) -> None:
    """Logarithmic down to the smallest decade that matters, linear from there to 0, which is drawn."""
    values = np.concatenate([c[np.isfinite(c)] for c in curves]) if curves else np.array([])
    positive = values[values > 0]
    top = float(values.max()) if len(values) and values.max() > 0 else 1.0
    least = float(np.quantile(positive, 0.02)) if len(positive) else top / 10
    if np.isfinite(resolution):
        least = min(least, resolution)
    threshold = 10.0 ** math.floor(math.log10(max(least, top / 1e4)))
    zero = bool(len(values)) and values.min() <= threshold
    if len(values) and values.min() > top / 4:
        getattr(axis.axes, f"set_{axis.axis_name}lim")(0, top * 1.1)
        axis.set_major_locator(MaxNLocator(5))
        return
    set_scale = getattr(axis.axes, f"set_{axis.axis_name}scale")
    set_limits = getattr(axis.axes, f"set_{axis.axis_name}lim")
    decades = [10.0**k for k in range(round(math.log10(threshold)), math.ceil(math.log10(top * 1.3)) + 1)]
    few = len(decades) <= 3
    ticks = sorted({d * m for d in decades for m in ((1, 2, 5) if few else (1, 3) if len(decades) == 4 else (1,))})
    if zero:
        set_scale("symlog", linthresh=threshold, linscale=0.35)
        set_limits(-0.06 * threshold, top * 1.3)
        ticks = [0.0, *ticks]
    else:
        set_scale("log")
        low = float(values.min()) if len(values) else threshold
        set_limits(low / 1.3, top * 1.3)
        ticks = [t for t in ticks if t >= low / 1.3]
    axis.set_major_locator(FixedLocator([t for t in ticks if t <= top * 1.3]))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.set_minor_locator(NullLocator())


def distribution(
    study: Study,
    metric: str,
    looks: dict[str, Look],
    order: Sequence[str],
    middles: dict[tuple[str, str], Estimate],
) -> Figure:
    """Final regret: a dot a run (or a hundred quantiles), quartiles, interquartile mean with interval.

    Args:
        middles: (task, strategy) -> interquartile mean.
    """
    tasks = study.tasks
    label = 0.25 + 0.078 * max(map(len, order))
    wide = min(len(tasks), 3)
    down = math.ceil(len(tasks) / wide)
    each = 0.34 * len(order) + 0.15
    width, height = label + max(3.1 * wide, 4.5), down * (each + 0.85)
    figure = Figure(figsize=(width, height))
    axes = figure.subplots(down, wide, squeeze=False, sharey=True)
    for ax, task in zip(axes.flat, tasks, strict=False):
        shown = []
        for row, name in enumerate(order):
            values = np.sort(study.values(metric, task, name))
            if not len(values):
                place = ax.get_yaxis_transform()
                ax.text(0.02, row, "no result", transform=place, color=MUTED, va="center", fontsize=7.5)
                continue
            shown.append(values)
            shares = (np.arange(DOTS) + 0.5) / DOTS
            dots = values if len(values) <= DOTS else np.quantile(values, shares, method="inverted_cdf")
            spread = ((np.arange(len(dots)) * 0.618034) % 1 - 0.5) * 0.5
            colour = looks[name].colour
            ax.plot(
                dots, row + spread, linestyle="none", marker="o", markersize=3, markeredgewidth=0,
                color=colour, alpha=0.38, clip_on=False, zorder=2,
            )  # fmt: skip
            first, third = np.quantile(values, [0.25, 0.75])
            flat = {"solid_capstyle": "butt"}
            ax.plot([first, third], [row, row], color=colour, linewidth=5, alpha=0.45, zorder=3, **flat)
            middle = middles[task, name]
            if np.isfinite(middle.low):
                ax.plot([middle.low, middle.high], [row, row], color=INK, linewidth=1.4, zorder=4, **flat)
            ax.plot(
                [middle.value], [row], marker=looks[name].marker, markersize=6, color=colour, markeredgecolor=INK,
                markeredgewidth=0.9, clip_on=False, zorder=5,
            )  # fmt: skip
        resolution = study.resolution(task, metric)
        _regret_axis(ax.xaxis, shown, resolution)
        if np.isfinite(resolution):
            ax.axvspan(0, resolution, color="#f1f3f6", linewidth=0, zorder=0)
        ax.set_ylim(len(order) - 0.5, -0.5)
        ax.set_yticks(range(len(order)), order, color=INK)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="y", visible=False)
        ax.spines["left"].set_visible(False)
        ax.set_title(task)
        ax.set_xlabel(f"final {METRICS[metric]} regret (percent points)")
    for row in axes:
        for tick, name in zip(row[0].get_yticklabels(), order, strict=True):
            tick.set_color(mixed(looks[name].colour, INK, 0.25))
    for ax in list(axes.flat)[len(tasks) :]:
        ax.set_visible(False)
    figure.subplots_adjust(
        left=label / width, right=1 - 0.12 / width, top=1 - 0.3 / height, bottom=0.5 / height, wspace=0.1,
        hspace=0.85 / each,
    )  # fmt: skip
    return figure
