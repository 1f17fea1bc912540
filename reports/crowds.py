"""Curves of many strategies: the best of every family side by side, and one panel a family.

Up to `figures.CROWD` strategies share one panel; more of them would be a tangle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .figures import Bands, draw_curve, dress
from .study import METRICS, Study
from .style import INK, Look

FAINT, GREY = "#dfe4e9", "#aab3bd"
LINE = 0.172
"""Height in inches of a line of a legend."""
LETTER = 0.06
"""Inches that a letter of a label takes at most."""
MARGIN = 0.84
"""Inches to the left of the panels: two lines of a label, and numbers down to 0.001."""


def grouped(study: Study, order: Sequence[str]) -> dict[str, list[str]]:
    """Family -> its strategies; families by their best member, members best first."""
    found: dict[str, list[str]] = {}
    for name in order:
        found.setdefault(study.families[name], []).append(name)
    return found


def champions(families: dict[str, list[str]], curves: Bands) -> dict[str, str]:
    """Family -> its member whose curve ends lowest, of those that have one."""
    found = {}
    for family, members in families.items():
        there = [name for name in members if name in curves]
        if there:
            found[family] = min(there, key=lambda name: float(curves[name][1][-1]))
    return found


def overview(
    study: Study,
    metric: str,
    looks: dict[str, Look],
    order: Sequence[str],
    curves: dict[str, Bands],
    along: str = "spent",
) -> Figure:
    """The best strategy of every family with its name, all others faint, one panel a task.

    Args:
        order: strategies, best first.
        curves: of `figures.bands` or `figures.mean_bands`.
    """
    families, tasks = grouped(study, order), list(curves)
    wide = min(len(tasks), 2)
    down = math.ceil(len(tasks) / wide)
    best = {task: champions(families, curves[task]) for task in tasks}
    room = 0.3 + LETTER * max([len(name) for found in best.values() for name in found.values()], default=0)
    each = 5.4 if wide == 1 else 3.6
    width, panel = MARGIN + wide * (each + room) + (wide - 1) * 0.3, max(3.0, 0.15 * len(families) + 1.2)
    height = down * (panel + 0.8)
    figure = Figure(figsize=(width, height))
    for k, task in enumerate(tasks):
        row, column = divmod(k, wide)
        left, bottom = MARGIN + column * (each + room + 0.3), height - 0.3 - row * (panel + 0.8) - panel
        ax = figure.add_axes((left / width, bottom / height, each / width, panel / height))
        shown = list(best[task].values())
        _faint(ax, curves[task], [name for name in curves[task] if name not in shown], FAINT)
        for name in shown:
            x, mean, *_ = curves[task][name]
            ax.plot(x, mean, marker="o" if len(x) == 1 else None, drawstyle="steps-post", zorder=3, **looks[name].line)
        dress(ax, study, metric, task, curves[task], along)
        label_ends(ax, {name: float(curves[task][name][1][-1]) for name in shown}, looks, panel)
        if column == 0:
            ax.set_ylabel(f"mean {METRICS[metric]} regret\n(percent points)")
    return figure


def by_family(
    study: Study,
    metric: str,
    looks: dict[str, Look],
    order: Sequence[str],
    curves: dict[str, Bands],
    along: str = "spent",
) -> Figure:
    """One row of panels a family, the best of every other family in grey; arguments as for `overview`.

    With a single task, families stand two abreast.
    """
    families, tasks = grouped(study, order), list(curves)
    alone = len(tasks) == 1
    room = 0.7 + 1.1 * LETTER * max(map(len, [*order, *families]))
    each, panel, gap = (2.9, 1.75, 0.4) if alone else (max(2.9, 6 / len(tasks)), 1.55, 0.4)
    wide = min(2, len(families)) if alone else len(tasks)
    step = each + gap + (room if alone else 0)
    down = math.ceil(len(families) / wide) if alone else len(families)
    width = MARGIN + wide * step - gap + (0 if alone else room)
    entries = [len(members) + (k == 0) for k, members in enumerate(families.values())]
    panels = [max(panel, 0.3 + LINE * max(entries[row * wide : (row + 1) * wide] if alone else [entries[row]]))
              for row in range(down)]  # fmt: skip
    tops = np.cumsum([0.0, *(one + 0.34 for one in panels)])
    height = tops[-1] + 0.62
    figure = Figure(figsize=(width, height))
    for k, (family, members) in enumerate(families.items()):
        for j, task in enumerate(tasks):
            row, column = divmod(k, wide) if alone else (k, j)
            left, bottom = MARGIN + column * step, height - 0.32 - tops[row] - panels[row]
            ax = figure.add_axes((left / width, bottom / height, each / width, panels[row] / height))
            best = champions(families, curves[task])
            _faint(ax, curves[task], [name for other, name in best.items() if other != family], GREY)
            for name in members:
                if name in curves[task]:
                    draw_curve(ax, curves[task][name], looks[name])
            dress(ax, study, metric, task, curves[task], along)
            below = k + wide >= len(families) if alone else row == down - 1
            if row or alone:
                ax.set_title("")
            if not below:
                ax.set_xlabel("")
                ax.set_xticklabels([])
            if column == 0 and row == down // 2:
                ax.set_ylabel(f"mean {METRICS[metric]} regret (percent points)")
        handles = [Line2D([], [], **looks[name].line, label=name) for name in members]
        handles.append(Line2D([], [], color=GREY, linewidth=0.9, label="best of each other"))
        ax.legend(
            handles=handles if k == 0 else handles[:-1], title=family, loc="upper left", bbox_to_anchor=(1.02, 1.04),
            alignment="left", title_fontproperties={"weight": "bold", "size": 8.5}, borderaxespad=0, handlelength=2.6,
            fontsize=8,
        )  # fmt: skip
    return figure


def _faint(ax: Axes, curves: Bands, names: Sequence[str], colour: str) -> None:
    """Means only, behind everything."""
    lines = [_steps(curves[name][0], curves[name][1]) for name in names]
    ax.add_collection(LineCollection(lines, colors=colour, linewidths=0.9, zorder=1), autolim=False)


def _steps(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Corners [point, 2] of a curve that keeps its value to the next point."""
    return np.column_stack([np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]])


