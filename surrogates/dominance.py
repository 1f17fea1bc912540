"""Who dominates whom: Pareto ranks and crowding for two or more objectives, all to be large."""

from __future__ import annotations

import numpy as np


def pareto_ranks(values: np.ndarray) -> np.ndarray:
    """Rank [n] of every point [n, k]: 0 for those that no other dominates, 1 without those, and so on.

    Deb et al., "NSGA-II", IEEE TEC 2002, section III-A. Equal points share their rank.
    """
    no_worse = np.all(values[:, None, :] >= values[None, :, :], axis=2)
    better = np.any(values[:, None, :] > values[None, :, :], axis=2)
    dominates: np.ndarray = np.logical_and(no_worse, better)
    ranks = np.full(len(values), -1)
    rank = 0
    while (ranks < 0).any():
        left = ranks < 0
        free = left & ~dominates[left].any(axis=0)
        ranks[free] = rank
        rank += 1
    return ranks


def crowding(values: np.ndarray) -> np.ndarray:
    """Crowding distance [n] of points [n, k] of one front (the same paper, section III-B); inf at the ends."""
    distance = np.zeros(len(values))
    for column in values.T:
        order = np.argsort(column, kind="stable")
        width = np.ptp(column) or 1.0
        distance[order[[0, -1]]] = np.inf
        distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / width
    return distance
