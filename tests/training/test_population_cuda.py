"""The population trainer on a CPU: the plain trainer's results in float64, whatever the company and the memory."""

from __future__ import annotations

import contextlib
import dataclasses
import logging

import numpy as np
import pytest
import torch
from torch.nn import functional

from nasbench.benchmarks import TrainingBenchmark
from nasbench.errors import NasbenchError
from nasbench.networks import build_graph, initial_parameters
from nasbench.networks.module import CellNetwork
from nasbench.records import Trial
from nasbench.spaces import open_space
from nasbench.tables.merge import merge
from nasbench.tasks import Source, split
from nasbench.training import Arrays, Protocol, train, train_many, trainer_version
from nasbench.training.campaign import plan as plan_campaign
from nasbench.training.campaign import run_campaign
from nasbench.training.plain import train_plain
from nasbench.training.population_cuda import check, engines, measure
from nasbench.training.population_cuda import trainer as trainer_module
from nasbench.training.population_cuda.plan import Plan
from nasbench.training.population_cuda.stacked import StackedEngine
from nasbench.training.shards import Setting, Shards
from nasbench.training.tabulate import to_table

torch.set_num_threads(1)
# Every operation; dead edges; skips and pools only; the constant cell; one edge.
CELLS = [(3, 1, 2, 4, 1, 3), (2, 3, 4, 0, 3, 1), (0, 3, 2, 1, 0, 4), (4, 4, 1, 4, 1, 4), (0,) * 6, (0, 0, 0, 3, 0, 0)]
SMALL = Protocol(channels=4, epochs=2, batch_size=16)


def blobs(n: int = 64, shape: tuple[int, ...] = (8, 8, 1), held_out: int = 21, seed: int = 0) -> Arrays:
    """Classes that differ in brightness, so that they can be learnt."""
    rng = np.random.default_rng(seed)

    def part(count: int) -> tuple[np.ndarray, np.ndarray]:
        y = rng.integers(0, 4, count).astype(np.int32)
        return (rng.standard_normal((count, *shape)) + 0.3 * y[:, None, None, None]).astype(np.float32), y

    return Arrays(*part(n), *part(held_out), *part(held_out + 1), 4)


