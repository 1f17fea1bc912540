"""Campaigns: shards that survive a kill, refuse strangers, go on where they were, and become tables."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nasbench.errors import NasbenchError
from nasbench.networks import Skeleton, count_flops, count_parameters, is_constant
from nasbench.spaces import open_space
from nasbench.tables import Curves, Table
from nasbench.tables.merge import merge
from nasbench.tasks import Source, split
from nasbench.training import Arrays, Protocol, train
from nasbench.training.campaign import class_order, known_keys, plan, run_campaign
from nasbench.training.result import failed_history
from nasbench.training.shards import Setting, Shards
from nasbench.training.tabulate import percent, replay, table_setting, to_table

TOP = Path(__file__).parents[2]
SPACE = open_space("nasbench201")
PROTOCOL = Protocol(channels=4, epochs=3, batch_size=16)


def small_task(seed: int = 0, name: str = "small"):
    """Two classes of 4 x 4 images that differ in brightness: 48 to train on, 16 to validate, 16 to test."""
    rng = np.random.default_rng(seed)
    y = np.arange(80) % 2
    x = (60 * rng.random((80, 4, 4, 1)) + 80 * y[:, None, None, None]).astype(np.uint8)
    return split(name, Source(x, y, ("dark", "bright")), (48, 16, 16), "none", "made up")


TASK = small_task()
ARRAYS = Arrays.of(TASK)


@pytest.fixture(scope="module")
def setting():
    return Setting.of(TASK, PROTOCOL)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, setting):
    """A folder with 6 classes x 2 seeds."""
    shards = Shards(tmp_path_factory.mktemp("trained") / "shards", setting)
    assert run_campaign(shards, ARRAYS, SPACE, plan(SPACE, 6, (0, 1)), shard=5) == 12
    return shards


def test_the_order_is_fixed_and_every_class_is_in_it_once():
    order = class_order(SPACE)
    assert len(order) == len(np.unique(SPACE.classes("exact")[order])) == 5260
    assert order[:6].tolist() == [6033, 10609, 5884, 7366, 3086, 11821]
    assert is_constant(SPACE.cell(int(order[-1])))
    assert plan(SPACE, 2, (3, 1)) == [(6033, 3), (10609, 3), (6033, 1), (10609, 1)]
    assert len(plan(SPACE, None, (0, 1))) == 2 * 5260


@pytest.mark.parametrize(("rows", "seeds"), [(0, (0,)), (5261, (0,)), (3, ()), (3, (1, 1)), (3, (-1,))])
def test_impossible_plans(rows, seeds):
    with pytest.raises(NasbenchError, match=r"rows are 1 to 5260|seeds are distinct"):
        plan(SPACE, rows, seeds)


def test_shards_hold_what_a_training_alone_gives(trained):
    found = trained.read()
    assert sorted(found) == sorted(plan(SPACE, 6, (0, 1)))
    assert len(trained.paths) == 3
    for cell, seed in (10609, 1), (5884, 0):
        assert found[cell, seed].same_results(train(SPACE.cell(cell), seed, ARRAYS, PROTOCOL))


def test_a_campaign_goes_on_and_does_nothing_twice(trained, setting, tmp_path):
    shards = Shards(tmp_path / "s", setting)
    calls = []
    assert run_campaign(shards, ARRAYS, SPACE, plan(SPACE, 3, (0,)), progress=lambda *at: calls.append(at)) == 3
    assert calls == [(0, 3), (1, 3), (2, 3), (3, 3)]
    again = Shards(tmp_path / "s", setting)
    assert run_campaign(again, ARRAYS, SPACE, plan(SPACE, 3, (0,))) == 0
    assert len(again.paths) == 1
    with pytest.raises(NasbenchError, match="at least 1 training"):
        run_campaign(again, ARRAYS, SPACE, [], shard=0)


def test_two_processes_do_not_train_into_one_folder(setting, tmp_path):
    first, second = Shards(tmp_path / "s", setting), Shards(tmp_path / "s", setting)
    with first.locked(), pytest.raises(NasbenchError, match="another process trains into"):
        run_campaign(second, ARRAYS, SPACE, [])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"protocol": dataclasses.replace(PROTOCOL, epochs=4, lr=0.2)},
            "protocol epochs = 3, not 4, lr = 0.1, not 0.2",
        ),
        ({"task": small_task(1).descriptor()}, r"the task small-48-16-16 \("),
        ({"trainer": "plain torch 1.0"}, r"the trainer .*, not 'plain torch 1.0'"),
        ({"space": "nasbench101"}, "the space nasbench201, not nasbench101"),
    ],
)
def test_trainings_of_another_setting_are_refused(trained, setting, changes, says):
    before = {path: path.read_bytes() for path in trained.folder.iterdir()}
    with pytest.raises(NasbenchError, match=says + r".*; choose another folder\.$"):
        Shards(trained.folder, dataclasses.replace(setting, **changes))
    assert {path: path.read_bytes() for path in trained.folder.iterdir()} == before


def test_other_folders_are_refused(setting, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine")
    with pytest.raises(NasbenchError, match="not empty and holds no trainings"):
        Shards(tmp_path / "full", setting)
    with pytest.raises(NasbenchError, match="is a file"):
        Shards(tmp_path / "full" / "thesis.tex", setting)
    with pytest.raises(NasbenchError, match="holds no trainings"):
        Shards(tmp_path / "none")
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(NasbenchError, match="is damaged"):
        Shards(tmp_path, setting)
    with pytest.raises(NasbenchError, match="cannot write"):
        Shards("/proc/nasbench", setting)


def test_a_damaged_shard_is_named(trained, setting, tmp_path):
    shards = Shards(tmp_path / "s", setting)
    path = shards.write({(6033, 0): trained.read()[6033, 0]})
    assert path is not None
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(NasbenchError, match=rf"{path.name} is damaged: delete it"):
        shards.read()
    path.unlink()
    with pytest.raises(NasbenchError, match="no finished training"):
        to_table([shards])


def test_the_table_says_what_was_trained(trained, setting):
    table = to_table([trained])
    entry = table.curves("small")
    assert (table.rows, len(table), entry.epochs, entry.seeds) == ("classes", 6, (1, 2, 3), (0, 1))
    found = trained.read()
    skeleton = Skeleton(4, 1, "plain", 2, 4, 4, 1)
    for row, cell in enumerate(table.cells.tolist()):
        for column, seed in enumerate(entry.seeds):
            history = found[cell, seed]
            for name in ("val_acc", "test_acc", "train_acc"):
                np.testing.assert_array_equal(entry.full(name)[row, column], percent(getattr(history, name)))
            assert entry.arrays["train_seconds"][row, column, -1] == pytest.approx(history.seconds.sum(), rel=1e-6)
        codes = SPACE.cell(cell)
        assert entry.arrays["flops"][row] == count_flops(codes, skeleton)
        assert entry.arrays["parameters"][row] == count_parameters(codes, skeleton, pruned=True)
    assert (entry.arrays["latency_seconds"] > 0).all()
    assert entry.attributes["train_size"] == 48
    assert entry.attributes["sha256"] == TASK.digest
    assert {"protocol", "trainer", "device", "versions", "licence", "citation"} <= set(entry.attributes)
    assert table_setting(table, "small").differs(setting) == ""
    assert to_table([trained]).checksum == table.checksum  # latencies are measured once


def test_failed_trainings_are_in_the_table_with_their_cost(setting, tmp_path):
    shards = Shards(tmp_path / "s", setting)
    diverged = train(SPACE.cell(6033), 0, ARRAYS, dataclasses.replace(PROTOCOL, lr=1e30))
    assert diverged.status == "diverged"
    shards.write({(6033, 0): diverged, (10609, 1): failed_history("killed", 3, 2.5)})
    entry = to_table([shards], latency=False).curves("small")
    assert entry.arrays["status"][0, 0] == 1  # rows ascend by cell: 6033, 10609
    assert entry.arrays["status"][1, 1] == 2
    assert np.isnan(entry.arrays["status"][0, 1])
    assert entry.arrays["train_seconds"][1, 1].tolist() == [2.5] * 3
    assert np.isnan(entry.arrays["val_acc"][1, 1]).all()
    assert entry.valid.tolist() == [[True, False], [False, True]]


def test_known_trainings_are_skipped_and_merged(trained, setting, tmp_path):
    table = to_table([trained])
    known = known_keys(table, setting)
    assert known == set(plan(SPACE, 6, (0, 1)))
    shards = Shards(tmp_path / "s", setting)
    more = [key for key in plan(SPACE, 8, (0, 1)) if key not in known]
    assert run_campaign(shards, ARRAYS, SPACE, more) == 4
    together = merge([table, to_table([shards], [table])])
    assert len(together) == 8
    assert together.curves("small").valid.all()
    assert together.curves("small").arrays["latency_seconds"].shape == (8,)
    other = dataclasses.replace(setting, protocol=dataclasses.replace(PROTOCOL, epochs=5))
    with pytest.raises(NasbenchError, match="the protocol epochs = 3, not 5"):
        known_keys(table, other)
    foreign = Table.from_arrays(
        SPACE, [Curves("small", (1,), {"val_acc": np.zeros(5260)})], "classes", class_order(SPACE)
    )
    with pytest.raises(NasbenchError, match="no protocol of ours"):
        known_keys(foreign, setting)


def test_replay_agrees_here_and_notices_what_does_not(trained, setting):
    table = to_table([trained], latency=False)
    found = replay(table, "small", ARRAYS, setting, rows=5)
    assert (found.trainings, found.exact) == (5, 5)
    assert set(found.largest.values()) == {0.0}
    entry = table.curves("small")
    arrays = {**entry.arrays, "val_acc": entry.arrays["val_acc"] - np.float32(6.25)}
    altered = Table.from_arrays(SPACE, [dataclasses.replace(entry, arrays=arrays)], "classes", table.cells)
    found = replay(altered, "small", ARRAYS, setting, rows=100)
    assert (found.trainings, found.exact) == (12, 0)
    assert found.largest == {"val_acc": 6.25, "test_acc": 0, "train_acc": 0, "train_loss": 0}
    with pytest.raises(NasbenchError, match="cannot be replayed"):
        replay(table, "small", ARRAYS, Setting.of(small_task(1), PROTOCOL), rows=5)


def start(folder: Path, *more: str) -> subprocess.Popen:
    """`nasbench train` in a process of its own, over more trainings than it will get through."""
    command = [sys.executable, "-m", "nasbench", "train", "--task", "digits", "--rows", "all", "--epochs", "1"]
    command += ["--channels", "4", "--jobs", "2", "--shard", "20", "--out", str(folder), *more]
    environment = dict(os.environ, PYTHONPATH=str(TOP))
    return subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job ignores it
    )  # fmt: skip


def wait_for_shards(process: subprocess.Popen, folder: Path, count: int) -> None:
    for _ in range(1200):
        if len(list(folder.glob("*.npz"))) >= count:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError("no shard came")


def test_kill_nine_loses_the_batch_in_flight_and_nothing_else(tmp_path):
    process = start(tmp_path / "s")
    wait_for_shards(process, tmp_path / "s", 2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = {path: path.read_bytes() for path in (tmp_path / "s").glob("*.npz")}
    assert len(Shards(tmp_path / "s").read()) == 20 * len(before)
    assert set(Shards(tmp_path / "s").read()) <= set(plan(SPACE, 20 * len(before) + 20, (0,)))
    (tmp_path / "s" / ".00099-0-killed.tmp").touch()  # as if it had been writing
    process = start(tmp_path / "s")
    wait_for_shards(process, tmp_path / "s", len(before) + 1)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.count("nasbench: interrupted") == 1
    assert "Traceback" not in said
    after = Shards(tmp_path / "s").read()
    assert {path: path.read_bytes() for path in before} == before
    assert len(after) > 20 * len(before)
    assert not list((tmp_path / "s").glob("*.tmp"))
    assert json.loads((tmp_path / "s" / "manifest.json").read_text())["protocol"]["epochs"] == 1
