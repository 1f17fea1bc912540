"""Training: the protocol, the plain trainer, populations of worker processes, and failures that come back as
results."""

import dataclasses
import logging
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from nasbench.errors import NasbenchError
from nasbench.networks import prune
from nasbench.tasks import load_task
from nasbench.training import Arrays, Protocol, train, train_many, trainer_name
from nasbench.training import population as population_module
from nasbench.training.native import load_library
from nasbench.training.plain import change, train_plain
from nasbench.training.protocol import draw_order, generators

torch.set_num_threads(1)
ROOT = str(Path(__file__).parents[2])
CELL = (3, 1, 2, 4, 1, 3)


def random_arrays(n: int = 200, size: int = 8, channels: int = 1, classes: int = 4, seed: int = 0) -> Arrays:
    """Classes that differ in brightness, so that they can be learnt."""
    rng = np.random.default_rng(seed)

    def part(count):
        y = rng.integers(0, classes, count).astype(np.int32)
        x = rng.standard_normal((count, size, size, channels)) + 0.3 * y[:, None, None, None]
        return x.astype(np.float32), y

    return Arrays(*part(n), *part(50), *part(37), classes)


SMALL = Protocol(channels=4, epochs=2, batch_size=32)


def test_protocol_round_trip():
    protocol = Protocol(lr=0.03, augmentation="flip+crop", reduction="residual")
    assert Protocol.from_json(protocol.to_json()) == protocol
    assert protocol.to_json() == Protocol.from_json(protocol.to_json()).to_json()


@pytest.mark.parametrize(
    "values",
    [
        {"epochs": 0}, {"channels": 0}, {"cells": 0}, {"batch_size": 1}, {"lr": 0.0}, {"lr": math.nan},
        {"momentum": 1.0}, {"weight_decay": -1.0}, {"augmentation": "mixup"},
        {"reduction": "none"}, {"crop": -1},
        {"crop": 90}, {"epochs": 1.5}, {"channels": "8"}, {"epochs": True},
    ],
)  # fmt: skip
def test_impossible_protocols(values):
    with pytest.raises(NasbenchError, match=next(iter(values))) as caught:
        Protocol(**values)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[1]", '{"epoch": 3}', '{"epochs": 0}'])
def test_bad_protocol_text(text):
    with pytest.raises(NasbenchError):
        Protocol.from_json(text)


def test_randomness_belongs_to_cell_and_seed():
    same = [generators(cell, 3)[0].random(4) for cell in ((0, 0, 2, 1, 0, 0), (0, 0, 0, 1, 0, 0))]
    np.testing.assert_array_equal(*same)
    others = [
        generators((0, 0, 0, 1, 0, 0), 4)[0],
        generators((0, 0, 0, 2, 0, 0), 3)[0],
        generators((0, 0, 0, 1, 0, 0), 3)[1],
    ]
    assert all((other.random(4) != same[0]).all() for other in others)
    with pytest.raises(NasbenchError, match="seed"):
        generators(CELL, -1)
    order, changes = draw_order(SMALL, 100, np.random.default_rng(0))
    assert order.shape == (2, 3, 32)
    assert changes is None
    assert all(len(np.unique(epoch)) == 96 for epoch in order)
    with pytest.raises(NasbenchError, match="fewer than one batch"):
        draw_order(SMALL, 31, np.random.default_rng(0))


def test_change_flips_and_shifts():
    images = np.arange(2 * 3 * 4 * 2, dtype=np.float32).reshape(2, 3, 4, 2)
    drawn = np.array([[1, 0, 3], [0, 2, 2]], np.int8)
    got = change(torch.from_numpy(images).permute(0, 3, 1, 2), drawn, 2).permute(0, 2, 3, 1).numpy()
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    np.testing.assert_array_equal(got[0], padded[0, 0:3, 3:7][:, ::-1])
    np.testing.assert_array_equal(got[1], images[1])


