"""Full training mode: answers equal the table's where the table was made, and every strategy runs on it."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
import pytest

import strategies
from nasbench.benchmarks import TabularBenchmark, TrainingBenchmark
from nasbench.cli import main
from nasbench.errors import NasbenchError
from nasbench.networks import count_flops
from nasbench.records import Status, Trial
from nasbench.runs import Budget, Kind, Results, Suite, compare, run
from nasbench.runs.sources import TrainingSource
from nasbench.spaces import open_space
from nasbench.tables import open_table
from nasbench.tables.source_tasks import read_sources
from nasbench.tasks import Source, load_task, register
from nasbench.tasks.catalogue import _ENTRIES
from nasbench.training import Protocol
from nasbench.training.shards import Setting, Shards
from nasbench.training.tabulate import to_table

SPACE = open_space("nasbench201")
FIELDS = {"channels": 4, "epochs": 2, "batch_size": 16}
CELL, TWIN = (3, 0, 0, 1, 2, 0), (3, 0, 4, 1, 2, 0)
"""The same function: the twin's pooling leads nowhere."""


@pytest.fixture(scope="module", autouse=True)
def small():
    """A registered task of 4 x 4 images, 16 + 40 + 40 of them, on which a training takes a millisecond."""

    def read(folder, fetch_missing):
        rng = np.random.default_rng(0)
        y = np.arange(96) % 3
        return Source(
            (50 * rng.random((96, 4, 4, 1)) + 20 * y[:, None, None, None]).astype(np.uint8), y, ("a", "b", "c")
        )

    register("small_blobs", read, (16, 40, 40), "none", "made up")
    yield
    del _ENTRIES["small_blobs"]


@pytest.fixture
def trainer():
    return TrainingBenchmark(load_task("small_blobs"), Protocol(**FIELDS))


def test_an_outcome_is_what_the_training_gave(trainer):
    (outcome,) = trainer.evaluate([Trial(CELL, 2)])
    history = trainer._trained[trainer._key(Trial(CELL, 2))]
    assert outcome.status is Status.OK
    assert outcome.val_acc == float(np.float32(100 * history.val_acc[-1]))
    assert outcome.cost.seconds == pytest.approx(history.seconds.sum(), rel=1e-6)
    assert outcome.cost[1:] == (2.0, 3.0 * count_flops(CELL, trainer._skeleton) * 16 * 2, 1.0)
    assert trainer.score(CELL).test_acc == pytest.approx(100 * history.test_acc[-1], rel=1e-6)
    assert math.isnan(trainer.best.val_acc)
    assert (trainer.epochs, trainer.resumable, trainer.seeds(CELL)) == ((1, 2), True, (0,))


def test_one_training_answers_for_its_class_and_is_not_done_twice(trainer, monkeypatch):
    (first,) = trainer.evaluate([Trial(CELL, 2)])
    monkeypatch.setattr("nasbench.benchmarks.training.train_safely", None)
    assert trainer.evaluate([Trial(TWIN, 2), Trial(CELL, 2, 0)]) == [first, first]
    assert trainer.identity(CELL) == trainer.identity(TWIN)
    assert trainer.evaluate([Trial(CELL, 1)])[0].cost.epochs == 1


def test_fewer_epochs_are_the_first_part_of_the_curve(trainer):
    (short,) = trainer.evaluate([Trial(CELL, 1)])
    fresh = TrainingBenchmark(load_task("small_blobs"), Protocol(**FIELDS))
    fresh.evaluate([Trial(CELL, 2)])
    assert fresh.evaluate([Trial(CELL, 1)])[0].val_acc == short.val_acc
    assert trainer.evaluate([Trial(CELL, 2)])[0].val_acc == fresh.evaluate([Trial(CELL, 2)])[0].val_acc


def test_batches_over_processes_give_the_same(trainer):
    trials = [Trial(SPACE.cell(i), epochs) for i, epochs in ((5, 2), (77, 2), (900, 1), (5, 2))]
    together = TrainingBenchmark(load_task("small_blobs"), Protocol(**FIELDS), processes=2)
    got, expected = together.evaluate(trials), trainer.evaluate(trials)
    assert [o.val_acc for o in got] == [o.val_acc for o in expected]


