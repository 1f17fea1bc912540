"""The contract that every registered strategy keeps, whatever it is."""

from __future__ import annotations

import dataclasses
import functools
import math
import pickle

import numpy as np
import pytest

from nasbench.benchmarks import TabularBenchmark
from nasbench.records import Cost, Outcome, Status, Trial
from nasbench.runs import Budget, Problem, run
from nasbench.spaces import CellSpace
from nasbench.tables import Curves, Table
from nasbench.tables.source_tasks import read_sources
from strategies import CATALOGUE

ELSEWHERE = {
    name: "needs images, which a toy has not: tests/strategies/test_one_shot.py, test_proxy_strategies.py"
    for name, entry in CATALOGUE.items()
    if entry.family == "one-shot" or entry.settings.get("proxy", "params") != "params"
}
QUICK = {
    name: dataclasses.replace(entry, settings={**entry.settings, "predictor": "ridge"})
    for name, entry in CATALOGUE.items()
    if name in ("bananas", "npenas", "npenas-paper", "brp_nas")
}
"""The same strategies with a predictor that fits in milliseconds; their own are in test_golden.py."""
STRATEGIES = {**CATALOGUE, **QUICK}
MODELS = ("Bayesian optimisation", "predictor", "multi-objective", "meta-learned")
pytestmark = pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.skip(ELSEWHERE[n])) if n in ELSEWHERE else n for n in CATALOGUE],
)

SHORT = {name for name, entry in CATALOGUE.items() if entry.family == "multi-fidelity"}
"""Strategies that also ask for trainings shorter than full ones."""


@functools.cache
def benchmark(*operations: str, failing: float = 0.0) -> TabularBenchmark:
    """`table`'s task on a space of these operations; what is learned on its other tasks is kept for all tests."""
    made = table(CellSpace("smooth", operations), failing)
    return TabularBenchmark(made, "toy", sources=functools.cache(lambda: read_sources((made,), "toy")))


def table(space: CellSpace, failing: float = 0.0) -> Table:
    """Accuracies that depend on the cell smoothly, curves that cross a little; a share of the trainings diverged.

    Three other tasks rank cells a little differently.
    """
    weights, epochs = np.arange(1, 7), np.arange(1, 11)
    accuracy = 50 + (space.cells * weights).sum(axis=1) / 2.0
    early = np.random.default_rng(2).random(len(space)) * 4
    curves = accuracy[:, None] - (30 + early)[:, None] * (1 - epochs / 10)
    diverged = np.random.default_rng(0).random(len(space)) < failing
    arrays = {"val_acc": np.where(diverged[:, None], np.nan, curves)[:, None], "status": diverged.astype(np.int8)}
    arrays["parameters"], arrays["latency_seconds"] = 1 + space.cells.sum(axis=1), 0.1 + (space.cells % 3).sum(axis=1)
    arrays["train_seconds"] = np.random.default_rng(1).random(len(space)) + 0.5
    found = [Curves("toy", tuple(epochs), arrays, (), _facts(0))]
    for number in (1, 2, 3):
        other = 40 + (space.cells * np.roll(weights, number % 2)).sum(axis=1) / (2.0 + number)
        found.append(Curves(f"kin{number}", (10,), {"val_acc": other}, (), _facts(number)))
    return Table.from_arrays(space, found)


def _facts(number: int) -> dict[str, int]:
    return {name: 10 + number * i for i, name in enumerate(("n_nodes", "n_edges", "n_features", "n_classes"), 1)}


@pytest.fixture
def smooth() -> TabularBenchmark:
    return benchmark("none", "skip_connect", "nor_conv_1x1")


def test_uses_the_budget_and_not_more(name, smooth):
    result = run(STRATEGIES[name], smooth, Budget(60, "evals"), 0, name)
    assert 59 < result.ledger.spent <= 60 * (1 + 1e-9)
    assert len({step.trial for step in result.steps}) == len(result.steps)
    if name not in SHORT:
        assert len(result.steps) == result.ledger.spent == 60


