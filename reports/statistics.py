"""Statistics of repeated runs: arrays and frames in, arrays and frames out; nothing is drawn or worded here.

Lower is better throughout. Every interval is a 95 % percentile bootstrap over runs, within tasks, from a
generator with a fixed seed, so that a report can be repeated byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

RESAMPLES = 2000
LEVEL = 0.95
ALPHA = 0.05


class Estimate(NamedTuple):
    """A value with its 95 % interval; the interval is nan where it cannot be had."""

    value: float
    low: float
    high: float


def interquartile_mean(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """Mean of the middle half, a quarter cut off at either end (Agarwal et al., NeurIPS 2021)."""
    from scipy.stats import trim_mean

    return trim_mean(values, 0.25, axis=axis)


def estimate(values: np.ndarray, resamples: int = RESAMPLES) -> Estimate:
    """Interquartile mean of one sample [n] with its bootstrap interval."""
    from scipy.stats import bootstrap

    if not len(values):
        return Estimate(np.nan, np.nan, np.nan)
    middle = float(interquartile_mean(values))
    if len(values) == 1:
        return Estimate(middle, np.nan, np.nan)
    if np.ptp(values) == 0:
        return Estimate(middle, middle, middle)
    interval = bootstrap(
        (values,), interquartile_mean, n_resamples=resamples, confidence_level=LEVEL, method="percentile",
        vectorized=True, rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return Estimate(middle, float(interval.low), float(interval.high))


def band(curves: np.ndarray, resamples: int = 1000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean [point] of curves [run, point] and its pointwise interval; runs are resampled whole."""
    runs = len(curves)
    mean = curves.mean(axis=0)
    if runs < 2:
        return mean, mean, mean
    counts = np.random.default_rng(0).multinomial(runs, np.full(runs, 1 / runs), size=resamples)
    low, high = _interval(counts @ curves / runs)
    return mean, low, high