@pytest.mark.parametrize(
    ("shape", "values"),
    [((8, 8, 1), {}), ((8, 12, 3), {"reduction": "residual", "cells": 2}), ((7, 5, 2), {"channels": 3})],
)
def test_stacked_gradients_and_steps_equal_plain_ones_in_float64(shape, values):
    protocol = dataclasses.replace(SMALL, lr=0.05, **values)
    skeleton = protocol.skeleton(4, shape)
    rng = np.random.default_rng(0)
    vectors = [initial_parameters(build_graph(cell, skeleton), rng) for cell in CELLS]
    for vector in vectors:
        vector += rng.normal(0, 0.05, len(vector)).astype(np.float32)
    engine = StackedEngine(Plan.of(CELLS, skeleton), vectors, protocol, dtype=torch.float64)
    x = torch.from_numpy(rng.standard_normal((3, len(CELLS), 16, *shape)))
    y = torch.from_numpy(rng.integers(0, 4, (3, len(CELLS), 16)))
    losses, _, gradients = engine.gradients(x[0], y[0])
    networks = []
    for i, cell in enumerate(CELLS):
        network = CellNetwork(build_graph(cell, skeleton))
        network.load_flat(vectors[i])
        networks.append(network.double())
        loss = functional.cross_entropy(network(x[0, i].permute(0, 3, 1, 2)), y[0, i])
        loss.backward()
        reference = network.flat_gradient()
        assert abs(loss.item() - losses[i].item()) < 1e-12
        assert np.abs(engine.flat(gradients, i) - reference).max() < 1e-12 * np.abs(reference).max()
    engine = StackedEngine(Plan.of(CELLS, skeleton), vectors, protocol, dtype=torch.float64)
    optimizers = [
        torch.optim.SGD(n.parameters(), 0.05, protocol.momentum, weight_decay=protocol.weight_decay, nesterov=True)
        for n in networks
    ]
    for i, network in enumerate(networks):
        network.load_flat(vectors[i])
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.reset_running_stats()
    for step in range(3):
        losses, _ = engine.step(x[step], y[step], torch.tensor(0.05, dtype=torch.float64))
        for i, (network, optimizer) in enumerate(zip(networks, optimizers, strict=True)):
            loss = functional.cross_entropy(network(x[step, i].permute(0, 3, 1, 2)), y[step, i])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            assert abs(loss.item() - losses[i].item()) < 1e-9
    shown = engine.logits(x[0, :1].expand(len(CELLS), -1, -1, -1, -1), train=False)
    for i, network in enumerate(networks):
        expected = network.eval()(x[0, 0].permute(0, 3, 1, 2))
        torch.testing.assert_close(shown[i], expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("augmentation", ["none", "flip+crop"])
def test_curves_are_the_plain_trainers_up_to_rounding(augmentation):
    arrays, protocol = blobs(), dataclasses.replace(SMALL, lr=0.01, augmentation=augmentation)
    jobs = [(cell, seed) for seed, cell in enumerate(CELLS)]
    for one, job in zip(trainer_module.train_together(jobs, arrays, protocol, "cpu"), jobs, strict=True):
        plain = train_plain(*job, arrays, protocol)
        assert (one.status, one.steps) == (plain.status, plain.steps)
        np.testing.assert_allclose(one.train_loss, plain.train_loss, rtol=1e-3)
        np.testing.assert_allclose(one.train_acc, plain.train_acc, atol=0.04)
        np.testing.assert_allclose(one.val_acc, plain.val_acc, atol=0.1)
        np.testing.assert_allclose(one.test_acc, plain.test_acc, atol=0.1)
        assert (one.seconds > 0).all()
        assert (one.evaluation_seconds > 0).all()


def test_company_changes_nothing():
    """Bitwise, whoever else is in the population, in whatever order, and whether its training is broken off."""
    arrays = blobs()
    jobs = [(cell, seed) for seed, cell in enumerate(CELLS)]
    together = trainer_module.train_together(jobs, arrays, SMALL, "cpu")
    turned = trainer_module.train_together([jobs[0], *jobs[::-1]], arrays, SMALL, "cpu")[:0:-1]
    for job, one, other in zip(jobs, together, turned, strict=True):
        assert one.same_results(other)
        assert one.same_results(train(*job, arrays, SMALL, trainer="population"))
    (short,) = trainer_module.train_together(jobs[:1], arrays, SMALL, "cpu", until=1)
    assert short.train_loss.tolist() == together[0].train_loss[:1].tolist()
    assert short.test_acc.tolist() == together[0].test_acc[:1].tolist()


def test_divergence_is_each_networks_own():
    arrays = blobs()
    calm = trainer_module.train_together([(CELLS[0], 0)], arrays, SMALL, "cpu")[0]
    spoilt = trainer_module.Population([(CELLS[0], 0), (CELLS[1], 0)], arrays, SMALL, "cpu", None, "float32")
    with torch.no_grad():
        spoilt.engine.head["weight"][1] = float("nan")
    one, other = spoilt.train()
    assert one.same_results(calm)
    assert (other.status, other.steps) == ("diverged", 0)
    assert other.seconds[0] > 0
    assert np.isnan(other.val_acc).all()
    wild = dataclasses.replace(SMALL, lr=1e30)
    found = trainer_module.train_together([(cell, 0) for cell in CELLS], arrays, wild, "cpu")
    for cell, one in zip(CELLS, found, strict=True):
        plain = train_plain(cell, 0, arrays, wild)
        assert (one.status, one.steps) == (plain.status, plain.steps)


def test_a_full_memory_halves_the_population(monkeypatch, caplog):
    arrays, sizes = blobs(), []
    original = trainer_module.train_together

    def short_of_memory(jobs, *how):
        sizes.append(len(jobs))
        if len(jobs) > 2 or any(seed == 9 for _, seed in jobs):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 bytes.")
        return original(jobs, *how)

    jobs = [(CELLS[0], 0), (CELLS[1], 9), (CELLS[2], 1), (CELLS[3], 0), (CELLS[4], 0)]
    monkeypatch.setattr(trainer_module, "train_together", short_of_memory)
    with caplog.at_level(logging.WARNING):
        found = list(train_many(jobs, arrays, SMALL, trainer="population"))
    assert sizes == [5, 2, 1, 1, 1, 1, 1]
    assert [(one.index, one.cell, one.seed) for one in found] == [(i, *job) for i, job in enumerate(jobs)]
    assert [one.curves.status for one in found] == ["ok", "out of memory", "ok", "ok", "ok"]
    assert found[2].curves.same_results(original([jobs[2]], arrays, SMALL, "cpu")[0])
    assert "5 networks do not fit the memory of cpu: going on with 2." in caplog.text


@pytest.mark.parametrize(("seconds", "expected"), [(1e6, [1, 2, 4]), (0.0, [1] * 7)])
def test_populations_grow_as_long_as_they_are_quick(seconds, expected, monkeypatch):
    sizes, original = [], trainer_module.train_together

    def noted(jobs, *how):
        sizes.append(len(jobs))
        return original(jobs, *how)

    monkeypatch.setattr(trainer_module, "FIRST", 1)
    monkeypatch.setattr(trainer_module, "SECONDS", seconds)
    monkeypatch.setattr(trainer_module, "train_together", noted)
    found = train_many([(CELLS[5], seed) for seed in range(7)], blobs(), SMALL, trainer="population", until=1)
    assert [one.seed for one in found] == list(range(7))
    assert sizes == expected


def test_the_population_is_as_large_as_the_free_memory_allows(monkeypatch):
    arrays = blobs()
    each = trainer_module.member_bytes(Plan.of([], SMALL.skeleton(4, (8, 8, 1))), 16, "cpu")
    monkeypatch.setattr("os.sysconf", {"SC_AVPHYS_PAGES": 10 * each, "SC_PAGE_SIZE": 1}.__getitem__)
    assert trainer_module.population_size(arrays, SMALL, "cpu") in (6, 7)
    monkeypatch.setattr("os.sysconf", lambda name: 1)
    assert trainer_module.population_size(arrays, SMALL, "cpu") == 1
    monkeypatch.setattr("os.sysconf", lambda name: 10**7)
    assert trainer_module.population_size(arrays, SMALL, "cpu") == trainer_module.LARGEST
    seen = []

    def jobs():
        for i in range(10**9):
            seen.append(i)
            yield CELLS[0], i

    monkeypatch.setattr(trainer_module, "LARGEST", 3)
    found = train_many(jobs(), arrays, SMALL, trainer="population", until=1)
    assert next(found).seed == 0
    assert len(seen) == 3


def test_shards_tables_and_full_training_take_it(tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    x = (60 * rng.random((80, 4, 4, 1)) + 80 * y[:, None, None, None]).astype(np.uint8)
    task = split("small", Source(x, y, ("dark", "bright")), (48, 16, 16), "none", "made up")
    space, arrays = open_space("nasbench201"), Arrays.of(task)
    tables = []
    for trainer, seed in (("population", 0), ("plain", 1)):
        shards = Shards(tmp_path / trainer, Setting.of(task, SMALL, trainer=trainer))
        assert run_campaign(shards, arrays, space, plan_campaign(space, 3, (seed,)), trainer=trainer) == 3
        tables.append(to_table([shards], latency=False))
    assert tables[0].curves("small").attributes["trainer"] == trainer_version(SMALL, trainer="population")
    assert merge(tables).curves("small").arrays["trainer"].tolist() == [[0, 1]] * 3
    benchmark = TrainingBenchmark(task, SMALL, trainer="population")
    cells = [space.cell(int(cell)) for cell in tables[0].cells]
    found = benchmark.evaluate([Trial(cell, epochs) for cell in cells for epochs in (2, 2)])
    expected = tables[0].curves("small").arrays["val_acc"][:, 0, -1]
    assert [outcome.val_acc for outcome in found[::2]] == expected.tolist()
    (short,) = TrainingBenchmark(task, SMALL, trainer="population").evaluate([Trial(cells[0], 1)])
    assert short.val_acc == tables[0].curves("small").arrays["val_acc"][0, 0, 0]


def test_kernels_that_are_wrong_or_do_not_compile_are_not_used(monkeypatch, caplog):
    monkeypatch.delenv("NASBENCH_NO_KERNELS", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device", contextlib.nullcontext)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))

    def broken(device, precision):
        raise RuntimeError("no such\ninstruction")

    for answer, says in (
        (lambda device, precision: 0.5, "5.0e-01 away"),
        (lambda device, precision: float("nan"), "nan"),
        (broken, "no such"),
    ):
        monkeypatch.setattr(check, "fused_error", answer)
        engines._precision.cache_clear()
        caplog.clear()
        assert engines.engine_name("cuda") == engines.engine_name("cuda") == "stacked"
        (record,) = caplog.records
        assert says in record.message
        assert "\n" not in record.message
    with pytest.raises(NasbenchError, match="storage = 'bfloat16' needs the fused kernels"):
        trainer_module.train_together([(CELLS[0], 0)], blobs(), SMALL, "cpu", storage="bfloat16")
    for wrong, found in (("tf32x3", "ieee"), ("ieee", "tf32x3")):
        engines._precision.cache_clear()
        errors = {wrong: 1e-3, found: 1e-6}
        monkeypatch.setattr(check, "fused_error", lambda device, precision, errors=errors: errors[precision])
        assert engines.fused_precision("cuda") == found
        assert engines.engine_name("cuda").endswith(found)
        assert ("multiply float32 as ieee" in caplog.text) == (found == "ieee")
        caplog.clear()
    full = iter([torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 bytes."), 1e-6])

    def once_full(device, precision):
        answer = next(full)
        if isinstance(answer, Exception):
            raise RuntimeError("operation failed during capture") from answer
        return answer

    engines._precision.cache_clear()
    monkeypatch.setattr(check, "fused_error", once_full)
    with pytest.raises(NasbenchError, match="the memory of cuda is full"):
        engines.fused_precision("cuda")
    assert engines.fused_precision("cuda") == "tf32x3"  # nothing is remembered of a memory that was full

    engines._precision.cache_clear()
    monkeypatch.setattr(check, "fused_error", lambda device, precision: 1e-6)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert engines.fused_precision("cuda") == "ieee"

    def dead(device):
        raise RuntimeError("an illegal memory access was encountered")

    engines._precision.cache_clear()
    monkeypatch.setattr(check, "fused_error", broken)
    monkeypatch.setattr(torch.cuda, "synchronize", dead)
    with pytest.raises(NasbenchError, match=r"cannot use any more .*no such"):
        engines.fused_precision("cuda")
    monkeypatch.setenv("NASBENCH_NO_KERNELS", "1")
    assert engines.fused_precision("cuda") is None
    engines._precision.cache_clear()


def test_the_measurement_runs_on_a_cpu_too():
    found = list(measure.rates_of("cpu", 2, measure.sample(2), check.noise(64, 4, (4, 4, 1))))
    assert [one.trainer for one in found] == ["plain", "population, stacked"]
    assert all(one.rate > 0 and one.teraflops > 0 and one.gigabytes > 0 for one in found)
    if not torch.cuda.is_available():
        with pytest.raises(NasbenchError, match="needs a CUDA device"):
            check.main()
