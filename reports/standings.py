"""The tables of who is how good: ranking, scores on each task, pairs of strategies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from .analysis import Analysis
from .statistics import ALPHA, Estimate, ordered_pairs
from .study import METRICS, Study
from .tables import (
    NOTHING,
    Table,
    Text,
    amount,
    build,
    digits_for,
    interval,
    number,
    p_value,
    share,
    strategy,
)


def ranking(study: Study, found: Analysis) -> Table:
    """One row a strategy, best mean rank first, with the interquartile mean of its regret on every task."""
    rows, records = [], []
    digits = digits_for(middle.value for middle in found.middles.values())
    for place, name in enumerate(found.order, 1):
        rank = Estimate(*found.ranks.loc[name, ["value", "low", "high"]])
        cells = [
            Text(interval(found.middles[t, name], digits), found.is_level(t, name) and len(found.order) > 1)
            for t in study.tasks
        ]
        rows.append(
            [
                str(place),
                strategy(name, found.tested and name in found.leaders),
                study.families[name],
                interval(rank),
                *cells,
            ]
        )
        record: dict[str, Any] = {
            "metric": METRICS[found.metric], "place": place, "strategy": name, "family": study.families[name],
            "mean_rank": rank.value, "mean_rank_low": rank.low, "mean_rank_high": rank.high,
        }  # fmt: skip
        for t in study.tasks:
            for part, value in zip(("iqm", "iqm_low", "iqm_high"), found.middles[t, name], strict=True):
                record[f"{t}_regret_{part}"] = value
        records.append(record)
    table = build(
        f"ranking_{found.metric}",
        ["", "strategy", "family", "mean rank", *study.tasks],
        rows,
        pd.DataFrame(records),
        3,
    )
    return table


def scores(study: Study, found: Analysis, task: str) -> Table:
    """One row a strategy on one task: how its runs ended and how soon they were near the optimum."""
    target, metric = _target(study, found.metric, task), found.metric
    rows, records = [], []
    digits = digits_for(middle.value for middle in found.middles.values())
    order = sorted(found.order, key=lambda s: _last(found.middles[task, s].value))
    for name in order:
        values, accuracies = study.values(metric, task, name), study.accuracies(metric, task, name)
        total = len(study.documents.get((task, name), []))
        until = study.spent_until(metric, task, name, target)
        reached = float(np.isfinite(until).mean()) if total else math.nan
        typical = _median_with_infinities(until) if total else math.nan
        optimum = float((values <= 1e-9).sum() / total) if total else math.nan
        spread = accuracies.std(ddof=1) if len(accuracies) > 1 else math.nan
        middle = found.middles[task, name]
        record: dict[str, Any] = {
            "metric": METRICS[metric],
            "task": task,
            "strategy": name,
            "runs": total,
            "runs_with_result": len(values),
            "accuracy_mean": accuracies.mean() if len(accuracies) else math.nan,
            "accuracy_sd": spread,
            "regret_iqm": middle.value,
            "regret_iqm_low": middle.low,
            "regret_iqm_high": middle.high,
            "regret_mean": values.mean() if len(values) else math.nan,
            "regret_median": np.median(values) if len(values) else math.nan,
            "regret_best": values.min() if len(values) else math.nan,
            "regret_worst": values.max() if len(values) else math.nan,
            "optimum_found": optimum,
            "target_regret": target,
            "target_reached": reached,
            "median_spent_until_target": typical,
        }
        records.append(record)
        accuracy = f"{number(record['accuracy_mean'])} ± {number(spread)}" if len(accuracies) else NOTHING
        rows.append(
            [
                strategy(name),
                f"{len(values):,} of {total:,}" if len(values) < total else f"{total:,}",
                accuracy,
                Text(interval(middle, digits), found.is_level(task, name) and len(order) > 1),
                *(number(record[key], digits) for key in ("regret_median", "regret_best", "regret_worst")),
                share(optimum),
                f"{share(reached)} · {_until(typical)}",
            ]
        )
    columns = [
        "strategy",
        "runs",
        "accuracy, mean ± sd",
        "regret: IQM [95 %]",
        "median",
        "best",
        "worst",
        "found the best cell",
        f"within {target:.2g} of it: share · median spent",
    ]
    return build(f"scores_{metric}_{task}", columns, rows, pd.DataFrame(records))


def _target(study: Study, metric: str, task: str) -> float:
    """The regret that counts as near: what the table's seeds can resolve, or half a point."""
    resolution = study.resolution(task, metric)
    return resolution if math.isfinite(resolution) else 0.5


def _last(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _median_with_infinities(values: np.ndarray) -> float:
    """The median; infinite if one of the two in the middle is."""
    with np.errstate(invalid="ignore"):
        return float(np.median(values))


def _until(value: float) -> str:
    return NOTHING if not math.isfinite(value) else amount(value)


def pairs(study: Study, analyses: Sequence[Analysis]) -> Table:
    """Every pair of strategies on every task: difference of means, the table's noise in it, the test."""
    records = []
    for found in analyses:
        for task in study.tasks:
            p_values = found.task_p_values.get(task)
            for a, b, difference in ordered_pairs(found.means[task]):
                noise = float(found.noise[task].loc[a, b])
                p = float(p_values.loc[a, b]) if p_values is not None else math.nan
                records.append(
                    {
                        "metric": METRICS[found.metric],
                        "task": task,
                        "better": a,
                        "other": b,
                        "difference": difference,
                        "table_noise": noise,
                        "within_noise": None if math.isnan(noise) else difference <= noise,
                        "p_holm": p,
                        "separated": p < ALPHA,
                    }
                )
    columns = [
        "metric",
        "task",
        "better",
        "other",
        "difference",
        "table_noise",
        "within_noise",
        "p_holm",
        "separated",
    ]
    frame = pd.DataFrame(records, columns=columns)
    rows = [
        [
            r.metric,
            r.task,
            r.better,
            r.other,
            number(r.difference, 3),
            number(r.table_noise, 3),
            NOTHING if r.within_noise is None else "yes" if r.within_noise else "no",
            p_value(r.p_holm),
            "yes" if r.separated else "no",
        ]
        for r in frame.itertuples()
    ]
    return build("pairs", [c.replace("_", " ") for c in columns], rows, frame, 4)


def improvement(analyses: Sequence[Analysis]) -> Table:
    """Probabilities of improvement and test results over all tasks, one row an ordered pair."""
    records: list[list[Any]] = []
    for found in analyses:
        if found.pairs is None:
            continue
        for i, a in enumerate(found.order):
            for j, b in enumerate(found.order):
                if i != j:
                    values = [float(part[i, j]) for part in found.pairs[:3]]
                    records.append([METRICS[found.metric], a, b, *values, float(found.p_values.loc[a, b])])
    columns = ["metric", "strategy", "other", "probability", "low", "high", "p_holm"]
    frame = pd.DataFrame(records, columns=columns)
    rows = [[r[0], r[1], r[2], *(number(x) for x in r[3:6]), p_value(r[6])] for r in records]
    return build("improvement", columns, rows, frame, 3)
