"""Scores of many cells: over processes with one thread each, the same for any number of them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nasbench.errors import NasbenchError, first_line, place
from nasbench.networks import Skeleton, is_constant
from nasbench.networks.graph import check_cell
from nasbench.processes import deaf_to_interrupts, parallel
from nasbench.training import Arrays, Protocol

from .catalogue import PROXIES, Entry, entry_of

if TYPE_CHECKING:
    from .probe import Batch

Scores = dict[str, NDArray[np.float64]]

STAGES = ("build", "look", "differentiate", "attribute")


def score_cells(
    cells: Iterable[Sequence[int]],
    arrays: Arrays,
    skeleton: Skeleton | Protocol,
    names: Iterable[str] | None = None,
    seed: int = 0,
    batch_size: int = 64,
    batches: int = 2,
    processes: int = 1,
) -> tuple[Scores, Scores]:
    """Score untrained networks on a batch of training images.

    A score depends on (cell, seed, arrays, skeleton, batch_size, batches), never on the other cells or proxies asked
    for; those of an aggregate (`vote`) do by their nature. Cells that differ in dead edges only score the same.

    Args:
        cells: operation codes, six each.
        arrays: the task; only its training images are looked at.
        skeleton: or a protocol that has one. A skeleton's image size and classes have to be those of the arrays.
        names: of PROXIES; None for all.
        seed: of the initial weights, drawn from (cell, seed), and of the images, drawn from the seed.
        batch_size: images of a batch, at least 2.
        batches: seen by the proxies that need several, at least 2; the others see the first.
        processes: 1 works in this process.

    Returns:
        (scores, seconds): of each name the scores float64 (n,), in the order of the cells, and the processor seconds
        (n,) that it takes alone. What several proxies use is made once here and its time is in the price of each, as
        whoever wants one of them has to make it. NaN where a proxy is not defined: those that need a network for a
        constant cell, and any whose value is not finite.

    Raises:
        NasbenchError: an unknown name, a bad cell or size.
    """
    wanted = list(dict.fromkeys(PROXIES if names is None else names))
    entries = {name: entry_of(name) for name in wanted}
    measured = list(dict.fromkeys(part for name in wanted for part in entries[name].of or (name,)))
    tuples = [check_cell(cell) for cell in cells]
    shape = fit_skeleton(skeleton, arrays)
    drawn = draw_batches(arrays, seed, batch_size, batches)
    if processes < 1:
        raise NasbenchError(f"processes = {processes}: at least one is needed.")
    known = {name: entry_of(name) for name in (*measured, *wanted)}
    jobs = [(cell, seed, shape, drawn, measured, wanted, known) for cell in tuples]
    if processes == 1 or len(jobs) < 2:
        rows = [_score(*job) for job in jobs]
    else:
        import joblib

        workers = parallel(processes, max_nbytes=None, return_as="generator")
        try:
            with deaf_to_interrupts():
                scored = workers(joblib.delayed(_score)(*job) for job in jobs)
            rows = list(scored)
        except BrokenProcessPool:  # joblib's TerminatedWorkerError is one
            raise NasbenchError(
                "A worker process died, perhaps for want of memory: try fewer processes or a smaller batch_size."
            ) from None
    columns = np.array(rows, dtype=np.float64).reshape(len(jobs), len(measured) + len(wanted)).T.copy()
    scores = dict(zip(measured, columns[: len(measured)], strict=True))
    for name in wanted:
        if entries[name].of:
            scores[name] = entries[name].combine(scores)
    return {name: scores[name] for name in wanted}, dict(zip(wanted, columns[len(measured) :], strict=True))


def fit_skeleton(skeleton: Skeleton | Protocol, arrays: Arrays) -> Skeleton:
    """The skeleton for the arrays; NasbenchError where it is one for other images or classes."""
    if isinstance(skeleton, Protocol):
        return skeleton.skeleton(arrays.classes, arrays.image_shape)
    height, width, channels = arrays.image_shape
    right = replace(skeleton, classes=arrays.classes, height=height, width=width, image_channels=channels)
    if right != skeleton:
        raise NasbenchError(
            f"The skeleton is for {skeleton.height} x {skeleton.width} x {skeleton.image_channels} images of "
            f"{skeleton.classes} classes, the task has {height} x {width} x {channels} images of {arrays.classes}: "
            "make it for the task."
        )
    return skeleton


def draw_batches(arrays: Arrays, seed: int, batch_size: int, batches: int) -> list[Batch]:
    """Batches of different training images, from the seed alone; NasbenchError where there are not enough."""
    from .probe import Batch

    if seed < 0:
        raise NasbenchError(f"seed = {seed}: seeds are 0, 1, 2, ...")
    for name, value in (("batch_size", batch_size), ("batches", batches)):
        if value < 2:
            raise NasbenchError(f"{name} = {value}: proxies need at least 2.")
    count = len(arrays.y_train)
    if count < batches * batch_size:
        raise NasbenchError(
            f"The task has {count} training images, fewer than {batches} batches of {batch_size}: "
            "use a larger task or, from Python, a smaller batch_size."
        )
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))
    order = generator.permutation(count)[: batches * batch_size].reshape(batches, batch_size)
    return [Batch(arrays.x_train[which], arrays.y_train[which]) for which in order]


def _score(
    cell: tuple[int, ...],
    seed: int,
    skeleton: Skeleton,
    batches: list[Batch],
    measured: list[str],
    wanted: list[str],
    known: dict[str, Entry],
) -> list[float]:
    """Of one cell the scores of those that are measured, then the seconds that each that is wanted takes alone.

    `known` has the entries of all of them, as another process may lack some.

    In one thread, whose number is put back after, so that the processor's seconds are all there is to wait for.
    """
    import torch

    from .probe import Probe

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        probe = Probe(cell, seed, skeleton, batches)
        constant = is_constant(cell)
        entries = {name: known[name] for name in measured if not (constant and "network" in known[name].needs)}
        values, spent = dict.fromkeys(measured, math.nan), {}
        for stage in STAGES:
            if any(stage in entry.stages for entry in entries.values()):
                start = time.thread_time()
                getattr(probe, stage)()
                spent[stage] = time.thread_time() - start
        for name, entry in entries.items():
            start = time.thread_time()
            values[name] = _value(name, entry, probe)
            spent[name] = time.thread_time() - start
    finally:
        torch.set_num_threads(threads)
    parts = {name: [part for part in known[name].of or (name,) if part in entries] for name in wanted}
    steps = {name: {step for part in parts[name] for step in (*entries[part].stages, part)} for name in wanted}
    return [*values.values(), *(math.fsum(spent[step] for step in steps[name]) for name in wanted)]


def _value(name: str, entry: Entry, probe: object) -> float:
    """The score; NaN for an infinite one and where the linear algebra finds no answer. NasbenchError where it fails."""
    try:
        with np.errstate(all="ignore"):
            value = entry(probe)
    except np.linalg.LinAlgError:
        return math.nan
    except Exception as error:
        raise NasbenchError(f"the proxy {name!r} failed: {first_line(error)}{place(error)}.") from error
    return value if math.isfinite(value) else math.nan
