"""Figures that compare strategies with one another: critical-difference diagram, matrix of pairs, places joined."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from .statistics import ALPHA, Pairs
from .style import INK, MUTED, Look, mixed
from .tables import number


def critical_difference(ranks: pd.Series, p_values: pd.DataFrame, looks: dict[str, Look]) -> Figure:
    """Mean ranks, and a bar for every group that the test does not separate (after Demsar, JMLR 2006)."""
    import scikit_posthocs

    order = list(ranks.sort_values().index)
    split = (len(order) + 1) // 2
    left, right = (0.55 + 0.082 * (5 + max(map(len, names))) for names in (order[:split], order[split:]))
    span = float(np.ptp(ranks)) or 1.0
    figure = Figure(figsize=(8, 2))
    ax = figure.add_axes((0.3, 0.1, 0.4, 0.7))
    found = scikit_posthocs.critical_difference_diagram(
        ranks, p_values, ax=ax, alpha=ALPHA, text_h_margin=0.06 * span,
        label_fmt_left="{label}\u2002{rank:.2f}\u2002", label_fmt_right="\u2002{rank:.2f}\u2002{label}",
        color_palette={name: looks[name].colour for name in ranks.index},
        label_props={"fontsize": 9}, marker_props={"s": 26}, elbow_props={"linewidth": 1.1},
        crossbar_props={"color": INK, "linewidth": 3.2, "solid_capstyle": "round"},
    )  # fmt: skip
    levels = split + _stack([bar[0] for bar in found["crossbars"]])
    width, height = left + 4.6 + right, 0.75 + 0.235 * (levels + 1)
    figure.set_size_inches(width, height)
    ax.set_position((left / width, 0.08 / height, 4.6 / width, 1 - 0.66 / height))
    ax.set_ylim(-levels - 0.9, 0)
    margin = 0.04 * span if np.ptp(ranks) else 0.5
    ax.set_xlim(float(ranks.min()) - margin, float(ranks.max()) + margin)
    for artist in [*ax.lines, *ax.texts, *ax.collections]:
        artist.set_clip_on(False)
    for text in ax.texts:
        text.set_color(INK)
    ax.grid(visible=False)
    ax.spines["top"].set_visible(True)
    ax.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5]))
    ax.set_xlabel("mean rank among one run of every strategy (1 = best)", fontsize=8.5)
    ax.xaxis.set_label_position("top")
    return figure


def _stack(bars: Sequence[Line2D]) -> int:
    """Lay out the bars anew, one level below the other where they overlap; the number of levels.

    The library takes them from a set, whose order differs from one process to the next.
    """
    ends: list[float] = []
    ends_of = [np.asarray(bar.get_xdata(), dtype=float) for bar in bars]
    spans = sorted((float(x.min()), float(x.max())) for x in ends_of)
    for bar, (low, high) in zip(bars, spans, strict=True):
        level = next((k for k, end in enumerate(ends) if low > end), len(ends))
        ends[level : level + 1] = [high]
        bar.set_data([low, high], [-level - 1, -level - 1])
    return len(ends)


def pairwise(pairs: Pairs, p_values: pd.DataFrame) -> Figure:
    """Matrix of the probability that a run of the row ends better than one of the column.

    Intervals are written below where there are few enough strategies; bold where the test separates the pair. Of very
    many strategies, cells have a dot where it does not, and no numbers.

    Args:
        p_values: of the test, [strategy, strategy] in the order of `pairs`; nan where nothing could be tested.
    """
    order = list(p_values.index)
    many = len(order)
    detailed, numbered = many <= 12, many <= 30
    side, tall = (0.82, 0.62) if detailed else (0.46, 0.36) if numbered else (0.24, 0.2)
    label = 0.2 + 0.075 * max(map(len, order))
    head = 0.2 + (0.046 if numbered else 0.064) * max(map(len, order))
    width, height = label + side * many + head * 0.9, head + tall * many + 0.1
    figure = Figure(figsize=(width, height))
    down = tall * many
    ax = figure.add_axes((label / width, 0.1 / height, side * many / width, down / height))
    colours = LinearSegmentedColormap.from_list("improvement", ["#d98a45", "#f8f8f6", "#4a90c4"])
    shown = np.where(np.eye(many, dtype=bool), np.nan, pairs.value)
    edges = np.arange(many + 1)
    ax.pcolormesh(edges, edges, shown, cmap=colours, vmin=0, vmax=1, edgecolors="white", linewidth=side * 1.8)
    clear = p_values.to_numpy() < ALPHA
    if not numbered:
        rows, columns = np.nonzero((p_values.to_numpy() >= ALPHA) & ~np.eye(many, dtype=bool))
        ax.plot(columns + 0.5, rows + 0.5, linestyle="none", marker=".", markersize=3, color=INK)
    for i in range(many if numbered else 0):
        for j in range(many):
            if i == j:
                continue
            lift = 0.14 if detailed and np.isfinite(pairs.low[i, j]) else 0.0
            ax.text(
                j + 0.5, i + 0.5 - lift, f"{pairs.value[i, j]:.2f}", ha="center", va="center", color=INK,
                fontsize=9 if detailed else 7, fontweight="bold" if clear[i, j] else "normal",
            )  # fmt: skip
            if lift:
                text = f"{pairs.low[i, j]:.2f}–{pairs.high[i, j]:.2f}"
                ax.text(j + 0.5, i + 0.74, text, ha="center", va="center", color="#3b4653", fontsize=7)
    ax.set_xlim(0, many)
    ax.set_ylim(many, 0)
    ax.set_yticks(np.arange(many) + 0.5, order)
    ax.set_xticks(np.arange(many) + 0.5, order, rotation=35 if numbered else 60, ha="left", rotation_mode="anchor")
    ax.xaxis.tick_top()
    for tick in [*ax.get_yticklabels(), *ax.get_xticklabels()]:
        tick.set(color=INK, fontsize=9 if detailed else 8)
    ax.tick_params(length=0)
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return figure


def slopes(ranks: pd.DataFrame, heads: Sequence[str], looks: dict[str, Look]) -> Figure:
    """Places under every column of `ranks` [strategy, column], lower is better, joined by lines; faint where a strategy
    moves little.

    Args:
        heads: what stands above each column.
    """
    places, columns = ranks.rank(method="min"), list(ranks.columns)
    moves = places.max(axis=1) - places.min(axis=1)
    many = len(ranks)
    orders = {c: list(ranks.sort_values([c, *columns], kind="stable").index) for c in columns}
    slots = {c: {name: k for k, name in enumerate(order)} for c, order in orders.items()}
    label = 0.5 + 0.068 * max(map(len, looks))
    each, gap = 0.19, 2.3
    width, height = 2 * label + gap * (len(columns) - 1), each * many + 0.55
    figure = Figure(figsize=(width, height))
    span = gap * (len(columns) - 1)
    ax = figure.add_axes((label / width, 0.1 / height, span / width, each * many / height))
    notable = max(2.0, many / 10)
    for name in orders[columns[0]]:
        strong = moves[name] >= notable
        y = [slots[c][name] for c in columns]
        look = looks[name]
        colour = look.colour if strong else mixed(look.colour, "#ffffff", 0.62)
        ax.plot(range(len(columns)), y, color=colour, linewidth=2 if strong else 1.1, marker=look.marker,
                markersize=5, clip_on=False, zorder=3 if strong else 2, linestyle=look.line["linestyle"])  # fmt: skip
        for x, at, side in ((-0.06, y[0], "right"), (len(columns) - 0.94, y[-1], "left")):
            place = number(places.loc[name, columns[0 if side == "right" else -1]], 0)
            text = f"{name}  {place}" if side == "right" else f"{place}  {name}"
            ax.text(x, at, text, ha=side, va="center", fontsize=8, color=INK if strong else MUTED)
    for x, head in enumerate(heads):
        ax.text(x, -1.1, head, ha="center", va="bottom", fontweight="bold", fontsize=9, color=INK)
    ax.set_xlim(0, max(1, len(columns) - 1))
    ax.set_ylim(many - 0.5, -0.5)
    ax.set_axis_off()
    return figure
