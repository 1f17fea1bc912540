"""A comparison: every strategy on every task with every seed, in parallel, resumable after any kill."""

from __future__ import annotations

import dataclasses
import datetime
import glob
import importlib.metadata
import json
import logging
import os
import platform
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np

from ..benchmarks import Benchmark
from ..errors import NasbenchError, first_line, place, unknown
from ..files import holds, write_whole
from ..processes import deaf_to_interrupts, parallel
from ..tables import Table, open_table
from ..tasks.catalogue import adopt, own_entries
from .budget import Budget, Ledger
from .identity import describe, same
from .results import Results
from .run import check_budget, generator, make_problem, run
from .sources import Source, TableSource, TrainingSource
from .store import (
    COLUMNS,
    FORMAT,
    RunKey,
    encode_run,
    read_manifest,
    read_run,
    row,
    run_path,
    to_csv,
)
from .strategy import Factory
from .suite import Suite, can_be_folder

_log = logging.getLogger(__name__)
CHUNK = 20
"""Runs that a worker process does in one go."""


def compare(
    suite: Suite | str | Path,
    strategies: Mapping[str, Factory],
    out: str | Path,
    table: Table | None = None,
    jobs: int = -1,
    progress: Callable[[int, int], None] | None = None,
    training: TrainingSource | None = None,
) -> Results:
    """Run a suite into a folder; runs that are there already are kept.

    Args:
        suite: a `Suite`, or the name or file of one.
        strategies: what builds each strategy that the suite names, e.g. `strategies.CATALOGUE`; one that it names as
            `path/to/file.py:Class` need not be there.
        out: the results folder. If it holds a comparison under the same rules, that one is resumed or extended.
        table: results to use in place of the suite's table.
        jobs: processes; -1 for one per core. The results do not depend on it.
        progress: called with (runs done, runs in all) as runs finish.
        training: in mode "train", how and on what to train.

    Raises:
        NasbenchError: unknown names, a budget in a currency the table does not know, a folder with other results,
            or a folder that cannot be written.
    """
    if table is not None and not isinstance(table, Table):
        raise NasbenchError(f"a comparison is on a table, as `open_table` gives it, not on {table!r}.")
    if not isinstance(jobs, int | np.integer) or jobs == 0 or jobs < -1:
        raise NasbenchError(f"a comparison needs at least one process, or -1 for one per core; not {jobs!r}.")
    jobs = int(jobs)
    suite = suite if isinstance(suite, Suite) else Suite.load(suite)
    suite, strategies = _load_own(suite, strategies)
    source: Source
    if suite.mode == "train":
        source = training or TrainingSource()
    else:
        source = TableSource(open_table(suite.table) if table is None else table)
        source.check(suite)
    chosen = _choose(suite.strategies, strategies)
    for task in suite.tasks:
        benchmark, budget = source.benchmark(suite, task), Budget.parse(suite.budget)
        check_budget(benchmark, budget)
        for name, factory in chosen.items():
            if reason := refusal(factory, benchmark, budget, name):
                raise NasbenchError(f"strategy {name!r} cannot search {task!r}: {reason}")
    folder = Path(out)
    manifest = _manifest(folder, suite, source, chosen)
    suite = Suite.from_fields(manifest["suite"])
    keys = [RunKey(t, s, i) for t in suite.tasks for s in suite.strategies for i in range(suite.seeds)]
    todo = [key for key in keys if read_run(folder, key) is None]
    added = {**_own_files(manifest), **strategies}
    for name in {key.strategy for key in todo} - set(chosen):  # of the folder, which holds more than was asked for
        _check_strategy(folder, manifest, name, json.loads(json.dumps(describe(_choose([name], added)[name]))))
    chosen = _choose({key.strategy: None for key in todo}, added)
    write_whole(folder / "suite.json", json.dumps(manifest, indent=1, sort_keys=True) + "\n", sync=False)
    done = len(keys) - len(todo)
    _record_provenance(folder, jobs)
    if progress:
        progress(done, len(keys))
    images = {task: training["sha256"] for task, training in manifest["table"].get("trainings", {}).items()}
    for timings in _work_in_parallel(folder, suite, source, chosen, todo, jobs, images):
        _append_timings(folder, timings)
        done += len(timings)
        if progress:
            progress(done, len(keys))
    documents = [read_run(folder, key) for key in keys]
    if None in documents:
        raise NasbenchError(f"{folder} lost runs while it was written to; the same command makes them again.")
    rows = [row(manifest, document) for document in documents if document is not None]
    write_whole(folder / "runs.csv", to_csv(COLUMNS, rows), sync=False)
    return Results(folder)


