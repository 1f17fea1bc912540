"""What runs found, looked up in another table of the same space: are good cells of one table good in another?

The other table, published results for one, had no part in the search, so that what was picked for the luck of its few
trainings loses that luck there. Cells that it has no result for are left out and counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nasbench.errors import NasbenchError
from nasbench.tables import Table, open_table

from .findings import MANY, listed
from .first_cells import first_cells
from .statistics import ALPHA, Estimate, leader_p_values, rank_agreement
from .study import METRICS, Study
from .tables import NOTHING, Text, build, number, strategy
from .tables import Table as Shown

FEWEST = 3
"""Strategies below which an agreement of rankings says nothing."""


@dataclass(frozen=True)
class Elsewhere:
    """The cells of a comparison in another table.

    Attributes:
        table: the other table.
        metric: "test" where it has test accuracies for every task, else "val".
        tasks: the comparison's tasks whose searches are told apart: one, if all of them score the same searches.
        accuracies: task of the other table -> accuracy [cell] in percent, mean over seeds, nan where it has none.
        ends: a row a run: task, strategy, seed, the cell it ends with (-1: none), and that cell's accuracy by task.
        firsts: the same of first cells, empty unless something searched with a supernet.
        agreement: task of the other table -> Kendall's tau between the strategies' order there and by validation regret
            here, with its bootstrap interval over runs; {} of too few strategies or runs.
        chance: tau between the orders here of two resamplings of the runs: what chance alone leaves.
    """

    table: Table
    metric: str
    tasks: list[str]
    accuracies: dict[str, np.ndarray]
    ends: pd.DataFrame
    firsts: pd.DataFrame
    agreement: dict[str, Estimate]
    chance: Estimate

    @property
    def word(self) -> str:
        return METRICS[self.metric]


def look_up(study: Study, name: str | Path) -> Elsewhere:
    """The last and first cells of all runs in the table `name`, by its test accuracies where every task has them.

    NasbenchError if it is a table of another space, or of predictions.
    """
    table, space = open_table(name), study.manifest["table"]["space"]
    if "surrogate" in table.attributes:
        raise NasbenchError(f"the table {table.name} holds predictions, not trainings: it cannot judge what was found.")
    if table.space.name != space:
        raise NasbenchError(
            f"the cells that were found are of {space}, those of the table {table.name} of {table.space.name}: "
            "they cannot be looked up there."
        )
    metric = "test" if all("test_acc" in table.curves(task).arrays for task in table.tasks) else "val"
    rows = table.row_of_cell
    accuracies = {
        task: np.where(rows >= 0, table.curves(task).mean(f"{metric}_acc")[rows], np.nan) for task in table.tasks
    }
    tasks, firsts = list(study.tasks), first_cells(study)
    found = [
        {"task": task, "strategy": label, "seed": document["seed"], "cell": _last(document)}
        for label in study.strategies
        for task in tasks
        for document in study.documents.get((task, label), [])
    ]
    ends = pd.DataFrame(found)
    if study.together:  # the same searches, scored on several tasks
        tasks = [study.suite.search_task]
        ends, firsts = (
            one[one["task"] == study.tasks[0]].assign(task=tasks[0]) if len(one) else one for one in (ends, firsts)
        )
    ends = _with(accuracies, ends)
    if len(firsts):
        firsts = _with(accuracies, firsts[["task", "strategy", "seed", "cell"]])
    agreement, chance = _agreement(study, tasks, accuracies, ends)
    return Elsewhere(table, metric, tasks, accuracies, ends, firsts, agreement, chance)


def _last(document: Mapping[str, Any]) -> int:
    """The cell that a run would return, -1 if it has none."""
    steps = document["incumbents"]["step"]
    return int(document["steps"]["cell"][steps[-1]]) if steps else -1


def _with(accuracies: Mapping[str, np.ndarray], cells: pd.DataFrame) -> pd.DataFrame:
    index = cells["cell"].to_numpy()
    return cells.assign(**{task: np.where(index >= 0, values[index], np.nan) for task, values in accuracies.items()})


def _agreement(
    study: Study, tasks: Sequence[str], accuracies: Mapping[str, np.ndarray], ends: pd.DataFrame
) -> tuple[dict[str, Estimate], Estimate]:
    """How the order of strategies there agrees with that here, on each task there over the runs that it knows."""
    final = study.final["val"].stack()
    by = ["task", "seed", "strategy"]
    if study.together:
        by = by[1:]
        final = final.groupby(by).mean()
    ends = ends.join(final.rename("here"), on=by)

    def samples(known: pd.DataFrame, column: str, sign: int) -> list[list[np.ndarray]] | None:
        """Values [run] by task and strategy, or None where one has fewer than two."""
        groups = {key: sign * own[column].to_numpy() for key, own in known.groupby(["task", "strategy"])}
        found = [[groups.get((task, name), np.array([])) for name in study.strategies] for task in tasks]
        return found if all(len(values) > 1 for task in found for values in task) else None

    found, chance = {}, Estimate(np.nan, np.nan, np.nan)
    whole = samples(ends, "here", 1)
    if len(study.strategies) < FEWEST or whole is None:
        return {}, chance
    for other in accuracies:
        known = ends.dropna(subset=other)
        here, there = samples(known, "here", 1), samples(known, other, -1)
        if here is not None and there is not None:
            found[other] = rank_agreement({"here": here, "there": there})[0]["here", "there"]
    return found, rank_agreement({"here": whole})[1]


@dataclass(frozen=True)
class Best:
    """Who has the highest mean accuracy; `level` are those that tests do not separate from it, None if untested."""

    strategy: str
    mean: float
    level: list[str] | None


def best_of(cells: pd.DataFrame, task: str) -> Best | None:
    """The best on one task of the other table, or None where no cell is known there."""
    known = cells.dropna(subset=task)
    samples = {str(label): own[task].to_numpy() for label, own in known.groupby("strategy")}
    if not samples:
        return None
    best = max(samples, key=lambda label: float(samples[label].mean()))
    p_values = leader_p_values(samples, best)
    tested = len(p_values) > 0 and np.isfinite(list(p_values.values())).all()
    level = [label for label, p in p_values.items() if p >= ALPHA] if tested else None
    return Best(best, float(samples[best].mean()), level)


def tables(found: Elsewhere, order: Sequence[str]) -> list[Shown]:
    """Of every task searched here, one table of last cells and one of first cells; a row a strategy."""
    shown = []
    for kind, cells in (("elsewhere", found.ends), ("elsewhere_first", found.firsts)):
        for task in found.tasks if len(cells) else ():
            own = cells[cells["task"] == task]
            if len(own):
                shown.append(_table(f"{kind}_{task}", found, own, order))
    return shown


def _table(name: str, found: Elsewhere, cells: pd.DataFrame, order: Sequence[str]) -> Shown:
    there = list(found.accuracies)
    bold = {}
    for task in there:
        best = best_of(cells, task)
        bold[task] = [best.strategy, *best.level] if best and best.level is not None else []
    rows: list[list[Any]] = []
    for label in order:
        own = cells[cells["strategy"] == label]
        if len(own):
            rows.append([strategy(label), *(Text(_mean(own[task]), label in bold[task]) for task in there)])
    for title, measure in (("all cells, mean", np.nanmean), ("the best cell", np.nanmax)):
        rows.append([title, *(number(float(measure(found.accuracies[task]))) for task in there)])
    frame = cells.rename(columns={task: f"{task}_{found.metric}_acc" for task in there})
    return build(name, ["strategy", *(f"{task}, {found.word}" for task in there)], rows, frame)


def _mean(values: pd.Series) -> str:
    known = values.dropna()
    if not len(known):
        return NOTHING
    some = "" if len(known) == len(values) else f" ({len(known):,} of {len(values):,})"
    return f"{number(known.mean())} ± {number(known.std(ddof=1))}{some}"


def in_words(study: Study, found: Elsewhere) -> list[str]:
    """Whose cells are best there, and whether the order of strategies is the same."""
    name, there = found.table.name, list(found.accuracies)
    sentences = []
    lost = int((found.ends["cell"] >= 0).sum() - found.ends[there].notna().any(axis=1).sum())
    if lost:
        sentences.append(f"{lost:,} of {len(found.ends):,} runs end with a cell that {name} has no result for.")
    pairs = [(task, other) for task in found.tasks for other in there]
    if len(study.strategies) > 1 and len(pairs) <= MANY:
        for task, other in pairs:
            best = best_of(found.ends[found.ends["task"] == task], other)
            if best is not None:
                sentences.append(
                    _about_best(best, f"Of the cells found on {task}", f"{found.word} accuracy on {other}")
                )
    if found.agreement:
        taus = [f"{number(e.value)} on {t} ({number(e.low)} to {number(e.high)})" for t, e in found.agreement.items()]
        sentences.append(
            f"Between the order of strategies by the regret of their cells here and by the accuracy of these there, "
            f"Kendall's τ is {listed(taus)}; two resamplings of the runs here agree with {number(found.chance.value)} "
            f"({number(found.chance.low)} to {number(found.chance.high)})."
        )
    return sentences


def _about_best(best: Best, of: str, measure: str) -> str:
    sentence = f"{of}, those of {best.strategy} have the highest mean {measure} there, {number(best.mean)}"
    if best.level is None:
        return f"{sentence}; these are too few runs to test."
    if not best.level:
        return f"{sentence}, and tests separate it from all others."
    others = listed(best.level) if len(best.level) <= MANY else f"{len(best.level)} others"
    return f"{sentence}; tests do not separate it from {others}."
