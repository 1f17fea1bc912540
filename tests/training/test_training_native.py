"""The native step: its gradients against float64 torch, its independence of company, and life without a
compiler."""

import importlib.metadata
import logging
import multiprocessing
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from nasbench.networks import build_graph, initial_parameters
from nasbench.networks.module import CellNetwork
from nasbench.training import Arrays, Protocol, native, train, trainer_name, trainer_version
from nasbench.training.native import compiler
from nasbench.training.plain import change, train_plain

torch.set_num_threads(1)
ROOT = str(Path(__file__).parents[2])
CELL = (3, 1, 2, 4, 1, 3)
needs_step = pytest.mark.skipif(
    compiler.find_compiler() is None or bool(os.environ.get("NASBENCH_NO_NATIVE")),
    reason="needs a C++ compiler, and NASBENCH_NO_NATIVE not set",
)


def case(shape=(8, 8, 1), classes=5, batch=32, seed=0, held_out=21) -> Arrays:
    rng = np.random.default_rng(seed)

    def part(n):
        y = rng.integers(0, classes, n).astype(np.int32)
        x = rng.standard_normal((n, *shape)) + 0.3 * y[:, None, None, None]
        return x.astype(np.float32), y

    return Arrays(*part(batch), *part(held_out), *part(held_out + 1), classes)


def largest_error(cell, shape, protocol, changes=None, batch=32, seed=0):
    """Largest gradient error over the largest gradient, and the loss's error, against torch in float64."""
    arrays = case(shape, 5, batch, seed)
    graph = build_graph(cell, protocol.skeleton(5, shape))
    rng = np.random.default_rng(seed + 1)
    theta = initial_parameters(graph, rng)
    theta += rng.normal(0, 0.05, len(theta)).astype(np.float32)  # so that scales and shifts are not 1 and 0
    order = np.arange(batch, dtype=np.int32).reshape(1, 1, batch)
    loss, gradient = native.gradient_native(graph, theta, arrays, protocol, order, changes)
    network = CellNetwork(graph)
    network.load_flat(theta)
    network = network.double()
    x = torch.from_numpy(arrays.x_train).double().permute(0, 3, 1, 2)
    if changes is not None:
        x = change(x, changes[0, 0], protocol.crop)
    expected = functional.cross_entropy(network(x), torch.from_numpy(arrays.y_train).long())
    expected.backward()
    reference = network.flat_gradient()
    return np.abs(gradient - reference).max() / np.abs(reference).max(), abs(loss - expected.item())


CASES = [
    # every operation, dead edges, skips and pools only, one edge; then odd sizes, widths and skeletons
    (CELL, (8, 8, 1), {}),
    ((2, 3, 4, 0, 3, 1), (8, 8, 1), {}),
    ((0, 3, 2, 1, 0, 4), (16, 16, 3), {}),
    ((4, 4, 1, 4, 1, 4), (16, 16, 3), {}),
    ((0, 0, 0, 3, 0, 0), (16, 16, 3), {"reduction": "residual"}),
    (CELL, (12, 8, 2), {"reduction": "residual", "cells": 2, "channels": 4}),
    (CELL, (7, 9, 3), {"channels": 12}),
    ((3, 2, 3, 2, 4, 3), (1, 1, 4), {}),
    ((3, 2, 3, 2, 4, 3), (2, 3, 1), {"cells": 2}),
    ((0,) * 6, (8, 8, 1), {}),
]


@needs_step
@pytest.mark.parametrize(("cell", "shape", "values"), CASES)
def test_gradients_equal_float64(cell, shape, values):
    error, loss_error = largest_error(cell, shape, Protocol(epochs=1, batch_size=32, **values))
    assert error < 1e-5
    assert loss_error < 1e-6


@needs_step
def test_gradients_with_augmentation():
    protocol = Protocol(epochs=1, batch_size=32, augmentation="flip+crop")
    rng = np.random.default_rng(0)
    changes = rng.integers(0, [2, 5, 5], (1, 1, 32, 3)).astype(np.int8)
    assert largest_error(CELL, (8, 8, 3), protocol, changes)[0] < 1e-5