def test_failures_are_statuses_and_cost_what_they_used():
    """In every currency, up to the epoch in which the loss was no number any more."""
    trainer = TrainingBenchmark(load_task("small_blobs"), Protocol(**{**FIELDS, "lr": 1e30, "epochs": 5}))
    (outcome,) = trainer.evaluate([Trial(CELL, 5)])
    assert outcome.status is Status.DIVERGED
    assert math.isnan(outcome.val_acc)
    assert outcome.cost.seconds > 0
    assert (outcome.cost.epochs, outcome.cost.evaluations) == (2, 0.4)
    assert outcome.cost.flops == 2 * trainer.evaluate([Trial(CELL, 1)])[0].cost.flops


def test_seeds_are_named_where_there_are_several():
    trainer = TrainingBenchmark(load_task("small_blobs"), Protocol(**FIELDS), seeds=(0, 4))
    assert trainer.evaluate([Trial(CELL, 2, 9)])[0].status is Status.MISSING
    one, four = trainer.evaluate([Trial(CELL, 2, 0), Trial(CELL, 2, 4)])
    assert trainer.score(CELL).val_acc == pytest.approx((one.val_acc + four.val_acc) / 2)
    with pytest.raises(NasbenchError, match="no mean over several seeds"):
        trainer.evaluate([Trial(CELL, 2)])
    with pytest.raises(NasbenchError, match="1 to 2 epochs, not of 3"):
        trainer.evaluate([Trial(CELL, 3, 0)])
    with pytest.raises(NasbenchError, match="distinct numbers"):
        TrainingBenchmark(load_task("small_blobs"), seeds=(1, 1))


def trace(result):
    """What must not depend on the mode: everything but measured seconds."""
    steps = [(s.trial, s.seed, s.outcome.status, s.outcome.val_acc, s.spent) for s in result.steps]
    incumbents = [(i.step, i.cell, i.score) for i in result.incumbents]
    flops = [entry.cost[1:] for entry in result.ledger.entries]
    return steps, incumbents, flops, result.status, result.repeats


def test_the_same_trace_from_the_table_and_from_training(tmp_path, monkeypatch):
    """`nasbench train` makes a table of the whole space, one seed of it; strategies then see the same in both modes."""
    protocol = [f"--{name.replace('_', '-')}={value}" for name, value in FIELDS.items()]
    command = [
        "train",
        "--task",
        "small_blobs",
        "--rows",
        "all",
        "--out",
        str(tmp_path / "s"),
        "--jobs",
        "2",
        *protocol,
    ]
    assert main([*command, "--table", str(tmp_path / "t.h5"), "--no-latency"]) == 0
    table = open_table(tmp_path / "t.h5")
    assert len(table) == 5260
    tabular = TabularBenchmark(table, "small_blobs")
    training = TrainingBenchmark(load_task("small_blobs"), Protocol(**FIELDS))
    assert training.epochs == tabular.epochs
    assert training.descriptor == tabular.descriptor
    for name, observe, budget in (
        ("local_search", "mean", "60evals"),
        ("regularized_evolution", "seed", "60evals"),
        ("reinforce", "mean", "2e8flops"),
    ):
        in_table, afresh = (
            run(strategies.CATALOGUE[name], b, Budget.parse(budget), 3, name, observe) for b in (tabular, training)
        )
        assert len(afresh.steps) >= 50
        assert trace(in_table) == trace(afresh)
    suite = Suite("both", ("small_blobs",), ("genetic_algorithm",), 2, "30evals", str(tmp_path / "t.h5"))
    looked_up = compare(suite, strategies.CATALOGUE, tmp_path / "table", jobs=1)
    trained = compare(suite.replace(mode="train", protocol=FIELDS), strategies.CATALOGUE, tmp_path / "train", jobs=1)
    same = ["task", "strategy", "seed", "step", "cell", "epochs", "status", "val_acc", "spent", "incumbent_val"]
    assert looked_up.traces[same].equals(trained.traces[same])


