"""Scores made of other scores: they order the cells that were scored together, and mean nothing for one alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


def mean_ranks(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks 1 (lowest) to n of scores (n,), ties sharing their mean rank."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[place]
    return ranks


def vote(scores: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Mean over the proxies of a cell's rank, as a share of the n cells that all of them could score.

    In (0, 1], NaN for the other cells. Abdelfattah et al. (ICLR 2021) let the same three proxies vote on every pair of
    cells; where they disagree, ranks also say by how much.
    """
    columns = np.stack(list(scores.values()))
    scored = np.isfinite(columns).all(0)
    result = np.full(columns.shape[1], np.nan)
    if scored.any():
        result[scored] = np.mean([mean_ranks(column[scored]) for column in columns], axis=0) / scored.sum()
    return result
