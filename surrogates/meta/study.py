"""`nasbench fit --meta`: meta-learned predictors on tasks that they have never seen, beside predictors from scratch.

    folder = run_meta_study(MetaStudy("nasbench201", ("cifar10",), ("gp_transfer", "gp")), table, out)

Every target is left out in turn, with all that shares images with it. A label is what one training showed; the truth
is as in surrogates.study, and all predictors see the same draws. The folder holds:

    meta.json      what was asked, the tables' checksums, the predictors' code, every target's sources, their cost and
                   the noise ceilings
    scores.csv     predictor, table, task, sources, n, seed, metric, value: the same bytes for any number of processes
    seconds.csv    the same columns for what is measured
    helps.csv      source, task, value: tau of one source's standings with the target's truth
    draws/         one file per target, set of sources and predictor, so that a study that is broken off goes on
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from nasbench.errors import NasbenchError, first_line
from nasbench.files import holds, read_json, write_whole
from nasbench.processes import one_blas_thread
from nasbench.tables import Table
from nasbench.tables.source_tasks import Sources, read_sources

from .. import CATALOGUE, build
from ..chosen import Chosen, describe, in_processes, same_code
from ..fitted import Fitted
from ..scores import SCORES, ceiling, score
from ..study import Data, draw, read_data
from .standings import standings

FORMAT = 1
COLUMNS = ("predictor", "table", "task", "sources", "n", "seed", "metric", "value")
MEASURED = ("meta_seconds", "fit_seconds", "query_seconds")
SUBSETS = 3
"""Random sets of sources for every number of them, each with its own draw of labels."""


@dataclasses.dataclass(frozen=True)
class MetaStudy:
    """What is asked.

    Attributes:
        table: its name, for the record.
        targets: tasks of the table, each left out in turn.
        predictors: names in surrogates.CATALOGUE that see tasks, or cells for those that learn from scratch.
        train_sizes: numbers of labelled cells; 0 asks those that see tasks only.
        seeds: number of draws of the labels, numbered from 0.
        sources: names of source tasks; empty for all.
        leave_out, target_among_sources: as in `nasbench.tables.source_tasks.read_sources`.
        source_counts: also learn from so many sources only, drawn at random.
    """

    table: str
    targets: tuple[str, ...]
    predictors: tuple[str, ...]
    train_sizes: tuple[int, ...] = (0, 5, 10, 20, 50)
    seeds: int = 20
    sources: tuple[str, ...] = ()
    leave_out: str = "task"
    source_counts: tuple[int, ...] = ()
    target_among_sources: bool = False


@dataclasses.dataclass(frozen=True)
class Job:
    """A target, how many of its sources are learned from (None for all), and which random set of them."""

    target: str
    count: int | None = None
    subset: int = 0

    def path(self, folder: Path, predictor: str) -> Path:
        """Where its scores lie."""
        part = "all" if self.count is None else f"{self.count}-{self.subset}"
        return folder / "draws" / self.target / part / f"{predictor}.json"


def run_meta_study(
    study: MetaStudy,
    table: Table,
    out: str | Path,
    others: Sequence[Table] = (),
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Make what the folder does not hold yet, write its files, and return the folder.

    Args:
        others: further tables that sources are read from.
        jobs: processes; results are the same for any number.
        progress: called with (targets and sets of sources done, all of them).

    Raises:
        NasbenchError: what `read_sources` and `Predictor.meta_fit` refuse, training sets larger than a table, or a
            folder of another study.
    """
    folder = Path(out)
    world = {target: _read(study, table, others, target) for target in study.targets}
    _check(study, world)
    _claim(folder, study, table, others, world)
    wanted = [Job(target) for target in study.targets]
    wanted += [
        Job(target, count, subset)
        for target in study.targets
        for count in study.source_counts
        for subset in range(SUBSETS)
        if count < len(world[target][1])
    ]
    todo = [
        (job, tuple(name for name in _asked(study, job) if not _is_whole(read_json(job.path(folder, name)))))
        for job in wanted
    ]
    todo = [(job, names) for job, names in todo if names]
    done = len(wanted) - len(todo)
    if progress:
        progress(done, len(wanted))
    for job, _ in todo:
        standings(world[job.target][1])  # a source stands for every target alike: worked out here, and sent along
    for job, found in _run(todo, study, world, jobs):
        for name, lines in found.items():
            write_whole(job.path(folder, name), json.dumps(lines), sync=False)
        done += 1
        if progress:
            progress(done, len(wanted))
    _collect(folder, study, wanted, world)
    return folder