def test_trains_in_full(name, smooth):
    result = run(STRATEGIES[name], smooth, Budget(30, "evals"), 0, name)
    assert result.incumbents[-1].cell in {s.trial.cell for s in result.steps if s.trial.epochs == 10}


@pytest.mark.parametrize("amount", [0, 1])
def test_lives_with_no_and_with_one_evaluation(name, smooth, amount):
    result = run(STRATEGIES[name], smooth, Budget(amount, "evals"), 0, name)
    assert result.ledger.spent <= amount
    assert len(result.steps) == amount or name in SHORT


def test_same_seed_same_trace_other_seed_other_trace(name, smooth):
    first, again, other = (run(STRATEGIES[name], smooth, Budget(50, "evals"), s, name) for s in (1, 1, 2))
    assert first.steps == again.steps
    assert first.steps != other.steps


def test_does_not_touch_global_random_state(name, smooth):
    before = pickle.dumps(np.random.get_state())  # noqa: NPY002
    run(STRATEGIES[name], smooth, Budget(30, "evals"), 0, name)
    assert pickle.dumps(np.random.get_state()) == before  # noqa: NPY002


@pytest.mark.parametrize("failing", [0.4, 1.0])
def test_goes_on_when_trainings_fail(name, failing):
    smooth = benchmark("none", "skip_connect", "nor_conv_1x1", failing=failing)
    result = run(STRATEGIES[name], smooth, Budget(80, "evals"), 0, name)
    assert len(result.steps) == 80 or (name in SHORT and len(result.steps) > 80)
    assert {s.outcome.status for s in result.steps} >= {Status.DIVERGED}
    assert all(math.isfinite(i.score.val_acc) for i in result.incumbents)


@pytest.mark.parametrize("workers", [2, 7])
def test_keeps_several_trials_in_flight(name, smooth, workers):
    result = run(STRATEGIES[name], smooth, Budget(60, "evals"), 0, name, workers=workers)
    assert 59 < result.ledger.spent <= 60 * (1 + 1e-9)
    again = run(STRATEGIES[name], smooth, Budget(60, "evals"), 0, name, workers=workers)
    assert result.steps == again.steps


def test_outcomes_may_come_back_in_any_order(name, smooth):
    problem = Problem(
        smooth.space, smooth.epochs, Budget(50, "evals"), measures=smooth.measures, sources=smooth.sources
    )
    strategy, rng = STRATEGIES[name](problem, np.random.default_rng(0)), np.random.default_rng(1)
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
    result = run(STRATEGIES[name], benchmark("none"), Budget(9, "evals"))
    assert len({step.trial for step in result.steps}) == len(result.steps)
    assert result.steps[-1].trial.epochs == 10
    assert len(result.steps) == 1 or name in SHORT
    assert result.status in ("finished", "stalled")


def test_a_whole_small_space_is_found_or_the_run_stalls(name):
    if name == "tpe":
        pytest.skip("a thousand draws in a row of known cells take Optuna half a minute")
    small = benchmark("none", "skip_connect")
    result = run(STRATEGIES[name], small, Budget(1000, "evals"), 0, name)
    assert len({step.trial for step in result.steps}) == len(result.steps)
    assert len({step.trial.cell for step in result.steps}) <= len(small.space)
    assert result.status in ("finished", "stalled")


def test_does_better_than_its_first_draws(name, smooth):
    """On a smooth landscape 200 evaluations (60 with a model) must find more than 5 do, on the mean of some seeds."""
    if name == "zero_cost" or STRATEGIES[name].family == "meta-learned":
        pytest.skip("its first draws are those it thinks best")
    amount, seeds = (60, 3) if STRATEGIES[name].family in MODELS else (200, 5)
    results = [run(STRATEGIES[name], smooth, Budget(amount, "evals"), seed, name) for seed in range(seeds)]
    early = [max(i.score.val_acc for i in r.incumbents if i.step < 5) for r in results]
    assert np.mean([r.incumbents[-1].score.val_acc for r in results]) > np.mean(early)
