"""How far apart two trainings of one cell are: the ceiling on what any strategy or predictor can be told apart by."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from .curves import Curves

TOP_SHARE = 0.01
TOP_ROWS = 20
"""Rows that stand for the best 1 % at least, or half of all; nothing is said of a best 10 % with fewer."""


@dataclass(frozen=True)
class Noise:
    """Seed noise of one metric, over the rows that have at least two seeds.

    Attributes:
        rows: number of such rows.
        seeds: mean number of seeds of all rows that were trained.
        deviation: standard deviation of one training around its cell's mean, in percent points; variances are pooled
            with their degrees of freedom.
        rows_top: number of the best of these rows: 1 % of them, but at least 20, or half of all if they are fewer.
        deviation_top: the standard deviation among these best.
        difference_top: median absolute difference of two trainings of one cell among them.
        kendall: Kendall's tau-b between the first two seeds over all rows.
        kendall_top: the same over the best 10 % of the rows that have more than two seeds, by the mean of those others:
            were they chosen by the two, what they chose by luck would count against these. None where they are fewer
            than 20 rows.
        resolution: smallest difference between the means of two of the best cells that their seeds can resolve at the
            95 % level, 1.96 * deviation_top * sqrt(2 / n), n the harmonic mean of the numbers of seeds of the best
            1 % of all rows that were trained.
    """

    rows: int
    seeds: float
    deviation: float
    rows_top: int
    deviation_top: float
    difference_top: float
    kendall: float
    kendall_top: float | None
    resolution: float

    def to_dict(self) -> dict[str, float | None]:
        return asdict(self)


def noise(curves: Curves, metric: str = "val_acc") -> Noise | None:
    """Seed noise at the end of the schedule; None if no row was trained twice or the metric is not there."""
    from scipy.stats import kendalltau

    if metric not in curves.arrays:
        return None
    values = curves.at(metric, curves.schedule)
    trained = values[~np.isnan(values).all(axis=1)]
    seeds = (~np.isnan(trained)).sum(axis=1)
    values, counts = trained[seeds >= 2], seeds[seeds >= 2]
    if len(values) < 2:
        return None
    variances = np.nanvar(values, axis=1, ddof=1)
    means = np.nanmean(values, axis=1)
    top = _best(means)
    existing = np.argsort(np.isnan(values), axis=1, kind="stable")
    pair = np.take_along_axis(values, existing[:, :2], axis=1)
    freedom = counts - 1
    more = np.flatnonzero(counts > 2)
    others = np.nanmean(np.take_along_axis(values, existing[:, 2:], axis=1)[more], axis=1) if len(more) else means[more]
    tenth = more[np.argsort(-others, kind="stable")[: len(more) // 10]]
    deviation_top = float(np.sqrt(np.average(variances[top], weights=freedom[top])))
    kendall_top = float(kendalltau(*pair[tenth].T).statistic) if len(tenth) >= TOP_ROWS else None
    seeds_top = 1 / float((1 / seeds[_best(np.nanmean(trained, axis=1))]).mean())
    return Noise(
        rows=len(values),
        seeds=float(seeds.mean()),
        deviation=float(np.sqrt(np.average(variances, weights=freedom))),
        rows_top=len(top),
        deviation_top=deviation_top,
        difference_top=float(np.median(np.abs(pair[top, 0] - pair[top, 1]))),
        kendall=float(kendalltau(pair[:, 0], pair[:, 1]).statistic),
        kendall_top=kendall_top,
        resolution=float(1.96 * deviation_top * np.sqrt(2 / seeds_top)),
    )


def _best(means: np.ndarray) -> np.ndarray:
    """Positions of the best 1 % of the rows, see `TOP_ROWS`."""
    many = max(2, min(TOP_ROWS, len(means) // 2), round(TOP_SHARE * len(means)))
    return np.argsort(-means, kind="stable")[:many]
