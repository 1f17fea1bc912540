"""`nasbench fit`: predictors on a table, for training sets of several sizes, drawn several times.

    folder = run_study(Study("nasbench201", "cifar10", ("gp", "xgboost"), (50, 100), seeds=20), table, out)

A label is what one training showed, so labels are as noisy as they are for who pays for them; the truth is the mean
over the seeds of every cell that was not drawn, its test accuracy where there is one. All predictors see the same
draws, and smaller training sets are parts of larger ones. The folder holds:

    study.json     what was asked, the table's checksum, the predictors' code, the noise ceiling
    scores.csv     predictor, table, task, n, seed, metric, value: the same bytes for any number of processes
    seconds.csv    the same columns for what is measured
    draws/         one file per predictor, n and seed, so that a study that is broken off goes on
    examples.npz   predictions of the first draw with the largest n, the truth in the labels' metric, and SHAP values
"""

from __future__ import annotations

import dataclasses
import io
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata

from nasbench.errors import NasbenchError, unknown
from nasbench.files import holds, read_json, write_whole
from nasbench.spaces import Space, open_space
from nasbench.spaces.cells import EDGES
from nasbench.tables import PROXIES, Curves, Table

from . import CATALOGUE, build
from .chosen import Chosen, describe, in_processes, same_code
from .fitted import Fitted
from .importance import operation_effects
from .scores import SCORES, ceiling, score

TARGETS = ("accuracy", "train_seconds", "latency_seconds")
"""What can be predicted; the smaller the better for the last two."""
COUNTS = ("parameters", "flops")
"""Proxies that need no network, as tables call them."""
FORMAT = 1
COLUMNS = ("predictor", "table", "task", "n", "seed", "metric", "value")
MEASURED = ("fit_seconds", "query_seconds")


@dataclasses.dataclass(frozen=True)
class Study:
    """What is asked.

    Attributes:
        table, task: names, for the record.
        predictors: names in surrogates.CATALOGUE.
        train_sizes: numbers of labelled cells.
        seeds: number of draws of the training set, numbered from 0.
        target: one of TARGETS.
        schedule: length in epochs of the training schedule; None for the longest.
        curve_epochs: epochs of every training that predictors of curves see; None for a third of the schedule.
    """

    table: str
    task: str
    predictors: tuple[str, ...]
    train_sizes: tuple[int, ...] = (50, 100, 200, 500)
    seeds: int = 20
    target: str = "accuracy"
    schedule: int | None = None
    curve_epochs: int | None = None


@dataclasses.dataclass(frozen=True)
class Data:
    """A task's results as a study needs them, all with one entry for every row of the table that has a truth.

    Attributes:
        cells: decisions [n, d].
        index: index [n] of the cell in its space.
        classes: [n], equal for cells that are the same function.
        labels: results [n, s] of single trainings, nan where there is none.
        truth: [n], mean over seeds: test accuracy where the table has it, else validation accuracy.
        truth_name: which of the two, or the target's name.
        level: mean [n] over seeds in the labels' own metric.
        noise: results [n, s] of the truth's metric for each training.
        schedule: epochs of a whole training.
        curves: validation accuracies and training losses [n, s, 2 e] of the first e epochs; None where the table lacks
            them.
        proxies: [n, p] counts and zero-cost proxies as the table has them: ranks among all cells, from -1 to 1, the
            lowest where a proxy is not defined; they take no training.
        proxy_names: [p].
    """

    cells: np.ndarray
    index: np.ndarray
    classes: np.ndarray
    labels: np.ndarray
    truth: np.ndarray
    truth_name: str
    level: np.ndarray
    noise: np.ndarray
    schedule: int
    curves: np.ndarray | None
    proxies: np.ndarray
    proxy_names: tuple[str, ...]


