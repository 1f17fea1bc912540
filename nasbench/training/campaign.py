"""Train many classes of a space into a folder of shards, so that any part of the work is a uniform sample.

One training answers for all cells of an exact-equality class. Classes are taken in one fixed random order, all of
them with the first seed before any with the second; the constant class, whose networks cannot see the image, is
trained last of all classes and only where all are asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from ..errors import NasbenchError
from ..networks import is_constant
from ..spaces import Space
from ..tables import Table
from .population import train_many
from .result import Arrays, History
from .shards import Key, Setting, Shards, is_whole
from .tabulate import table_setting

ORDER_SEED = 0
SHARD = 200
"""Trainings in a shard, at most; a shard is also written where the last one is SECONDS old."""
SECONDS = 60.0


def class_order(space: Space) -> np.ndarray:
    """The smallest cell index of every class, in the order of training; the constant class last."""
    representatives = space.representatives("exact")
    constant = np.array([is_constant(space.cell(int(i))) for i in representatives])
    seeing = representatives[~constant]
    order = np.random.default_rng(ORDER_SEED).permutation(len(seeing))
    return np.concatenate([seeing[order], representatives[constant]])


def plan(space: Space, rows: int | None, seeds: Sequence[int]) -> list[Key]:
    """What to train, in order: the first `rows` classes, or all for None, with every seed, seeds outermost.

    NasbenchError for a number of rows that the space does not have, and for seeds that are negative or repeated.
    """
    order = class_order(space).tolist()
    if rows is not None and not 1 <= rows <= len(order):
        raise NasbenchError(f"rows are 1 to {len(order)}, the classes of {space.name}, or all; not {rows}.")
    if not seeds or min(seeds) < 0 or max(seeds) >= 2**31 or len(set(seeds)) != len(seeds):
        shown = ", ".join(map(str, seeds)) or "none"
        raise NasbenchError(f"training seeds are distinct numbers from 0 to 2147483647, not {shown}.")
    return [(cell, seed) for seed in seeds for cell in order[:rows]]


def known_keys(table: Table, setting: Setting) -> set[Key]:
    """The trainings that a table already has; NasbenchError where it is of another task or protocol."""
    name = setting.task["name"]
    if table.space.name != setting.space or table.rows != "classes" or name not in table.tasks:
        raise NasbenchError(f"the table {table.name} has no trainings of {name!r} by classes of {setting.space}.")
    entry = table.curves(name)
    own = table_setting(table, name)
    if difference := setting.differs(Setting(own.space, own.task, own.protocol, setting.trainer)):
        raise NasbenchError(
            f"the table {table.name} holds trainings of {difference}; train them into a table of its own."
        )
    representatives = table.space.representatives("exact")[table.space.classes("exact")[table.cells]]
    rows, columns = np.nonzero(entry.valid)
    return {(int(representatives[r]), entry.seeds[c]) for r, c in zip(rows, columns, strict=True)}


def run_campaign(
    shards: Shards,
    arrays: Arrays,
    space: Space,
    jobs: Iterable[Key],
    device: str = "cpu",
    processes: int = 1,
    trainer: str = "auto",
    shard: int = SHARD,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Train what the folder does not hold yet and write it as it finishes; returns how many were trained.

    Args:
        shard: trainings a shard: what a kill loses at most, beside those in flight.
        progress: called with (trainings there, trainings in all) as they finish.
    """
    if shard < 1:
        raise NasbenchError(f"a shard holds at least 1 training, not {shard}.")
    with shards.locked():
        return _run(shards, arrays, space, list(jobs), (device, processes, trainer), shard, progress)


def _run(
    shards: Shards,
    arrays: Arrays,
    space: Space,
    jobs: list[Key],
    how: tuple[str, int, str],
    shard: int,
    progress: Callable[[int, int], None] | None,
) -> int:
    done = {key for key, history in shards.read().items() if is_whole(history)}
    todo = [key for key in jobs if key not in done]
    there = len(jobs) - len(todo)
    if progress:
        progress(there, len(jobs))
    if not todo:
        return 0
    waiting: dict[Key, History] = {}
    written = time.monotonic()
    cells = [(space.cell(cell), seed) for cell, seed in todo]
    training = train_many(cells, arrays, shards.setting.protocol, *how)
    try:
        for one in training:
            waiting[todo[one.index]] = one.curves
            there += 1
            if len(waiting) >= shard or time.monotonic() - written >= SECONDS:
                shards.write(waiting)
                waiting, written = {}, time.monotonic()
            if progress:
                progress(there, len(jobs))
    finally:
        shards.write(waiting)
    return len(todo)
