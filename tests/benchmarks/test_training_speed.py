"""Networks x epochs per second of the native step against the best plain loop, evaluation of both held-out
parts after every epoch included. Nothing is asserted about time: the ratio is logged and saved in
`extra_info`. Run it with

    pytest tests/benchmarks/test_training_speed.py -o addopts= --benchmark-only --benchmark-json=speed.json

It takes about two minutes. Both trainers use one thread of one process, in turns, so that a busy machine
slows both.
"""

import dataclasses
import itertools
import logging
import os
import statistics
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from nasbench.networks import count_flops, prune
from nasbench.tasks import load_task
from nasbench.training import Arrays, Protocol, train
from nasbench.training.native import load_library

logger = logging.getLogger(__name__)

EVERY_CELL = [cell for cell in itertools.product(range(5), repeat=6) if any(cell) and prune(cell) == cell]


def colour_arrays() -> tuple[str, Arrays]:
    """CIFAR-10 at 16 x 16 (5,000 + 2,500 + 2,500 images) where it is, else noise of the same shape."""
    if (Path(os.environ.get("NASBENCH_DATA", "/nowhere")) / "datasets" / "cifar10_16.npz").is_file():
        return "cifar10", Arrays.of(load_task("cifar10"))
    rng = np.random.default_rng(0)

    def part(n: int) -> tuple[np.ndarray, np.ndarray]:
        images = rng.standard_normal((n, 16, 16, 3)).astype(np.float32)
        return images, rng.integers(0, 10, n).astype(np.int32)

    return "noise 16x16x3", Arrays(*part(5000), *part(2500), *part(2500), 10)


@pytest.mark.parametrize(("task", "networks", "rounds"), [("digits", 12, 3), ("colour", 6, 3)])
def test_native_against_plain(request, benchmark, task, networks, rounds):
    if not request.config.getoption("benchmark_only"):
        pytest.skip("a measurement of minutes: run it with -o addopts= --benchmark-only")
    if load_library() is None:
        pytest.skip("needs the native step: a C++ compiler, and NASBENCH_NO_NATIVE not set")
    torch.set_num_threads(1)
    if task == "digits":
        name, arrays = "digits-1024", Arrays.of(load_task("digits", n_train=1024, n_val=386, n_test=387))
    else:
        name, arrays = colour_arrays()
    protocol = Protocol(epochs=1)
    skeleton = protocol.skeleton(10, arrays.image_shape)
    # A sample of cells whose mean work is that of the space.
    rng = np.random.default_rng(1)
    mean = statistics.fmean(count_flops(cell, skeleton) for cell in EVERY_CELL[::10])
    samples = [[EVERY_CELL[i] for i in rng.choice(len(EVERY_CELL), networks, False)] for _ in range(50)]

    def off(cells: list[tuple[int, ...]]) -> float:
        return abs(statistics.fmean(count_flops(cell, skeleton) for cell in cells) - mean)

    cells = min(samples, key=off)

    def run(trainer: str, count: int = networks) -> float:
        start = time.perf_counter()
        for cell in cells[:count]:
            assert train(cell, 0, arrays, protocol, trainer=trainer).status == "ok"
        return count / (time.perf_counter() - start)

    run("native", 1), run("plain", 1)
    plain: list[float] = []
    native = []

    def one_round() -> None:
        native.append(run("native"))

    benchmark.pedantic(one_round, setup=lambda: plain.append(run("plain")), rounds=rounds)
    ratios = [fast / slow for fast, slow in zip(native, plain, strict=True)]
    benchmark.extra_info |= {
        "task": name,
        "protocol": dataclasses.asdict(protocol),
        "cells": [list(cell) for cell in cells],
        "gflop_per_network_epoch": 3e-9 * mean * len(arrays.y_train),
        "native_network_epochs_per_second": statistics.median(native),
        "plain_network_epochs_per_second": statistics.median(plain),
        "ratio": statistics.median(ratios),
        "ratios": ratios,
    }
    logger.info("%s: native/plain = %.2f", name, statistics.median(ratios))