@pytest.mark.parametrize("trainer", ["plain", "auto"])
@pytest.mark.parametrize("reduction", ["plain", "residual"])
def test_both_trainers_learn(trainer, reduction):
    curves = train(CELL, 0, random_arrays(640), dataclasses.replace(SMALL, reduction=reduction), trainer=trainer)
    assert curves.status == "ok"
    assert curves.steps == 40
    assert curves.train_loss[1] < curves.train_loss[0]
    assert curves.val_acc[-1] > 0.5
    assert curves.test_acc[-1] > 0.5
    assert (curves.seconds > 0).all()
    assert (curves.evaluation_seconds > 0).all()
    assert round(curves.test_acc[-1] * 37, 6).is_integer()


def test_constant_cells_can_be_trained():
    curves = train((0, 0, 0, 0, 0, 0), 0, random_arrays(), SMALL)
    assert curves.status == "ok"
    assert len(set(curves.val_acc)) <= 2


@pytest.mark.parametrize("trainer", ["plain", "auto"])
def test_divergence_is_a_result(trainer):
    arrays = random_arrays()
    curves = train(CELL, 0, arrays, dataclasses.replace(SMALL, lr=1e30, epochs=3), trainer=trainer)
    assert curves.status == "diverged"
    assert 0 < curves.steps < 18
    epoch = curves.steps // 6
    assert curves.seconds[epoch] > 0
    assert np.isnan(curves.val_acc[epoch:]).all()
    assert np.isnan(curves.seconds[epoch + 1 :]).all()


def test_population_is_the_same_whatever_the_processes():
    arrays = random_arrays()
    jobs = [((3, 0, 1, 2, 0, 4), 0), (CELL, 0), (CELL, 1), ((1, 0, 0, 4, 0, 3), 0)]
    alone = [train(*job, arrays, SMALL) for job in jobs]
    for processes in (1, 2):
        found = sorted(train_many(iter(jobs), arrays, SMALL, processes=processes), key=lambda one: one.index)
        assert [(one.cell, one.seed) for one in found] == jobs
        assert all(one.curves.same_results(curves) for one, curves in zip(found, alone, strict=True))
    assert not alone[1].same_results(alone[2])


def test_plain_population_is_the_same_too():
    arrays = random_arrays()
    (found,) = train_many([(CELL, 0)], arrays, SMALL, trainer="plain")
    assert found.curves.same_results(train_plain(CELL, 0, arrays, SMALL))


def kill_yourself(job):
    """Stands in for the worker's function: cell (0, ...) is killed by the kernel, seed 7 finds no memory."""
    if not any(job[0]):
        os.kill(os.getpid(), signal.SIGKILL)
    if job[1] == 7:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes.")
    return train(*job, population_module._Worker.setting[0], SMALL)


def work_that_fails(job):
    original, population_module.train = (
        population_module.train,
        lambda cell, seed, *_: kill_yourself((cell, seed)),
    )
    try:
        return population_module._work(job)
    finally:
        population_module.train = original


def test_killed_and_out_of_memory_come_back(monkeypatch, caplog):
    monkeypatch.setattr(population_module, "_job_function", work_that_fails)
    jobs = [(CELL, 0), ((0,) * 6, 0), (CELL, 7), (CELL, 1), ((1, 0, 0, 4, 0, 3), 0)]
    with caplog.at_level(logging.WARNING):
        found = {one.index: one.curves for one in train_many(jobs, random_arrays(), SMALL, processes=2)}
    assert [found[i].status for i in range(5)] == ["ok", "killed", "out of memory", "ok", "ok"]
    assert found[1].seconds[0] > 0
    assert np.isnan(found[1].val_acc).all()
    assert "killed" in caplog.text


def test_workers_end_with_their_parent(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import multiprocessing\n"
        "import numpy as np\n"
        "from nasbench.training import Arrays, Protocol, train_many\n"
        "if __name__ == '__main__':\n"
        "    part = np.zeros((64, 8, 8, 1), np.float32), np.zeros(64, np.int32)\n"
        "    jobs = [((3, 0, 0, 1, 0, 3), seed) for seed in range(9999)]\n"
        "    found = train_many(jobs, Arrays(*part, *part, *part, 2), Protocol(), processes=2)\n"
        "    next(found)\n"
        "    print(*[child.pid for child in multiprocessing.active_children()], flush=True)\n"
        "    list(found)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ, PYTHONPATH=ROOT),
    )
    assert parent.stdout is not None
    workers = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(workers) == 2
    parent.kill()
    parent.wait()
    for _ in range(100):
        if not any(running(pid) for pid in workers):
            break
        time.sleep(0.1)
    assert not any(running(pid) for pid in workers)


