"""Statistics of repeated runs: arrays and frames in, arrays and frames out; nothing is drawn or worded here.

Lower is better throughout. Every interval is a 95 % percentile bootstrap over runs, within tasks, from a
generator with a fixed seed, so that a report can be repeated byte for byte.
"""

from __future__ import annotations

import itertools
import math
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
    """Mean [point] of curves [run, point] and its pointwise interval, nan of a single run; runs are resampled whole."""
    runs = len(curves)
    mean = curves.mean(axis=0)
    if runs < 2:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    counts = np.random.default_rng(0).multinomial(runs, np.full(runs, 1 / runs), size=resamples)
    low, high = _interval(counts @ curves / runs)
    return mean, low, high


def _interval(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return low, high


def within_task_ranks(final: pd.DataFrame, together: bool = False) -> pd.DataFrame:
    """What tests compare: each run's place among all runs of all strategies on its task, from 0 (best) to 1.

    A place is (average rank - 1/2) / number of runs, which puts tasks of different scales on one footing; its
    mean over all runs is 1/2. Runs are not paired, as what they draw at random differs between strategies; those of
    one seed do see the same noise where each trial shows one training seed, and tests of good strategies are then
    cautious. Tasks on which a strategy has no run are left out.

    Args:
        final: final regrets, rows (task, seed), columns strategies; inf ranks last, nan is missing.
        together: whether the runs of one seed on different tasks are one search, which then counts once, with
            its mean over tasks.

    Returns:
        Rows (task, seed), or seed if `together`; columns strategies; nan where there is no run.
    """
    frames = []
    for _, frame in final.groupby(level="task", sort=False):
        if not frame.notna().any().all():
            continue
        values = frame.to_numpy(dtype=float)
        ranks = pd.Series(values.ravel()).rank().to_numpy().reshape(values.shape)
        places = (ranks - 0.5) / np.count_nonzero(~np.isnan(values))
        frames.append(pd.DataFrame(places, frame.index, frame.columns))
    if not frames:
        return final.iloc[:0]
    found = pd.concat(frames)
    if not together:
        return found
    by_seed = found.groupby(level="seed")
    return by_seed.mean().where(by_seed.count() == len(frames))


def kruskal(places: pd.DataFrame) -> tuple[float, float]:
    """H and p-value of Kruskal and Wallis over the columns; nan below 3 strategies or 2 runs of one."""
    from scipy import stats

    samples = [places[name].dropna().to_numpy() for name in places]
    if len(samples) < 3 or min(map(len, samples)) < 2:
        return np.nan, np.nan
    if np.ptp(np.concatenate(samples)) == 0:
        return 0.0, 1.0
    found = stats.kruskal(*samples)
    return float(found.statistic), float(found.pvalue)


def can_separate(sizes: Sequence[int], comparisons: int) -> bool:
    """Whether Mann and Whitney's test of the two largest of these samples can come out below alpha at all.

    Without ties the least p-value is that of samples that do not overlap, 2 over the number of ways to tell which
    runs are whose; Holm's method multiplies it by the number of comparisons.
    """
    smaller, larger = sorted(sizes)[-2:]
    return 2 * comparisons < ALPHA * math.comb(smaller + larger, smaller)


def mann_whitney_holm(places: pd.DataFrame) -> pd.DataFrame:
    """Holm-adjusted two-sided p-values [strategy, strategy] of Mann and Whitney's tests over the columns.

    All nan with fewer than two strategies, or two runs of one, or where so few runs could not separate any
    two of so many strategies.
    """
    names = list(places.columns)
    samples = {name: places[name].dropna().to_numpy() for name in names}
    sizes = [len(values) for values in samples.values()]
    pairs = list(itertools.combinations(names, 2))
    if not pairs or min(sizes) < 2 or not can_separate(sizes, len(pairs)):
        return pd.DataFrame(np.nan, names, names)
    found = pd.DataFrame(1.0, names, names)
    adjusted = _holm([_mann_whitney(samples[a], samples[b]) for a, b in pairs])
    for (a, b), p in zip(pairs, adjusted, strict=True):
        found.loc[a, b] = found.loc[b, a] = p
    return found


def leader_p_values(samples: Mapping[str, np.ndarray], leader: str) -> dict[str, float]:
    """Two-sided p-values of Mann and Whitney's tests of every other strategy against one, Holm-adjusted over these.

    nan where either has fewer than two runs, and for all where so few runs could not separate any. That the leader was
    picked by the same runs is ignored, so that p-values are a little too small.
    """
    found = {name: np.nan for name in samples if name != leader}
    enough = [name for name in found if min(len(samples[name]), len(samples[leader])) >= 2]
    if enough and can_separate([len(samples[name]) for name in (leader, *enough)], len(enough)):
        raw = [_mann_whitney(samples[leader], samples[name]) for name in enough]
        found |= dict(zip(enough, _holm(raw), strict=True))
    return found


def _mann_whitney(x: np.ndarray, y: np.ndarray) -> float:
    """Two-sided p-value, exact for few runs; 1 where all are equal."""
    from scipy import stats

    both = np.concatenate([x, y])
    ties = len(np.unique(both)) < len(both)
    if ties and len(both) <= EXACT_WITH_TIES:
        return _exact_with_ties(x, y)
    exact = not ties and len(both) <= EXACT
    p = float(stats.mannwhitneyu(x, y, method="exact" if exact else "asymptotic").pvalue)
    return 1.0 if np.isnan(p) else p


EXACT = 60
"""Runs of two strategies up to which a test without ties is exact; the normal approximation is good from there on."""
EXACT_WITH_TIES = 40
"""The same with ties, which are the rule, as runs end with the same cells: the approximation is too cautious for ten
runs that do not overlap among many pairs, and good from here on."""


def _exact_with_ties(x: np.ndarray, y: np.ndarray) -> float:
    """Share of the ways to tell which runs are whose in which the sum of midranks is as far from its mean or further.

    Ways are counted by doubled sums, which are whole numbers, one run after the other (Lehmann, "Nonparametrics", 1975,
    section 1.4). SciPy's exact test ignores ties.
    """
    from scipy import stats

    ranks = np.rint(2 * stats.rankdata(np.concatenate([x, y]))).astype(int)
    n, total = len(x), int(ranks.sum())
    ways = np.zeros((n + 1, total + 1))
    ways[0, 0] = 1
    for rank in ranks:
        ways[1:, rank:] += ways[:-1, : total + 1 - rank].copy()
    mean = n * total / len(ranks)
    far = np.abs(np.arange(total + 1) - mean) >= abs(ranks[:n].sum() - mean) - 1e-9
    return float(ways[n, far].sum() / ways[n].sum())


def _holm(p_values: Sequence[float]) -> list[float]:
    from statsmodels.stats.multitest import multipletests

    return [float(p) for p in multipletests(p_values, ALPHA, "holm")[1]]


def rank_agreement(
    samples: Mapping[str, Sequence[Sequence[np.ndarray]]], resamples: int = 200
) -> tuple[dict[tuple[str, str], Estimate], Estimate]:
    """Kendall's tau between rankings of the same strategies by different measures of the same runs.

    A ranking is by the mean over tasks of the rank of the mean over runs. Runs are resampled within strategy and task,
    the same ones for all measures.

    Args:
        samples: measure -> samples[task][strategy] are values [run], inf for none; run k is the same in all measures.

    Returns:
        Pair of measures -> tau with its interval; and tau between the rankings by the first measure of two resamplings,
        which is what chance alone leaves of an agreement: its mean and its interval.
    """
    from scipy import stats

    rng = np.random.default_rng(0)
    sizes = [[len(x) for x in task] for task in next(iter(samples.values()))]
    draws = [[rng.multinomial(n, np.full(n, 1 / n), resamples) if n else None for n in task] for task in sizes]
    ranks: dict[str, np.ndarray] = {}
    for measure, tasks in samples.items():
        total = np.zeros((resamples + 1, len(tasks[0])))
        for task, counts in zip(tasks, draws, strict=True):
            means = np.full(total.shape, np.nan)
            for k, (values, drawn) in enumerate(zip(task, counts, strict=True)):
                if drawn is not None:
                    finite = np.where(np.isfinite(values), values, WORST)
                    means[:, k] = np.concatenate([[finite.mean()], drawn @ finite / len(values)])
            total += stats.rankdata(np.nan_to_num(means, nan=WORST), axis=1)
        ranks[measure] = total
    found = {}
    for a, b in itertools.combinations(samples, 2):
        taus = [_tau(x, y) for x, y in zip(ranks[a], ranks[b], strict=True)]
        found[a, b] = Estimate(taus[0], *map(float, _interval(np.array(taus[1:]))))
    first = next(iter(ranks.values()))[1:]
    chance = np.array([_tau(x, y) for x, y in itertools.pairwise(first)])
    return found, Estimate(float(chance.mean()), *map(float, _interval(chance)))


WORST = 1e6
"""Regret, in percent points, that stands for no result where means are only ranked."""


def _tau(x: np.ndarray, y: np.ndarray) -> float:
    """Kendall's tau b; 1 where both are all ties, 0 where one is."""
    from scipy import stats

    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return float(np.ptp(x) == np.ptp(y))
    return float(stats.kendalltau(x, y).statistic)


class Pairs(NamedTuple):
    """Probability [strategy, strategy] that a run of the row ends better than one of the column.

    Attributes:
        ranks: [strategy] the mean rank, 1 the best, that a run takes among one run of every strategy, which is 1 and
            the probabilities that each other strategy does better. Where all strategies have the same number of
            runs it is 1/2 + strategies * mean of `within_task_ranks`.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    ranks: list[Estimate]


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
    value, others = value / len(samples), ~np.eye(many, dtype=bool)
    means = 1 + (value * others).sum(axis=0)
    ends = _interval(1 + (draws * others).sum(axis=1) / len(samples))
    bounds = [np.where(single.any(), np.nan, end) for end in ends]
    return Pairs(value, low, high, [Estimate(*map(float, part)) for part in zip(means, *bounds, strict=True)])


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


def table_noise(ends: Mapping[str, np.ndarray], deviation: float, seeds: float) -> pd.DataFrame:
    """By how much the mean true accuracies [strategy, strategy] of two strategies may differ by seed noise alone.

    A true accuracy is itself a mean over `seeds` trainings. Runs that end with the same cell share its error, so
    that the error of a difference has the variance sum over cells (w_a - w_b)^2 deviation^2 / seeds, where w are
    the shares of a strategy's runs that end with the cell; this is 1.96 times its root. That incumbents were picked by
    the same noisy means is ignored. nan where a strategy has no result, or the noise is not known.

    Args:
        ends: strategy -> the cell, as a number, with which each of its runs ends.
        deviation: standard deviation of one training around its cell's mean.
    """
    names = list(ends)
    _, cells = np.unique(np.concatenate([np.asarray(ends[n], dtype=np.int64) for n in names]), return_inverse=True)
    size = int(cells.max()) + 1 if len(cells) else 0
    parts = np.split(cells, np.cumsum([len(ends[n]) for n in names])[:-1])
    shares = np.array([np.bincount(p, minlength=size) / len(p) if len(p) else np.full(size, np.nan) for p in parts])
    squares = np.array([((shares - row) ** 2).sum(axis=1) for row in shares])
    empty = np.array([len(p) == 0 for p in parts])
    squares[empty[:, None] | empty[None, :]] = np.nan
    return pd.DataFrame(1.96 * deviation * np.sqrt(squares / seeds), names, names)


def ordered_pairs(means: Mapping[str, float]) -> list[tuple[str, str, float]]:
    """All pairs of strategies that have a mean accuracy, with the difference, better one first."""
    order = sorted((name for name in means if np.isfinite(means[name])), key=lambda name: -means[name])
    return [(a, b, means[a] - means[b]) for i, a in enumerate(order) for b in order[i + 1 :]]
