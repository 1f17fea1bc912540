"""Shards as a table, and a table trained again: what a table says can be checked on any machine.

Rows are equivalence classes, curves have every epoch. Accuracies are percent in float32, `train_seconds` adds up to
and including each epoch without the evaluations, `flops` are those of one image's forward pass, a multiply-add
counting as 2, and `latency_seconds` is measured: the median of 20 forward passes of one image, in float32 by torch
in evaluation mode, on one thread of the CPU, after 5 that are not counted. Nothing that was not trained is filled in.
"""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..errors import NasbenchError
from ..files import write_whole
from ..networks import Skeleton, count_flops, count_parameters
from ..spaces import Space, open_space
from ..tables import Curves, Table
from .population import train_many
from .protocol import Protocol
from .result import DIVERGED, KILLED, OK, OUT_OF_MEMORY, Arrays, History
from .shards import Setting, Shards

STATUS_CODES = {OK: 0, DIVERGED: 1, OUT_OF_MEMORY: 2, KILLED: 2}
"""How a training ended, as tables write it."""
TABLE_LICENCE = "CC BY 4.0"
WARM_UP, PASSES = 5, 20
Progress = Callable[[int, int], None]


def percent(shares: np.ndarray) -> np.ndarray:
    """Shares as tables write them: percent, float32."""
    return (100 * np.asarray(shares, np.float64)).astype(np.float32)


def cumulative_seconds(history: History) -> np.ndarray:
    """Training seconds up to and including each epoch, float32; what a failed training used counts to the end."""
    return np.nancumsum(history.seconds).astype(np.float32)


def task_attributes(setting: Setting) -> dict[str, Any]:
    """What the table records of a task: its descriptor, and under what it was trained.

    `train_size` is the number of images that an epoch trains: whole batches, where `n_train` counts all.
    """
    steps = setting.protocol.steps(int(setting.task["n_train"]))
    return {
        **setting.task,
        "train_size": steps * setting.protocol.batch_size,
        "protocol": asdict(setting.protocol),
        "trainer": setting.trainer,
        "device": setting.device,
        "versions": dict(setting.versions),
    }


def table_setting(table: Table, task: str) -> Setting:
    """The setting under which a table of ours was trained, the last one where it has several trainers.

    NasbenchError for any other table.
    """
    attributes = table.curves(task).attributes
    if not all(name in attributes for name in ("protocol", "trainer", "sha256")):
        raise NasbenchError(f"the table {table.name} was not made by `nasbench train`: it has no protocol of ours.")
    trainer, device = (
        found[-1] if isinstance(found, list) else found
        for found in (attributes["trainer"], attributes.get("device", ""))
    )
    own = ("train_size", "protocol", "trainer", "device", "versions")
    facts = {name: value for name, value in attributes.items() if name not in own}
    try:
        return Setting(table.space.name, facts, Protocol(**attributes["protocol"]), str(trainer), str(device))
    except (NasbenchError, TypeError):
        raise NasbenchError(f"the table {table.name} has a protocol that this release does not know.") from None


def setting_skeleton(setting: Setting) -> Skeleton:
    """The networks that were trained."""
    return setting.protocol.skeleton(len(setting.task["classes"]), setting.task["image_shape"])


def to_table(
    folders: Sequence[Shards], known: Sequence[Table] = (), latency: bool = True, progress: Progress | None = None
) -> Table:
    """The trainings of folders of one setting as a table.

    Args:
        known: tables whose latencies are taken over for the rows that they have.
        latency: measure those that are not known yet; they are kept in the first folder.
        progress: called with (rows measured, rows in all).

    Raises:
        NasbenchError: the folders differ in setting, or hold no training.
    """
    setting = folders[0].setting
    trainings = folders[0].read()
    for other in folders[1:]:
        if difference := setting.differs(other.setting):
            raise NasbenchError(
                f"{other.folder} and {folders[0].folder} differ: the latter was trained with {difference}."
            )
        trainings = {**other.read(), **trainings}
    if not trainings:
        raise NasbenchError(f"{folders[0].folder} holds no finished training yet; the same command goes on with it.")
    space = open_space(setting.space)
    cells = np.unique([cell for cell, _ in trainings])
    seeds = np.unique([seed for _, seed in trainings])
    epochs = setting.protocol.epochs
    shape = (len(cells), len(seeds), epochs)
    accuracies = {name: np.full(shape, np.nan, np.float32) for name in ("val_acc", "test_acc", "train_acc")}
    losses, spent = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    status = np.full(shape[:2], np.nan, np.float32)
    for (cell, seed), history in trainings.items():
        at = int(np.searchsorted(cells, cell)), int(np.searchsorted(seeds, seed))
        for name, array in accuracies.items():
            array[at] = percent(getattr(history, name))
        losses[at] = history.train_loss
        spent[at] = cumulative_seconds(history)
        status[at] = STATUS_CODES[history.status]
    skeleton = setting_skeleton(setting)
    codes = [space.cell(int(cell)) for cell in cells]
    arrays: dict[str, np.ndarray] = {
        **accuracies,
        "train_loss": losses,
        "train_seconds": spent,
        "status": status if np.isnan(status).any() else status.astype(np.int8),
        "parameters": np.array([count_parameters(c, skeleton, pruned=True) for c in codes], np.int64),
        "flops": np.array([count_flops(c, skeleton) for c in codes], np.int64),
    }
    if latency:
        arrays["latency_seconds"] = _latencies(folders[0], cells, space, skeleton, known, progress)
    entry = Curves(
        str(setting.task["name"]), tuple(range(1, epochs + 1)), arrays, tuple(seeds.tolist()), task_attributes(setting)
    )
    data = f"; data: {setting.task['citation']}" if setting.task["citation"] else ""
    attributes = {
        "name": str(setting.task["name"]),
        "source": "trained by `nasbench train`",
        "licence": TABLE_LICENCE,
        "citation": f"nasbench, nasbench train --task {setting.task['name']}{data}",
        "latency": f"median of {PASSES} forward passes of one image, torch, one thread of the CPU",
    }
    if not latency:
        del attributes["latency"]
    if not data:  # of one's own, under whatever terms
        del attributes["licence"]
    return Table.from_arrays(space, [entry], "classes", cells.astype(np.int32), attributes)