def test_a_script_without_a_guard_is_told_so(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import numpy as np\n"
        "from nasbench.training import Arrays, Protocol, train_many\n"
        "part = np.zeros((9999, 8, 8, 1), np.float32), np.zeros(9999, np.int32)  # more than a pipe takes\n"
        "list(train_many([((3, 0, 0, 1, 0, 3), 0)], Arrays(*part, *part, *part, 2), Protocol()))\n"
    )
    environment = dict(os.environ, PYTHONPATH=ROOT)
    found = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env=environment, timeout=60, check=False
    )
    assert found.returncode == 1
    assert "NasbenchError: no worker process could be started" in found.stderr


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_bad_use():
    arrays = random_arrays()
    with pytest.raises(NasbenchError, match="processes"):
        next(train_many([], arrays, SMALL, processes=0))
    with pytest.raises(NasbenchError, match="trainer = 'fast'"):
        trainer_name(SMALL, trainer="fast")
    with pytest.raises(NasbenchError, match="fours"):
        trainer_name(dataclasses.replace(SMALL, channels=6), trainer="native")
    with pytest.raises(NasbenchError, match="fewer than one batch"):
        train(CELL, 0, arrays, Protocol(batch_size=256))
    assert trainer_name(SMALL, device="cuda") == "population"
    assert trainer_name(SMALL, device="cuda", trainer="plain") == "plain"
    with pytest.raises(NasbenchError, match="needs the fused kernels"):
        trainer_name(SMALL, trainer="population-bf16")
    if not torch.cuda.is_available():
        with pytest.raises(NasbenchError, match="no CUDA"):
            train(CELL, 0, arrays, SMALL, device="cuda")
    with pytest.raises(NasbenchError, match="labels"):
        dataclasses.replace(arrays, classes=2)
    with pytest.raises(NasbenchError, match="float32"):
        dataclasses.replace(arrays, x_val=arrays.x_val.astype(np.float64))


def test_cuda_agrees_with_cpu():
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    arrays = random_arrays(640)
    cpu, cuda = (train(CELL, 0, arrays, SMALL, device, "plain") for device in ("cpu", "cuda"))
    assert abs(cpu.train_loss[0] - cuda.train_loss[0]) < 0.05


def test_fifty_cells_agree_across_trainers():
    """Final digits accuracies of 50 cells by the two trainers: the same mean within noise, and the same
    ranking."""
    if load_library() is None:
        pytest.skip("needs the native step: a C++ compiler, and NASBENCH_NO_NATIVE not set")
    rng = np.random.default_rng(5)
    cells = []
    while len(cells) < 50:
        cell = tuple(int(code) for code in rng.integers(0, 5, 6))
        if any(prune(cell)):
            cells.append(cell)
    arrays = Arrays.of(load_task("digits", n_train=1024, n_val=386, n_test=387))
    protocol = Protocol(epochs=int(os.environ.get("NASBENCH_TEST_EPOCHS", "1")))
    final = {}
    for trainer in ("native", "plain"):
        results = train_many([(cell, 0) for cell in cells], arrays, protocol, processes=2, trainer=trainer)
        final[trainer] = np.array(
            [one.curves.val_acc[-1] + one.curves.test_acc[-1] for one in sorted(results, key=lambda one: one.index)]
        )
    native, plain = final["native"] / 2, final["plain"] / 2
    noise = np.std(native - plain) / math.sqrt(len(cells))
    assert abs(native.mean() - plain.mean()) < 3 * noise + 1e-3
    assert spearmanr(native, plain).statistic > 0.9


def test_no_machine_paths():
    """Only Debian's public folder may be named in the sources of these rooms."""
    rooms = [Path(__file__).parents[2] / "nasbench" / room for room in ("networks", "training", "tasks")]
    for path in [path for room in rooms for path in room.rglob("*") if path.suffix in (".py", ".cpp", ".h")]:
        text = path.read_text().replace("/usr/share/datasets", "")
        assert not any(word in text for word in ("/home/", "/tmp/", "/mnt/", "/usr/")), path
