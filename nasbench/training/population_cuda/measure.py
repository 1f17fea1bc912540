"""How fast populations train on a GPU, beside the plain loop on the same GPU and the card's own ceilings."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from ...errors import NasbenchError
from ...networks.counts import count_flops
from ...networks.graph import Skeleton, build_graph, prune
from ..plain import train_plain
from ..protocol import Protocol
from ..result import Arrays, History
from .check import noise
from .trainer import train_together

ACCESSES = {"conv": 11, "pool3": 6, "pool2": 6, "skip": 5, "norm": 5}
"""Reads and writes of a feature map's elements that an edge needs, there and back, where steps are fused as here."""


@dataclass(frozen=True)
class Rate:
    """A measurement of one trainer.

    Attributes:
        rate: networks x epochs a second, without evaluations.
        teraflops: floating-point operations that networks need, 1e12 a second.
        gigabytes: bytes that fused steps have to move, 1e9 a second; for others what they would have to.
    """

    channels: int
    trainer: str
    networks: int
    rate: float
    teraflops: float
    gigabytes: float

    def __str__(self) -> str:
        return (
            f"{self.channels} channels, {self.trainer}, {self.networks} networks: {self.rate:.1f} networks x epochs/s, "
            f"{self.teraflops:.2f} TFLOP/s, {self.gigabytes:.0f} GB/s"
        )


def seconds_of(action: Callable[[], object], repeats: int = 20) -> float:
    """Median seconds of something on the current CUDA device, between events, after a warm-up."""
    times = []
    for repeat in range(repeats + 3):
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        action()
        stop.record()
        torch.cuda.synchronize()
        if repeat >= 3:
            times.append(start.elapsed_time(stop) / 1e3)
    return statistics.median(times)


def kernel_seconds(action: Callable[[], object], repeats: int = 5) -> dict[str, float]:
    """Seconds on the current CUDA device that something takes, by the name of the kernel, the longest first."""
    from torch.profiler import ProfilerActivity, profile

    action()
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        for _ in range(repeats):
            action()
        torch.cuda.synchronize()
    found = {event.key: event.self_device_time_total / repeats / 1e6 for event in seen.key_averages()}
    if not any(found.values()):
        raise NasbenchError("torch's profiler sees no kernels here.")
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def ceilings(device: str) -> dict[str, float]:
    """What the card does at best: a copy of 1 GiB, bytes read and written; products of 8,192 x 8,192 matrices."""
    found = {}
    source = torch.randn(2**28, device=device)
    target = torch.empty_like(source)
    found["copy, GB/s"] = 2 * source.nbytes / seconds_of(lambda: target.copy_(source)) / 1e9
    before = torch.get_float32_matmul_precision()
    try:
        for name, precision in (("float32", "highest"), ("tf32", "high"), ("bfloat16", "highest")):
            torch.set_float32_matmul_precision(precision)
            dtype = torch.bfloat16 if name == "bfloat16" else torch.float32
            matrix = torch.randn(8192, 8192, device=device, dtype=dtype)
            found[f"product in {name}, TFLOP/s"] = 2 * 8192**3 / seconds_of(partial(torch.mm, matrix, matrix.T)) / 1e12
    finally:
        torch.set_float32_matmul_precision(before)
    return found


def sample(count: int) -> list[tuple[int, ...]]:
    """Different functions at random, never the constant one."""
    rng = np.random.default_rng(1)
    found: dict[tuple[int, ...], None] = {}
    while len(found) < count:
        cell = prune(rng.integers(0, 5, 6).tolist())
        if any(cell):
            found[cell] = None
    return list(found)


@contextmanager
def without_kernels() -> Iterator[None]:
    """Stacked torch instead of the fused kernels meanwhile."""
    before = os.environ.get("NASBENCH_NO_KERNELS")
    os.environ["NASBENCH_NO_KERNELS"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["NASBENCH_NO_KERNELS"]
        else:
            os.environ["NASBENCH_NO_KERNELS"] = before


def rates(device: str, channels: int, networks: int = 256, images: int = 5000) -> Iterator[Rate]:
    """The fused kernels, the plain loop and stacked torch, one after the other: the second epoch, which is warm. The
    slow ones train fewer networks."""
    return rates_of(device, channels, sample(networks), noise(images))


def rates_of(device: str, channels: int, cells: list[tuple[int, ...]], arrays: Arrays) -> Iterator[Rate]:
    """As `rates`, of some networks and images."""
    from .engines import fused_precision

    protocol = Protocol(channels=channels, epochs=2)
    skeleton = protocol.skeleton(arrays.classes, arrays.image_shape)
    images = protocol.steps(len(arrays.y_train)) * protocol.batch_size

    def rate(trainer: str, cells: list[tuple[int, ...]], histories: list[History], size: int = 4) -> Rate:
        seconds = sum(float(history.seconds[1]) for history in histories)
        work = sum(3 * count_flops(cell, skeleton) for cell in cells) * images
        moved = sum(_accesses(cell, skeleton) for cell in cells) * images * size
        networks = len(cells)
        return Rate(channels, trainer, networks, networks / seconds, work / seconds / 1e12, moved / seconds / 1e9)

    few, some, jobs = cells[:4], cells[:32], [(cell, 0) for cell in cells]
    if fused_precision(device):
        yield rate("population, fused", cells, train_together(jobs, arrays, protocol, device))
        half = train_together(jobs, arrays, protocol, device, storage="bfloat16")
        yield rate("population-bf16, fused", cells, half, 2)
    yield rate("plain", few, [train_plain(cell, 0, arrays, protocol, device) for cell in few])
    with without_kernels():
        yield rate("population, stacked", some, train_together(jobs[: len(some)], arrays, protocol, device))


def _accesses(cell: tuple[int, ...], skeleton: Skeleton) -> int:
    """Elements of feature maps that a network reads and writes for an image, there and back."""
    graph = build_graph(cell, skeleton)
    total = 0
    for edge in graph.edges:
        node = graph.nodes[edge.target]
        total += ACCESSES[edge.operation] * node.channels * node.height * node.width
    return total
