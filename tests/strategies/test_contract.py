"""The contract that every registered strategy keeps, whatever it is."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

from nasbench.benchmarks import TabularBenchmark
from nasbench.records import Cost, Outcome, Status, Trial
from nasbench.runs import Budget, Problem, run
from nasbench.spaces import CellSpace
from nasbench.tables import Curves, Table
from strategies import CATALOGUE

FAMILIES_ELSEWHERE = {"one-shot": "needs images, which a toy has not: tests/strategies/test_one_shot.py"}
pytestmark = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.skip(FAMILIES_ELSEWHERE[entry.family]))
        if entry.family in FAMILIES_ELSEWHERE
        else name
        for name, entry in CATALOGUE.items()
    ],
)


def table(space: CellSpace, failing: float = 0.0) -> Table:
    """Accuracies that depend on the cell smoothly; a share of the trainings diverged."""
    weights = np.arange(1, 7)
    accuracy = 50 + (space.cells * weights).sum(axis=1) / 2.0
    diverged = np.random.default_rng(0).random(len(space)) < failing
    arrays = {"val_acc": np.where(diverged, np.nan, accuracy), "status": diverged.astype(np.int8)}
    arrays["train_seconds"] = np.random.default_rng(1).random(len(space)) + 0.5
    return Table.from_arrays(space, [Curves("toy", (10,), arrays)])


@pytest.fixture
def smooth() -> TabularBenchmark:
    return TabularBenchmark(table(CellSpace("smooth", ("none", "skip_connect", "nor_conv_1x1"))), "toy")


def test_uses_the_budget_and_not_more(name, smooth):
    result = run(CATALOGUE[name], smooth, Budget(60, "evals"), 0, name)
    assert result.ledger.spent == 60
    assert len({step.trial for step in result.steps}) == len(result.steps) == 60


@pytest.mark.parametrize("amount", [0, 1])
def test_lives_with_no_and_with_one_evaluation(name, smooth, amount):
    result = run(CATALOGUE[name], smooth, Budget(amount, "evals"), 0, name)
    assert len(result.steps) == amount


def test_same_seed_same_trace_other_seed_other_trace(name, smooth):
    first, again, other = (run(CATALOGUE[name], smooth, Budget(50, "evals"), s, name) for s in (1, 1, 2))
    assert first.steps == again.steps
    assert first.steps != other.steps


def test_does_not_touch_global_random_state(name, smooth):
    before = pickle.dumps(np.random.get_state())  # noqa: NPY002
    run(CATALOGUE[name], smooth, Budget(30, "evals"), 0, name)
    assert pickle.dumps(np.random.get_state()) == before  # noqa: NPY002


@pytest.mark.parametrize("failing", [0.4, 1.0])
def test_goes_on_when_trainings_fail(name, failing):
    space = CellSpace("smooth", ("none", "skip_connect", "nor_conv_1x1"))
    result = run(CATALOGUE[name], TabularBenchmark(table(space, failing), "toy"), Budget(80, "evals"), 0, name)
    assert len(result.steps) == 80
    assert {s.outcome.status for s in result.steps} >= {Status.DIVERGED}
    assert all(math.isfinite(i.score.val_acc) for i in result.incumbents)


@pytest.mark.parametrize("workers", [2, 7])
def test_keeps_several_trials_in_flight(name, smooth, workers):
    result = run(CATALOGUE[name], smooth, Budget(60, "evals"), 0, name, workers=workers)
    assert result.ledger.spent == 60
    again = run(CATALOGUE[name], smooth, Budget(60, "evals"), 0, name, workers=workers)
    assert result.steps == again.steps


def test_outcomes_may_come_back_in_any_order(name, smooth):
    problem = Problem(smooth.space, smooth.epochs, Budget(50, "evals"))
    strategy, rng = CATALOGUE[name](problem, np.random.default_rng(0)), np.random.default_rng(1)
    flying: list[Trial] = []
    for _ in range(150):
        trial = strategy.ask() if len(flying) < 5 else None
        if trial is not None:
            assert trial.epochs in problem.epochs
            assert 0 <= problem.space.index(trial.cell) < len(problem.space)
            flying.append(trial)
        elif flying:
            trial = flying.pop(int(rng.integers(len(flying))))
            strategy.tell(trial, Outcome(float(rng.random() * 100), Cost(1, 10, 1, 1)))


def test_spaces_of_one_cell_end_at_once(name):
    result = run(CATALOGUE[name], TabularBenchmark(table(CellSpace("one", ("none",))), "toy"), Budget(9, "evals"))
    assert len(result.steps) == 1
    assert result.status in ("finished", "stalled")


def test_a_whole_small_space_is_found_or_the_run_stalls(name):
    space = CellSpace("small", ("none", "skip_connect"))
    result = run(CATALOGUE[name], TabularBenchmark(table(space), "toy"), Budget(1000, "evals"), 0, name)
    assert len(result.steps) <= len(space)
    assert result.status in ("finished", "stalled")


def test_does_better_than_its_first_draws(name, smooth):
    """On a smooth landscape 200 evaluations must find more than 5 do, on the mean of some seeds."""
    results = [run(CATALOGUE[name], smooth, Budget(200, "evals"), seed, name) for seed in range(5)]
    early = [max(i.score.val_acc for i in r.incumbents if i.step < 5) for r in results]
    assert np.mean([r.incumbents[-1].score.val_acc for r in results]) > np.mean(early)
