"""Which operation on which edge matters, by SHAP values of boosted trees."""

from __future__ import annotations

import numpy as np

from nasbench.spaces import open_space
from nasbench.spaces.cells import CellSpace


def operation_effects(space: str, cells: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """Mean SHAP value [edges, operations] of having the operation on the edge, in y's unit.

    Trees are fitted to the one-hot operations of `cells` [n, edges], and explained on every cell of the space (Lundberg
    et al., Nature Machine Intelligence 2020; xgboost's own implementation). A cell's value for an edge is the sum over
    the edge's columns, its mean is taken over the cells that have the operation there. None for spaces whose cells are
    not operations on fixed edges, or where xgboost is not installed.
    """
    opened = open_space(space)
    if not isinstance(opened, CellSpace):
        return None
    try:
        from xgboost import DMatrix, XGBRegressor
    except ModuleNotFoundError:
        return None
    model = XGBRegressor(n_estimators=200, max_depth=4, learning_rate=0.1, subsample=0.8, n_jobs=1, random_state=0)
    model.fit(opened.encode(cells, "one_hot"), y)
    everything = opened.cells
    values = model.get_booster().predict(DMatrix(opened.encode(everything, "one_hot"), nthread=1), pred_contribs=True)
    kinds = len(opened.operations)
    by_edge = values[:, :-1].reshape(len(everything), -1, kinds).sum(axis=2)
    edges = range(everything.shape[1])
    return np.array([[by_edge[everything[:, e] == op, e].mean() for op in range(kinds)] for e in edges])
