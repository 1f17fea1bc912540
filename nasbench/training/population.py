"""Many networks at once: worker processes with one thread each, or one program on a GPU; results as they finish.

A network's curves depend on (cell, seed, task, protocol, trainer) alone, so they are the same bytes whatever
the number of processes. The arrays are sent once to each worker. Stacking networks in one torch tensor does
not pay on a CPU (0.5 to 1.5x was measured), one network per core does; on CUDA it is what `population_cuda` does.
"""

from __future__ import annotations

import logging
import os
import pickle
import shutil
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context, parent_process
from multiprocessing.synchronize import Event
from pathlib import Path

from ..errors import NasbenchError
from . import native
from .population_cuda import source_hash
from .protocol import Protocol
from .result import KILLED, OUT_OF_MEMORY, Arrays, History, failed_history, is_out_of_memory

logger = logging.getLogger(__name__)

TRAINERS = ("auto", "native", "plain", "population", "population-bf16")
STORAGES = {"population": "float32", "population-bf16": "bfloat16"}
"""How the population trainers keep feature maps."""

Job = tuple[tuple[int, ...], int]
"""(cell, seed)."""


@dataclass(frozen=True)
class Trained:
    """A finished job: its place in the list of jobs, the job, and its curves."""

    index: int
    cell: tuple[int, ...]
    seed: int
    curves: History


def trainer_name(protocol: Protocol, device: str = "cpu", trainer: str = "auto") -> str:
    """Which trainer runs; `auto` is `native` on the CPU where that is possible, else `plain`, and `population` on
    CUDA.

    Raises NasbenchError where `native` is asked for and not possible, or `population-bf16` on a CPU.
    """
    if trainer not in TRAINERS:
        raise NasbenchError(f"trainer = {trainer!r}: choose one of {', '.join(TRAINERS)}.")
    if trainer == "population-bf16" and device == "cpu":
        raise NasbenchError("trainer = 'population-bf16' needs the fused kernels on a CUDA device; use 'population'.")
    if trainer == "auto" and device != "cpu":
        return "population"
    if trainer not in ("auto", "native"):
        return trainer
    possible = device == "cpu" and native.supports(protocol)
    if trainer == "native" and not possible:
        raise NasbenchError(
            f"The native step cannot train this here (device {device!r}, {protocol.channels} channels, "
            f"batches of {protocol.batch_size}): it needs a C++ compiler, the CPU, channels in fours and "
            "batches in sixteens."
        )
    return "native" if possible else "plain"


def choose_device(device: str, protocol: Protocol, trainer: str = "auto") -> str:
    """The device that `auto` stands for: the CPU where the native step takes the protocol, else CUDA if there is one.

    Other devices are checked; NasbenchError where this machine has no such device.
    """
    if device == "auto" and trainer_name(protocol, "cpu", trainer) == "native":
        return "cpu"
    if device == "cpu":
        return device
    import torch

    from .plain import check_device

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    check_device(device)
    return device


def trainer_version(protocol: Protocol, device: str = "cpu", trainer: str = "auto") -> str:
    """The trainer to the bit, for the record: two that are equal, on one kind of processor, agree exactly.

    E.g. `native step-3f0c...` (a hash of source, compiler, flags and processor), `plain torch 2.13.0+cpu` or
    `population fused triton 3.7.0-1a2b3c4d torch 2.13.0 on cuda` (with a hash of its source).
    """
    name = trainer_name(protocol, device, trainer)
    if name == "native":
        return f"{name} {native.build_name()}"
    if name in STORAGES:
        from .population_cuda.engines import engine_name

        name = f"{name} {engine_name(device)}-{source_hash()}"
    return f"{name} torch {version('torch')}" + ("" if device == "cpu" else f" on {device}")


def train(
    cell: Sequence[int],
    seed: int,
    arrays: Arrays,
    protocol: Protocol,
    device: str = "cpu",
    trainer: str = "auto",
    until: int | None = None,
) -> History:
    """Train one cell in this process and return its curves; see trainer_name for the trainer.

    Args:
        until: stop after so many of the protocol's epochs; the curves are then the first part of the whole ones, bit
            for bit, and no longer.
    """
    name = trainer_name(protocol, device, trainer)
    if name == "native":
        return native.train_native(cell, seed, arrays, protocol, until)
    if name in STORAGES:
        from .population_cuda.trainer import train_together

        (history,) = train_together([(tuple(cell), seed)], arrays, protocol, device, until, STORAGES[name])
        return history
    from .plain import train_plain

    return train_plain(cell, seed, arrays, protocol, device, until)


def train_safely(
    cell: Sequence[int],
    seed: int,
    arrays: Arrays,
    protocol: Protocol,
    device: str = "cpu",
    trainer: str = "auto",
    until: int | None = None,
) -> History:
    """As `train`, but a training that finds no memory comes back as a status with the seconds it used."""
    start = time.perf_counter()
    try:
        return train(cell, seed, arrays, protocol, device, trainer, until)
    except Exception as error:
        if is_out_of_memory(error):
            return failed_history(OUT_OF_MEMORY, until or protocol.epochs, time.perf_counter() - start)
        raise


Setting = tuple[Arrays, Protocol, str, str, int | None]
"""(arrays, protocol, device, trainer, until) of all jobs."""
SETTING = "setting.pickle"


class _Worker:
    setting: Setting