def check_folder(suite: Suite, strategies: Mapping[str, Factory], out: str | Path, table: Table) -> None:
    """NasbenchError where the folder holds what keeps `compare` from using it for this; nothing is written."""
    suite, strategies = _load_own(suite, strategies)
    _manifest(Path(out), suite, TableSource(table), _choose(suite.strategies, strategies))


def _load_own(suite: Suite, strategies: Mapping[str, Factory]) -> tuple[Suite, Mapping[str, Factory]]:
    """The suite with own strategies by their names, and all strategies; NasbenchError for a name no folder can have."""
    if not isinstance(strategies, Mapping):
        raise NasbenchError(
            "strategies are given by name, as in {'Mine': Mine}; built-in ones are strategies.CATALOGUE."
        )
    own = [name for name in suite.strategies if name not in strategies and name.partition(":")[0].endswith(".py")]
    if own:
        from strategies import select

        chosen = select(own)
        named = dict(zip(own, chosen, strict=True))
        suite = suite.replace(strategies=tuple(named.get(name, name) for name in suite.strategies))
        strategies = {**strategies, **chosen}
    for name in suite.strategies:
        if not can_be_folder(name):
            raise NasbenchError(f"a strategy needs a name that can be a folder's, not {name!r}.")
    return suite, strategies


def _own_files(manifest: dict[str, Any]) -> dict[str, Factory]:
    """The strategies of a folder that lie in files of their own."""
    from strategies import OwnFile

    own = {name: entry for name, entry in manifest["strategies"].items() if "path" in entry}
    return {
        name: OwnFile(entry["path"], name, entry.get("family", "own"), entry.get("settings", {}))
        for name, entry in own.items()
    }


def _check_strategy(folder: Path, manifest: dict[str, Any], name: str, description: dict[str, Any]) -> None:
    """NasbenchError where the folder holds runs of another strategy of this name."""
    path = description.get("path", "")
    if path and not Path(path).is_file():
        raise NasbenchError(f"there is no file {path} with the strategy {name!r} of {folder}; name it anew.")
    there = any(folder.glob(f"runs/*/{glob.escape(name)}/*.json"))
    if there and not same(manifest["strategies"].get(name, {}), description):
        raise NasbenchError(f"{folder} holds results of another strategy called {name!r}; choose another folder.")


def _choose(names: Iterable[str], strategies: Mapping[str, Factory]) -> dict[str, Factory]:
    chosen = {}
    for name in names:
        if name not in strategies:
            raise unknown("strategy", name, strategies)
        chosen[name] = strategies[name]
    return chosen


def refusal(factory: Factory, benchmark: Benchmark, budget: Budget, name: str = "") -> str:
    """Why a strategy cannot search this benchmark, in its own words; "" if it can.

    Only what a strategy says itself counts: other errors are left to its runs. ModuleNotFoundError passes.
    """
    try:
        factory(make_problem(benchmark, budget, Ledger(budget)), generator(0, benchmark.task, name))
    except NasbenchError as error:
        return str(error)
    except ModuleNotFoundError:
        raise
    except (Exception, SystemExit) as error:
        _log.debug("strategy %r cannot be built on %s: %s", name, benchmark.task, first_line(error))
    return ""