def _read(study: MetaStudy, table: Table, others: Sequence[Table], target: str) -> tuple[Data, Sources]:
    data = read_data(table, target)
    tables = (table, *others)
    return data, read_sources(tables, target, study.sources, study.leave_out, study.target_among_sources)


def _asked(study: MetaStudy, job: Job) -> list[str]:
    """The predictors that a job asks: from scratch, how many sources there are makes no difference."""
    return [name for name in study.predictors if job.count is None or CATALOGUE[name].sees == "tasks"]


def _check(study: MetaStudy, world: dict[str, tuple[Data, Sources]]) -> None:
    if not study.predictors or not study.targets or not study.train_sizes or study.seeds < 1:
        raise NasbenchError("a study needs at least one target, one predictor, one number of labels and one seed.")
    for names in (study.predictors, study.targets, study.train_sizes, study.source_counts):
        if len(set(names)) < len(names):
            raise NasbenchError("targets, predictors and numbers of labels and of sources are given once each.")
    for data, sources in world.values():
        for name in study.predictors:
            predictor = build(name, sources.space)
            if CATALOGUE[name].sees == "tasks":
                predictor.check_sources(sources)
            elif CATALOGUE[name].sees != "cells":
                raise NasbenchError(f"{name!r} sees {CATALOGUE[name].sees}, and --meta compares predictors of cells.")
        if max(study.train_sizes) < 2 and not any(CATALOGUE[name].sees == "tasks" for name in study.predictors):
            raise NasbenchError("predictors from scratch learn from two labels on: ask for more with --train-sizes.")
        for n in study.train_sizes:
            if not 0 <= n <= len(data.truth) - 2:
                raise NasbenchError(f"{n} labels are not possible: there are results for {len(data.truth)} cells.")
    most = max(len(sources) for _, sources in world.values())
    for count in study.source_counts:
        if not 2 <= count <= most:
            raise NasbenchError(f"numbers of sources are from 2 to {most}, which is what a target has; not {count}.")


def _claim(
    folder: Path, study: MetaStudy, table: Table, others: Sequence[Table], world: dict[str, tuple[Data, Sources]]
) -> None:
    """Write meta.json, or check that the folder's is of the same draws: predictors may be added."""
    targets = {}
    for target, (data, sources) in world.items():
        tau = ceiling(data.noise, data.truth, np.random.default_rng(0))
        targets[target] = {
            "sources": list(sources.names), "cells": len(data.truth), "truth": data.truth_name,
            "ceiling": None if math.isnan(tau) else tau,
            "cost": [None if math.isnan(value) else value for value in sources.cost],
            "descriptor": None if sources.descriptor is None else sources.descriptor.tolist(),
        }  # fmt: skip
    manifest = {
        "format": FORMAT, **dataclasses.asdict(study), "address": table.address, "space": table.space.name,
        "source_tables": [other.address for other in others],
        "checksums": [table.checksum, *(other.checksum for other in others)], "tasks": targets,
        "families": {name: CATALOGUE[name].family for name in study.predictors},
        "sees": {name: CATALOGUE[name].sees for name in study.predictors}, "code": describe(study.predictors),
    }  # fmt: skip
    path = folder / "meta.json"
    if folder.exists() and not folder.is_dir():
        raise NasbenchError(f"{folder} is a file; a study needs a folder.")
    if path.exists():
        keys = ("format", "checksums", "sources", "leave_out", "target_among_sources", "train_sizes", "seeds")
        try:
            old = json.loads(path.read_bytes())
            same = json.loads(json.dumps([manifest[key] for key in keys])) == [old[key] for key in keys]
            grows = {"targets": "targets", "predictors": "predictors", "source_counts": "numbers of sources"}
            fewer = [words for what, words in grows.items() if set(old[what]) - set(manifest[what])]
            dict(old.get("code", {}))
        except (ValueError, KeyError, TypeError):
            raise NasbenchError(f"{path} is damaged; delete it, or give another folder with --out.") from None
        if not same:
            other = (
                "a study of other tables or versions" if old["checksums"] != manifest["checksums"] else "another study"
            )
            raise NasbenchError(f"{folder} holds {other}; give a folder of its own with --out.")
        if fewer:
            raise NasbenchError(
                f"{folder} holds more {fewer[0]} than are asked for; give a folder of its own with --out."
            )
        manifest["code"] = same_code(
            folder, old, manifest, lambda name: any(path.stem == name for path in folder.glob("draws/*/*/*.json"))
        )
    elif folder.exists() and any(holds(folder)):
        raise NasbenchError(f"{folder} holds other files; give a folder of its own with --out.")
    write_whole(path, json.dumps(manifest, indent=1, sort_keys=True) + "\n")


