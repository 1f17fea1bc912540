"""Maps of tasks: by what they are like, and by which of them orders cells as which other does."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
from scipy.spatial.distance import squareform

from nasbench.tasks.subsets import data_set

from . import style
from .findings import listed
from .meta_study import MetaStudy
from .style import HUES, INK, MUTED

MARKERS = "os^DvPX<>ph*"
LEAST = 3
"""Tasks with a descriptor that it takes to draw a map."""
NUMBERED = 40
"""Most tasks a side of a heat map whose cells have numbers."""


@dataclass(frozen=True)
class Places:
    """Where tasks lie: first two principal components [task, 2] and the shares of the variance that they show."""

    tasks: list[str]
    at: np.ndarray
    shares: tuple[float, float]


def places(study: MetaStudy) -> Places | str:
    """The targets' places, or a sentence that says why there are none."""
    known = {t: study.facts["tasks"][t]["descriptor"] for t in study.targets}
    known = {task: descriptor for task, descriptor in known.items() if descriptor is not None}
    if not known:
        return (
            "The targets have no descriptors, so that there is no map of them; tables that are trained here have them."
        )
    if len(known) < LEAST or len({len(d) for d in known.values()}) > 1:
        return f"A map needs at least {LEAST} targets with descriptors of one kind, and this study has {len(known)}."
    values = np.array(list(known.values()), dtype=np.float64)
    spread = values.std(axis=0)
    kept = spread > 1e-9 * np.maximum(1, np.abs(values).max(axis=0))
    if kept.sum() < 2:
        return "The descriptors of the targets are all alike, so that there is no map of them."
    scaled = (values[:, kept] - values[:, kept].mean(axis=0)) / spread[kept]
    left, sizes, axes = np.linalg.svd(scaled, full_matrices=False)
    signs = np.sign(axes[np.arange(2), np.abs(axes[:2]).argmax(axis=1)])
    shares = sizes**2 / (sizes**2).sum()
    return Places(list(known), left[:, :2] * sizes[:2] * signs, (float(shares[0]), float(shares[1])))


def map_figure(found: Places) -> Figure:
    """Every task a dot in the colour of its data set, with its name beside it."""
    kinds = list(dict.fromkeys(data_set(task) for task in found.tasks))
    with style.styled():
        spans = np.ptp(found.at, axis=0)
        figure = Figure(figsize=(8.8, float(np.clip(8.2 * spans[1] / max(spans[0], 1e-12), 3.6, 6.6))))
        FigureCanvasAgg(figure)
        ax = figure.add_axes((0.07, 0.09, 0.91, 0.84))
        for k, kind in enumerate(kinds):
            mine = [data_set(task) == kind for task in found.tasks]
            ax.plot(*found.at[mine].T, MARKERS[k % len(MARKERS)], color=HUES[k % len(HUES)], markersize=6, label=kind)
        ax.margins(0.14, 0.09)
        ax.set_xlabel(f"first principal component ({found.shares[0]:.0%} of the variance)")
        ax.set_ylabel(f"second principal component ({found.shares[1]:.0%})")
        ax.set(xticks=[], yticks=[])
        ax.set_aspect("equal", adjustable="datalim")
        ax.apply_aspect()
        _label(ax, found, kinds)
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=len(kinds) if len(kinds) < 7 else 6)
    return figure


def _label(ax: Any, found: Places, kinds: Sequence[str]) -> None:
    """Write every name where it covers neither a dot nor another name, as near to its own dot as that allows."""
    figure = ax.figure
    renderer = figure.canvas.get_renderer()
    dots = ax.transData.transform(found.at)
    frame = ax.get_window_extent(renderer)
    taken = [np.array([x - 5, y - 5, x + 5, y + 5]) for x, y in dots]
    for i in np.lexsort((dots[:, 0], dots[:, 1])):
        task, (x, y) = found.tasks[i], dots[i]
        kind = data_set(task)
        text = task.removeprefix(f"{kind}_").replace("_", " ") or task
        label = ax.text(0, 0, text, fontsize=8, color=style.mixed(HUES[kinds.index(kind) % len(HUES)], "#000000", 0.35))
        size = label.get_window_extent(renderer)
        wide, tall = 1.06 * size.width + 2, size.height + 2
        best, least = None, np.inf
        for distance, angle in itertools.product((8, 14, 22, 34, 50, 70), np.arange(0, 360, 30)):
            dx, dy = distance * np.cos(np.radians(angle)), distance * np.sin(np.radians(angle))
            across = 0.5 + 0.5 * np.cos(np.radians(angle))  # 1: the text begins at its place, 0: it ends there
            low_x, low_y = x + dx - (1 - across) * wide, y + dy - tall / 2
            box = np.array([low_x, low_y, low_x + wide, low_y + tall])
            outside = max(frame.x0 - box[0], 0) + max(box[2] - frame.x1, 0)
            outside += max(frame.y0 - box[1], 0) + max(box[3] - frame.y1, 0)
            price = sum(_overlap(box, other) for other in taken) + 50 * outside + 0.2 * distance + 0.01 * (angle % 180)
            if price < least:
                best, least = (box, dx, dy, distance), price
        assert best is not None
        box, dx, dy, distance = best
        taken.append(box)
        label.set_position(ax.transData.inverted().transform((box[0] + 1, box[1] + tall / 2)))
        label.set_verticalalignment("center_baseline")
        if distance > 14:
            ends = ax.transData.inverted().transform([(x, y), (x + 0.9 * dx, y + 0.9 * dy)])
            ax.plot(*ends.T, color=MUTED, linewidth=0.6, zorder=1)


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    across = min(a[2], b[2]) - max(a[0], b[0])
    down = min(a[3], b[3]) - max(a[1], b[1])
    return float(across * down) if across > 0 and down > 0 else 0.0


