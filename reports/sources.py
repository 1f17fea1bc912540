"""What meta-learned strategies had learned from, what that cost, and after how many tasks it is paid back.

Two readings (charging rule 9): the target's budget alone, which all other tables give, and with the sources' trainings
spread over the tasks they serve. The break-even compares with the strategy that searched best without sources: what a
meta-learned one saves on a task is what is left of the budget when its mean regret is down to where the other ends.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from nasbench.runs.budget import CURRENCIES
from nasbench.terminal import plural

from .amounts import Amounts
from .analysis import Analysis
from .study import Study
from .tables import Table, amount, build, number, strategy

STEPS = 400
"""Amounts of the budget at which regrets are compared, at most: every whole one where it counts trainings or epochs."""


def learned(study: Study) -> list[str]:
    """The strategies that learned from source tasks."""
    return [name for name in study.strategies if name in set(study.results.sources["strategy"])]


def best_without(study: Study, found: Analysis) -> str:
    """The best strategy that learned from no source; "" if there is none."""
    return next((name for name in found.order if name not in learned(study)), "")


def cost(study: Study, name: str, currency: str) -> float:
    """What the sources of a strategy's runs had cost, mean over tasks; nan where that is not known."""
    frame = study.results.sources
    own = frame[frame["strategy"] == name]
    sums = own.groupby(["task", "seed"])[currency].sum(min_count=1)
    whole = own.groupby(["task", "seed"])[currency].apply(lambda values: values.notna().all())
    return float(sums.groupby("task").mean().mean()) if whole.all() else math.nan


def saved(study: Study, amounts: Amounts, metric: str, name: str, other: str) -> list[float]:
    """By task, how much more `other` had spent when its mean regret was that with which it ended than `name` when its
    own was no higher; 0 where `other` was there first, nan where `name` never was."""
    left, currency = [], CURRENCIES[study.budget.unit]
    whole = study.budget.unit in ("evals", "epochs") and study.budget.amount <= STEPS
    grid = np.arange(0.0, study.budget.amount + 1) if whole else np.linspace(0, study.budget.amount, STEPS + 1)
    for task in study.tasks:
        goal = float(np.mean(amounts.after(metric, task, other, currency, study.budget.amount)[0]))
        when = [_first(study, amounts, metric, task, one, goal, grid) for one in (other, name)]
        left.append(float(np.maximum(0.0, when[0] - when[1])) if math.isfinite(goal) else math.nan)
    return left


def _first(study: Study, amounts: Amounts, metric: str, task: str, name: str, goal: float, grid: np.ndarray) -> float:
    """The first amount of the grid after which the mean regret is at most `goal`; nan if none."""
    currency = CURRENCIES[study.budget.unit]
    mean = [float(np.mean(amounts.after(metric, task, name, currency, at)[0])) for at in grid]
    there = np.flatnonzero(np.array(mean) <= goal + 1e-9)
    return float(grid[there[0]]) if len(there) else math.nan


def table(study: Study, amounts: Amounts, found: Analysis) -> Table | None:
    """One row for each strategy that learned from sources; None where there is none."""
    names = learned(study)
    if not names:
        return None
    currency, other = CURRENCIES[study.budget.unit], best_without(study, found)
    frame = study.results.sources
    rows, records = [], []
    for name in names:
        own = frame[frame["strategy"] == name]
        count = own.groupby(["task", "seed"])["source"].nunique()
        spent, budget = cost(study, name, currency), study.budget.amount
        left = saved(study, amounts, found.metric, name, other) if other else []
        even = break_even(spent, left)
        several, spread = float(count.mean()), budget + spent / len(study.tasks)
        gain = float(np.nanmean(left)) if np.isfinite(left).any() else math.nan
        record = {
            "strategy": name, "sources_mean": several, f"{currency}_on_sources": spent,
            f"{currency}_a_task": budget, f"{currency}_a_task_with_sources": spread,
            "compared_with": other, "tasks_matched": int(np.isfinite(left).sum()),
            f"{currency}_saved_a_task": gain,
            "break_even_tasks": even,
        }  # fmt: skip
        records.append(record)
        rows.append([
            strategy(name), number(several, 0), amount(spent), amount(budget),
            amount(spread),
            f"{record['tasks_matched']} of {len(study.tasks)}" if other else "-",
            amount(gain), in_tasks(even) if other else "-",
        ])  # fmt: skip
    columns = [
        "strategy", "source tasks", f"{currency} spent on them", "a task, target alone",
        f"a task, sources spread over {plural(len(study.tasks), 'task')}",
        f"tasks on which it gets as far as {other or 'none'}", "saved there, mean", "break-even after",
    ]  # fmt: skip
    return build("sources", columns, rows, pd.DataFrame(records))


def break_even(spent: float, left: Sequence[float]) -> float:
    """After how many tasks the sources are paid back: their cost over what a task saves, tasks that save nothing or are
    worse counted with nothing; inf for never, nan where the cost is not known."""
    if math.isnan(spent):
        return math.nan
    mean = float(np.nan_to_num(np.asarray(left, dtype=float)).mean()) if len(left) else 0.0
    return math.ceil(spent / mean) if mean > 0 else math.inf


def in_tasks(even: float) -> str:
    """The break-even as people read it."""
    if math.isnan(even):
        return "unknown"
    return "never" if math.isinf(even) else f"{even:,.0f} tasks" if even != 1 else "1 task"


def in_words(study: Study, amounts: Amounts, found: Analysis) -> list[str]:
    """The findings, one sentence each."""
    names, other = learned(study), best_without(study, found)
    currency = CURRENCIES[study.budget.unit]
    said: list[str] = []
    if not other:
        return [*said, "No strategy without sources took part, so nothing says what the sources saved."]
    best = next(name for name in found.order if name in names)
    spent = cost(study, best, currency)
    even = break_even(spent, saved(study, amounts, found.metric, best, other))
    if math.isnan(even):
        said.append(f"The best of them is {best}; what its sources cost in {currency} is not known.")
    elif math.isinf(even):
        said.append(
            f"The best of them, {best}, saves nothing beside {other}, the best without sources: the {amount(spent)} "
            f"{currency} spent on its sources are never paid back."
        )
    else:
        said.append(
            f"The best of them, {best}, learned from trainings worth {amount(spent)} {currency}; beside {other}, the "
            f"best without sources, these are paid back after {in_tasks(even)}."
        )
    return said
