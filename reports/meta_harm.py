"""Negative transfer: where learning on other tasks does worse than learning from the target's labels alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nasbench.terminal import plural

from . import style, tables
from .findings import listed
from .meta_study import EQUAL, MetaStudy, with_labels
from .style import INK
from .tables import number

COLUMNS = ("predictor", "n", "task", "tau", "best", "best_tau", "difference")
TITLE = 1.05
"""Inches that a panel's title takes."""
MOST = 8
"""Targets that a row of the table lists, the worst; its file has all."""


def compared(study: MetaStudy) -> pd.DataFrame:
    """COLUMNS of every meta-learned predictor, n and target against the predictor from scratch that is best there."""
    rows = []
    for n in [n for n in study.sizes if n > 1] if study.scratch else []:
        scratch = pd.DataFrame({name: study.of(name)[n] for name in study.scratch})
        for name in study.learned:
            ours = study.of(name)[n]
            for target in study.targets:
                best = str(scratch.loc[target].idxmax())
                tau, best_tau = float(ours[target]), float(scratch.loc[target, best])
                rows.append((name, n, target, tau, best, best_tau, tau - best_tau))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def harm(study: MetaStudy) -> pd.DataFrame:
    """The cases of `compared` in which the meta-learned predictor is below, the worst first."""
    found = compared(study)
    found = found[found["difference"] < -EQUAL]
    return found.sort_values("difference", kind="stable", ignore_index=True)


def table(study: MetaStudy, found: pd.DataFrame) -> tables.Table:
    """A row for every predictor and n with a case, which lists the worst targets."""
    rows = []
    for name in study.learned:
        for n in study.sizes:
            chosen = found[(found["predictor"] == name) & (found["n"] == n)]
            if chosen.empty:
                continue
            cases = [
                f"{task} ({number(difference, 3)}, {best} {number(tau, 3)})"
                for task, difference, best, tau in zip(
                    chosen["task"], chosen["difference"], chosen["best"], chosen["best_tau"], strict=True
                )
            ]
            rest = f" and {len(cases) - MOST} more" if len(cases) > MOST else ""
            share = f"{len(cases)} of {len(study.targets)}"
            rows.append([tables.strategy(name), n, share, ", ".join(cases[:MOST]) + rest])
    made = tables.build("harm", ["predictor", "labels", "harmed", "targets, the worst first"], rows, found)
    return tables.Table(made.name, made.columns, made.rows, made.frame, frozenset({1, 2}))


def sentence(study: MetaStudy, found: pd.DataFrame) -> str:
    """How often, and where worst, a meta-learned predictor is below the best from scratch; nothing without any."""
    cases = len(study.targets) * sum(n > 1 for n in study.sizes)
    if not study.learned or not study.scratch:
        return ""
    if found.empty:
        return "Meta-learning never harms here: no meta-learned predictor is below the best from scratch on any target."
    counts = found.groupby("predictor").size()
    parts = [f"{name} in {counts[name]}" for name in study.learned if name in counts]
    never = [name for name in study.learned if name not in counts]
    worst = found.iloc[0]
    return (
        f"Negative transfer: of {plural(cases, 'case')}, a target and a number of labels each, the predictor from "
        f"scratch that is best in the case beats {listed(parts)}{', and never ' + listed(never) if never else ''}; "
        f"worst is {worst['predictor']} on {worst['task']} {with_labels(worst['n'])} ({number(worst['tau'])} against "
        f"{number(worst['best_tau'])})."
    )


def figure(study: MetaStudy, found: pd.DataFrame, order: Sequence[str]) -> Figure:
    """Differences of tau, targets down and predictors across, a panel for every n.

    Args:
        found: see `compared`.
        order: of the targets.
    """
    sizes = sorted(found["n"].unique())
    many, down = len(study.learned), len(order)
    side = 0.34 if many * len(sizes) <= 28 else 0.25
    left, foot = 0.3 + 0.068 * max(map(len, order)), 0.35 + 0.075 * max(map(len, study.learned))
    panel = max(side * many, TITLE)
    width, height = left + (panel + 0.2) * len(sizes) + 0.65, foot + 0.24 * down + 0.35
    most = max(0.05, float(found["difference"].abs().quantile(0.98)))
    with style.styled():
        drawn = Figure(figsize=(width, height))
        for k, n in enumerate(sizes):
            values = found[found["n"] == n].pivot(index="task", columns="predictor", values="difference")
            grid = values.loc[list(order), study.learned].to_numpy()
            at = ((left + k * (panel + 0.2)) / width, foot / height, panel / width, 0.24 * down / height)
            ax = drawn.add_axes(at)
            image = ax.imshow(grid, cmap="RdBu", vmin=-most, vmax=most, aspect="auto")
            for i, j in np.argwhere(grid < -EQUAL):
                ax.plot(j, i, "x", color=INK, markersize=3.5, markeredgewidth=0.9)
            ax.set_title(with_labels(int(n)))
            ax.grid(visible=False)
            ax.set_xticks(range(many), study.learned, rotation=90)
            ax.set_yticks(range(down), order if k == 0 else [])
            ax.tick_params(length=0, labelcolor=INK)
        bar = drawn.add_axes((1 - 0.6 / width, foot / height, 0.13 / width, min(0.24 * down, 2.2) / height))
        drawn.colorbar(image, cax=bar)
        bar.tick_params(labelsize=7)
    return drawn