def help_matrix(study: MetaStudy) -> pd.DataFrame:
    """Tau [source, target], nan where a task is no source of a target, with tasks that are alike side by side."""
    found = study.helps.pivot_table("value", "source", "task", "mean", dropna=False)
    targets = [task for task in study.targets if task in found.columns]
    names = list(dict.fromkeys([*targets, *sorted(found.index)]))
    order = ordered(names, found)
    return found.reindex(index=[n for n in order if n in found.index], columns=[n for n in order if n in targets])


def ordered(names: Sequence[str], found: pd.DataFrame) -> list[str]:
    """Tasks by average linkage of 1 - mean tau of both directions; by data set where most pairs are unknown."""
    square = found.reindex(index=list(names), columns=list(names)).to_numpy()
    both = np.stack([square, square.T])
    known = ~np.isnan(both)
    total = np.where(known, both, 0).sum(axis=0)
    alike = np.divide(total, known.sum(axis=0), out=np.full(total.shape, np.nan), where=known.any(axis=0))
    pairs = squareform(1 - alike, checks=False)
    if len(names) < LEAST or np.isnan(pairs).mean() > 0.5:
        return sorted(names, key=lambda name: (data_set(name), list(names).index(name)))
    pairs = np.clip(np.where(np.isnan(pairs), np.nanmean(pairs), pairs), 0, None)
    return [names[i] for i in leaves_list(optimal_leaf_ordering(linkage(pairs, "average"), pairs))]


def help_figure(matrix: pd.DataFrame) -> Figure:
    """A heat map of tau, sources down and targets across, and the sources' means at the right."""
    down, across = matrix.shape
    left, foot = (0.6 + 0.062 * max(map(len, names)) for names in (matrix.index, matrix.columns))
    side = 0.46 if max(down, across) <= 10 else 0.27
    width, height = max(left + side * (across + 1.4) + 0.9, left + 3.4), foot + side * down + 0.35
    low, high = min(0.0, float(np.nanmin(matrix.to_numpy()))), float(np.nanmax(matrix.to_numpy()))
    with style.styled():
        figure = Figure(figsize=(width, height))
        bottom = foot / height
        ax = figure.add_axes((left / width, bottom, side * across / width, side * down / height))
        image = ax.imshow(matrix.to_numpy(), cmap="viridis", vmin=low, vmax=max(high, low + 0.1), aspect="auto")
        ax.set_facecolor("#eef1f4")
        ax.grid(visible=False)
        ax.set_xticks(range(across), list(matrix.columns), rotation=90, fontsize=7.5)
        ax.set_yticks(range(down), list(matrix.index), fontsize=7.5)
        ax.tick_params(length=0, labelcolor=INK)
        ax.set_xlabel("held-out target")
        ax.set_ylabel("source")
        size = 7.5 if max(down, across) <= 10 else 5.5
        dark = low + 0.6 * (high - low)
        if max(down, across) <= NUMBERED:
            for (i, j), value in np.ndenumerate(matrix.to_numpy()):
                text = "" if np.isnan(value) else f"{value:.2f}".replace("0.", ".")
                ax.text(j, i, text, ha="center", va="center", fontsize=size, color="white" if value < dark else INK)
        means = matrix.mean(axis=1)
        for i, value in enumerate(means):
            ax.text(across - 0.2, i, f"{value:.2f}".replace("0.", "."), va="center", fontsize=size, clip_on=False)
        ax.text(across - 0.2, -0.75, "mean", fontsize=7, va="bottom", clip_on=False, color=MUTED)
        bar = figure.add_axes(
            (left / width + side * (across + 1.2) / width, bottom, 0.14 / width, side * down / height)
        )
        figure.colorbar(image, cax=bar)
        bar.tick_params(labelsize=7)
    return figure


def help_sentence(matrix: pd.DataFrame) -> str:
    """The source that orders most like the targets, the one that does least, and targets that nothing is like."""
    means = matrix.mean(axis=1)
    if len(means) < 2:
        return f"{means.index[0]} alone is a source: its τ with the targets is {means.iloc[0]:.2f} on average."
    if len(matrix.columns) == 1:
        target = f"{matrix.columns[0]} does (τ {means.max():.2f}), {means.idxmin()} least ({means.min():.2f})"
        return f"{means.idxmax()} orders cells most as {target}."
    nearest = matrix.max()
    far = nearest.idxmin()
    return (
        f"{means.idxmax()} orders cells most as held-out targets do (mean τ {means.max():.2f}), {means.idxmin()} least "
        f"({means.min():.2f}). The target that is least like any source is {far}: its nearest, "
        f"{matrix[far].idxmax()}, has a τ of {nearest[far]:.2f}."
    )


def data_sets(study: MetaStudy) -> str:
    """The data sets that the targets are from."""
    return listed(list(dict.fromkeys(data_set(task) for task in study.targets)))
