"""Two objectives: how near the cells that runs trained come to the table's front of accuracy and, say, latency.

A run's front are the cells trained to full length that no other dominates in what the run observed; they count with
their true accuracy. Accuracies are scaled to 0 at the reference point and 1 at the table's best, objectives to 0 at
the least of the table and 1 at the reference point, which is the 10 % quantile of the table's accuracies and its
largest objective. Indicators and attainment surfaces come from the package moocore (the extra `pareto`).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from .statistics import Estimate, estimate
from .study import Study
from .style import INK, MUTED, Look
from .tables import Table, Text, build, interval, number, strategy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FAMILY, OBJECTIVE = "multi-objective", "latency_seconds"
"""The family whose strategies name a second objective, and the one they take if they do not."""
QUANTILE = 0.1
"""Of the table's accuracies: where the reference point lies."""
WORDS = {"latency_seconds": "latency (seconds)", "parameters": "parameters", "flops": "FLOPs of one example"}
MISSING = (
    "Fronts of accuracy and a second objective need the package moocore, which is not installed: "
    "`pip install nasbench[pareto]` brings it."
)


@dataclass(frozen=True)
class Scale:
    """From (accuracy, objective) to two numbers that are to be small, 1 at the reference point; see `Front`."""

    worst_accuracy: float
    best_accuracy: float
    least: float
    most: float

    def __call__(self, accuracy: np.ndarray, objective: np.ndarray) -> np.ndarray:
        """Points [n, 2]."""
        first = (self.best_accuracy - accuracy) / ((self.best_accuracy - self.worst_accuracy) or 1.0)
        return np.column_stack([first, (objective - self.least) / ((self.most - self.least) or 1.0)])

    def back(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Accuracy and objective of points."""
        accuracy = self.best_accuracy - points[:, 0] * (self.best_accuracy - self.worst_accuracy)
        return accuracy, self.least + points[:, 1] * (self.most - self.least)


class Indicators(NamedTuple):
    """Of one strategy on one task: values by run."""

    hypervolume: np.ndarray
    """Dominated area up to the reference point as a share of that of the table's front."""
    igd_plus: np.ndarray
    """Mean distance, in scaled units, by which the table's front is missed; 1.41 without any point."""
    size: np.ndarray


@dataclass(frozen=True)
class Fronts:
    """One task under one objective.

    Attributes:
        true: the table's front [n, 2], scaled.
        indicators: by strategy.
        attained: strategy -> corners [n, 2] of the surface that the median run attains, scaled.
    """

    task: str
    objective: str
    scale: Scale
    true: np.ndarray
    indicators: dict[str, Indicators]
    attained: dict[str, np.ndarray]

    @property
    def order(self) -> list[str]:
        """Strategies, largest mean hypervolume first."""
        return sorted(self.indicators, key=lambda name: -float(self.indicators[name].hypervolume.mean()))


def available() -> bool:
    """Whether moocore is installed."""
    return importlib.util.find_spec("moocore") is not None


def objectives(study: Study) -> list[str]:
    """The second objectives of the comparison's multi-objective strategies; [] without any."""
    found = []
    for name in study.strategies:
        if study.families[name] == FAMILY:
            settings = study.manifest["strategies"].get(name, {}).get("settings") or {}
            found.append(str(settings.get("objective", OBJECTIVE)) if isinstance(settings, dict) else OBJECTIVE)
    return list(dict.fromkeys(found))


def all_fronts(study: Study) -> list[Fronts]:
    """Every task under every objective that the table has; [] where there is nothing to measure or no moocore."""
    if study.table is None or not available():
        return []
    found = [fronts(study, task, objective) for objective in objectives(study) for task in study.tasks]
    return [one for one in found if one is not None]


def fronts(study: Study, task: str, objective: str) -> Fronts | None:
    """The fronts of one task; None if its table lacks the objective."""
    table = study.table
    assert table is not None
    truth = table.curves(task, study.suite.score_schedule or None)
    if objective not in truth.arrays:
        return None
    accuracy, second = truth.mean("val_acc"), truth.mean(objective)
    known = np.isfinite(accuracy) & np.isfinite(second)
    low, high = float(np.quantile(accuracy[known], QUANTILE)), float(accuracy[known].max())
    scale = Scale(low, high, float(second[known].min()), float(second[known].max()))
    true = front(scale(accuracy[known], second[known]))
    searched = study.suite.search_task or task
    schedule = study.suite.schedule
    full = max(table.schedules(searched)) if schedule in (0, "ends") else int(schedule)
    runs = {}
    for name in study.strategies:
        documents = study.documents.get((task, name), [])
        if documents:
            runs[name] = [_trained(d["steps"], full, table.row_of_cell, accuracy, second, scale) for d in documents]
    area = hypervolume(true)
    indicators = {name: _indicators(points, true, area) for name, points in runs.items()}
    return Fronts(task, objective, scale, true, indicators, {name: attained(points) for name, points in runs.items()})


def _trained(
    steps: dict[str, Any], full: int, rows: np.ndarray, accuracy: np.ndarray, second: np.ndarray, scale: Scale
) -> np.ndarray:
    """The front [n, 2] of one run: what it would return, at its true accuracy."""
    cells, epochs = np.array(steps["cell"], dtype=int), np.array(steps["epochs"], dtype=int)
    observed = np.array(steps["val_acc"], dtype=float)
    at = rows[cells] if len(cells) else cells
    kept = (epochs == full) & np.isfinite(observed) & (at >= 0)
    at, observed = at[kept], observed[kept]
    kept = np.isfinite(accuracy[at]) & np.isfinite(second[at])
    at, observed = at[kept], observed[kept]
    if not len(at):
        return np.empty((0, 2))
    chosen = at[_undominated(scale(observed, second[at]), equal=True)]  # what looks equal may truly differ
    return front(scale(accuracy[chosen], second[chosen]))


def _undominated(points: np.ndarray, equal: bool = False) -> np.ndarray:
    """Which of points [n, 2] none dominates; of those that coincide one alone, unless `equal`."""
    import moocore

    return moocore.is_nondominated(np.ascontiguousarray(points), keep_weakly=equal)


def front(points: np.ndarray) -> np.ndarray:
    """Those of points [n, 2], both to be small, that none dominates, by the first coordinate."""
    kept = points[_undominated(points)] if len(points) else points
    return kept[np.argsort(kept[:, 0], kind="stable")]


def hypervolume(points: np.ndarray) -> float:
    """Area that points [n, 2] dominate up to (1, 1); 0 without points."""
    import moocore

    return float(moocore.hypervolume(points, ref=[1.0, 1.0])) if len(points) else 0.0


def igd_plus(points: np.ndarray, true: np.ndarray) -> float:
    """Mean over the true front of how far it is from being dominated (Ishibuchi et al., EMO 2015)."""
    import moocore

    return float(moocore.igd_plus(points, ref=true)) if len(points) else float(np.sqrt(2))


def attained(runs: Sequence[np.ndarray]) -> np.ndarray:
    """Corners [n, 2] of what at least half of the runs attain; a run without points attains (1, 1) only."""
    import moocore

    filled = [points if len(points) else np.ones((1, 2)) for points in runs]
    sets = np.repeat(np.arange(len(filled)), [len(points) for points in filled])
    found = moocore.eaf(np.vstack(filled), sets, percentiles=[50])
    return found[np.argsort(found[:, 0], kind="stable"), :2]


def _indicators(runs: Sequence[np.ndarray], true: np.ndarray, area: float) -> Indicators:
    return Indicators(
        np.array([hypervolume(points) / area if area else np.nan for points in runs]),
        np.array([igd_plus(points, true) for points in runs]),
        np.array([len(points) for points in runs]),
    )


def table(study: Study, found: Fronts) -> Table:
    """One row a strategy, largest mean hypervolume first."""
    rows, records = [], []
    for name in found.order:
        own = found.indicators[name]
        middle = estimate(100 * own.hypervolume)
        distance = estimate(own.igd_plus) if np.isfinite(own.igd_plus).all() else Estimate(np.nan, np.nan, np.nan)
        mean = float(own.hypervolume.mean())
        records.append(
            {
                "task": found.task, "objective": found.objective, "strategy": name, "family": study.families[name],
                "runs": len(own.size), "hypervolume_mean": mean, "hypervolume_iqm": middle.value / 100,
                "hypervolume_low": middle.low / 100, "hypervolume_high": middle.high / 100,
                "igd_plus_mean": float(own.igd_plus.mean()), "igd_plus_iqm": distance.value,
                "igd_plus_low": distance.low, "igd_plus_high": distance.high,
                "front_size_median": float(np.median(own.size)),
            }
        )  # fmt: skip
        rows.append(
            [
                strategy(name, study.families[name] == FAMILY),
                Text(study.families[name]),
                number(100 * mean, 1),
                interval(middle, 1),
                interval(distance, 3),
                number(float(np.median(own.size)), 0),
            ]
        )
    columns = [
        "strategy", "family", "hypervolume, % of the table's, mean", "IQM [95 %]", "IGD+: IQM [95 %]", "cells in front",
    ]  # fmt: skip
    return build(f"fronts_{found.objective}_{found.task}", columns, rows, pd.DataFrame(records), 2)


def in_words(found: Sequence[Fronts]) -> str:
    """Who comes nearest on each task."""
    parts = []
    for one in found:
        best = one.order[0]
        value = 100 * float(one.indicators[best].hypervolume.mean())
        parts.append(f"{best} on {one.task} ({WORDS.get(one.objective, one.objective)}; {number(value, 1)} %)")
    return f"The largest share of the hypervolume of the table's front is that of {'; '.join(parts)}."


def shown_strategies(study: Study, found: Fronts) -> list[str]:
    """The multi-objective strategies, and the best of every other family."""
    kept: dict[str, str] = {}
    own = []
    for name in found.order:
        if study.families[name] == FAMILY:
            own.append(name)
        else:
            kept.setdefault(study.families[name], name)
    return [name for name in found.order if name in own or name in kept.values()]


def surfaces(study: Study, found: Sequence[Fronts], looks: dict[str, Look]) -> Figure:
    """Median attainment surfaces beside the true front, one panel a task and objective."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    wide = min(len(found), 2)
    down = -(-len(found) // wide)
    names = [shown_strategies(study, one) for one in found]
    room = 0.62 + 0.062 * max(len(name) for shown in names for name in [*shown, "the table's front"])
    each, panel = (5.2 if wide == 1 else 3.6), max(3.0, 0.165 * max(map(len, names)) + 0.3)
    width, height = 0.72 + wide * (each + room) + (wide - 1) * 0.5, down * (panel + 0.85)
    figure = Figure(figsize=(width, height))
    for k, (one, shown) in enumerate(zip(found, names, strict=True)):
        row, column = divmod(k, wide)
        left, bottom = 0.72 + column * (each + room + 0.5), height - 0.3 - row * (panel + 0.85) - panel
        ax = figure.add_axes((left / width, bottom / height, each / width, panel / height))
        for name in reversed(shown):
            bold = study.families[name] == FAMILY
            _stairs(
                ax, one, one.attained[name], **looks[name].line, linewidth=2 if bold else 1.1, zorder=4 if bold else 3
            )
        _stairs(ax, one, one.true, color=INK, linewidth=1.4, zorder=5)
        accuracy, second = one.scale.back(one.true)
        ax.plot(second, accuracy, linestyle="none", marker="o", markersize=2.5, color=INK, zorder=6)
        margin = 0.03 * (one.scale.best_accuracy - one.scale.worst_accuracy)
        ax.set_ylim(one.scale.worst_accuracy, one.scale.best_accuracy + margin)
        most = max([float(second.max())] + [float(one.scale.back(one.attained[n])[1].max()) for n in shown])
        span = most - one.scale.least
        ax.set_xlim(one.scale.least - 0.03 * span, most + 0.06 * span)
        ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.set_title(one.task)
        ax.set_xlabel(WORDS.get(one.objective, one.objective))
        if column == 0:
            ax.set_ylabel("validation accuracy (%)")
        handles = [Line2D([], [], color=INK, linewidth=1.4, marker="o", markersize=2.5, label="the table's front")]
        handles += [Line2D([], [], **looks[name].line, label=name) for name in shown]
        inks = [INK, *(INK if study.families[name] == FAMILY else MUTED for name in shown)]
        ax.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.02), borderaxespad=0, fontsize=7.5,
            handlelength=2.4, labelcolor=inks,
        )  # fmt: skip
    return figure


def _stairs(ax: Axes, found: Fronts, corners: np.ndarray, **line: Any) -> None:
    """What corners dominate, up to the reference point: accuracy as it grows with the objective that is allowed."""
    accuracy, second = found.scale.back(corners[(corners <= 1).all(axis=1)][::-1])
    if len(second):
        x = np.concatenate([second[:1], second, [found.scale.most]])
        y = np.concatenate([[found.scale.worst_accuracy], accuracy, accuracy[-1:]])
        ax.plot(x, y, drawstyle="steps-post", **line)
