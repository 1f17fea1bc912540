"""Features from the ways through a cell, from input to output: what acts along them, counted and summed up.

A way is written as a word: the operations that feed one another, those that do nothing left out. `word_counts` keeps
every word, `summarise` the few numbers that most predictors need: how many ways there are, and how much is on the
longest, the shortest and the mean one.

Words are arrays [m, ways, l] of operation numbers 0 .. k - 1, with -1 for a place that is left out, and -2 in the
first place of a way that the cell does not have.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BLOCK = 20_000
"""Cells at a time, so that a large space takes megabytes."""


def word_counts(words: np.ndarray, kinds: int) -> np.ndarray:
    """How many ways spell each word of k = `kinds` operations, float32 [m, 1 + k + ... + k^l], shorter words first."""
    longest = words.shape[2]
    start = np.cumsum([0, *(kinds**length for length in range(longest + 1))])
    features = np.zeros((len(words), start[-1]), dtype=np.float32)
    for way in range(words.shape[1]):
        rows = np.flatnonzero(words[:, way, 0] != -2)
        letters = words[rows, way].astype(np.int64)
        word, length = np.zeros((2, len(rows)), dtype=np.int64)
        for step in range(longest):
            acts = letters[:, step] >= 0
            word = np.where(acts, word * kinds + letters[:, step], word)
            length += acts
        features[rows, start[length] + word] += 1
    return features


def measures(operations: Sequence[str]) -> np.ndarray:
    """Weights [k + 2, k] of k operations: each by itself, the convolutions together, all together."""
    convolutions = [float("conv" in name) for name in operations]
    return np.vstack([np.eye(len(operations)), convolutions, np.ones(len(operations))])


def summarise(words: np.ndarray, measures: np.ndarray) -> np.ndarray:
    """The number of ways, then for each measure its most, least and mean along a way, float32 [m, 1 + 3 q].

    A cell without any way has -1 for all but the number.

    Args:
        measures: weights [q, k] of the operations; a way's measure is the sum over what acts along it.
    """
    weights = np.hstack([measures, np.zeros((len(measures), 2))])  # the numbers -1 and -2 weigh nothing
    features = np.empty((len(words), 1 + 3 * len(measures)), dtype=np.float32)
    for start in range(0, len(words), BLOCK):
        block = words[start : start + BLOCK]
        there = block[:, :, 0] != -2
        count = there.sum(axis=1)
        part = features[start : start + BLOCK]
        part[:, 0] = count
        for i, weight in enumerate(weights):
            sums = weight[block].sum(axis=2)
            most = np.where(there, sums, -1).max(axis=1)
            least = np.where(there, sums, np.inf).min(axis=1)
            mean = np.where(there, sums, 0).sum(axis=1) / np.maximum(count, 1)
            part[:, 1 + 3 * i : 4 + 3 * i] = np.where(count[:, None], np.stack([most, least, mean], axis=1), -1)
    return features
