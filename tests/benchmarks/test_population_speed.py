"""Networks x epochs per second of populations against the plain loop on the same GPU, beside the card's ceilings, and
milliseconds of a training step by how the kernels cut up their work. Nothing is asserted about time: the figures are
logged and saved in `extra_info`. Run it with

    pytest tests/benchmarks/test_population_speed.py -o addopts= --benchmark-only --benchmark-json=population.json

or, with the checks that should come first, `python -m nasbench.training.population_cuda.check`. It takes a few minutes
on a machine with a GPU and is skipped elsewhere; no figure has been measured yet.
"""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pytest
import torch

logger = logging.getLogger(__name__)

DEVICE = "cuda"
NETWORKS = 256
TUNINGS = [
    {}, {"precision": "ieee"}, {"tile": 1024}, {"tile": 4096}, {"parts": 4}, {"parts": 16}, {"shares": 1},
    {"rows": 32}, {"rows": 128}, {"stages": 2}, {"warps": 8},
]  # fmt: skip


@pytest.fixture(autouse=True)
def _with_a_gpu(request):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    if not request.config.getoption("benchmark_only"):
        pytest.skip("a measurement of minutes: run it with -o addopts= --benchmark-only")


@pytest.mark.parametrize("channels", [8, 16])
def test_population_against_plain(benchmark, channels):
    from nasbench.training.population_cuda.engines import engine_name
    from nasbench.training.population_cuda.measure import ceilings, rates

    found = benchmark.pedantic(lambda: list(rates(DEVICE, channels, NETWORKS)), rounds=1)
    plain = next(one.rate for one in found if one.trainer == "plain")
    benchmark.extra_info |= {
        "device": torch.cuda.get_device_name(),
        "engine": engine_name(DEVICE),
        "images": "5,000 of 16 x 16 x 3, noise",
        "ceilings": ceilings(DEVICE),
        "rates": [dataclasses.asdict(one) for one in found],
        "ratio": max(one.rate for one in found) / plain,
    }
    for one in found:
        logger.info("%s", one)
        assert one.rate > 0


@pytest.mark.parametrize("channels", [8, 16])
@pytest.mark.parametrize("changed", TUNINGS, ids=lambda changed: ",".join(f"{k}={v}" for k, v in changed.items()))
def test_tuning_of_the_fused_kernels(benchmark, changed, channels):
    """A training step of all networks, 64 images of 16 x 16 x 3 each, with one thing other than `Tuning`'s default."""
    from nasbench.networks import build_graph, initial_parameters
    from nasbench.training import Protocol
    from nasbench.training.population_cuda.engines import PRECISIONS
    from nasbench.training.population_cuda.fused import FusedEngine, Tuning
    from nasbench.training.population_cuda.measure import kernel_seconds, sample
    from nasbench.training.population_cuda.plan import Plan
    from nasbench.training.population_cuda.recording import record

    protocol, cells, rng = Protocol(channels=channels), sample(NETWORKS), np.random.default_rng(0)
    skeleton = protocol.skeleton(10, (16, 16, 3))
    vectors = [initial_parameters(build_graph(cell, skeleton), rng) for cell in cells]
    tuning = Tuning(**{"precision": PRECISIONS[0], **changed})
    engine = FusedEngine(Plan.of(cells, skeleton), vectors, protocol, DEVICE, "float32", tuning)
    batch = (NETWORKS, protocol.batch_size)
    x, y = torch.randn(*batch, 16, 16, 3, device=DEVICE), torch.randint(10, batch, device=DEVICE)
    rate = torch.full((), 0.01, device=DEVICE)

    def eager() -> None:
        engine.step(x, y, rate)

    replay = record(eager, engine.state, DEVICE)

    def step() -> None:
        replay()
        torch.cuda.synchronize()

    benchmark.group = f"{channels} channels"
    benchmark.pedantic(step, rounds=20, warmup_rounds=3)
    milliseconds = {name: round(1e3 * seconds, 3) for name, seconds in kernel_seconds(eager).items()}
    benchmark.extra_info |= {"tuning": dataclasses.asdict(tuning), "milliseconds": milliseconds}
    logger.info("%d channels, %s: %s", channels, tuning, milliseconds)
    assert engine.losses.isfinite().all()
