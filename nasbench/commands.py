"""The command line's commands that train: `train`, `task`, and what `table` does with trainings."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import NasbenchError
from .terminal import Progress, names, show, table_file

if TYPE_CHECKING:
    from .runs.sources import TrainingSource
    from .tables import Table
    from .tasks import Task
    from .training import Protocol
    from .training.shards import Shards

PROTOCOL_OPTIONS: Mapping[str, tuple[type, str]] = {
    "channels": (int, "channels of the first stage"),
    "cells": (int, "cells in each of the three stages"),
    "reduction": (str, "residual or plain"),
    "epochs": (int, "epochs of the whole schedule"),
    "batch_size": (int, "images a step"),
    "lr": (float, "learning rate at the start"),
    "momentum": (float, "Nesterov momentum"),
    "weight_decay": (float, "weight decay"),
    "augmentation": (str, "none, flip or flip+crop"),
    "crop": (int, "pixels by which flip+crop shifts"),
}
"""The fields of training.Protocol, written out so that --help does not import the room."""
MOST_SHOWN = 12
"""Numbers of a task's descriptor that are shown in full."""


def train_parser(parser: argparse.ArgumentParser) -> None:
    """Options of `nasbench train`."""
    _task_options(parser)
    _machine_options(parser)
    add = parser.add_argument
    add("--cell", help="train one cell (published string or index), as the first of its class, and show its curve")
    add("--rows", help="all classes of the space, or how many of them in the fixed random order")
    add("--seeds", default="0", help="training seeds, separated by commas (default: 0)")
    add("--out", type=Path, help="folder of the shards; an unfinished one is gone on with")
    add("--known", action="append", default=[], metavar="TABLE", help="skip the trainings that this table has")
    add(
        "--table",
        type=table_file,
        metavar="FILE.h5",
        help="at the end, make a table of the shards and the known tables",
    )
    add("--no-latency", action="store_true", help="do not measure forward passes for the table")
    add("--shard", type=int, default=200, help="trainings a shard, at most (default: 200, or those of a minute)")
    parser.set_defaults(command=_train)


def task_parser(parser: argparse.ArgumentParser) -> None:
    """Options of `nasbench task list | info`."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("list", help="the tasks by name").set_defaults(command=_task_list)
    add = commands.add_parser("info", help="load a task and show its splits, hash and protocol")
    add.add_argument("task", help="a name of `nasbench task list`, or an .npz file")
    _data_options(add)
    add.set_defaults(command=_task_info, protocol=None, **dict.fromkeys(PROTOCOL_OPTIONS))


def table_parsers(commands: Any) -> None:
    """`nasbench table merge | replay`."""
    add = commands.add_parser("merge", help="one table from tables and from folders of shards")
    add.add_argument("tables", nargs="+", help="tables, or folders that `nasbench train` or `compare --keep` wrote")
    add.add_argument("--out", type=table_file, required=True, metavar="FILE.h5")
    add.add_argument("--no-latency", action="store_true", help="do not measure forward passes of trained rows")
    add.set_defaults(command=_merge)

    add = commands.add_parser("replay", help="train some rows of a table again, and compare")
    add.add_argument("table", help="a table that `nasbench train` made")
    add.add_argument("--rows", type=int, default=20, help="trainings to repeat (default: 20)")
    add.add_argument("--task", help="which task, where the table has several, or its .npz file")
    add.add_argument("--seed", type=int, default=0, help="of the choice of rows")
    add.add_argument("--data", type=Path, help="folder of data sets")
    _machine_options(add)
    add.set_defaults(command=_replay)


def compare_options(parser: argparse.ArgumentParser) -> None:
    """Options of `nasbench compare` that matter where results are trained."""
    add = parser.add_argument_group("with --mode train").add_argument
    add("--keep", type=Path, metavar="DIR", help="keep the trainings as shards, to go on from or to merge into a table")
    add("--protocol", type=Path, help="JSON file with the fields of the protocol that differ from the task's")
    add("--train-seeds", metavar="0,1,2", help="training seeds that can be observed (default: 0)")
    add("--device", default="auto", help="cpu, cuda or auto")
    add("--data", type=Path, help="folder of data sets")


def check_unused(options: argparse.Namespace, mode: str) -> None:
    """NasbenchError where one of those options is given in a mode without trainings; --protocol is the suite's."""
    given = {"--keep": options.keep, "--train-seeds": options.train_seeds, "--data": options.data}
    given["--device"] = None if options.device == "auto" else options.device
    for option, value in given.items():
        if value is not None:
            raise NasbenchError(f"{option} is about trainings, and mode {mode!r} does none; add --mode train.")


def suite_changes(options: argparse.Namespace) -> dict[str, Any]:
    """What those options change in a suite."""
    seeds = numbers(options.train_seeds, "training seeds") if options.train_seeds else None
    return {"protocol": read_protocol(options.protocol) if options.protocol else None, "train_seeds": seeds}


def training_source(options: argparse.Namespace) -> TrainingSource:
    """How and on what to train."""
    from .runs.sources import TrainingSource

    return TrainingSource(options.device, "auto", options.keep, options.data)


