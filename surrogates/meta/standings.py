"""What source tasks say of every cell of their space: where it stands among the cells of each, as normal scores.

A cell stands where the mean of its trainings puts it, drawn towards what a predictor of the catalogue makes of all the
source's trainings, to n / (n + 3) after n trainings of the cell or of one that computes the same; cells without any
stand where the predictor puts them. So sources that trained different cells can be put side by side.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata
from sklearn.pipeline import make_pipeline

from nasbench.processes import one_blas_thread
from nasbench.spaces import Space
from nasbench.tables.source_tasks import Sources, SourceTask, once

from .. import build
from ..encoder import CellEncoder
from ..trees import boosted

MOST_FOR_PROCESS = 700
"""Trained cells up to which the predictor is a Gaussian process; XGBoost above, as a process grows with the cube."""

CAUTION = 3.0
"""Trainings of a cell that count for as much as the predictor, which has seen all of the source's."""


def standings(sources: Sources) -> np.ndarray:
    """[len(space), s] where every cell stands on each source; 0 is the median of the trained cells, 1 the best 16 %."""

    def everything() -> np.ndarray:
        space, known = sources.space, _known
        return np.stack([once(known, (space, task), partial(_standing, space, task)) for task in sources], axis=1)

    found: np.ndarray = sources.remember("standings", everything)
    return found


def normal_scores(accuracies: np.ndarray) -> np.ndarray:
    """[n] normal quantiles of the ranks, (rank - 1/2) / n (Hazen's plotting positions)."""
    scores: np.ndarray = ndtri((rankdata(accuracies) - 0.5) / len(accuracies))
    return scores


_known: dict[Any, Any] = {}


def _standing(space: Space, task: SourceTask) -> np.ndarray:
    scores = normal_scores(task.accuracies)
    cells = np.asarray(space.cells[task.index], np.int64)
    if len(np.unique(scores)) < 3:  # nothing to learn a model from
        return np.zeros(len(space))
    few = len(cells) <= MOST_FOR_PROCESS
    model = build("gp", space) if few else make_pipeline(CellEncoder(space), boosted())
    with one_blas_thread():  # the same bytes whatever the machine is doing
        predicted = np.asarray(model.fit(cells, scores).predict(np.asarray(space.cells, np.int64)))
    classes = space.classes("exact")
    count = np.bincount(classes[task.index], weights=task.trainings, minlength=classes.max() + 1)
    total = np.bincount(classes[task.index], weights=task.trainings * scores, minlength=classes.max() + 1)
    weight = (count / (count + CAUTION))[classes]
    measured = (total / np.maximum(count, 1))[classes]
    standing: np.ndarray = weight * measured + (1 - weight) * predicted
    return standing


def positions(space: Space, cells: np.ndarray) -> np.ndarray:
    """Index [n] in the space of cells given as decisions [n, d]."""
    codes = np.ravel_multi_index(np.asarray(space.cells, np.int64).T, space.choices)
    order = np.argsort(codes, kind="stable")
    wanted = np.ravel_multi_index(np.asarray(cells, np.int64).T, space.choices)
    return order[np.searchsorted(codes, wanted, sorter=order)]
