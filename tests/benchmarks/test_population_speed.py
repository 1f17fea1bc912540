"""Networks x epochs per second of populations against the plain loop on the same GPU, beside the card's ceilings.
Nothing is asserted about time: the figures are logged and saved in `extra_info`. Run it with

    pytest tests/benchmarks/test_population_speed.py -o addopts= --benchmark-only --benchmark-json=population.json

or, with the checks that should come first, `python -m nasbench.training.population_cuda.check`. It takes a few minutes
on a machine with a GPU and is skipped elsewhere; no figure has been measured yet.
"""

from __future__ import annotations

import dataclasses
import logging

import pytest
import torch

logger = logging.getLogger(__name__)


@pytest.mark.parametrize("channels", [8, 16])
def test_population_against_plain(request, benchmark, channels):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    if not request.config.getoption("benchmark_only"):
        pytest.skip("a measurement of minutes: run it with -o addopts= --benchmark-only")
    from nasbench.training.population_cuda.engines import engine_name
    from nasbench.training.population_cuda.measure import ceilings, rates

    found = benchmark.pedantic(lambda: rates("cuda", (channels,)), rounds=1)
    plain = next(one.rate for one in found if one.trainer == "plain")
    benchmark.extra_info |= {
        "device": torch.cuda.get_device_name(),
        "engine": engine_name("cuda"),
        "images": "5,000 of 16 x 16 x 3, noise",
        "ceilings": ceilings("cuda"),
        "rates": [dataclasses.asdict(one) for one in found],
        "ratio": max(one.rate for one in found) / plain,
    }
    for one in found:
        logger.info("%s", one)
        assert one.rate > 0
