"""Strategies that train most cells briefly: what their rungs are, who is promoted, and what is paid."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from nasbench.benchmarks import TabularBenchmark
from nasbench.errors import NasbenchError
from nasbench.records import Cost, Outcome, Status
from nasbench.runs import Budget, Problem, run
from nasbench.spaces import open_space
from nasbench.tables import open_table
from strategies import CATALOGUE, asha, hyperband, successive_halving
from strategies.rungs import choose_rungs, hyperband_plans

SHORT = [name for name, entry in CATALOGUE.items() if entry.family == "multi-fidelity"]


@pytest.fixture(scope="module")
def digits():
    return TabularBenchmark(open_table("digits"), "digits")


def problem(epochs, task="toy"):
    return Problem(open_space("nasbench201"), tuple(epochs), Budget(100, "evals"), True, task)


def play(strategy, space, asks, fails=lambda cell: False):
    """Trials asked one by one; a cell's accuracy is its index as a share of the space, whatever the epochs."""
    trials = []
    for _ in range(asks):
        trial = strategy.ask()
        failed = fails(trial.cell)
        value = np.nan if failed else 100 * space.index(trial.cell) / len(space)
        trials.append(trial)
        strategy.tell(trial, Outcome(value, Cost(1, 1, 1, 1), Status.DIVERGED if failed else Status.OK))
    return trials


@pytest.mark.parametrize("name", SHORT)
def test_without_curves_the_error_says_what_to_use(name, shipped):
    with pytest.raises(NasbenchError, match=r"needs learning curves, .*'cifar10' .* 200 epochs only; .*digits"):
        run(CATALOGUE[name], TabularBenchmark(shipped, "cifar10"), Budget(5, "evals"), 0, name)


@pytest.mark.parametrize(
    ("epochs", "rungs"),
    [
        (range(1, 82), (1, 3, 9, 27, 81)),
        (range(1, 13), (1, 4, 12)),
        (range(1, 6), (2, 5)),
        ((12, 200), (12, 200)),
        ((4, 5), (4, 5)),
    ],
)
def test_rungs_are_the_nearest_fidelities_in_steps_of_eta(epochs, rungs):
    assert choose_rungs(problem(epochs), 3, "it") == rungs


def test_bracket_sizes_are_the_papers_for_81_epochs():
    """Algorithm 1 of the paper with R = 81 and eta = 3."""
    sizes = [plan.sizes for plan in hyperband_plans((1, 3, 9, 27, 81), 3)]
    assert sizes == [(81, 27, 9, 3, 1), (34, 11, 3, 1), (15, 5, 1), (8, 2), (5,)]


def test_hyperband_trains_what_its_brackets_say():
    space = open_space("nasbench201")
    strategy = hyperband.Hyperband(problem(range(1, 82)), np.random.default_rng(0))
    trials = play(strategy, space, 121 + 49 + 21 + 10 + 5)
    assert Counter(trial.epochs for trial in trials) == {1: 81, 3: 27 + 34, 9: 35, 27: 19, 81: 10}
    first = [trial.cell for trial in trials[:81]]
    assert {t.cell for t in trials[81:108]} == set(sorted(first, key=space.index)[-27:])


def test_successive_halving_ends_a_bracket_with_its_best_cell():
    space = open_space("nasbench201")
    strategy = successive_halving.SuccessiveHalving(problem(range(1, 13)), np.random.default_rng(0))
    trials = play(strategy, space, 26)
    assert [trial.epochs for trial in trials] == ([1] * 9 + [4] * 3 + [12]) * 2
    assert trials[12].cell == max((t.cell for t in trials[:9]), key=space.index)


def test_asha_promotes_whoever_is_in_the_top_third_of_a_rung():
    space, rungs = open_space("nasbench201"), (1, 4, 12)
    strategy = asha.Asha(problem(range(1, 13)), np.random.default_rng(0))
    trials = play(strategy, space, 200)
    assert [trial.epochs for trial in trials[:4]] == [1, 1, 1, 4]
    for i, trial in enumerate(trials):
        if trial.epochs > 1:
            below = rungs[rungs.index(trial.epochs) - 1]
            rung = sorted((t.cell for t in trials[:i] if t.epochs == below), key=space.index, reverse=True)
            assert trial.cell in rung[: len(rung) // 3]
    assert {trial.epochs for trial in trials} == set(rungs)


@pytest.mark.parametrize("name", ["successive_halving", "hyperband", "asha", "bohb"])
def test_a_failed_training_is_never_promoted(name):
    space, epochs = open_space("nasbench201"), range(1, 13)
    strategy = CATALOGUE[name](problem(epochs), np.random.default_rng(0))
    trials = play(strategy, space, 300, lambda cell: space.index(cell) % 2 == 0)
    least = {}
    for trial in trials:
        if trial.epochs > least.setdefault(trial.cell, trial.epochs):
            assert space.index(trial.cell) % 2 == 1


def test_a_promoted_cell_pays_the_difference(digits):
    result = run(CATALOGUE["successive_halving"], digits, Budget(26, "epochs"), 0)
    assert Counter(step.trial.epochs for step in result.steps) == {1: 9, 4: 3, 12: 1}
    assert result.ledger.spent == 9 * 1 + 3 * (4 - 1) + (12 - 4)


@pytest.mark.parametrize("name", SHORT)
def test_seconds_and_several_workers_do_as_well(name, digits):
    result = run(CATALOGUE[name], digits, Budget(10, "s"), 0, name, workers=4)
    assert 0 < result.ledger.spent <= 10 * (1 + 1e-9)
    assert len({step.trial for step in result.steps}) == len(result.steps)


@pytest.mark.parametrize(
    "build",
    [lambda: hyperband.Settings(eta=1), lambda: successive_halving.Settings(cells=-1), lambda: asha.Settings(0)],
)
def test_impossible_settings_are_refused(build):
    with pytest.raises(NasbenchError, match=r"not (1|-1|0)"):
        build()
