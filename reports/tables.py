"""The tables of a report: each as full-precision CSV, as Markdown, and as cells for the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from nasbench.runs.budget import CURRENCIES, ROUNDING

from .analysis import Analysis
from .cells import Found
from .statistics import ALPHA, Estimate, hidden_pairs
from .study import METRICS, Study

NOTHING = "–"


@dataclass(frozen=True)
class Text:
    """A cell of a table; `strategy` names the strategy whose line sample stands before it."""

    text: str
    strong: bool = False
    strategy: str = ""

    def __str__(self) -> str:
        return f"**{self.text}**" if self.strong else self.text


@dataclass(frozen=True)
class Table:
    """A table as people read it and, in `frame`, as programs do.

    Attributes:
        name: of its files.
        numeric: columns, by position, that are aligned to the right.
    """

    name: str
    columns: Sequence[str]
    rows: list[list[Text]]
    frame: pd.DataFrame
    numeric: frozenset[int] = field(default_factory=frozenset)

    def to_csv(self) -> str:
        return self.frame.to_csv(index=False, lineterminator="\n")

    def to_markdown(self) -> str:
        rule = ["---:" if i in self.numeric else "---" for i in range(len(self.columns))]
        lines = [self.columns, rule, *self.rows]
        return "".join("| " + " | ".join(str(x).replace("|", "\\|") for x in line) + " |\n" for line in lines)


def build(name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], frame: pd.DataFrame, text: int = 1) -> Table:
    """A table from display values; all but the first `text` columns are numeric."""
    cells = [[x if isinstance(x, Text) else Text(str(x)) for x in row] for row in rows]
    return Table(name, list(columns), cells, frame, frozenset(range(text, len(columns))))


def strategy(name: str, strong: bool = False) -> Text:
    return Text(name, strong, name)


def number(value: float, digits: int = 2) -> str:
    """With thousands separators; a dash where there is none."""
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞"
    shown = f"{value:,.{digits}f}"
    return f"{0:.{digits}f}" if float(shown.replace(",", "")) == 0 else shown.replace("-", "−")


def amount(value: float) -> str:
    """An amount of a budget's currency: whole if it is, else with one digit."""
    if value is None or not math.isfinite(value):
        return number(math.nan if value is None else value)
    if abs(value) >= 1e9:
        return f"{value:.3g}"
    return number(value, 0 if abs(value - round(value)) < 1e-6 or abs(value) >= 1000 else 1)


def interval(found: Estimate, digits: int = 2) -> str:
    """A value with its interval."""
    if not math.isfinite(found.low):
        return number(found.value, digits)
    return f"{number(found.value, digits)} [{number(found.low, digits)}, {number(found.high, digits)}]"


def digits_for(values: Iterable[float]) -> int:
    """Two digits, or three where differences below a tenth of a point are what is compared."""
    positive = [v for v in values if math.isfinite(v) and v > 0]
    return 3 if positive and min(positive) < 0.1 else 2


def p_value(p: float) -> str:
    if math.isnan(p):
        return NOTHING
    return "< 0.0001" if p < 1e-4 else f"{p:.4f}" if p < 0.01 else f"{p:.2f}"


def ranking(study: Study, found: Analysis) -> Table:
    """One row a strategy, best mean rank first, with the interquartile mean of its final regret on every task."""
    rows, records = [], []
    digits = {t: digits_for(found.middles[t, s].value for s in found.order) for t in study.tasks}
    for place, name in enumerate(found.order, 1):
        rank = Estimate(*found.ranks.loc[name, ["value", "low", "high"]])
        cells = [
            Text(interval(found.middles[t, name], digits[t]), found.is_level(t, name) and len(found.order) > 1)
            for t in study.tasks
        ]
        rows.append([str(place), strategy(name, found.tested and name in found.leaders), study.families[name], interval(rank), *cells])
        record: dict[str, Any] = {
            "metric": METRICS[found.metric], "place": place, "strategy": name, "family": study.families[name],
            "mean_rank": rank.value, "mean_rank_low": rank.low, "mean_rank_high": rank.high,
        }  # fmt: skip
        for t in study.tasks:
            for part, value in zip(("iqm", "iqm_low", "iqm_high"), found.middles[t, name], strict=True):
                record[f"{t}_regret_{part}"] = value
        records.append(record)
    table = build(
        f"ranking_{found.metric}", ["", "strategy", "family", "mean rank", *study.tasks], rows, pd.DataFrame(records), 3
    )
    return table