def _interval(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return low, high


def blocks(final: pd.DataFrame, together: bool = False) -> pd.DataFrame:
    """What tests compare: each run's rank among all runs on its task, as a share (0 best, 1 worst), by block.

    Ranking within a task puts tasks of different scales on one footing. A block is a (task, seed), or a seed
    alone, with the mean over tasks, if all tasks score the same searches. Blocks in which a strategy is
    missing are left out.

    Args:
        final: final regrets, rows (task, seed), columns strategies; inf ranks last, nan is missing.
        together: whether the runs of one seed on different tasks are one search.
    """
    frames = []
    for _, frame in final.groupby(level="task", sort=False):
        values = frame.to_numpy()
        ranks = pd.Series(values.ravel()).rank().to_numpy().reshape(values.shape)
        count = np.count_nonzero(~np.isnan(values))
        frames.append(pd.DataFrame((ranks - 1) / max(1, count - 1), frame.index, frame.columns))
    found = pd.concat(frames).dropna()
    if not together:
        return found
    whole = found.groupby(level="seed").filter(lambda frame: len(frame) == len(frames))
    return whole.groupby(level="seed").mean()


def mean_ranks(table: pd.DataFrame, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Mean rank of every strategy within blocks (1 is best, ties share), columns value, low, high.

    Args:
        table: [block, strategy] as from `blocks`; blocks of one task are resampled among themselves.
    """
    ranks = table.rank(axis=1)
    mean = ranks.mean().to_numpy()
    low = high = np.full(len(mean), np.nan)
    stratified = "task" in table.index.names
    groups = [g for _, g in ranks.groupby(level="task", sort=False)] if stratified else [ranks]
    if len(ranks) and min(len(g) for g in groups) > 1:
        rng = np.random.default_rng(0)
        sums = np.zeros((resamples, len(mean)))
        for group in groups:
            size = len(group)
            sums += rng.multinomial(size, np.full(size, 1 / size), size=resamples) @ group.to_numpy()
        low, high = _interval(sums / len(ranks))
    return pd.DataFrame({"value": mean, "low": low, "high": high}, index=table.columns)


def friedman(table: pd.DataFrame) -> tuple[float, float]:
    """Friedman's chi-squared and p-value over blocks (Demsar, JMLR 2006); nan below 3 strategies."""
    from scipy.stats import friedmanchisquare

    if table.shape[1] < 3 or len(table) < 2:
        return np.nan, np.nan
    if (table.nunique(axis=1) == 1).all():
        return 0.0, 1.0
    found = friedmanchisquare(*table.to_numpy().T)
    return float(found.statistic), float(found.pvalue)


def wilcoxon_holm(table: pd.DataFrame) -> pd.DataFrame:
    """Holm-adjusted p-values [strategy, strategy] of Wilcoxon signed-rank tests over blocks.

    See Benavoli, Corani and Mangili, JMLR 2016, for why not mean ranks. Zero differences count half for
    either side. All nan with fewer than two strategies or two blocks.
    """
    names = list(table.columns)
    if len(names) < 2 or len(table) < 2:
        return pd.DataFrame(np.nan, names, names)
    import scikit_posthocs

    long = table.melt(var_name="strategy", value_name="value", ignore_index=True)
    found = scikit_posthocs.posthoc_wilcoxon(
        long, val_col="value", group_col="strategy", zero_method="zsplit", p_adjust="holm"
    )
    return found.loc[names, names].fillna(1.0)


class Pairs(NamedTuple):
    """Probability [strategy, strategy] that a run of the row ends better than one of the column."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def probability_of_improvement(
    samples: Sequence[Sequence[np.ndarray]], together: bool = False, resamples: int = 1000
) -> Pairs:
    """Mean over tasks of P(x < y) + P(x = y) / 2: Mann and Whitney's U over its maximum.

    Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice", NeurIPS 2021.
    Runs are resampled within tasks, or, if `together`, over all tasks at once.

    Args:
        samples: samples[task][strategy] are values [n], none of them nan, at least one each.
        together: whether value k of a strategy belongs to one and the same search on every task.
    """
    many = len(samples[0])
    value = np.zeros((many, many))
    draws = np.zeros((resamples, many, many))
    rng = np.random.default_rng(0)
    counts: list[np.ndarray] = []
    for task in samples:
        if not (together and counts and [c.shape[1] for c in counts] == [len(x) for x in task]):
            counts = [rng.multinomial(len(x), np.full(len(x), 1 / len(x)), size=resamples) for x in task]
        levels = np.unique(np.concatenate(task))
        value += _superiority(np.stack([_shares(x, levels, np.ones((1, len(x)))) for x in task], axis=1))[0]
        for start in range(0, resamples, 100):
            part = slice(start, start + 100)
            shares = np.stack([_shares(x, levels, c[part]) for x, c in zip(task, counts, strict=True)], axis=1)
            draws[part] += _superiority(shares)
    single = np.array([min(len(task[i]) for task in samples) < 2 for i in range(many)])
    low, high = _interval(draws / len(samples))
    unknown = single[:, None] | single[None, :]
    low, high = np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)
    return Pairs(value / len(samples), low, high)


def _shares(values: np.ndarray, levels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Share [resample, level] of the runs, drawn `counts` [resample, n] times, that lie on each level."""
    order = np.argsort(values, kind="stable")
    own, starts = np.unique(values[order], return_index=True)
    found = np.zeros((len(counts), len(levels)))
    found[:, np.searchsorted(levels, own)] = np.add.reduceat(counts[:, order], starts, axis=1)
    return found / counts.sum(axis=1, keepdims=True)


def _superiority(shares: np.ndarray) -> np.ndarray:
    """P(row < column) + P(equal) / 2 [resample, strategy, strategy] of shares [resample, strategy, level]."""
    above = np.flip(np.cumsum(np.flip(shares, axis=2), axis=2), axis=2) - shares / 2
    return shares @ above.transpose(0, 2, 1)


def indifferent(p_values: pd.DataFrame, name: str) -> list[str]:
    """The strategies that a test does not separate from `name`, itself included; all if there was no test."""
    row = p_values.loc[name]
    return [other for other in row.index if other == name or not row[other] < ALPHA]


def hidden_pairs(means: Mapping[str, float], resolution: float) -> list[tuple[str, str, float]]:
    """Pairs whose mean accuracies differ by less than `resolution`, with the difference, better one first."""
    order = sorted((name for name in means if np.isfinite(means[name])), key=lambda name: -means[name])
    return [
        (a, b, means[a] - means[b])
        for i, a in enumerate(order)
        for b in order[i + 1 :]
        if means[a] - means[b] < resolution
    ]