def _data_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, help="folder of data sets, beside $NASBENCH_DATA and the cache")
    parser.add_argument("--fetch", action="store_true", help="download what is not there")
    parser.add_argument("--sizes", metavar="TRAIN,VAL,TEST", help="images of the three parts (default: the task's)")


def _task_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", required=True, help="a name of `nasbench task list`, or an .npz file")
    _data_options(parser)
    parser.add_argument("--protocol", type=Path, help="protocol as a JSON file (default: the task's)")
    for name, (kind, text) in PROTOCOL_OPTIONS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, help=f"protocol: {text}")


def _machine_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, default=-1, help="processes (default: one per core)")
    parser.add_argument(
        "--device",
        default="auto",
        help="cpu, cuda, or auto (default): CUDA where there is one and the native step cannot train the protocol",
    )
    parser.add_argument(
        "--trainer",
        default="auto",
        help="native, plain, population, population-bf16, or auto (default): native, or on CUDA population",
    )


def numbers(text: str, what: str) -> list[int]:
    """The whole numbers in "0, 1, 2"; NasbenchError for anything else."""
    if not names(text) or not all(part.isdecimal() for part in names(text)):
        raise NasbenchError(f"{what} are whole numbers separated by commas, not {text!r}.")
    return [int(part) for part in names(text)]


def processes(options: argparse.Namespace) -> int:
    """What --jobs says, -1 being one per core; NasbenchError for a number that is none."""
    if options.jobs == 0 or options.jobs < -1:
        raise NasbenchError(f"at least one process is needed, or -1 for one per core; not {options.jobs}.")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores if options.jobs == -1 else options.jobs


def _load(options: argparse.Namespace) -> Task:
    from .tasks import load_task

    if not options.sizes:
        return load_task(options.task, options.data, fetch_missing=options.fetch)
    sizes = numbers(options.sizes, "sizes of a task")
    if len(sizes) != 3:
        raise NasbenchError(f"a task has three sizes, as in --sizes 256,770,771, not {options.sizes!r}.")
    return load_task(options.task, options.data, sizes[0], sizes[1], sizes[2], options.fetch)


