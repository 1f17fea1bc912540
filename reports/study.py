"""A results folder as the arrays that statistics and figures work on: final regrets and curves of regret.

Regret is the table's best accuracy less that of the cell the run would return, in percent points, both as
means over the training seeds that exist. Where the best is not known, because results were trained afresh, the best
that any run found stands for it. A run without any result has an infinite regret, so that it ranks
last; a run that is missing from an unfinished comparison is nan.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nasbench.errors import NasbenchError
from nasbench.runs import Budget, Results
from nasbench.spaces import Space, open_space
from nasbench.tables import Table, open_table

log = logging.getLogger(__name__)

METRICS = {"val": "validation", "test": "test"}
"""Short name of a metric, as in the columns of runs.csv -> the word for it."""

POINTS = 200
"""Points at which curves are evaluated."""


@dataclass(frozen=True)
class Curve:
    """How the regret of one strategy on one task falls, run by run: `regret[run, point]` at `x[point]`."""

    x: np.ndarray
    regret: np.ndarray


class Study:
    """The finished runs of a comparison, prepared for a report; NasbenchError if there are none.

    Attributes:
        results: the folder as read.
        tasks, strategies: those of the suite that have at least one finished run, in the suite's order.
        metrics: "val", and "test" where the table has test accuracies.
        together: whether all tasks score the same searches (`search_task`): seeds are what is independent.
    """

    def __init__(self, folder: Path) -> None:
        self.results = Results(folder)
        self.suite, self.manifest = self.results.suite, self.results.manifest
        self.runs = self.results.runs
        if self.runs.empty:
            raise NasbenchError(f"{folder} holds no finished run yet; `nasbench compare --out {folder}` resumes it.")
        self.tasks = [t for t in self.suite.tasks if (self.runs["task"] == t).any()]
        self.strategies = [s for s in self.suite.strategies if (self.runs["strategy"] == s).any()]
        self.metrics = ["val", *(["test"] if self._has_test() else [])]
        self.together = bool(self.suite.search_task)
        self.budget = Budget.parse(self.suite.budget)
        self._identities: dict[int, int] = {}
        self._classes: dict[Hashable, int] = {}

    def _has_test(self) -> bool:
        """Whether there are test accuracies, by what is recorded of the table; if trained afresh, by the runs."""
        best = any(d["best"]["test_acc"] is not None for d in self.results.documents)
        noise = any((found or {}).get("test_acc") for found in self.manifest["table"].get("noise", {}).values())
        return best or noise or bool(self.runs["best_test"].notna().any())

    @functools.cached_property
    def space(self) -> Space | None:
        """The space of the comparison, or None if this release does not know it."""
        try:
            return open_space(self.manifest["table"]["space"])
        except NasbenchError as error:
            log.warning("cells are not drawn: %s", error)
            return None

    @functools.cached_property
    def table(self) -> Table | None:
        """The table of the comparison, or None where it is not at hand or has changed since."""
        if self.suite.mode == "train":
            return None
        try:
            found = open_table(self.suite.table)
            return found if found.checksum == self.manifest["table"]["checksum"] else None
        except (NasbenchError, OSError):
            return None

    def identity(self, index: int) -> int:
        """What counts as one cell: itself, or the first seen of its class where results belong to classes."""
        if self.space is None or self.manifest["table"].get("rows") != "classes":
            return index
        if index not in self._identities:
            same = self.space.canonical(self.space.cell(index))
            self._identities[index] = self._classes.setdefault(same, index)
        return self._identities[index]

    def ends(self, metric: str, task: str, strategy: str) -> np.ndarray:
        """The cells with which the runs that have a result end."""
        documents = self.documents.get((task, strategy), [])
        kept = [d for d in documents if d["incumbents"]["step"] and d["incumbents"][f"{metric}_acc"][-1] is not None]
        cells = [self.identity(d["steps"]["cell"][d["incumbents"]["step"][-1]]) for d in kept]
        return np.array(cells, dtype=np.int64)

    @functools.cached_property
    def references(self) -> dict[tuple[str, str], float]:
        """(task, metric) -> the accuracy that regret is taken from; nan where no run has a result.

        The best of the table, or the best that any run found where that is not known; see `found_best`.
        """
        found: dict[tuple[str, str], float] = {}
        for task in self.tasks:
            documents = [d for name in self.strategies for d in self.documents.get((task, name), [])]
            for metric in METRICS:
                best = documents[0]["best"][f"{metric}_acc"]
                if best is None:
                    seen = [v for d in documents for v in d["incumbents"][f"{metric}_acc"] if v is not None]
                    best = max(seen, default=np.nan)
                found[task, metric] = float(best)
        return found

    @functools.cached_property
    def found_best(self) -> bool:
        """Whether regret is measured from what the runs found, for want of a known best."""
        return any(d["best"]["val_acc"] is None for d in self.results.documents)

    @property
    def expected(self) -> int:
        """Number of runs of the whole suite."""
        return len(self.suite.tasks) * len(self.suite.strategies) * self.suite.seeds

    @functools.cached_property
    def families(self) -> dict[str, str]:
        """Strategy -> what it is grouped under."""
        known = self.manifest["strategies"]
        return {name: str(known.get(name, {}).get("family") or "own") for name in self.strategies}

    @functools.cached_property
    def final(self) -> dict[str, pd.DataFrame]:
        """Final regrets by metric, rows (task, seed), columns strategies; inf: no result, nan: missing."""
        found = {}
        for metric in self.metrics:
            best = self.runs["task"].map({task: self.references[task, metric] for task in self.tasks})
            regret = self.runs[f"{metric}_regret"].astype(float)
            regret = regret.fillna(best.astype(float) - self.runs[f"best_{metric}"].astype(float))
            runs = self.runs.assign(regret=regret.fillna(np.inf))
            frame = runs.pivot(index=["task", "seed"], columns="strategy", values="regret")
            found[metric] = frame.reindex(index=self.tasks, level="task")[self.strategies]
        return found

    def values(self, metric: str, task: str, strategy: str) -> np.ndarray:
        """Final regrets of the runs that have a result."""
        column = self.final[metric].loc[task, strategy].to_numpy()
        return column[np.isfinite(column)]

    def accuracies(self, metric: str, task: str, strategy: str) -> np.ndarray:
        """Final true accuracies, in percent, of the runs that have a result."""
        runs = self.runs
        chosen = runs.loc[(runs["task"] == task) & (runs["strategy"] == strategy), f"best_{metric}"]
        return chosen.astype(float).dropna().to_numpy()

    @functools.cached_property
    def documents(self) -> dict[tuple[str, str], list[dict[str, Any]]]:
        """The runs of every (task, strategy) as they were written, by seed."""
        found: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for document in self.results.documents:
            found.setdefault((document["task"], document["strategy"]), []).append(document)
        return found

    def _steps(self, metric: str, task: str, strategy: str, along: str) -> list[tuple[np.ndarray, np.ndarray]]:
        """For every run with a result, where along the budget (or clock) its regret changes, and to what."""
        found = []
        for document in self.documents.get((task, strategy), []):
            incumbents, best = document["incumbents"], self.references[task, metric]
            if not incumbents["step"] or None in incumbents[f"{metric}_acc"]:
                continue
            position = np.array(document["steps"][along], dtype=float)[incumbents["step"]]
            found.append((position, best - np.array(incumbents[f"{metric}_acc"], dtype=float)))
        return found

    def end(self, task: str, along: str) -> float:
        """Where curves end: the budget, or the latest moment on the task's clock."""
        if along == "spent":
            return self.budget.amount
        documents = [d for name in self.strategies for d in self.documents.get((task, name), [])]
        return max((d["steps"]["clock"][-1] for d in documents if d["steps"]["clock"]), default=1.0)

    @functools.cached_property
    def clock_unit(self) -> str:
        """What the simulated clock counts: seconds, or epochs where the table has no seconds."""
        known = any(s is not None for d in self.results.documents for s in d["ledger"]["seconds"][:1])
        return "seconds" if known else "epochs"

    def curve(self, metric: str, task: str, strategy: str, along: str = "spent") -> Curve | None:
        """Regret along the budget ("spent") or the simulated "clock"; None if no run has a result.

        The curve begins where every run has one, and a run that ends early keeps its regret to the end.
        """
        steps = self._steps(metric, task, strategy, along)
        if not steps:
            return None
        end, first = self.end(task, along), max(position[0] for position, _ in steps)
        whole = along == "spent" and self.budget.unit in ("evals", "epochs") and end <= 2 * POINTS
        grid = np.arange(1.0, np.floor(end) + 1) if whole else np.linspace(0.0, end, POINTS + 1)
        grid = grid[grid >= first * (1 - 1e-9)]
        if not len(grid):
            grid = np.array([first])
        regret = [y[np.searchsorted(x, grid * (1 + 1e-9), side="right") - 1] for x, y in steps]
        return Curve(grid, np.array(regret))

    def spent_until(self, metric: str, task: str, strategy: str, target: float) -> np.ndarray:
        """For every run, what was spent when its regret first was at most `target`; inf if it never was."""
        reached = [x[y <= target + 1e-9][:1] for x, y in self._steps(metric, task, strategy, "spent")]
        found = [float(x[0]) if len(x) else np.inf for x in reached]
        return np.array(found + [np.inf] * (len(self.documents.get((task, strategy), [])) - len(found)))

    @property
    def shares(self) -> dict[str, float]:
        """Task -> the share of the space's cells that the table has results for; {} where nothing is looked up."""
        return dict(self.manifest["table"].get("share", {}))

    def noise(self, task: str, metric: str) -> dict[str, float]:
        """The table's seed noise (nasbench/tables/noise.py), {} where it is not known."""
        return self.manifest["table"].get("noise", {}).get(task, {}).get(f"{metric}_acc", {}) or {}

    def resolution(self, task: str, metric: str) -> float:
        """The smallest difference, in percent points, that the seeds resolve among the best cells, or nan."""
        return float(self.noise(task, metric).get("resolution", np.nan))
