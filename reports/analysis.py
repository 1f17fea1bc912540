"""What is computed once per metric and shown in several places: order, intervals, tests, probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .statistics import (
    ALPHA,
    Estimate,
    Pairs,
    estimate,
    indifferent,
    kruskal,
    mann_whitney_holm,
    probability_of_improvement,
    table_noise,
    within_task_ranks,
)
from .study import Study


@dataclass(frozen=True)
class Analysis:
    """Statistics of one metric over all tasks.

    Attributes:
        order: strategies, best mean rank first; by interquartile mean if they have no task in common.
        compared: number of runs that the test over all tasks rests on (of searches, if they score on all tasks).
        ranks: mean rank, low, high by strategy; nan without a task on which all have runs.
        kruskal: H and p-value over all tasks.
        p_values: Holm-adjusted, strategies in `order`; nan where nothing could be tested.
        task_kruskal, task_p_values: the same for each task alone on which all strategies have runs.
        task_leaders: the best mean rank on each of these tasks.
        pairs: probabilities of improvement in `order`, None if some strategy has no run on any common task.
        middles: (task, strategy) -> interquartile mean of final regret.
        means: task -> strategy -> mean final accuracy, percent.
        noise: task -> by how much means of two strategies may differ by the table's seed noise; nan if not known.
    """

    metric: str
    order: list[str]
    compared: int
    ranks: pd.DataFrame
    kruskal: tuple[float, float]
    p_values: pd.DataFrame
    task_kruskal: dict[str, tuple[float, float]]
    task_p_values: dict[str, pd.DataFrame]
    task_leaders: dict[str, str]
    pairs: Pairs | None
    middles: dict[tuple[str, str], Estimate]
    means: dict[str, dict[str, float]]
    noise: dict[str, pd.DataFrame]

    @property
    def tested(self) -> bool:
        """Whether there were enough strategies and runs for a test."""
        return len(self.order) > 1 and bool(
            np.isfinite(self.p_values.to_numpy()[~np.eye(len(self.order), dtype=bool)]).all()
        )

    @property
    def leaders(self) -> list[str]:
        """The strategy with the best mean rank, and those that the test does not separate from it."""
        return indifferent(self.p_values, self.order[0]) if self.tested else self.order[:1]

    @property
    def leaders_level(self) -> bool:
        """Whether the test separates no two of the leaders."""
        return not (self.p_values.loc[self.leaders, self.leaders] < ALPHA).to_numpy().any()

    def is_level(self, task: str, strategy: str) -> bool:
        """Whether the test on one task does not separate the strategy from that task's best; False if not tested."""
        leader = self.task_leaders.get(task)
        return leader is not None and bool(self.task_p_values[task].loc[leader, strategy] >= ALPHA)


def analyse(study: Study, metric: str) -> Analysis:
    """All statistics of one metric."""
    final = study.final[metric]
    compared = within_task_ranks(final, study.together)
    pairs = _pairs(study, metric)
    ranks = pd.DataFrame(
        pairs.ranks if pairs else np.nan, pd.Index(study.strategies), columns=["value", "low", "high"], dtype=float
    )
    middles = {(t, s): estimate(study.values(metric, t, s)) for t in study.tasks for s in study.strategies}
    fallback = [_mean([middles[t, s].value for t in study.tasks]) for s in study.strategies]
    keys = pd.DataFrame({"rank": ranks["value"].fillna(np.inf), "middle": fallback}, index=study.strategies)
    order = list(keys.sort_values(["rank", "middle"], kind="stable").index)
    task_kruskal, task_p_values, task_leaders = {}, {}, {}
    for task in study.tasks:
        alone = within_task_ranks(final.loc[[task]])
        if len(alone):
            task_leaders[task] = str(alone.mean()[order].idxmin())
            task_kruskal[task] = kruskal(alone)
            task_p_values[task] = mann_whitney_holm(alone)
    positions = [study.strategies.index(name) for name in order]
    return Analysis(
        metric=metric,
        order=order,
        compared=int(compared.notna().to_numpy().sum()),
        ranks=ranks.loc[order],
        kruskal=kruskal(compared),
        p_values=mann_whitney_holm(compared).loc[order, order],
        task_kruskal=task_kruskal,
        task_p_values=task_p_values,
        task_leaders=task_leaders,
        pairs=_reorder(pairs, positions) if pairs and len(order) > 1 else None,
        middles=middles,
        means=_means(study, metric),
        noise={task: _noise(study, metric, task) for task in study.tasks},
    )


def _mean(values: list[float]) -> float:
    """Mean of the values that there are; inf, which sorts last, if there are none."""
    known = [v for v in values if np.isfinite(v)]
    return float(np.mean(known)) if known else np.inf


def _pairs(study: Study, metric: str) -> Pairs | None:
    """Probabilities of improvement in the study's order, over the tasks on which every strategy has a run."""
    final = study.final[metric]
    samples = [[final.loc[task, name].dropna().to_numpy() for name in study.strategies] for task in study.tasks]
    samples = [task for task in samples if all(len(x) for x in task)]
    return probability_of_improvement(samples, study.together) if samples else None


def _reorder(pairs: Pairs, order: list[int]) -> Pairs:
    value, low, high = (part[np.ix_(order, order)] for part in pairs[:3])
    return Pairs(value, low, high, [pairs.ranks[i] for i in order])


def _noise(study: Study, metric: str, task: str) -> pd.DataFrame:
    known = study.noise(task, metric)
    ends = {name: study.ends(metric, task, name) for name in study.strategies}
    return table_noise(ends, known.get("deviation_top", np.nan), known.get("seeds", np.nan))


def _means(study: Study, metric: str) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for task in study.tasks:
        values = {name: study.accuracies(metric, task, name) for name in study.strategies}
        found[task] = {name: float(v.mean()) if len(v) else np.nan for name, v in values.items()}
    return found
