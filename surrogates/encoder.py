"""Cells as features, as the first step of a pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_array

from nasbench.errors import NasbenchError
from nasbench.spaces import Space, open_space

LIVE = ("path_counts", "summary")
"""Encodings of what is on the ways from input to output: cells that differ in dead edges only have the same."""


def check_cells(X: Any, space: Space) -> np.ndarray:
    """Decisions [n, len(space.choices)] as integers; NasbenchError for anything that cannot be cells of the space."""
    X = check_array(X, dtype="numeric")
    if X.shape[1] != len(space.choices):
        raise NasbenchError(
            f"a cell of {space.name} is a row of {len(space.choices)} decisions, not of {X.shape[1]} features; "
            "was it encoded for another space?"
        )
    if not ((X >= 0) & (np.asarray(space.choices) > X) & (np.floor(X) == X)).all():
        raise NasbenchError(f"decisions of {space.name} are whole numbers below {space.choices}; some are not.")
    return X.astype(np.int64)


def encode(space: Space, cells: np.ndarray, names: Sequence[str] = LIVE) -> np.ndarray:
    """Features [n, f], float64, of cells as decisions [n, d] under those encodings that the space has, side by side;
    `one_hot` where it has none of them."""
    known = [name for name in names if name in space.encodings] or ["one_hot"]
    return np.hstack([space.encode(np.asarray(cells, np.int64), name) for name in known]).astype(np.float64)


def varying(features: np.ndarray) -> np.ndarray:
    """Places of the columns of features [n, f] that are not constant; the first one where all are."""
    kept = np.flatnonzero(np.ptp(features, axis=0) > 0)
    return kept if len(kept) else np.array([0])


class CellEncoder(TransformerMixin, BaseEstimator):
    """Decisions [n, d] -> features [n, f], float64: the space's encodings side by side.

    Columns that were constant over the cells of `fit` are dropped.

    Args:
        space: the space or its name.
        encodings: names among the space's encodings.
    """

    def __init__(self, space: str | Space = "nasbench201", encodings: Sequence[str] = LIVE) -> None:
        self.space = space
        self.encodings = encodings

    def fit(self, X: Any, y: Any = None) -> CellEncoder:
        features = self._encode(X)
        self.n_features_in_ = len(open_space(self.space).choices)
        self.kept_ = varying(features)
        return self

    def transform(self, X: Any) -> np.ndarray:
        return self._encode(X)[:, self.kept_]

    def _encode(self, X: Any) -> np.ndarray:
        space = open_space(self.space)
        cells = check_cells(X, space)
        return np.hstack([space.encode(cells, name) for name in self.encodings]).astype(np.float64)