def label_ends(ax: Axes, ends: dict[str, float], looks: dict[str, Look], panel: float) -> None:
    """Names to the right of where curves end, moved apart so that none covers another.

    Args:
        ends: strategy -> the value at which its curve ends.
        panel: height of the axes in inches.
    """
    names = sorted(ends, key=lambda name: -ends[name])
    to_axes = ax.transData + ax.transAxes.inverted()
    wanted = [float(np.clip(to_axes.transform((1.0, ends[name]))[1], 0, 1)) for name in names]
    for name, y, at in zip(names, wanted, spread(wanted, 0.135 / panel), strict=True):
        colour = looks[name].colour
        ax.annotate(
            name, (1.0, y), (1.045, at), xycoords="axes fraction", textcoords="axes fraction", va="center", color=INK,
            fontsize=7.5, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 1.1, "shrinkA": 0, "shrinkB": 0,
                        "relpos": (0, 0.5)},
        )  # fmt: skip


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Positions at least `gap` apart, near those wanted, which descend: neighbours that collide share their middle;
    the lowest is not below 0."""
    groups: list[list[float]] = []  # each: sum of wanted middles, number of members
    for y in wanted:
        groups.append([y, 1.0])
        while len(groups) > 1 and _top(groups[-1], gap) > _bottom(groups[-2], gap) - gap + 1e-12:
            total, many = groups.pop()
            groups[-1][0] += total
            groups[-1][1] += many
    found = [_top(group, gap) - gap * i for group in groups for i in range(round(group[1]))]
    return [max(y, gap * (len(found) - 1 - i)) for i, y in enumerate(found)]  # none lower than the last can be


def _top(group: list[float], gap: float) -> float:
    return group[0] / group[1] + gap * (group[1] - 1) / 2


def _bottom(group: list[float], gap: float) -> float:
    return group[0] / group[1] - gap * (group[1] - 1) / 2