def scores(study: Study, found: Analysis, task: str) -> Table:
    """One row a strategy on one task: how its runs ended and how soon they were near the optimum."""
    target, metric = _target(study, found.metric, task), found.metric
    rows, records = [], []
    digits = digits_for(found.middles[task, s].value for s in found.order)
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
        record = {
            "metric": METRICS[metric], "task": task, "strategy": name, "runs": total, "runs_with_result": len(values),
            "accuracy_mean": accuracies.mean() if len(accuracies) else math.nan, "accuracy_sd": spread,
            "regret_iqm": middle.value, "regret_iqm_low": middle.low, "regret_iqm_high": middle.high,
            "regret_mean": values.mean() if len(values) else math.nan,
            "regret_median": np.median(values) if len(values) else math.nan,
            "regret_best": values.min() if len(values) else math.nan,
            "regret_worst": values.max() if len(values) else math.nan,
            "optimum_found": optimum, "target_regret": target, "target_reached": reached, "median_spent_until_target": typical,
        }  # fmt: skip
        records.append(record)
        accuracy = f"{number(record['accuracy_mean'])} ± {number(spread)}" if len(accuracies) else NOTHING
        rows.append([
            strategy(name), f"{len(values):,} of {total:,}" if len(values) < total else f"{total:,}", accuracy,
            Text(interval(middle, digits), found.is_level(task, name) and len(order) > 1),
            *(number(record[key], digits) for key in ("regret_median", "regret_best", "regret_worst")),
            _share(optimum), f"{_share(reached)} · {_until(typical)}",
        ])  # fmt: skip
    columns = ["strategy", "runs", "accuracy, mean ± sd", "regret: IQM [95 %]", "median", "best", "worst", "found the best cell",
               f"within {target:.2g} of it: share · median spent"]  # fmt: skip
    return build(f"scores_{metric}_{task}", columns, rows, pd.DataFrame(records))


def _target(study: Study, metric: str, task: str) -> float:
    """The regret that counts as near: what the table's seeds can resolve, or half a point."""
    resolution = study.resolution(task, metric)
    return resolution if math.isfinite(resolution) else 0.5


