"""What is computed once per metric and shown in several places: order, intervals, tests, probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .statistics import (
    ALPHA,
    Estimate,
    Pairs,
    blocks,
    estimate,
    friedman,
    indifferent,
    mean_ranks,
    probability_of_improvement,
    wilcoxon_holm,
)
from .study import Study


@dataclass(frozen=True)
class Analysis:
    """Statistics of one metric over all tasks.

    Attributes:
        order: strategies, best mean rank first; by interquartile mean if they have no block in common.
        blocks: number of blocks that ranks and tests rest on, out of `possible` ones.
        ranks: mean rank, low, high by strategy; nan without blocks.
        friedman: chi-squared and p-value.
        p_values: Holm-adjusted, strategies in `order`; nan where nothing could be tested.
        task_p_values: the same for each task alone.
        task_leaders: the best mean rank on each task, for tasks with blocks.
        pairs: probabilities of improvement in `order`, None if some strategy has no run on any common task.
        middles: (task, strategy) -> interquartile mean of final regret.
        means: task -> strategy -> mean final accuracy, percent.
    """

    metric: str
    order: list[str]
    blocks: int
    possible: int
    ranks: pd.DataFrame
    friedman: tuple[float, float]
    p_values: pd.DataFrame
    task_p_values: dict[str, pd.DataFrame]
    task_leaders: dict[str, str]
    pairs: Pairs | None
    middles: dict[tuple[str, str], Estimate]
    means: dict[str, dict[str, float]]

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

    def is_level(self, task: str, strategy: str) -> bool:
        """Whether the test on one task does not separate the strategy from that task's best."""
        leader = self.task_leaders.get(task)
        if leader is None:
            return False
        return strategy == leader or bool(self.task_p_values[task].loc[leader, strategy] >= ALPHA)


def analyse(study: Study, metric: str) -> Analysis:
    """All statistics of one metric."""
    final = study.final[metric]
    compared = blocks(final, study.together)
    ranks = mean_ranks(compared) if len(compared) else pd.DataFrame(np.nan, final.columns, ["value", "low", "high"])
    middles = {(t, s): estimate(study.values(metric, t, s)) for t in study.tasks for s in study.strategies}
    fallback = [_mean([middles[t, s].value for t in study.tasks]) for s in study.strategies]
    keys = pd.DataFrame({"rank": ranks["value"].fillna(np.inf), "middle": fallback}, index=study.strategies)
    order = list(keys.sort_values(["rank", "middle"], kind="stable").index)
    task_p_values, task_leaders = {}, {}
    for task in study.tasks:
        alone = blocks(final.loc[[task]])
        if len(alone):
            task_leaders[task] = str(alone.rank(axis=1).mean()[order].idxmin())
            task_p_values[task] = wilcoxon_holm(alone)
    possible = final.index.unique("seed").size if study.together else len(final)
    return Analysis(
        metric=metric,
        order=order,
        blocks=len(compared),
        possible=possible,
        ranks=ranks.loc[order],
        friedman=friedman(compared),
        p_values=wilcoxon_holm(compared).loc[order, order],
        task_p_values=task_p_values,
        task_leaders=task_leaders,
        pairs=_pairs(study, metric, order),
        middles=middles,
        means=_means(study, metric),
    )


def _mean(values: list[float]) -> float:
    """Mean of the values that there are; inf, which sorts last, if there are none."""
    known = [v for v in values if np.isfinite(v)]
    return float(np.mean(known)) if known else np.inf


def _pairs(study: Study, metric: str, order: list[str]) -> Pairs | None:
    final = study.final[metric]
    samples = [[final.loc[task, name].dropna().to_numpy() for name in order] for task in study.tasks]
    samples = [task for task in samples if all(len(x) for x in task)]
    return probability_of_improvement(samples, study.together) if samples and len(order) > 1 else None


def _means(study: Study, metric: str) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for task in study.tasks:
        values = {name: study.accuracies(metric, task, name) for name in study.strategies}
        found[task] = {name: float(v.mean()) if len(v) else np.nan for name, v in values.items()}
    return found