def _latencies(
    folder: Shards,
    cells: np.ndarray,
    space: Space,
    skeleton: Skeleton,
    known: Sequence[Table],
    progress: Progress | None,
) -> np.ndarray:
    """Seconds [row], float32; measured where neither a table nor the folder has them."""
    path = folder.folder / "latency.npz"
    found: dict[int, float] = {}
    for table in known:
        name = str(folder.setting.task["name"])
        if name in table.tasks and "latency_seconds" in table.curves(name).arrays:
            values = table.curves(name).mean("latency_seconds")
            found |= {int(c): float(v) for c, v in zip(table.cells, values, strict=True) if not np.isnan(v)}
    try:
        with np.load(path) as file:
            found = {**dict(zip(file["cell"].tolist(), file["seconds"].tolist(), strict=True)), **found}
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        raise NasbenchError(f"{path} is damaged: delete it, and it is measured again.") from None
    missing = [int(cell) for cell in cells if int(cell) not in found]
    if missing:
        for done, cell in enumerate(missing, 1):
            found[cell] = measure_latency(space.cell(cell), skeleton)
            if progress:
                progress(done, len(missing))
        buffer = io.BytesIO()
        np.savez(buffer, cell=np.array(list(found), np.int32), seconds=np.array(list(found.values()), np.float32))
        write_whole(path, buffer.getvalue())
    return np.array([found[int(cell)] for cell in cells], np.float32)


def measure_latency(cell: Sequence[int], skeleton: Skeleton) -> float:
    """Median seconds of a forward pass of one image; see the module's first lines. About 10 ms a cell."""
    import torch

    from ..networks import build_network

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        network = build_network(cell, skeleton).eval()
        image = torch.zeros(1, skeleton.image_channels, skeleton.height, skeleton.width)
        times = []
        with torch.inference_mode():
            for _ in range(WARM_UP + PASSES):
                start = time.perf_counter()
                network(image)
                times.append(time.perf_counter() - start)
        return float(np.median(times[WARM_UP:]))
    finally:
        torch.set_num_threads(threads)


@dataclass(frozen=True)
class Replay:
    """How trainings done again compare with what a table says.

    Attributes:
        trainings: how many were done again.
        exact: how many agree in every epoch's loss and accuracies and in how they ended, to the bits that tables keep.
        largest: metric -> largest absolute difference, percent points or nats, over all epochs; nan where one of the
            two failed.
        trainer_then, trainer_now: see trainer_version; where they are equal, all should agree.
    """

    trainings: int
    exact: int
    largest: Mapping[str, float]
    trainer_then: str
    trainer_now: str


def replay(
    table: Table, task: str, arrays: Arrays, now: Setting, rows: int, processes: int = 1, device: str = "cpu",
    trainer: str = "auto", seed: int = 0, progress: Progress | None = None,
) -> Replay:  # fmt: skip
    """Train randomly chosen (row, seed) places of a table of ours again and compare.

    Args:
        now: the setting on this machine, with the table's own task and protocol.
        seed: of the choice.

    Raises:
        NasbenchError: the table is not ours, or of other data than `arrays`.
    """
    then = table_setting(table, task)
    if difference := now.differs(Setting(then.space, then.task, then.protocol, now.trainer)):
        raise NasbenchError(f"the table {table.name} holds {difference}, so it cannot be replayed here.")
    if rows < 1:
        raise NasbenchError(f"at least 1 row is to be trained again, not {rows}.")
    if seed < 0:
        raise NasbenchError(f"the seed of the choice is a number from 0, not {seed}.")
    entry = table.curves(task)
    places = np.argwhere(entry.valid)
    chosen = places[np.random.default_rng(seed).permutation(len(places))[:rows]]
    names = ("val_acc", "test_acc", "train_acc", "train_loss")
    jobs = [(table.space.cell(int(table.cells[r])), entry.seeds[c]) for r, c in chosen]
    exact, largest = 0, dict.fromkeys(names, 0.0)
    for count, one in enumerate(train_many(jobs, arrays, then.protocol, device, processes, trainer), 1):
        at = tuple(chosen[one.index])
        same = STATUS_CODES[one.curves.status] == int(entry.full("status")[at][0])
        for name in names:
            new = getattr(one.curves, name)
            new = new.astype(np.float32) if name == "train_loss" else percent(new)
            old = entry.full(name)[at]
            same = same and np.array_equal(old, new, equal_nan=True)
            if not np.array_equal(np.isnan(old), np.isnan(new)):
                largest[name] = float("nan")
            else:
                gap = float(np.nanmax(np.abs(old - new), initial=0.0))
                largest[name] = gap if gap > largest[name] else largest[name]
        exact += bool(same)
        if progress:
            progress(count, len(jobs))
    return Replay(len(jobs), exact, largest, then.trainer, now.trainer)