def _last(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _median_with_infinities(values: np.ndarray) -> float:
    """The upper median, so that no mean with infinity is taken."""
    return float(np.sort(values)[len(values) // 2])


def _until(value: float) -> str:
    return NOTHING if not math.isfinite(value) else amount(value)


def _share(value: float) -> str:
    if math.isnan(value):
        return NOTHING
    return f"{value:.0%}" if value in (0, 1) or 0.005 <= value < 0.995 else ("< 1%" if value < 0.5 else "> 99%")


def budget(study: Study) -> Table:
    """What every strategy spent, on what, and how its runs ended."""
    frame, documents = study.results.ledger, study.documents
    currency = CURRENCIES[study.budget.unit]
    kinds = list(dict.fromkeys(frame["kind"])) if len(frame) else []
    sums = frame.groupby(["task", "strategy", "seed", "kind"], observed=True)[currency].sum()
    seconds = frame.groupby(["task", "strategy", "seed"], observed=True)["seconds"].sum(min_count=1)
    timings = study.results.timings.groupby("strategy")["overhead_seconds"].median()
    rows, records = [], []
    for name in study.strategies:
        own = [d for t in study.tasks for d in documents.get((t, name), [])]
        spent = np.array([d["spent"] for d in own])
        evaluations = np.array([len(d["steps"]["cell"]) for d in own])
        repeats = np.array([d["repeats"] for d in own])
        ends = pd.Series([d["status"] for d in own]).value_counts()
        within = int((spent <= study.budget.amount * (1 + 2 * ROUNDING)).sum())
        by_kind = {k: _total(sums, name, k) / len(own) for k in kinds}
        hours = _of(seconds, name) / 3600
        record: dict[str, Any] = {"strategy": name, "runs": len(own), "within_budget": within}
        for label, values in (("spent", spent), ("evaluations", evaluations)):
            record |= {f"{label}_min": values.min(), f"{label}_median": np.median(values), f"{label}_max": values.max()}
        record |= {f"mean_spent_on_{k}": v for k, v in by_kind.items()}
        record |= {"repeats_median": np.median(repeats), "repeats_max": repeats.max()}
        record |= {f"ended_{s}": int(ends.get(s, 0)) for s in ("budget", "finished", "stalled")}
        record["training_hours_median"] = float(np.median(hours)) if len(hours) else math.nan
        record["measured_overhead_seconds_median"] = float(timings.get(name, math.nan))
        records.append(record)
        rows.append([
            strategy(name), f"{within:,} of {len(own):,}", _range(spent), *(amount(v) for v in by_kind.values()),
            _range(evaluations), amount(record["repeats_median"]),
            ", ".join(f"{ends[s]:,} {s}" for s in ("budget", "finished", "stalled") if s in ends),
            number(record["training_hours_median"], 1), _seconds(record["measured_overhead_seconds_median"]),
        ])  # fmt: skip
    columns = [
        "strategy", "runs within budget", "spent, min / median / max", *(f"of it {k}, mean" for k in kinds),
        "trainings, min / median / max", "repeats", "runs ended by", "simulated hours", "overhead, measured",
    ]  # fmt: skip
    return build("budget", columns, rows, pd.DataFrame(records))


def _total(sums: pd.Series, name: str, kind: str) -> float:
    level = sums.index.get_level_values
    return float(sums[(level("strategy") == name) & (level("kind") == kind)].sum())


def _of(values: pd.Series, name: str) -> np.ndarray:
    return values[values.index.get_level_values("strategy") == name].dropna().to_numpy()


def _range(values: np.ndarray) -> str:
    if values.min() == values.max():
        return amount(values.min())
    return " / ".join(amount(float(v)) for v in (values.min(), np.median(values), values.max()))


def _seconds(value: float) -> str:
    if math.isnan(value):
        return NOTHING
    return f"{value * 1000:.2g} ms" if value < 0.1 else f"{value:.2g} s"


def noise(study: Study) -> Table | None:
    """The table's seed noise per task and metric; None where no cell was trained twice."""
    rows, records = [], []
    for metric in study.metrics:
        for task in study.tasks:
            found = study.noise(task, metric)
            if not found:
                continue
            records.append({"task": task, "metric": METRICS[metric], **found})
            rows.append([
                task, METRICS[metric], number(found["rows"], 0), number(found["seeds"], 1), number(found["deviation"]),
                number(found["deviation_top"]), number(found["difference_top"]), number(found["kendall"]),
                number(found["kendall_top"]), Text(number(found["resolution"]), True),
            ])  # fmt: skip
    columns = [
        "task", "accuracy", "cells trained twice", "seeds a cell", "sd, all cells", "sd, best 1\u00a0%",
        "two trainings differ by, best 1\u00a0%", "τ between seeds, all", "τ, best 10\u00a0%", "resolution",
    ]  # fmt: skip
    return build("noise", columns, rows, pd.DataFrame(records), 2) if rows else None


def pairs(study: Study, analyses: Sequence[Analysis]) -> Table:
    """Every pair of strategies on every task: difference of mean accuracy, what the seeds resolve, the test."""
    records = []
    for found in analyses:
        for task in study.tasks:
            resolution = study.resolution(task, found.metric)
            p_values = found.task_p_values.get(task)
            for a, b, difference in hidden_pairs(found.means[task], math.inf):
                p = float(p_values.loc[a, b]) if p_values is not None else math.nan
                records.append({
                    "metric": METRICS[found.metric], "task": task, "better": a, "other": b, "difference": difference,
                    "resolution": resolution, "below_resolution": difference < resolution, "p_holm": p,
                    "separated": p < ALPHA,
                })  # fmt: skip
    columns = ["metric", "task", "better", "other", "difference", "resolution", "below_resolution", "p_holm", "separated"]
    frame = pd.DataFrame(records, columns=columns)
    rows = [
        [r.metric, r.task, r.better, r.other, number(r.difference, 3), number(r.resolution), "yes" if r.below_resolution else "no",
         p_value(r.p_holm), "yes" if r.separated else "no"] for r in frame.itertuples()
    ]  # fmt: skip
    return build("pairs", [c.replace("_", " ") for c in columns], rows, frame, 4)


def improvement(analyses: Sequence[Analysis]) -> Table:
    """Probabilities of improvement and test results over all tasks, one row an ordered pair."""
    records = []
    for found in analyses:
        if found.pairs is None:
            continue
        for i, a in enumerate(found.order):
            for j, b in enumerate(found.order):
                if i != j:
                    values = [float(part[i, j]) for part in found.pairs]
                    records.append([METRICS[found.metric], a, b, *values, float(found.p_values.loc[a, b])])
    columns = ["metric", "strategy", "other", "probability", "low", "high", "p_holm"]
    frame = pd.DataFrame(records, columns=columns)
    rows = [[r[0], r[1], r[2], *(number(x) for x in r[3:6]), p_value(r[6])] for r in records]
    return build("improvement", columns, rows, frame, 3)


def cells(found: Sequence[Found], has_test: bool) -> Table:
    """The best cells in the space's own notation."""
    rows = [
        [c.task, str(c.rank), c.text or f"cell {c.index}", number(c.val_acc), *([number(_float(c.test_acc))] if has_test else []),
         f"{c.runs:,} of {c.of:,}", f"{c.strategy} ({c.share:.0%})"] for c in found
    ]  # fmt: skip
    columns = ["task", "", "cell", "validation, %", *(["test, %"] if has_test else []), "runs that ended here", "most often"]
    return build("best_cells", columns, rows, pd.DataFrame(found, columns=Found._fields), 3)


def _float(value: float | None) -> float:
    return math.nan if value is None else value


def agreement(study: Study) -> Table | None:
    """Published test accuracies beside ours; None if the suite names none."""
    rows, records = [], []
    reference = study.suite.reference
    for name in sorted(reference, key=[*study.suite.strategies, *reference].index):
        for task in sorted(reference[name], key=[*study.suite.tasks, *reference[name]].index):
            mean, deviation = reference[name][task]
            values = study.accuracies("test", task, name)
            ours = float(values.mean()) if len(values) else math.nan
            spread = float(values.std(ddof=0)) if len(values) > 1 else math.nan
            record = {"strategy": name, "task": task, "published_mean": mean, "published_sd": deviation, "ours_mean": ours,
                      "ours_sd": spread, "difference": ours - mean, "runs": len(values)}  # fmt: skip
            records.append(record)
            rows.append([
                strategy(name) if name in study.strategies else name, task, f"{number(mean)} ± {number(deviation)}",
                f"{number(ours)} ± {number(spread)}" if len(values) else NOTHING,
                Text(_signed(ours - mean), True), _signed((ours - mean) / deviation) if deviation else NOTHING, f"{len(values):,}",
            ])  # fmt: skip
    columns = ["strategy", "task", "published test accuracy, %", "here, %", "difference", "in published sd", "runs here"]
    return build("agreement", columns, rows, pd.DataFrame(records), 2) if rows else None


def _signed(value: float) -> str:
    shown = number(value)
    return shown if shown == NOTHING or shown.startswith("−") or value == 0 else f"+{shown}"


def settings(study: Study) -> Table:
    """What every strategy is: family, paper, settings, code."""
    rows, records = [], []
    for name in study.strategies:
        known = study.manifest["strategies"].get(name, {})
        where = str(known.get("where") or f"{str(known.get('path', '')).replace(chr(92), '/').rsplit('/', 1)[-1]}:{name}")
        values = known.get("settings") or {}
        shown = ", ".join(f"{k} = {v}" for k, v in values.items()) if isinstance(values, dict) else str(values)
        record = {"strategy": name, "family": study.families[name], "paper": str(known.get("paper") or ""),
                  "settings": shown or "defaults", "code": where}  # fmt: skip
        if known.get("sha256"):
            record["code"] += f" (SHA-256 {known['sha256'][:12]}…)"
        records.append(record)
        rows.append([strategy(name), record["family"], record["paper"] or NOTHING, record["settings"], record["code"]])
    return build("strategies", ["strategy", "family", "paper", "settings", "code"], rows, pd.DataFrame(records), 5)