def read_data(
    table: Table, task: str, target: str = "accuracy", schedule: int | None = None, curve_epochs: int | None = None
) -> Data:
    """The cells, labels and truth of a task; NasbenchError where the table lacks the target or has one value only."""
    if target not in TARGETS:
        raise unknown("target", target, TARGETS)
    entry = table.curves(task, schedule)
    names = (
        ("val_acc", "test_acc" if "test_acc" in entry.arrays else "val_acc") if target == "accuracy" else (target,) * 2
    )
    if names[0] not in entry.arrays:
        raise NasbenchError(f"{task!r} in the table {table.name} has no {names[0]}; it has {', '.join(entry.arrays)}.")
    labels = _plane(entry, names[0])
    truth, noise = entry.mean(names[1]), _plane(entry, names[1])
    if noise.shape[1] < 2 <= labels.shape[1] and target == "accuracy":
        noise = labels  # only the mean of the test accuracies is known: noise as in validation
    known = np.flatnonzero(~np.isnan(truth) & ~np.isnan(labels).all(axis=1))
    if len(known) < 3 or np.ptp(truth[known]) == 0:
        what = "fewer than 3 cells" if len(known) < 3 else "the same value for every cell"
        raise NasbenchError(
            f"{names[1]} of {task!r} in the table {table.name} is known for {what}: nothing can be learned."
        )
    index = table.cells[known]
    cells = space_cells(table.space, index)
    curves = _curves(entry, curve_epochs)
    proxy_names = tuple(name for name in (*COUNTS, *(f"proxy_{p}" for p in PROXIES)) if name in entry.arrays)
    proxies = [_ranks(entry.mean(name)[known]) for name in proxy_names]
    return Data(
        cells, index, table.space.classes("exact")[index], labels[known], truth[known], names[1],
        entry.mean(names[0])[known], noise[known], entry.schedule,
        None if curves is None else curves[known],
        np.stack(proxies, axis=1) if proxies else np.empty((len(known), 0)), proxy_names,
    )  # fmt: skip


def space_cells(space: Space, indices: np.ndarray) -> np.ndarray:
    """Decisions [n, d], int64, of the cells with these indices."""
    everything = getattr(space, "cells", None)
    if isinstance(everything, np.ndarray):
        return everything[indices].astype(np.int64)
    return np.array([space.to_choices(space.cell(int(i))) for i in indices], dtype=np.int64)