def suitable(suite: Suite, strategies: Mapping[str, Factory], source: Source) -> dict[str, str]:
    """Strategy -> why it cannot search one of the suite's tasks, "" for those that can search all."""
    budget, found = Budget.parse(suite.budget), dict.fromkeys(strategies, "")
    for task in suite.tasks:
        benchmark = source.benchmark(suite, task)
        for name, factory in strategies.items():
            try:
                found[name] = found[name] or refusal(factory, benchmark, budget, name)
            except ModuleNotFoundError as error:
                found[name] = f"needs the package {error.name}."
    return found


def _manifest(folder: Path, suite: Suite, source: Source, chosen: Mapping[str, Factory]) -> dict[str, Any]:
    """The folder's manifest, checked and extended by what the suite adds."""
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "suite": dataclasses.asdict(suite),
        "currency": Budget.parse(suite.budget).currency,
        "table": source.describe(suite),
        "strategies": {name: describe(factory) for name, factory in chosen.items()},
    }
    if folder.exists() and not folder.is_dir():
        raise NasbenchError(f"{folder} is a file; results need a folder.")
    if (folder / "suite.json").exists():
        old = read_manifest(folder)
        _check_same(folder, old, manifest)
        before = Suite.from_fields(old["suite"])
        old["suite"]["strategies"] = begun = _begun(folder, before)
        old["strategies"] = {name: old["strategies"][name] for name in begun}
        for name in ("tasks", "strategies"):
            manifest["suite"][name] = list(dict.fromkeys([*old["suite"][name], *manifest["suite"][name]]))
        manifest["suite"]["seeds"] = max(suite.seeds, _finished_seeds(folder, before, begun))
        manifest["strategies"] = {**old["strategies"], **manifest["strategies"]}
        for name in ("noise", "share", "trainings"):
            if name in manifest["table"]:
                manifest["table"][name] = {**old["table"].get(name, {}), **manifest["table"][name]}
    elif folder.exists() and any(holds(folder)):
        raise NasbenchError(f"{folder} is not empty and holds no results of a comparison; choose another folder.")
    return json.loads(json.dumps(manifest))


def _begun(folder: Path, suite: Suite) -> list[str]:
    """The strategies that have finished a run: one that never did, because it fails, is not asked for again."""
    return [name for name in suite.strategies if any(folder.glob(f"runs/*/{glob.escape(name)}/*.json"))]


def _finished_seeds(folder: Path, suite: Suite, strategies: Sequence[str]) -> int:
    """How many seeds, from 0, every strategy has finished on every task: more were begun, perhaps by mistake."""
    pairs = [(task, strategy) for task in suite.tasks for strategy in strategies]
    for seed in range(suite.seeds if pairs else 0):
        if not all(run_path(folder, RunKey(*pair, seed)).exists() for pair in pairs):
            return seed
    return suite.seeds if pairs else 0


