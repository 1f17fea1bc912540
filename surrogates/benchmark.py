"""Surrogate benchmarks: a table of predictions for every cell, from a sample of real trainings.

The idea is NAS-Bench-301's (Zela et al., ICLR 2022, arXiv:2008.09777): predict what a training would show, noise
included, where nobody can train the whole space. The result is a table like any other, so that everything that
reads tables reads it, marked by the attribute `surrogate`: suites take it in mode "surrogate" only, and it is never
merged with trainings.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nasbench.errors import NasbenchError
from nasbench.processes import one_blas_thread
from nasbench.spaces import Space
from nasbench.tables import Curves, Table

from . import CATALOGUE, build
from .fitted import Fitted
from .study import Data, draw, read_data, space_cells

EPOCHS = 12
"""Most epochs of a curve that are predicted, evenly spaced; each takes a fit of its own."""
GROUPS = 5
"""Parts, by predicted accuracy, over which the deviation between seeds is pooled."""
FEWEST = 10


@dataclass(frozen=True)
class Sample:
    """The trainings that a surrogate is fitted to, and those that it is not.

    Attributes:
        data: the task's results.
        order: positions [m] in `data` of cells, those sampled first.
        chosen: which training of each is its label, [m].
        n: how many are sampled.
    """

    data: Data
    order: np.ndarray
    chosen: np.ndarray
    n: int

    @property
    def cells(self) -> np.ndarray:
        """Decisions [n, d] of the sampled cells."""
        return self.data.cells[self.order[: self.n]]

    @property
    def labels(self) -> np.ndarray:
        """Validation accuracies [n]."""
        return self.data.labels[self.order[: self.n], self.chosen[: self.n]]


def make_benchmark(
    table: Table,
    task: str,
    predictor: str = "gp",
    n: int = 500,
    seed: int = 0,
    schedule: int | None = None,
    exclude: np.ndarray | None = None,
) -> Table:
    """Predict a task of a table for every cell, or class of cells, of its space.

    Validation accuracy after each epoch and test accuracy come with as many virtual seeds as the table has: the
    prediction and normal noise whose deviation, pooled over sampled cells of similar quality, is that between their
    seeds. What chance adds to one training after an epoch, at the end and in the test is as much related as in the
    sampled trainings. Cells of which there is one training each have no noise. Seconds and latency are predicted
    without noise; parameters and FLOPs follow from the cell and are copied.

    Args:
        predictor: a name in surrogates.CATALOGUE that sees cells.
        n: cells sampled; one training of each gives the label.
        seed: of the sample and of the noise.
        exclude: bool [len(space)], cells that are not sampled.

    Raises:
        NasbenchError: the table is a surrogate itself, has too few results, or the predictor cannot be used.
    """
    sample = draw_sample(table, task, predictor, n, seed, schedule, exclude)
    if np.ptp(sample.labels) == 0:
        raise NasbenchError(f"all {n} sampled trainings of {task!r} show {sample.labels[0]:g}: nothing can be learned.")
    data, order, chosen = sample.data, sample.order[:n], sample.chosen[:n]
    entry = table.curves(task, schedule)
    rows = table.row_of_cell[data.index[order]]
    space = table.space
    cells = space.representatives("exact") if table.rows == "classes" else np.arange(len(space))
    everything = space_cells(space, cells)

    def fitted(labels: np.ndarray) -> np.ndarray:
        known = np.isfinite(labels)
        if known.sum() < FEWEST:
            return np.full(len(cells), np.nan)
        model = fit(predictor, space, data.cells[order][known], labels[known], f"{known.sum()} cells of draw {seed}")
        found: np.ndarray = model.predict(everything)
        return found

    epochs = [entry.epochs[i] for i in np.unique(np.linspace(0, len(entry.epochs) - 1, EPOCHS).round().astype(int))]
    if entry.full("val_acc").shape[2] == 1:
        epochs = [entry.schedule]
    planes = [entry.at("val_acc", epoch)[rows] for epoch in epochs]
    if "test_acc" in entry.arrays:
        planes.append(entry.at("test_acc", entry.schedule)[rows])
    rng = np.random.default_rng([seed, 0x5EED])
    with one_blas_thread():
        virtual = rng.standard_normal((len(cells), planes[0].shape[1], len(planes))) @ mixing(planes)

    def with_noise(k: int) -> np.ndarray:
        plane = planes[k]
        one = plane[np.arange(n), np.minimum(chosen, plane.shape[1] - 1)]
        mean = fitted(one)
        return np.clip(mean[:, None] + deviation(plane, mean)[:, None] * virtual[:, : plane.shape[1], k], 0, 100)

    predicted = [with_noise(k) for k in range(len(planes))]
    arrays: dict[str, np.ndarray] = {"val_acc": np.stack(predicted[: len(epochs)], axis=2)}
    if "test_acc" in entry.arrays:
        final = predicted[-1][:, :, None]
        before = np.full((*final.shape[:2], len(epochs) - 1), np.nan)
        arrays["test_acc"] = np.concatenate([before, final], axis=2)
    for name in ("train_seconds", "latency_seconds"):
        if name in entry.arrays:
            arrays[name] = np.maximum(fitted(entry.mean(name)[rows]), 0)
    for name in ("parameters", "flops"):
        if name in entry.arrays and (table.row_of_cell[cells] >= 0).all():
            arrays[name] = entry.mean(name)[table.row_of_cell[cells]]
    made = Curves(
        task, tuple(epochs), {name: array.astype(np.float32) for name, array in arrays.items()},
        attributes={name: entry.attributes[name] for name in ("train_size", "n_train") if name in entry.attributes},
    )  # fmt: skip
    attributes: dict[str, Any] = {
        "name": f"{table.name}-surrogate",
        "source": f"predicted by {predictor} from one training each of {n} cells of the table {table.name}",
        "surrogate": {"predictor": predictor, "n": n, "seed": seed, "table": table.name, "checksum": table.checksum},
    }
    attributes |= {name: table.attributes[name] for name in ("licence", "citation") if name in table.attributes}
    return Table.from_arrays(space, [made], table.rows, cells.astype(np.int32), attributes)


def draw_sample(
    table: Table,
    task: str,
    predictor: str,
    n: int,
    seed: int = 0,
    schedule: int | None = None,
    exclude: np.ndarray | None = None,
) -> Sample:
    """What `make_benchmark` fits to; arguments and errors are its."""
    if "surrogate" in table.attributes:
        raise NasbenchError(f"{table.name} holds predictions; a surrogate is fitted to trainings.")
    build(predictor, table.space.name)
    if CATALOGUE[predictor].sees == "tasks":
        raise NasbenchError(
            f"the predictor {predictor!r} learns on other tasks first; a surrogate is of one task alone."
        )
    if CATALOGUE[predictor].sees != "cells":
        raise NasbenchError(f"the predictor {predictor!r} sees learning curves, which cells without a training lack.")
    data = read_data(table, task, "accuracy", schedule)
    if not FEWEST <= n <= len(data.truth):
        raise NasbenchError(
            f"a surrogate is fitted to {FEWEST} to {len(data.truth)} cells, those with results, not {n}."
        )
    order, chosen, _ = draw(data, seed)
    if exclude is not None:
        allowed = ~exclude[data.index[order]]
        order, chosen = order[allowed], chosen[allowed]
        if len(order) < n:
            raise NasbenchError(f"{len(order)} cells are left to sample, fewer than {n}.")
    return Sample(data, order, chosen, n)


def fit(predictor: str, space: Space, cells: np.ndarray, labels: np.ndarray, where: str = "") -> Fitted:
    """The predictor, fitted to decisions [n, d] and labels [n]; `where` names these in what is said of errors."""
    return Fitted.to(predictor, build(predictor, space.name), cells, labels, where or f"{len(labels)} cells")


def deviation(values: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Deviation between the seeds of a cell [m] whose mean is predicted as `mean` [m], from sampled `values` [n, s].

    Pooled over sampled cells of similar quality and interpolated between these groups; 0 where no cell has two seeds.
    """
    several = values[(~np.isnan(values)).sum(axis=1) >= 2]
    if len(several) < 2:
        return np.zeros(len(mean))
    centres = np.nanmean(several, axis=1)
    groups = np.array_split(np.argsort(centres, kind="stable"), min(GROUPS, max(1, len(several) // 10)))
    freedom = (~np.isnan(several)).sum(axis=1) - 1
    pooled = [np.average(np.nanvar(several[g], axis=1, ddof=1), weights=freedom[g]) for g in groups]
    return np.sqrt(np.interp(mean, [centres[g].mean() for g in groups], pooled))


def mixing(planes: Sequence[np.ndarray]) -> np.ndarray:
    """What turns independent draws [..., k] into draws related as chance is in k `planes` [n, s] of the same trainings.

    The root [k, k] of the correlations between trainings' differences from their cell's mean, in units of `deviation`:
    of whether a training that is good by chance after one epoch is so at the end. The identity where that cannot be
    told. Correlations are of what every two planes both have, and need not fit together: what is below 0 is dropped.
    """
    units = np.full((len(planes), planes[0].size), np.nan)
    for k, plane in enumerate(planes):
        if plane.shape != planes[0].shape or ((~np.isnan(plane)).sum(axis=1) >= 2).sum() < 2:
            continue
        several = (~np.isnan(plane)).sum(axis=1) >= 2
        centre = np.full(len(plane), np.nan)
        centre[several] = np.nanmean(plane[several], axis=1)
        spread = np.full(len(plane), np.nan)
        spread[several] = deviation(plane, centre[several])
        units[k] = ((plane - centre[:, None]) / np.where(spread > 0, spread, np.nan)[:, None]).ravel()
    related = np.eye(len(planes))
    for a, b in itertools.combinations(range(len(planes)), 2):
        both = ~np.isnan(units[[a, b]]).any(axis=0)
        scale = math.sqrt((units[a, both] ** 2).sum() * (units[b, both] ** 2).sum())
        if scale > 0:
            related[a, b] = related[b, a] = (units[a, both] * units[b, both]).sum() / scale
    values, vectors = np.linalg.eigh(related)
    root: np.ndarray = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return root / np.sqrt((root**2).sum(axis=0))