def test_several_seeds_from_a_table_and_from_training(tmp_path):
    """Cells of a made-up strategy, trained with three seeds, then looked up: the rule picks the same seed."""
    task, protocol = load_task("small_blobs"), Protocol(**FIELDS)
    shards = Shards(tmp_path / "s", Setting.of(task, protocol))
    training = TrainingBenchmark(task, protocol, seeds=(0, 1, 2), keep=shards)

    class First:
        def __init__(self, problem, rng):
            self.cells = iter(range(0, 400, 20))

        def ask(self):
            return Trial(SPACE.cell(next(self.cells)), 2)

        def tell(self, trial, outcome):
            assert outcome.status is Status.OK

    afresh = run(First, training, Budget(12, "evals"), 0, "first", "seed")
    assert {step.seed for step in afresh.steps} == {0, 1, 2}
    for index in range(0, 400, 20):
        training.score(SPACE.cell(index))
    training.flush()
    table = to_table([shards], latency=False)
    assert table.curves("small_blobs").valid.all()
    in_table = run(First, TabularBenchmark(table, "small_blobs"), Budget(12, "evals"), 0, "first", "seed")
    assert trace(in_table) == trace(afresh)


def test_comparisons_train_resume_and_keep(tmp_path, capsys):
    suite = Suite(
        "toy", ("small_blobs",), ("random_search", "local_search"), 2, "6evals", mode="train", protocol=FIELDS
    )
    source = TrainingSource(keep=tmp_path / "kept")
    results = compare(suite, strategies.CATALOGUE, tmp_path / "r", jobs=1, training=source)
    assert results.runs.evaluations.tolist() == [6] * 4
    assert results.runs.val_regret.isna().all()
    assert results.runs.best_test.notna().all()
    assert results.manifest["table"]["trainings"]["small_blobs"]["protocol"]["epochs"] == 2
    assert (results.ledger.seconds > 0).all()
    kept = Shards(tmp_path / "kept" / "small_blobs").read()
    assert set(SPACE.representatives("exact")[SPACE.classes("exact")[results.traces.cell]]) == {
        cell for cell, _ in kept
    }
    merged = tmp_path / "kept.h5"
    assert main(["table", "merge", str(tmp_path / "kept"), "--out", str(merged), "--no-latency"]) == 0
    assert len(open_table(merged)) == len(kept)
    (tmp_path / "r" / "runs" / "small_blobs" / "local_search" / "00001.json").unlink()
    before = results.traces.drop(columns="clock")
    again = compare(suite, strategies.CATALOGUE, tmp_path / "r", jobs=1, training=source).traces.drop(columns="clock")
    assert before.equals(again)
    assert main(["report", str(tmp_path / "r")]) == 0
    page = (tmp_path / "r" / "report" / "index.html").read_text()
    assert "the best that any of these runs found" in page
    assert "the table's best cell" not in page
    for changes, says in (
        (
            {"mode": "table", "protocol": {}, "table": "nasbench201", "tasks": ("cifar10",)},
            "mode = 'train', not 'table'",
        ),
        ({"protocol": {**FIELDS, "epochs": 3}}, "protocol = "),
        ({"train_seeds": (1,)}, "train_seeds = "),
    ):
        with pytest.raises(NasbenchError, match=says):
            compare(suite.replace(**changes), strategies.CATALOGUE, tmp_path / "r", jobs=1)


@pytest.mark.parametrize("name", [n for n, entry in strategies.CATALOGUE.items() if entry.family != "multi-fidelity"])
def test_every_strategy_trains_afresh(name, digits):
    result = run(strategies.CATALOGUE[name], digits, Budget(5, "evals"), 0, name)
    own = result.ledger.total().evaluations - result.ledger.total(Kind.TRAINING).evaluations
    assert len(result.steps) == math.floor(5 - own) > 0
    assert {step.outcome.status for step in result.steps} == {Status.OK}
    assert result.incumbents[-1].score.val_acc > 5


@pytest.fixture(scope="module")
def digits():
    task, tables = load_task("digits"), (open_table("images16"),)
    sources = functools.cache(lambda: read_sources(tables, "digits", descriptor=task.descriptor()))
    return TrainingBenchmark(task, Protocol(epochs=1), sources=sources)


def test_the_command_of_the_readme(tmp_path, capsys):
    (tmp_path / "p.json").write_text('{"epochs": 1}')
    command = ["compare", "quick", "--mode", "train", "--task", "digits", "--budget", "4evals", "--seeds", "1"]
    command += ["--protocol", str(tmp_path / "p.json"), "--jobs", "1", "--out", str(tmp_path / "r")]
    assert main(command) == 0
    assert "mean validation accuracy (%) after 4evals" in capsys.readouterr().out
    results = Results(tmp_path / "r")
    assert len(results.runs) == 6
    assert dataclasses.asdict(results.suite)["mode"] == "train"
    assert (tmp_path / "r" / "report" / "index.html").exists()