def _is_whole(draws: Any) -> bool:
    return isinstance(draws, list) and all(
        isinstance(draw, list) and len(draw) == 3 and isinstance(draw[2], dict) and "kendall" in draw[2]
        for draw in draws
    )


def _run(
    todo: list[tuple[Job, tuple[str, ...]]], study: MetaStudy, world: dict[str, tuple[Data, Sources]], jobs: int
) -> Iterator[tuple[Job, dict[str, list[Any]]]]:
    def chosen(job: Job, names: Sequence[str]) -> list[Chosen]:
        return [Chosen.of(name, world[job.target][1].space) for name in names]

    calls = ((job, chosen(job, names), study, *world[job.target]) for job, names in todo)
    return in_processes(one_target, calls, jobs)


def one_target(
    job: Job, predictors: Sequence[Chosen], study: MetaStudy, data: Data, sources: Sources
) -> tuple[Job, dict[str, list[Any]]]:
    """Every predictor on one target: (job, {predictor: [[n, seed, scores]]}); NasbenchError where one fails."""
    seeds: Sequence[int] = range(study.seeds)
    if job.count is not None:
        chosen = np.random.default_rng([job.subset, 0x5E7]).permutation(len(sources))[: job.count]
        everything, kept = standings(sources), sorted(chosen.tolist())
        sources, seeds = sources.subset(kept), (job.subset,)
        sources.remember("standings", lambda: everything[:, kept])
    found: dict[str, list[Any]] = {}
    for asked in predictors:
        try:
            with warnings.catch_warnings(), one_blas_thread():
                warnings.simplefilter("ignore")  # kernels at their bounds; the scores say how good a fit is
                found[asked.name] = _one_predictor(asked, job.target, study.train_sizes, seeds, data, sources)
        except NasbenchError:
            raise
        except Exception as error:
            raise NasbenchError(f"the predictor {asked.name!r} failed on {job.target}: {first_line(error)}.") from error
    return job, found


def _one_predictor(
    asked: Chosen, target: str, sizes: Sequence[int], seeds: Sequence[int], data: Data, sources: Sources
) -> list[tuple[int, int, dict[str, float]]]:
    """[n, seed, scores] of every draw; seconds of meta-training are without those of `standings`, which all share."""
    predictor, timer = asked.predictor, time.perf_counter
    meta_learned = asked.sees == "tasks"
    start = timer()
    if meta_learned:
        predictor.meta_fit(sources)
    meta_seconds = timer() - start
    lines = []
    for n in sizes:
        if n < 2 and not meta_learned:
            continue
        for seed in seeds:
            order, _, labels = draw(data, seed)
            where = f"{n} cells of draw {seed} of {target}"
            start = timer()
            fitted = Fitted.to(asked.name, predictor, data.cells[order[:n]], labels[:n], where)
            middle = timer()
            mean, spread = fitted.predict(data.cells[order[n:]], return_std=True)
            times = {"meta_seconds": meta_seconds, "fit_seconds": middle - start, "query_seconds": timer() - middle}
            rest = order[n:]
            lines.append((n, seed, score(data.truth[rest], mean, spread, True, data.level[rest]) | times))
    return lines


def _collect(folder: Path, study: MetaStudy, wanted: list[Job], world: dict[str, tuple[Data, Sources]]) -> None:
    lines: dict[str, list[str]] = {name: [",".join(COLUMNS)] for name in ("scores.csv", "seconds.csv")}
    for job in wanted:
        count = len(world[job.target][1]) if job.count is None else job.count
        for name in _asked(study, job):
            for n, seed, found in json.loads(job.path(folder, name).read_bytes()):
                for metric in (*SCORES, "meta_seconds"):
                    if metric in found:
                        file = "seconds.csv" if metric in MEASURED else "scores.csv"
                        value = f"{job.target},{count},{n},{seed},{metric},{found[metric]!r}"
                        lines[file].append(f"{name},{study.table},{value}")
    lines["helps.csv"] = ["source,task,value"]
    for target, (data, sources) in world.items():
        for source, values in zip(sources.names, standings(sources)[data.index].T, strict=True):
            lines["helps.csv"].append(f"{source},{target},{float(kendalltau(values, data.truth).statistic)!r}")
    for file, text in lines.items():
        write_whole(folder / file, "\n".join(text) + "\n")