@needs_step
def test_first_epoch_equals_plain():
    """Same weights, same batches, same rule: one step's training loss and the following evaluation agree.
    (Later epochs need not: training amplifies rounding.)"""
    arrays = case(batch=64, held_out=200)
    for augmentation in ("none", "flip+crop"):
        protocol = Protocol(epochs=2, batch_size=32, lr=0.01, augmentation=augmentation)
        fast, plain = (
            train(CELL, 0, arrays, protocol, trainer="native"),
            train_plain(CELL, 0, arrays, protocol),
        )
        np.testing.assert_allclose(fast.train_loss, plain.train_loss, rtol=1e-4)
        np.testing.assert_allclose(fast.train_acc, plain.train_acc, atol=0.04)
        np.testing.assert_allclose(fast.val_acc, plain.val_acc, atol=0.03)
        np.testing.assert_allclose(fast.test_acc, plain.test_acc, atol=0.03)


@needs_step
def test_company_changes_nothing():
    """Bitwise the same alone and beside three others in threads of one process."""
    arrays = case((8, 8, 1), batch=128)
    protocol = Protocol(epochs=2, batch_size=64)
    cells = [CELL, (2, 3, 4, 0, 3, 1), (1, 0, 0, 3, 0, 2), CELL]
    alone = [native.train_native(cell, seed, arrays, protocol) for seed, cell in enumerate(cells)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda job: native.train_native(job[1], job[0], arrays, protocol), enumerate(cells)))
    assert all(a.same_results(b) for a, b in zip(alone, together, strict=True))


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """An empty cache folder and a library not loaded yet, before and after."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("NASBENCH_NO_NATIVE", raising=False)
    compiler.load_library.cache_clear()
    yield monkeypatch
    compiler.load_library.cache_clear()


@needs_step
@pytest.mark.parametrize("flags", [("-O1",), ("-O1", "-ffp-contract=off")])
def test_other_builds_are_right_too(fresh, flags):
    """Without -march=native (8 lanes, no AVX) as with it."""
    kept = tuple(flag for flag in compiler.FLAGS if not flag.startswith(("-O", "-march")))
    fresh.setattr(compiler, "FLAGS", (*flags, *kept))
    library = compiler.load_library()
    assert library is not None
    assert library.nasbench_lanes() == 8
    for cell, shape, values in CASES[:2]:
        assert largest_error(cell, shape, Protocol(epochs=1, batch_size=32, **values))[0] < 1e-5


def build_in_process(folder: str) -> str:
    os.environ["XDG_CACHE_HOME"] = folder
    found = compiler.find_compiler()
    assert found is not None
    return str(compiler.build(found))


@needs_step
def test_processes_can_build_at_once(tmp_path):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        paths = pool.map(build_in_process, [str(tmp_path)] * 2, chunksize=1)
    assert paths[0] == paths[1]
    assert os.listdir(tmp_path / "nasbench") == [Path(paths[0]).name]


def test_without_a_compiler_one_line_says_so(fresh, caplog):
    fresh.setenv("PATH", "/nowhere")
    fresh.delenv("CXX", raising=False)
    with caplog.at_level(logging.INFO):
        assert trainer_name(Protocol()) == trainer_name(Protocol()) == "plain"
    (record,) = caplog.records
    assert "plain torch" in record.message
    assert "\n" not in record.message
    protocol = Protocol(channels=4, epochs=1, batch_size=32)
    assert train(CELL, 0, case(), protocol).same_results(train_plain(CELL, 0, case(), protocol))


def test_with_a_broken_compiler_one_line_says_so(fresh, tmp_path, caplog):
    broken = tmp_path / "broken"
    broken.write_text('#!/bin/sh\ncase "$*" in *step.cpp*) echo "step.cpp:1: error: no" >&2; exit 1;; esac\n')
    broken.chmod(broken.stat().st_mode | stat.S_IXUSR)
    fresh.setenv("CXX", str(broken))
    with caplog.at_level(logging.INFO):
        assert trainer_name(Protocol()) == "plain"
    (record,) = caplog.records
    assert "error: no" in record.message
    assert "\n" not in record.message
    assert not list((tmp_path / "cache").rglob("*.so"))


@needs_step
def test_versions_name_the_build():
    first, plain = trainer_version(Protocol()), trainer_version(Protocol(), trainer="plain")
    assert first.startswith("native step-")
    assert plain == f"plain torch {importlib.metadata.version('torch')}"


def test_it_can_be_switched_off():
    code = "from nasbench.training import Protocol, trainer_name; print(trainer_name(Protocol()))"
    environment = dict(os.environ, NASBENCH_NO_NATIVE="1", PYTHONPATH=ROOT)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "plain"


def test_training_natively_needs_no_torch():
    code = "import sys, nasbench.training, nasbench.tasks; sys.exit('torch' in sys.modules)"
    environment = dict(os.environ, PYTHONPATH=ROOT)
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
