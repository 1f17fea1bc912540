"""Do conclusions drawn on a surrogate hold on the table it was fitted to? Two checks that the runs themselves make.

Ranking: the same strategies, seeds and budget on both; do they end in the same order? Leaving a strategy out: a
surrogate is fitted without the cells that one strategy visits on the table, and has to predict just those. A surrogate
that has only seen random cells may rank them well on the whole and be wrong where a search goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from nasbench.benchmarks import TabularBenchmark
from nasbench.errors import NasbenchError
from nasbench.runs import Budget, Run, run
from nasbench.tables import Table

from .benchmark import make_benchmark

AGREE = 0.7
"""Kendall's tau of the strategies' order from which the ranking is said to carry over."""
LOSS = 0.1
"""Fall of tau, from sampled to left-out cells, up to which the searched region is said to be predicted as well."""


@dataclass(frozen=True)
class CarryOver:
    """What was found.

    Attributes:
        regret: strategy -> mean final regret [2] on the table and on the surrogate, each from its own best cell.
        curves: strategy -> mean regret [2, evaluations] after each evaluation.
        true_regret: strategy -> mean regret on the table of the cell that it found on the surrogate.
        tau: Kendall's tau between the two columns of `regret`.
        left_out: strategy -> Kendall's tau [2] on the cells that it visited, of a surrogate fitted without them and of
            the one fitted to a random sample.
    """

    regret: Mapping[str, tuple[float, float]]
    curves: Mapping[str, np.ndarray]
    true_regret: Mapping[str, float]
    tau: float
    left_out: Mapping[str, tuple[float, float]]

    @property
    def sentence(self) -> str:
        """Whether conclusions carry over."""
        losses = {name: given - without for name, (without, given) in self.left_out.items()}
        worst = max(losses, key=lambda name: losses[name])
        ranking = f"strategies rank alike on surrogate and table (tau = {self.tau:.2f})"
        region = f"leaving out what {worst} visits costs {losses[worst]:.2f} of tau there"
        if self.tau >= AGREE and losses[worst] <= LOSS:
            return f"Conclusions carry over: {ranking}, and {region}."
        if self.tau >= AGREE:
            return f"Conclusions carry over with care: {ranking}, but {region}."
        return f"Conclusions do not carry over: strategies rank differently (tau = {self.tau:.2f}), and {region}."


def check_carry_over(
    table: Table,
    task: str,
    strategies: Mapping[str, Callable[..., Any]],
    predictor: str = "gp",
    n: int = 500,
    budget: str = "100evals",
    seeds: int = 10,
    seed: int = 0,
    schedule: int | None = None,
) -> CarryOver:
    """Run every strategy on the table and on its surrogate, and fit surrogates without what each one visits.

    Args:
        strategies: name -> factory, at least three.
        predictor, n, seed, schedule: of the surrogate, see make_benchmark.
        budget, seeds: of the runs.
    """
    if len(strategies) < 3:
        raise NasbenchError(f"a ranking is compared of at least 3 strategies, not of {len(strategies)}.")
    amount = Budget.parse(budget)
    surrogate = make_benchmark(table, task, predictor, n, seed, schedule)
    benchmarks = [TabularBenchmark(table, task, schedule), TabularBenchmark(surrogate, task)]
    runs = {
        name: [[run(factory, one, amount, i, name) for i in range(seeds)] for one in benchmarks]
        for name, factory in strategies.items()
    }
    regret, curves, true_regret = {}, {}, {}
    for name, both in runs.items():
        curves[name] = np.stack([_regrets(one, found) for one, found in zip(benchmarks, both, strict=True)])
        regret[name] = (float(curves[name][0, -1]), float(curves[name][1, -1]))
        found = [benchmarks[0].score(r.incumbents[-1].cell).val_acc for r in both[1] if r.incumbents]
        true_regret[name] = float(benchmarks[0].best.val_acc - np.mean(found))
    tau = float(kendalltau(*zip(*regret.values(), strict=True)).statistic)
    left_out = {
        name: _left_out(table, task, both[0], surrogate, predictor, n, seed, schedule) for name, both in runs.items()
    }
    return CarryOver(regret, curves, true_regret, tau, left_out)


def _regrets(benchmark: TabularBenchmark, runs: list[Run]) -> np.ndarray:
    """Mean regret of the incumbent after each evaluation, [most evaluations of any run]."""
    longest = max(len(one.steps) for one in runs)
    found = np.full((len(runs), longest), np.nan)
    for i, one in enumerate(runs):
        for incumbent in one.incumbents:
            found[i, incumbent.step :] = incumbent.score.val_acc
    regrets: np.ndarray = benchmark.best.val_acc - np.nanmean(found, axis=0)
    return regrets


def _left_out(
    table: Table, task: str, runs: list[Run], surrogate: Table, predictor: str, n: int, seed: int, schedule: int | None
) -> tuple[float, float]:
    space = table.space
    classes = space.classes("exact")
    cells = np.unique([space.index(step.trial.cell) for one in runs for step in one.steps])
    hidden = np.isin(classes, np.unique(classes[cells]))
    without = make_benchmark(table, task, predictor, n, seed, schedule, exclude=hidden)
    truth = table.curves(task, schedule).mean("val_acc")[table.row_of_cell[cells]]
    known = ~np.isnan(truth)
    taus = [
        float(kendalltau(one.curves(task).mean("val_acc")[one.row_of_cell[cells]][known], truth[known]).statistic)
        for one in (without, surrogate)
    ]
    return taus[0], taus[1]
