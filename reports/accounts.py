"""The tables of what was spent, what is known of the table, what was found, and what was used."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from nasbench.runs.budget import CURRENCIES, ROUNDING

from .cells import Found
from .study import METRICS, Study
from .tables import NOTHING, Table, Text, amount, build, duration, number, signed, strategy

ENDS = ("budget", "finished", "stalled", "missing")
"""How a run can end."""


def budget(study: Study) -> Table:
    """What every strategy spent, on what, and how its runs ended."""
    frame, documents = study.results.ledger, study.documents
    currency = CURRENCIES[study.budget.unit]
    kinds = list(dict.fromkeys(frame["kind"])) if len(frame) else []
    sums = frame.groupby(["task", "strategy", "seed", "kind"], observed=True)[currency].sum()
    seconds = frame.groupby(["task", "strategy", "seed"], observed=True)["seconds"].sum(min_count=1)
    timings = overheads(study)
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
            record |= {
                f"{label}_min": values.min(),
                f"{label}_median": np.median(values),
                f"{label}_max": values.max(),
            }
        record |= {f"mean_spent_on_{k}": v for k, v in by_kind.items()}
        record |= {"repeats_median": np.median(repeats), "repeats_max": repeats.max()}
        record |= {f"ended_{s}": int(ends.get(s, 0)) for s in ENDS}
        record["training_hours_median"] = float(np.median(hours)) if len(hours) else math.nan
        record["measured_overhead_seconds_median"] = float(timings.get(name, math.nan))
        records.append(record)
        rows.append(
            [
                strategy(name),
                f"{within:,} of {len(own):,}",
                _range(spent),
                *(amount(v) for v in by_kind.values() if len(kinds) > 1),
                _range(evaluations),
                number(record["repeats_median"], 0),
                ", ".join(f"{ends[s]:,} {s}" for s in ENDS if s in ends),
                duration(3600 * record["training_hours_median"]),
                seconds_in_words(record["measured_overhead_seconds_median"]),
            ]
        )
    whole = f"spent, all on {kinds[0]}" if len(kinds) == 1 else "spent"
    parts = [f"on {kind}, mean" for kind in kinds if len(kinds) > 1]
    columns = [
        "strategy", "runs within budget", f"{whole}: min / median / max", *parts,
        "trainings: min / median / max", "repeats", "runs ended by", "simulated time", "overhead, measured",
    ]  # fmt: skip
    return build("budget", columns, rows, pd.DataFrame(records))


def overheads(study: Study) -> pd.Series:
    """Median measured seconds in ask and tell by strategy; empty if timings.csv is missing or damaged."""
    try:
        found = study.results.timings
        seconds = pd.to_numeric(found["overhead_seconds"], errors="coerce").replace([np.inf, -np.inf], np.nan)
        return seconds.groupby(found["strategy"]).median()
    except (OSError, ValueError, KeyError, TypeError):
        return pd.Series(dtype=float)


def _total(sums: pd.Series, name: str, kind: str) -> float:
    level = sums.index.get_level_values
    return float(sums[(level("strategy") == name) & (level("kind") == kind)].sum())


def _of(values: pd.Series, name: str) -> np.ndarray:
    return values[values.index.get_level_values("strategy") == name].dropna().to_numpy()


def _range(values: np.ndarray) -> str:
    if values.min() == values.max():
        return amount(values.min())
    return " / ".join(amount(float(v)) for v in (values.min(), np.median(values), values.max()))


def seconds_in_words(value: float) -> str:
    if math.isnan(value):
        return "not recorded"
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
            rows.append(
                [
                    task,
                    METRICS[metric],
                    number(found["rows"], 0),
                    number(found["seeds"], 1),
                    number(found["deviation"]),
                    number(found.get("rows_top", math.nan), 0),
                    number(found["deviation_top"]),
                    number(found["difference_top"]),
                    number(found["kendall"]),
                    number(found["kendall_top"] if "rows_top" in found else math.nan),  # else of an older release
                    Text(number(found["resolution"]), True),
                ]
            )
    columns = [
        "task", "accuracy", "cells trained twice", "seeds a cell", "sd, all cells", "best cells", "sd, best cells",
        "two trainings differ by, best cells", "τ between seeds, all", "τ, best 10\u00a0%", "resolution",
    ]  # fmt: skip
    return build("noise", columns, rows, pd.DataFrame(records), 2) if rows else None


def cells(found: Sequence[Found], has_test: bool) -> Table:
    """The best cells in the space's own notation."""
    rows = [
        [
            f"{c.task}, {c.rank}",
            c.text or f"cell {c.number}",
            number(c.val_acc),
            *([number(_float(c.test_acc))] if has_test else []),
        ]
        for c in found
    ]
    columns = ["task, rank", "cell", "validation, %", *(["test, %"] if has_test else [])]
    return build("best_cells", columns, rows, pd.DataFrame(found, columns=Found._fields), 2)


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
            spread = float(values.std(ddof=1)) if len(values) > 1 else math.nan
            record = {
                "strategy": name,
                "task": task,
                "published_mean": mean,
                "published_sd": deviation,
                "ours_mean": ours,
                "ours_sd": spread,
                "difference": ours - mean,
                "runs": len(values),
            }
            records.append(record)
            rows.append(
                [
                    strategy(name) if name in study.strategies else name,
                    task,
                    f"{number(mean)} ± {number(deviation)}",
                    f"{number(ours)} ± {number(spread)}" if len(values) else NOTHING,
                    Text(signed(ours - mean), True),
                    signed((ours - mean) / deviation) if deviation else NOTHING,
                    f"{len(values):,}",
                ]
            )
    columns = [
        "strategy",
        "task",
        "published test accuracy, %",
        "here, %",
        "difference",
        "in published sd",
        "runs here",
    ]
    return build("agreement", columns, rows, pd.DataFrame(records), 2) if rows else None


def settings(study: Study) -> Table:
    """What every strategy is: family, paper, settings, code."""
    rows, records = [], []
    for name in study.strategies:
        known = study.manifest["strategies"].get(name, {})
        where = str(
            known.get("where") or f"{str(known.get('path', '')).replace(chr(92), '/').rsplit('/', 1)[-1]}:{name}"
        )
        values = known.get("settings") or {}
        shown = ", ".join(f"{k} = {v}" for k, v in values.items()) if isinstance(values, dict) else str(values)
        record = {"strategy": name, "family": study.families[name], "paper": str(known.get("paper") or ""),
                  "settings": shown or "defaults", "code": where}  # fmt: skip
        if known.get("sha256"):
            record["code"] += f" (SHA-256 {known['sha256'][:12]}…)"
        records.append(record)
        rows.append([strategy(name), record["family"], record["paper"] or NOTHING, record["settings"], record["code"]])
    return build("strategies", ["strategy", "family", "paper", "settings", "code"], rows, pd.DataFrame(records), 5)