def _curves(entry: Curves, epochs: int | None) -> np.ndarray | None:
    """The first epochs [row, seed, 2 e]; None where not every one of them was recorded, or no training loss."""
    if epochs is None and entry.schedule < 2:
        return None
    seen = max(1, entry.schedule // 3) if epochs is None else epochs
    if not 1 <= seen < entry.schedule:
        raise NasbenchError(f"curves show from 1 to {entry.schedule - 1} epochs of {entry.schedule}, not {seen}.")
    if entry.epochs[:seen] != tuple(range(1, seen + 1)) or "train_loss" not in entry.arrays:
        return None
    parts = [entry.full(name) for name in ("val_acc", "train_loss")]
    if any(part.shape[2] < seen for part in parts):
        return None
    return np.concatenate([part[:, :, :seen] for part in parts], axis=2).astype(np.float64)


def _ranks(scores: np.ndarray) -> np.ndarray:
    """From -1 to 1, ties sharing their mean; nan as the lowest."""
    ranks: np.ndarray = rankdata(np.nan_to_num(scores, nan=-np.inf))
    return 2 * (ranks - 0.5) / len(ranks) - 1


def _plane(entry: Curves, name: str) -> np.ndarray:
    return entry.at(name, entry.schedule)


def draw(data: Data, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A random order [n] of the cells and, in that order, which training of each was drawn [n], and its label [n]."""
    rng = np.random.default_rng([seed, 0x0F17])
    order = np.argsort(data.index, kind="stable")[rng.permutation(len(data.truth))]  # whatever the order of the rows
    labels = data.labels[order]
    chosen = np.where(np.isnan(labels), -1.0, rng.random(labels.shape)).argmax(axis=1)
    return order, chosen, labels[np.arange(len(order)), chosen]


def unseen(data: Data, order: np.ndarray, n: int) -> np.ndarray:
    """Of the cells order[n:] those [m], bool, that are the first of a class that has no cell among order[:n].

    Where equal cells were trained separately, as in NAS-Bench-201, many a test cell has a twin in the training set.
    """
    ascending = np.argsort(data.index, kind="stable")
    _, places = np.unique(data.classes[ascending], return_index=True)
    first = np.zeros(len(order), dtype=bool)
    first[ascending[places]] = True
    found: np.ndarray = first[order[n:]] & ~np.isin(data.classes[order[n:]], data.classes[order[:n]])
    return found


def run_study(
    study: Study,
    table: Table,
    out: str | Path,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Make every draw that the folder does not hold yet, write its files, and return the folder.

    Args:
        jobs: processes; results are the same for any number.
        progress: called with (draws there, draws in all).

    Raises:
        NasbenchError: unknown predictor or target, training sets larger than the table, or a folder of another study
            or of another predictor of the same name.
    """
    folder = Path(out)
    data = read_data(table, study.task, study.target, study.schedule, study.curve_epochs)
    _check(study, data, table)
    manifest = _manifest(study, table, data)
    _claim(folder, manifest)
    wanted = [(name, n, seed) for name in study.predictors for n in study.train_sizes for seed in range(study.seeds)]
    todo = [job for job in wanted if not _is_whole(read_json(_draw_path(folder, *job)))]
    there = len(wanted) - len(todo)
    if progress:
        progress(there, len(wanted))
    for (name, n, seed), found in _run(todo, data, table.space.name, study, jobs):
        write_whole(_draw_path(folder, name, n, seed), json.dumps(found, sort_keys=True), sync=False)
        there += 1
        if progress:
            progress(there, len(wanted))
    _collect(folder, study, wanted)
    _examples(folder, study, data, table.space.name)
    return folder


def _check(study: Study, data: Data, table: Table) -> None:
    for name in study.predictors:
        build(name, table.space.name)
        if CATALOGUE[name].sees == "tasks":
            raise NasbenchError(f"the predictor {name!r} learns on other tasks first: add --meta to `nasbench fit`.")
        if "curves" in CATALOGUE[name].sees and (data.curves is None or study.target != "accuracy"):
            raise NasbenchError(
                f"the predictor {name!r} sees learning curves of accuracy, and "
                + (f"the target is {study.target}." if data.curves is not None else
                   f"{study.task!r} in the table {table.name} has none with the training loss of every epoch.")
            )  # fmt: skip
    if not study.predictors or study.seeds < 1 or not study.train_sizes:
        raise NasbenchError("a study needs at least one predictor, one size of the training set and one seed.")
    for n in study.train_sizes:
        if not 2 <= n <= len(data.truth) - 2:
            raise NasbenchError(
                f"a training set of {n} cells is not possible: {study.task!r} in the table {table.name} has results "
                f"for {len(data.truth)}, and 2 are needed to learn and 2 to test."
            )
    if len(set(study.train_sizes)) < len(study.train_sizes) or len(set(study.predictors)) < len(study.predictors):
        raise NasbenchError("predictors and sizes of training sets are given once each.")


def _manifest(study: Study, table: Table, data: Data) -> dict[str, Any]:
    tau = ceiling(data.noise, data.truth, np.random.default_rng(0))
    return {
        "format": FORMAT, **dataclasses.asdict(study), "address": table.address, "checksum": table.checksum,
        "space": table.space.name,
        "cells": len(data.truth), "truth": data.truth_name, "ceiling": None if np.isnan(tau) else tau,
        "families": {name: CATALOGUE[name].family for name in study.predictors},
        "sees": {name: CATALOGUE[name].sees for name in study.predictors}, "proxies": list(data.proxy_names),
        "code": describe(study.predictors),
    }  # fmt: skip


def _claim(folder: Path, manifest: dict[str, Any]) -> None:
    """Write study.json, or check that the folder's is of the same draws: predictors and sizes may be added."""
    path = folder / "study.json"
    if folder.exists() and not folder.is_dir():
        raise NasbenchError(f"{folder} is a file; a study needs a folder.")
    if path.exists():
        try:
            old = json.loads(path.read_bytes())
            same = all(
                old[key] == manifest[key]
                for key in ("format", "checksum", "task", "target", "schedule", "curve_epochs")
            )
            dict(old.get("code", {}))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise NasbenchError(f"{path} is damaged; delete it, or give another folder with --out.") from None
        if not same:
            other = (
                "a study of another table or version of it"
                if old["checksum"] != manifest["checksum"]
                else "another study"
            )
            raise NasbenchError(f"{folder} holds {other}; give a folder of its own with --out.")
        manifest["code"] = same_code(
            folder, old, manifest, lambda name: any(_is_of(name, path) for path in folder.glob("draws/*.json"))
        )
    elif folder.exists() and any(holds(folder)):
        raise NasbenchError(f"{folder} holds other files; give a folder of its own with --out.")
    write_whole(path, json.dumps(manifest, indent=1, sort_keys=True) + "\n")


def _draw_path(folder: Path, name: str, n: int, seed: int) -> Path:
    return folder / "draws" / f"{name}-{n}-{seed}.json"


def _is_of(name: str, path: Path) -> bool:
    return re.fullmatch(rf"{re.escape(name)}-\d+-\d+", path.stem) is not None


def _is_whole(draw: Any) -> bool:
    """Whether a draw is there with all its scores, those included that an older release did not write."""
    return (
        isinstance(draw, dict)
        and all(isinstance(value, float) for value in draw.values())
        and {"kendall", "kendall_unseen"} <= set(draw)
        and ("coverage_90" in draw) <= ("coverage_90_unseen" in draw)
    )


def _run(
    todo: list[tuple[str, int, int]], data: Data, space: str, study: Study, jobs: int
) -> Iterator[tuple[tuple[str, int, int], dict[str, float]]]:
    better = study.target == "accuracy"
    return in_processes(one_draw, ((job, Chosen.of(job[0], space, data.schedule), data, better) for job in todo), jobs)


def one_draw(
    job: tuple[str, int, int], asked: Chosen, data: Data, larger_is_better: bool = True
) -> tuple[tuple[str, int, int], dict[str, float]]:
    """Fit one predictor on one draw; (job, scores). NasbenchError where the predictor fails on it."""
    name, n, seed = job
    order, chosen, labels = draw(data, seed)
    inputs = _inputs(asked.sees, data, order, chosen)
    start = time.perf_counter()
    fitted = Fitted.to(name, asked.predictor, inputs[:n], labels[:n], f"{n} cells of draw {seed}")
    middle = time.perf_counter()
    mean, spread = fitted.predict(inputs[n:], return_std=True)
    end = time.perf_counter()
    found = score(data.truth[order[n:]], mean, spread, larger_is_better, data.level[order[n:]], unseen(data, order, n))
    return job, found | {"fit_seconds": middle - start, "query_seconds": end - middle}


def _inputs(sees: str, data: Data, order: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """What a predictor sees of the cells in this order: decisions, curves of the chosen trainings, proxies."""
    parts = [data.cells[order]] if "cells" in sees else []
    if "curves" in sees:
        assert data.curves is not None
        parts.append(data.curves[order, chosen])
    if "proxies" in sees:
        parts.append(data.proxies[order])
    return np.hstack(parts)


def _collect(folder: Path, study: Study, wanted: list[tuple[str, int, int]]) -> None:
    lines: dict[str, list[str]] = {"scores.csv": [",".join(COLUMNS)], "seconds.csv": [",".join(COLUMNS)]}
    for name, n, seed in wanted:
        found = json.loads(_draw_path(folder, name, n, seed).read_bytes())
        for metric in SCORES:
            if metric in found:
                file = "seconds.csv" if metric in MEASURED else "scores.csv"
                lines[file].append(f"{name},{study.table},{study.task},{n},{seed},{metric},{found[metric]!r}")
    for file, text in lines.items():
        write_whole(folder / file, "\n".join(text) + "\n")


def _examples(folder: Path, study: Study, data: Data, space: str) -> None:
    """Predictions of the first draw with the largest training set, for the page."""
    n = max(study.train_sizes)
    order, chosen, labels = draw(data, 0)
    arrays: dict[str, Any] = {"truth": data.level[order[n:]], "index": data.index[order[n:]]}
    for name in study.predictors:
        inputs = _inputs(CATALOGUE[name].sees, data, order, chosen)
        predictor = build(name, space, data.schedule)
        fitted = Fitted.to(name, predictor, inputs[:n], labels[:n], f"{n} cells of draw 0")
        arrays[f"mean {name}"], arrays[f"spread {name}"] = fitted.predict(inputs[n:], return_std=True)
    effects = operation_effects(space, data.cells[order[:n]], labels[:n])
    if effects is not None:
        arrays |= {"effects": effects, "operations": np.array(open_space(space).operations), "edges": np.array(EDGES)}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_whole(folder / "examples.npz", buffer.getvalue())
