"""How good a predictor is: what `nasbench fit` writes for every draw, and the ceiling that seed noise sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import ndtri
from scipy.stats import kendalltau, spearmanr

SCORES: dict[str, str] = {
    "kendall": "Kendall's tau-b of prediction and truth",
    "kendall_unseen": "the same over one cell of each class of equal cells that the training set has none of",
    "spearman": "Spearman's rank correlation of prediction and truth",
    "sparse_kendall": "Kendall's tau-b with predictions rounded to 0.1 percent (Siems et al., arXiv:2008.09777)",
    "r2": "coefficient of determination",
    "rmse": "root mean squared error, in the target's unit",
    "precision_top1": "share of the best 1 % by prediction that are among the best 1 % in truth",
    "regret": "the best truth of all test cells less that of the cell predicted best",
    "coverage_90": "share of truths within the predicted mean +- 1.645 spreads; 0.9 is right",
    "coverage_90_unseen": "the same over the cells of `kendall_unseen`",
    "calibration_error": "mean absolute difference of predicted and found quantiles (Kuleshov et al., ICML 2018)",
    "fit_seconds": "seconds of fitting, measured",
    "query_seconds": "seconds of predicting all test cells, measured",
}
"""Score -> what it says."""
LEVELS = np.arange(0.05, 1.0, 0.05)
TOP = 0.01
GROUPS = 20
FEWEST = 3
"""Cells whose order says anything."""


def score(
    truth: np.ndarray,
    mean: np.ndarray,
    spread: np.ndarray | None = None,
    larger_is_better: bool = True,
    level: np.ndarray | None = None,
    unseen: np.ndarray | None = None,
) -> dict[str, float]:
    """Scores of predictions [n] against the truth [n]; nan for what cannot be said, such as the rank correlation of
    constants.

    Args:
        spread: predicted standard deviations [n] for the two scores of calibration.
        larger_is_better: False for times, where the best cells are those with the least, and 0.1 means nothing:
            `sparse_kendall` is nan.
        level: the truth [n] in the labels' own metric, where it differs: predictions of validation accuracies rank test
            accuracies, but their size, and that of their spread, are held against validation accuracies.
        unseen: bool [n], the cells that `kendall_unseen` and `coverage_90_unseen` are over; nan for fewer than 3.
    """
    sign = 1.0 if larger_is_better else -1.0
    level = truth if level is None else level
    residual = level - mean
    variance = float(((level - level.mean()) ** 2).mean())
    top = max(1, round(TOP * len(truth)))
    best_truth = set(np.argsort(-sign * truth, kind="stable")[:top].tolist())
    order = np.argsort(-sign * mean, kind="stable")
    found = {
        "kendall": _correlation(kendalltau, mean, truth),
        "spearman": _correlation(spearmanr, mean, truth),
        "sparse_kendall": _correlation(kendalltau, np.round(mean, 1), truth) if larger_is_better else float("nan"),
        "r2": 1 - float((residual**2).mean()) / variance if variance else float("nan"),
        "rmse": float(np.sqrt((residual**2).mean())),
        "precision_top1": len(best_truth & set(order[:top].tolist())) / top,
        "regret": float((sign * truth).max() - sign * truth[order[0]]),
    }
    if unseen is not None:
        few = unseen.sum() < FEWEST
        found["kendall_unseen"] = float("nan") if few else _correlation(kendalltau, mean[unseen], truth[unseen])
    if spread is not None:
        z = residual / np.maximum(spread, 1e-12)
        inside = np.abs(z) <= ndtri(0.95)
        found["coverage_90"] = float(inside.mean())
        if unseen is not None:
            found["coverage_90_unseen"] = float("nan") if unseen.sum() < FEWEST else float(inside[unseen].mean())
        observed = (z[:, None] <= ndtri(LEVELS)).mean(axis=0)
        found["calibration_error"] = float(np.abs(observed - LEVELS).mean())
    return found


def _correlation(function: Callable[..., Any], a: np.ndarray, b: np.ndarray) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(function(a, b).statistic)


def ceiling(seeds: np.ndarray, truth: np.ndarray, rng: np.random.Generator, draws: int = 5) -> float:
    """Kendall's tau that a predictor of every cell's true mean would reach; nan where no cell has two seeds.

    The truth of a test is itself a mean of a few noisy trainings. The ceiling is estimated as the tau of these means
    with themselves after fresh noise of the size of a mean's: the deviation of one training around its cell's mean,
    pooled over cells of similar quality, over the root of the number of seeds. Since the means are already spread by
    noise, the estimate is a little too high.

    Args:
        seeds: results [n, s] of every training, nan where there is none.
        truth: [n], nan where unknown.
    """
    counts = (~np.isnan(seeds)).sum(axis=1)
    usable = ~np.isnan(truth) & (counts >= 1)
    if (counts[usable] >= 2).sum() < 2:
        return float("nan")
    order = np.flatnonzero(usable)[np.argsort(truth[usable], kind="stable")]
    noise = np.zeros(len(truth))
    for group in np.array_split(order, max(1, min(GROUPS, len(order) // 10))):
        several = group[counts[group] >= 2]
        if len(several):
            freedom = counts[several] - 1
            variance = np.average(np.nanvar(seeds[several], axis=1, ddof=1), weights=freedom)
            noise[group] = np.sqrt(variance / counts[group])
    again = [truth[order] + noise[order] * rng.standard_normal(len(order)) for _ in range(draws)]
    return float(np.mean([_correlation(kendalltau, truth[order], one) for one in again]))
