"""What every run had reached when it had spent a given amount of any currency, from its ledger.

A ledger gives every expense in seconds, epochs, FLOPs and evaluations at once, so that runs made under a budget in one
currency can be compared after equal amounts of another. Nothing is run again: a strategy that was told of a smaller
budget might have acted otherwise.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nasbench.runs.budget import CURRENCIES, ROUNDING, Kind

from .study import Study


class Path(NamedTuple):
    """One run: what it had spent, by currency, when its incumbent changed, and in all.

    Attributes:
        spent: currency -> [incumbent]; only currencies that its whole ledger knows.
        total: currency -> sum of the ledger.
        accuracies: metric -> [incumbent] true accuracies; nan where there is none.
        cells: [incumbent] index in the space.
    """

    spent: dict[str, np.ndarray]
    total: dict[str, float]
    accuracies: dict[str, np.ndarray]
    cells: np.ndarray


def path_of(document: dict[str, Any], budgeted: str) -> Path:
    """The path of a run from its file; `budgeted` is the currency of its budget."""
    ledger, steps, incumbents = document["ledger"], document["steps"], document["incumbents"]
    changes = np.array(incumbents["step"], dtype=int)
    at = positions(ledger["kind"], np.array(ledger[budgeted], dtype=float), np.array(steps["spent"], dtype=float))[
        changes
    ]
    spent, total = {}, {}
    for currency in CURRENCIES.values():
        sums = np.cumsum(np.array(ledger[currency], dtype=float))
        if not np.isnan(sums).any():
            spent[currency], total[currency] = sums[at], float(sums[-1]) if len(sums) else 0.0
    accuracies = {metric: np.array(incumbents[f"{metric}_acc"], dtype=float) for metric in ("val", "test")}
    return Path(spent, total, accuracies, np.array(steps["cell"], dtype=int)[changes])


def positions(kinds: Sequence[str], costs: np.ndarray, spent: np.ndarray) -> np.ndarray:
    """Entry [step] of the ledger up to which all was paid when each training ended.

    With one worker, trainings are entered as they end. With several they are entered as they begin, and a training
    ends when what its step says had been spent.

    Args:
        kinds, costs: of the ledger's entries, in the budget's currency.
        spent: [step] in the same currency.
    """
    sums = np.cumsum(costs)
    trainings = np.flatnonzero(np.array(kinds, dtype=object) == str(Kind.TRAINING))
    if len(trainings) == len(spent) and np.allclose(sums[trainings], spent):
        return trainings
    return np.searchsorted(sums, spent * (1 - ROUNDING)).clip(max=len(sums) - 1)


class Amounts:
    """Regrets of all runs of a study after equal amounts of a currency."""

    def __init__(self, study: Study) -> None:
        self.study = study

    @functools.cached_property
    def paths(self) -> dict[tuple[str, str], list[Path]]:
        """(task, strategy) -> its runs."""
        currency = CURRENCIES[self.study.budget.unit]
        return {key: [path_of(d, currency) for d in documents] for key, documents in self.study.documents.items()}

    def runs(self, task: str) -> dict[str, list[Path]]:
        """Strategy -> its runs on a task, of those that have any."""
        found = {name: self.paths.get((task, name), []) for name in self.study.strategies}
        return {name: paths for name, paths in found.items() if paths}

    def known(self, task: str) -> list[str]:
        """The currencies that every ledger of a task knows."""
        every = [path.total for paths in self.runs(task).values() for path in paths]
        return [currency for currency in CURRENCIES.values() if all(currency in total for total in every)]

    def common(self, task: str, currency: str) -> tuple[float, str]:
        """What the median run of the cheapest strategy spent in all, and which strategy that is; "" if all are.

        Strategies of which the median run stops before half of the budget do not count, if there are others.
        """
        totals = {name: float(np.median([p.total[currency] for p in ps])) for name, ps in self.runs(task).items()}
        totals = {name: total for name, total in totals.items() if name not in self.idle(task)} or totals
        cheapest = min(totals, key=lambda name: totals[name])
        alike = np.isclose(max(totals.values()), totals[cheapest], rtol=ROUNDING)
        return totals[cheapest], "" if alike else cheapest

    def idle(self, task: str) -> list[str]:
        """The strategies of which the median run spends less than half of the budget."""
        documents = {name: self.study.documents.get((task, name), []) for name in self.runs(task)}
        spent = {name: float(np.median([d["spent"] for d in runs])) for name, runs in documents.items()}
        return [name for name, amount in spent.items() if amount < self.study.budget.amount / 2]

    def after(
        self, metric: str, task: str, strategy: str, currency: str, amount: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Regret [run] and cell [run] of the incumbents when `amount` is spent; inf and -1 where there is none."""
        best = self.study.references[task, metric]
        regrets, cells = [], []
        for path in self.paths.get((task, strategy), []):
            k = int(np.searchsorted(path.spent[currency], amount * (1 + ROUNDING), side="right")) - 1
            there = k >= 0 and not np.isnan(path.accuracies[metric][k])
            regrets.append(best - float(path.accuracies[metric][k]) if there else np.inf)
            cells.append(self.study.identity(int(path.cells[k])) if there else -1)
        return np.array(regrets), np.array(cells, dtype=np.int64)