def _check_same(folder: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    before, after = Suite.from_fields(old["suite"]).rules(), Suite.from_fields(new["suite"]).rules()
    for name in before:
        if before[name] != after[name]:
            raise NasbenchError(
                f"{folder} holds results with {name} = {before[name]!r}, not {after[name]!r}; choose another folder."
            )
    if old["table"]["checksum"] != new["table"]["checksum"]:
        trained = "trainings" in new["table"]
        other = "by another trainer or processor" if trained else "on another table or version of it"
        raise NasbenchError(f"{folder} holds results {other}; choose another folder.")
    before = old["table"].get("trainings", {})
    for task, training in new["table"].get("trainings", {}).items():
        if before.get(task, training) != training:
            raise NasbenchError(f"{folder} holds results on other data or under another protocol of {task!r}.")
    for name, description in json.loads(json.dumps(new["strategies"])).items():
        _check_strategy(folder, old, name, description)


def _work_in_parallel(
    folder: Path,
    suite: Suite,
    source: Source,
    chosen: Mapping[str, Factory],
    todo: list[RunKey],
    jobs: int,
    images: Mapping[str, str],
) -> Iterator[list[tuple[str, str, int, float]]]:
    """Yields, for every finished chunk of runs, [(task, strategy, seed, overhead seconds)]."""
    if not todo:
        return
    groups: dict[tuple[str, str], list[RunKey]] = {}
    for key in todo:
        groups.setdefault((key.task, key.strategy), []).append(key)
    chunks = [keys[i : i + CHUNK] for keys in groups.values() for i in range(0, len(keys), CHUNK)]

    def work(chunk: list[RunKey]) -> tuple[Any, ...]:
        task, strategy, _ = chunk[0]
        return folder, suite, source, chosen[strategy], chunk, images.get(task, "")

    if jobs == 1:
        for chunk in chunks:
            yield _work(*work(chunk))
        return
    import joblib

    here, workers = Path.cwd(), parallel(jobs, return_as="generator_unordered", batch_size=1)
    try:
        with deaf_to_interrupts():
            finished = workers(joblib.delayed(_work_in)(here, own_entries(), *work(chunk)) for chunk in chunks)
        yield from finished
    except BrokenProcessPool:  # joblib's TerminatedWorkerError is one
        raise NasbenchError(
            "a worker process died, killed by the system or by a strategy; the runs that finished are kept, and the "
            "same command goes on from there."
        ) from None


def _work_in(here: Path, own_tasks: tuple[Any, ...], *work: Any) -> list[tuple[str, str, int, float]]:
    """`_work` where paths and tasks mean what they mean to the caller, who may have moved since this process began."""
    os.chdir(here)
    adopt(own_tasks)
    return _work(*work)


_benchmarks: dict[tuple, Benchmark] = {}


def _work(
    folder: Path, suite: Suite, source: Source, factory: Factory, keys: list[RunKey], images: str
) -> list[tuple[str, str, int, float]]:
    """Do some runs of one strategy on one task, on images of that digest, and write each as it finishes."""
    at = (*source.key(suite, keys[0].task), images)
    benchmark = _benchmarks.get(at) or _benchmarks.setdefault(at, source.benchmark(suite, keys[0].task))
    budget = Budget.parse(suite.budget)
    timings = []
    for key in keys:
        try:
            result = run(
                factory, benchmark, budget, key.seed, key.strategy, suite.observe, suite.workers, suite.charge_overhead
            )
            text = encode_run(result, key, benchmark.space, benchmark.best)
        except (Exception, SystemExit) as error:
            reason = str(error).rstrip(".") if isinstance(error, NasbenchError) else first_line(error) + place(error)
            raise NasbenchError(
                f"strategy {key.strategy!r} failed on {key.task}, seed {key.seed}: {reason}; "
                "the runs that finished are kept."
            ) from error
        write_whole(run_path(folder, key), text, sync=False)
        timings.append((*key, result.overhead_seconds))
        getattr(benchmark, "flush", _nothing)()
    return timings


def _nothing() -> None:
    """What a benchmark that keeps nothing has to write."""


def _record_provenance(folder: Path, jobs: int) -> None:
    """Write how and with what this was last run; facts of the machine stay out of the other files."""
    program = Path(sys.argv[0])
    called = ["python", "-m", program.parent.name] if program.name == "__main__.py" else [program.name]
    provenance = {
        "command": printable(shlex.join([*called, *sys.argv[1:]])),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "jobs": jobs,
        "platform": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "versions": {"python": platform.python_version(), **{n: _version(n) for n in ("nasbench", "numpy", "h5py")}},
    }
    write_whole(folder / "provenance.json", json.dumps(provenance, indent=1) + "\n", sync=False)


def printable(text: str) -> str:
    """Text that can be written as UTF-8 whatever bytes a path or an argument held."""
    return text.encode("utf-8", "backslashreplace").decode()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _append_timings(folder: Path, timings: list[tuple[str, str, int, float]]) -> None:
    path = folder / "timings.csv"
    text = to_csv(("task", "strategy", "seed", "overhead_seconds"), timings)
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text if file.tell() == 0 else text.partition("\n")[2])
    except OSError as error:
        raise NasbenchError(f"cannot write {path}: {error.strerror or error}.") from None
