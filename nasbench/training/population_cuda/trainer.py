"""Train a population by the protocol: data, weights and batches stay on the device, one program for all networks.

Every network has its own weights and its own order of batches, the same as with the other trainers, and its results
do not depend on the company. How many are trained at once follows from the free memory, halved where that was too many,
and from how long a population may take. A network's seconds are an equal share of its population's.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import NasbenchError, first_line
from ...networks.graph import Graph, initial_parameters
from ..plain import check_device
from ..protocol import Protocol, draw_order, generators
from ..result import OUT_OF_MEMORY, Arrays, History, failed_history, history_from_rows, is_out_of_memory
from .engines import member_bytes, open_engine
from .plan import Plan
from .recording import record

logger = logging.getLogger(__name__)

Job = tuple[tuple[int, ...], int]
"""(cell, seed)."""
LARGEST = 1024
"""Networks in a population, at most: more would not fill the device better."""
FIRST, SECONDS = 128, 120.0
"""Networks in the first population; later ones are larger as long as they take fewer seconds than this, since what is
unfinished is lost with a kill."""
SHARE = 0.8
"""How much of the free memory a population may plan with."""


def pick(images: Tensor, which: Tensor, changes: Tensor | None, crop: int) -> Tensor:
    """Images (..., height, width, channels) of a training set (n, height, width, channels), by number (...) and
    shifted and flipped as `draw_order` drew it, (..., 3); with changes, `images` are padded by `crop`."""
    if changes is None:
        return images[which]
    height, width = images.shape[1] - 2 * crop, images.shape[2] - 2 * crop
    flip, top, left = changes.long().unbind(-1)
    columns = torch.arange(width, device=images.device)
    columns = torch.where(flip[..., None] == 1, columns.flip(0), columns) + left[..., None]
    rows = torch.arange(height, device=images.device) + top[..., None]
    return images[which[..., None, None], rows[..., :, None], columns[..., None, :]]


class Population:
    """Some jobs on a device, ready to be trained: `train` gives their curves. It is used once."""

    def __init__(
        self, jobs: Sequence[Job], arrays: Arrays, protocol: Protocol, device: str, until: int | None, storage: str
    ) -> None:
        check_device(device)
        self.protocol, self.device, self.count = protocol, device, len(jobs)
        plan = Plan.of([cell for cell, _ in jobs], protocol.skeleton(arrays.classes, arrays.image_shape))

        def draw(job: Job, graph: Graph) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int8] | None]:
            for_weights, for_order = generators(*job)
            return initial_parameters(graph, for_weights), *draw_order(protocol, len(arrays.y_train), for_order)

        with ThreadPoolExecutor() as threads:  # numpy draws without the interpreter's lock
            vectors, orders, changes = zip(*threads.map(draw, jobs, plan.members), strict=True)
        self.orders, self.changes = orders, [drawn for drawn in changes if drawn is not None]
        self.steps = orders[0].shape[1]
        self.epochs = len(orders[0][:until])
        self.rates = torch.from_numpy(protocol.learning_rates(self.steps)).to(device)
        self.engine = open_engine(plan, vectors, protocol, device, storage)
        padding = (0, 0, protocol.crop, protocol.crop, protocol.crop, protocol.crop) if self.changes else ()
        self.images = torch.nn.functional.pad(torch.from_numpy(arrays.x_train).to(device), padding)
        self.labels = torch.from_numpy(arrays.y_train).to(device).long()
        batch = (self.count, protocol.batch_size)
        self.which = torch.zeros(batch, dtype=torch.int64, device=device)
        self.change = torch.zeros((*batch, 3), dtype=torch.int8, device=device) if self.changes else None
        self.rate = torch.zeros((), device=device)
        self.losses = torch.zeros(self.count, device=device)
        self.right = torch.zeros(self.count, dtype=torch.int64, device=device)
        shape = (protocol.batch_size, *arrays.image_shape)
        self.held_out = [
            self._batches(torch.from_numpy(x).to(device), torch.from_numpy(y).to(device).long())
            for x, y in ((arrays.x_val, arrays.y_val), (arrays.x_test, arrays.y_test))
        ]
        self.shown = torch.zeros(shape, device=device)
        self.answers = torch.zeros(protocol.batch_size, dtype=torch.int64, device=device)
        self.found = torch.zeros(self.count, dtype=torch.int64, device=device)
        self._step = record(self._train_step, [*self.engine.state, self.losses, self.right], device)
        self._look = record(self._evaluation_step, [self.found], device)

    def _batches(self, x: Tensor, y: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Batches of the one size that was recorded; the last is filled up with images that do not count."""
        size, missing = self.protocol.batch_size, -len(y) % self.protocol.batch_size
        x = torch.cat([x, x.new_zeros(missing, *x.shape[1:])])
        y = torch.cat([y, y.new_full((missing,), -1)])
        return list(zip(x.split(size), y.split(size), strict=True)) if len(y) else []

    def _train_step(self) -> None:
        x = pick(self.images, self.which, self.change, self.protocol.crop)
        losses, right = self.engine.step(x, self.labels[self.which], self.rate)
        self.losses.copy_(losses)
        self.right += right

    def _evaluation_step(self) -> None:
        self.found += self.engine.evaluate(self.shown, self.answers)

    def _train_epoch(self, epoch: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Losses (steps, P) and shares of right predictions (P,)."""
        order = torch.from_numpy(np.stack([drawn[epoch] for drawn in self.orders])).to(self.device)
        changes = None
        if self.changes:
            changes = torch.from_numpy(np.stack([drawn[epoch] for drawn in self.changes])).to(self.device)
        losses = torch.zeros((self.steps, self.count), device=self.device)
        self.right.zero_()
        for step in range(self.steps):
            self.which.copy_(order[:, step])
            if changes is not None and self.change is not None:
                self.change.copy_(changes[:, step])
            self.rate.copy_(self.rates[epoch * self.steps + step])
            self._step()
            losses[step] = self.losses
        return losses.double().cpu().numpy(), self.right.cpu().numpy() / (self.steps * self.protocol.batch_size)

    def _accuracy(self, batches: list[tuple[Tensor, Tensor]]) -> NDArray[np.float64] | float:
        self.found.zero_()
        for x, y in batches:
            self.shown.copy_(x)
            self.answers.copy_(y)
            self._look()
        total = sum(int((y >= 0).sum()) for _, y in batches)
        return self.found.cpu().numpy() / total if total else math.nan

    def train(self) -> list[History]:
        """The curves of every job, in order."""
        rows = np.full((self.count, self.epochs, 6), math.nan)
        wanted = self.epochs * self.steps
        done = np.full(self.count, wanted)
        for epoch in range(self.epochs):
            alive = done == wanted
            start = time.perf_counter()
            losses, right = self._train_epoch(epoch)
            middle = time.perf_counter()
            rows[alive, epoch, 4] = (middle - start) / self.count
            broken = ~np.isfinite(losses)
            newly = alive & broken.any(0)
            done[newly] = epoch * self.steps + broken.argmax(0)[newly]
            alive &= ~newly
            if not alive.any():
                break
            values = (losses.mean(0), right, *(self._accuracy(batches) for batches in self.held_out))
            for column, value in enumerate(values):
                rows[alive, epoch, column] = np.broadcast_to(value, self.count)[alive]
            rows[alive, epoch, 5] = (time.perf_counter() - middle) / self.count
        return [history_from_rows(*one, wanted) for one in zip(rows, done.tolist(), strict=True)]


def train_together(
    jobs: Sequence[Job],
    arrays: Arrays,
    protocol: Protocol,
    device: str = "cuda",
    until: int | None = None,
    storage: str = "float32",
) -> list[History]:
    """Train all jobs as one population and return their curves, in order.

    Args:
        until: stop after so many of the protocol's epochs.
        storage: of feature maps and their gradients, `float32` or `bfloat16`; all sums are taken in float32.

    Raises:
        NasbenchError: no such device here, a storage that its engine has not, or a protocol whose tiles the device's
            shared memory cannot hold.
    """
    try:
        with one_thread(device):
            return Population(jobs, arrays, protocol, device, until, storage).train()
    except Exception as error:
        if type(error).__name__ != "OutOfResources":  # Triton's word for shared memory and registers
            raise
        raise NasbenchError(
            f"the fused kernels cannot train this protocol on {device} ({first_line(error)}): "
            "use the trainer plain, or NASBENCH_NO_KERNELS=1 in the environment."
        ) from error


def train_populations(
    jobs: Iterator[tuple[int, Job]],
    arrays: Arrays,
    protocol: Protocol,
    device: str = "cuda",
    until: int | None = None,
    storage: str = "float32",
) -> Iterator[tuple[int, Job, History]]:
    """Train numbered jobs, a population at a time, and yield (number, job, curves) in order.

    `jobs` is read one population ahead. What finds no memory even alone comes back as `out of memory`.
    """
    size, most = FIRST, LARGEST
    waiting: deque[tuple[int, Job]] = deque()
    while True:
        waiting.extend(islice(jobs, max(0, LARGEST - len(waiting))))
        if not waiting:
            return
        room = min(most, population_size(arrays, protocol, device, storage))
        some = [waiting.popleft() for _ in range(min(size, room, len(waiting)))]
        start = time.perf_counter()
        histories = _try([job for _, job in some], arrays, protocol, device, until, storage)
        if histories is None and len(some) > 1:
            most = len(some) // 2
            waiting.extendleft(reversed(some))
            logger.warning("%d networks do not fit the memory of %s: going on with %d.", len(some), device, most)
            continue
        each = (time.perf_counter() - start) / len(some)
        size = max(FIRST, min(int(SECONDS / each), 2 * len(some)))
        if histories is None:
            histories = [failed_history(OUT_OF_MEMORY, until or protocol.epochs, time.perf_counter() - start)]
        for (number, job), history in zip(some, histories, strict=True):
            yield number, job, history


def _try(jobs: Sequence[Job], *how: Any) -> list[History] | None:
    """None where the memory is full; the failed population is gone when this returns."""
    try:
        return train_together(jobs, *how)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return None


def population_size(arrays: Arrays, protocol: Protocol, device: str, storage: str = "float32") -> int:
    """How many networks to train at once: what the device's free memory holds, 1 to LARGEST."""
    plan = Plan.of([], protocol.skeleton(arrays.classes, arrays.image_shape))
    if torch.device(device).type == "cuda":
        torch.cuda.empty_cache()
        free = torch.cuda.mem_get_info(device)[0]
    else:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    fixed = 2 * (arrays.x_train.nbytes + arrays.x_val.nbytes + arrays.x_test.nbytes)
    each = member_bytes(plan, protocol.batch_size, device, storage)
    return max(1, min(LARGEST, int((SHARE * free - fixed) // each)))


@contextmanager
def one_thread(device: str) -> Iterator[None]:
    """Torch on one thread of the CPU meanwhile: the number of threads changes its rounding."""
    threads = torch.get_num_threads()
    if torch.device(device).type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