def read_protocol(path: Path) -> dict[str, Any]:
    """The fields of a protocol that a JSON file sets; NasbenchError if it cannot be read."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NasbenchError(f"the protocol {path} cannot be read: {error.strerror or error}.") from None
    except ValueError as error:
        raise NasbenchError(f"the protocol {path} is not JSON: {error}.") from None
    if not isinstance(fields, dict):
        raise NasbenchError(f'the protocol {path} is not a JSON object such as {{"epochs": 12}}.')
    return fields


def _protocol(options: argparse.Namespace, task: str) -> Protocol:
    from .training import task_protocol

    fields = read_protocol(options.protocol) if options.protocol else {}
    fields |= {name: getattr(options, name) for name in PROTOCOL_OPTIONS if getattr(options, name) is not None}
    return task_protocol(task, fields)


def _train(options: argparse.Namespace) -> None:
    from .spaces import open_space
    from .tables import open_table
    from .training import Arrays, choose_device
    from .training.campaign import known_keys, plan, run_campaign
    from .training.shards import Setting, Shards

    if (options.cell is None) == (options.rows is None):
        raise NasbenchError("say what to train: --cell CELL for one, or --rows all (or a number) for many.")
    if options.shard < 1:
        raise NasbenchError(f"a shard holds at least 1 training, not {options.shard}.")
    workers, seeds = processes(options), numbers(options.seeds, "training seeds")
    space = open_space("nasbench201")
    jobs = [] if options.rows is None else plan(space, _rows(options.rows), seeds)
    if options.rows is not None and options.out is None:
        raise NasbenchError("many trainings need a folder: --out DIR.")
    task = _load(options)
    protocol = _protocol(options, task.name)
    protocol.steps(len(task.y_train))
    device = choose_device(options.device, protocol, options.trainer)
    if options.cell is not None:
        given = {"--out": options.out, "--table": options.table, "--known": options.known or None}
        for option in (option for option, value in given.items() if value is not None):
            raise NasbenchError(f"{option} goes with --rows; --cell shows the curve of one cell and writes nothing.")
        _train_one(options, task, protocol, device, seeds)
        return
    setting = Setting.of(task, protocol, device, options.trainer)
    known = [open_table(name) for name in options.known]
    skip = set().union(*(known_keys(table, setting) for table in known))
    shards = Shards(options.out, setting)
    jobs = [key for key in jobs if key not in skip]
    with Progress(task.key, "trainings", lines=True) as progress:
        count = run_campaign(
            shards, Arrays.of(task), space, jobs, device, workers, options.trainer, options.shard, progress
        )
    print(f"{count:,} trainings with {setting.trainer}; {len(jobs):,} of this plan are in {options.out}")
    if options.table:
        _write([shards], known, options.table, not options.no_latency)


def _rows(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdecimal():
        raise NasbenchError(f"rows are all or a number, not {text!r}.")
    return int(text)


def _train_one(options: argparse.Namespace, task: Task, protocol: Protocol, device: str, seeds: list[int]) -> None:
    from .networks import count_flops, count_parameters
    from .spaces import open_space
    from .training import Arrays, train_safely, trainer_version

    space = open_space("nasbench201")
    cell = space.cell(int(options.cell)) if options.cell.isdecimal() else space.from_string(options.cell)
    cell = space.cell(int(space.representatives("exact")[space.classes("exact")[space.index(cell)]]))
    arrays = Arrays.of(task)
    skeleton = protocol.skeleton(arrays.classes, arrays.image_shape)
    size = (
        f"{count_parameters(cell, skeleton, pruned=True):,} parameters, {count_flops(cell, skeleton):,} FLOPs an image"
    )
    print(f"{space.to_string(cell)}: {size}; {task.key}, {trainer_version(protocol, device, options.trainer)}")
    columns = ["epoch", "train loss", "train %", "validation %", "test %", "seconds"]
    for seed in seeds:
        history = train_safely(cell, seed, arrays, protocol, device, options.trainer)
        curves = (history.train_loss, history.train_acc, history.val_acc, history.test_acc, history.seconds)
        lines = [
            [i, f"{loss:.4f}", *(f"{100 * share:.2f}" for share in shares), f"{seconds:.3f}"]
            for i, (loss, *shares, seconds) in enumerate(zip(*curves, strict=True), 1)
        ]
        show(f"seed {seed}: {history.status}", columns, lines)


def _write(folders: list[Shards], known: list[Table], out: Path, latency: bool) -> None:
    from .tables.merge import merge
    from .training.tabulate import to_table

    with Progress("latency", "rows", lines=True) as progress:
        table = to_table(folders, known, latency, progress)
    table = merge([*known, table]) if known else table
    print(f"{table!r} written to {table.save(out)}")


def _merge(options: argparse.Namespace) -> None:
    from .tables import open_table
    from .tables.merge import merge

    folders = [Path(name) for name in options.tables if Path(name).is_dir()]
    tables = [open_table(name) for name in options.tables if not Path(name).is_dir()]
    if folders:
        from .training.shards import Shards
        from .training.tabulate import to_table

        inside = [sorted(p.parent for p in folder.glob("*/manifest.json")) or [folder] for folder in folders]
        for folder in (path for paths in inside for path in paths):
            with Progress("latency", "rows", lines=True) as progress:
                tables.append(to_table([Shards(folder)], tables, not options.no_latency, progress))
    table = merge(tables)
    print(f"{table!r} written to {table.save(options.out)}")


def _replay(options: argparse.Namespace) -> None:
    from .tables import open_table
    from .tasks import load_task
    from .training import Arrays, choose_device
    from .training.shards import Setting
    from .training.tabulate import replay, table_setting

    table = open_table(options.table)
    if options.task is None and len(table.tasks) > 1:
        raise NasbenchError(f"{table.name} has several tasks: choose one with --task, of {', '.join(table.tasks)}.")
    source = options.task or table.tasks[0]
    name = Path(source).stem if source.endswith(".npz") else source
    then = table_setting(table, name)
    facts = then.task
    task = load_task(source, options.data, facts["n_train"], facts["n_val"], facts["n_test"])
    device = choose_device(options.device, then.protocol, options.trainer)
    now = Setting.of(task, then.protocol, device, options.trainer)
    with Progress(task.key, "trainings", lines=True) as progress:
        found = replay(
            table, name, Arrays.of(task), now, options.rows, processes(options), device, options.trainer,
            options.seed, progress,
        )  # fmt: skip
    print(f"{found.exact} of {found.trainings} trainings agree exactly, in every epoch")
    units = {"train_loss": "nats"}
    print("largest difference: " + ", ".join(f"{n} {v:.4g} {units.get(n, 'points')}" for n, v in found.largest.items()))
    same = "the same trainer" if found.trainer_now == found.trainer_then else "another trainer or processor"
    print(f"then {found.trainer_then}, now {found.trainer_now}: {same}")


def _task_list(options: argparse.Namespace) -> None:
    from .tasks import task_entry, task_names

    entries = [task_entry(name) for name in task_names()]
    lines = [["-".join("?" if n is None else str(n) for n in e.sizes), e.licence, e.description] for e in entries]
    show("Tasks", ["task", "sizes", "licence", ""], [[e.name, *line] for e, line in zip(entries, lines, strict=True)])


def _task_info(options: argparse.Namespace) -> None:
    task = _load(options)
    for name, value in task.descriptor().items():
        if isinstance(value, list) and len(value) > MOST_SHOWN:
            value = f"{len(value)} numbers" if isinstance(value[0], float) else ", ".join(map(str, value))
        elif isinstance(value, list):
            value = ", ".join(f"{v:.4f}" if isinstance(v, float) else str(v) for v in value)
        print(f"{name}: {value}")
    for first, second, copies in task.copies():
        print(f"copies: {copies} of the {len(getattr(task, f'y_{second}'))} {second} images are {first} images as well")
    print(f"protocol: {_protocol(options, task.name).to_json()}")