def _follow_parent(folder: str) -> None:
    """End with the parent: a worker whose parent was killed would train on, and then wait for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)


def _start(folder: str, started: Event) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process: the parent ends its workers
    threading.Thread(target=_follow_parent, args=(folder,), daemon=True).start()
    _Worker.setting = pickle.loads((Path(folder) / SETTING).read_bytes())
    if _Worker.setting[3] == "plain":
        import torch

        torch.set_num_threads(1)
    started.set()


def _work(job: Job) -> History:
    cell, seed = job
    return train_safely(cell, seed, *_Worker.setting)


_job_function = _work  # a name of its own, so that a test can make workers fail


def train_many(
    jobs: Iterable[Job],
    arrays: Arrays,
    protocol: Protocol,
    device: str = "cpu",
    processes: int = 1,
    trainer: str = "auto",
    until: int | None = None,
) -> Iterator[Trained]:
    """Train every job and yield each result as it finishes, in no fixed order.

    The population trainer runs in this process: it trains as many jobs at once as the device's memory holds, fewer
    where that was too many, and yields a whole population when it is finished.

    Workers are started afresh, so a script that calls this needs `if __name__ == "__main__":`. Trainings that diverge
    or run out of memory come back with a status; where a worker is killed, the jobs in flight are tried again one by
    one, and what kills its worker then as well comes back as `killed`.

    Args:
        jobs: may be a generator: it is read only a few jobs ahead, or one population.
        processes: worker processes, at least 1; even one is a process of its own, so that torch's thread count here
            is left alone. The population trainer takes no notice of it.
        until: stop each after so many of the protocol's epochs, as in `train`.
    """
    if processes < 1:
        raise NasbenchError(f"processes = {processes}: at least one is needed.")
    protocol.steps(len(arrays.y_train))
    chosen = trainer_name(protocol, device, trainer)
    if device != "cpu":
        from .plain import check_device

        check_device(device)
    numbered = ((index, (tuple(cell), seed)) for index, (cell, seed) in enumerate(jobs))
    if chosen in STORAGES:
        from .population_cuda.trainer import train_populations

        logger.info("Training with the %s trainer on %s.", chosen, device)
        found = train_populations(numbered, arrays, protocol, device, until, STORAGES[chosen])
        return (Trained(index, cell, seed, curves) for index, (cell, seed), curves in found)
    logger.info("Training with the %s trainer in %d processes.", chosen, processes)
    return _train_many(numbered, (arrays, protocol, device, chosen, until), processes)


class _Pool(ProcessPoolExecutor):
    """Workers, with one setting for all jobs.

    They are not forked: torch's threads and CUDA do not survive it. The arrays lie in a file: among the arguments
    with which a process starts, they would block this one for ever where that dies before it has read them.

    Attributes:
        started: set when a first worker is ready.
    """

    def __init__(self, processes: int, setting: Setting) -> None:
        context = get_context("spawn")
        self.started = context.Event()
        self._folder = tempfile.TemporaryDirectory(prefix="nasbench-", ignore_cleanup_errors=True)
        (Path(self._folder.name) / SETTING).write_bytes(pickle.dumps(setting))
        super().__init__(processes, context, _start, (self._folder.name, self.started))

    def end(self, at_once: bool = True) -> None:
        """Wait for the workers or, at once, give up what is in flight.

        A process that was only being started when another was killed would not end by itself.
        """
        for process in list((self._processes or {}).values()) if at_once else ():
            process.terminate()
        self.shutdown(wait=True, cancel_futures=at_once)
        self._folder.cleanup()


def _train_many(jobs: Iterator[tuple[int, Job]], setting: Setting, processes: int) -> Iterator[Trained]:
    running: dict[Future[History], tuple[int, Job, float]] = {}
    suspects: deque[tuple[int, Job]] = deque()  # were in flight when a worker was killed; each is tried alone
    pool: _Pool | None = None
    try:
        while True:
            if pool is None:
                pool = _Pool(processes, setting)
            alone, broken = bool(suspects), False
            while len(running) < (1 if alone else 2 * processes):
                following = suspects.popleft() if alone else next(jobs, None)
                if following is None:
                    break
                try:
                    running[pool.submit(_job_function, following[1])] = (*following, time.perf_counter())
                except BrokenProcessPool:
                    suspects.append(following)
                    broken = True
                    break
            if not running and not broken:
                pool.end(at_once=False)
                pool = None
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=lambda one: running[one][0]):
                index, (cell, seed), start = running.pop(future)
                try:
                    curves = future.result()
                except BrokenProcessPool:
                    broken = True
                    if not alone or not pool.started.is_set():
                        suspects.append((index, (cell, seed)))
                        continue
                    curves = failed_history(KILLED, setting[4] or setting[1].epochs, time.perf_counter() - start)
                yield Trained(index, cell, seed, curves)
            if broken and not pool.started.is_set():
                raise NasbenchError(
                    "no worker process could be started: the system killed it, or the script that trains lacks "
                    "`if __name__ == '__main__':` or is no file."
                )
            if broken:
                logger.warning("A worker process was killed; its trainings are tried again one by one.")
                suspects.extend((index, job) for index, job, _ in running.values())
                running.clear()
                pool.end()
                pool = None
    finally:
        if pool is not None:  # broken off: what is in flight is given up
            pool.end()
