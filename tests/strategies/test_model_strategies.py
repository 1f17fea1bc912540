"""Strategies with a model, with proxies, and with two objectives: what a user would notice."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from nasbench.benchmarks import TabularBenchmark
from nasbench.cli import main
from nasbench.errors import NasbenchError
from nasbench.records import Cost
from nasbench.runs import Budget, Kind, Problem, run
from nasbench.spaces.partial import PartialSpace
from nasbench.tables import PROXIES, Curves, Table, open_table
from strategies import CATALOGUE, gp_bo, npenas, optuna_bridge, predictor_search, zero_cost
from strategies.candidates import LIMIT, Candidates
from surrogates.proxies import PROXIES as KNOWN_PROXIES
from surrogates.proxies.charged import ChargedProxy


@pytest.fixture(scope="module")
def cifar10(shipped) -> TabularBenchmark:
    return TabularBenchmark(shipped, "cifar10")


@pytest.fixture(scope="module")
def digits() -> TabularBenchmark:
    return TabularBenchmark(open_table("digits"), "digits")


@pytest.mark.parametrize("name", ["gp_bo", "gp_bo-bound"])
def test_bayesian_optimisation_finds_the_best_cell(name, shipped):
    """Wanted of the best strategy: a median of 60 evaluations; here with room for chance."""
    for task in ("cifar10", "cifar100"):
        benchmark = TabularBenchmark(shipped, task)
        ends = [run(CATALOGUE[name], benchmark, Budget(75, "evals"), seed, name) for seed in range(3)]
        regrets = [benchmark.best.val_acc - end.incumbents[-1].score.val_acc for end in ends]
        assert np.median(regrets) == pytest.approx(0, abs=1e-9)


def test_one_cell_for_every_training(digits, cifar10):
    rng = np.random.default_rng(0)
    problem = Problem(digits.space, digits.epochs, Budget(1, "evals"), identity=digits.identity)
    candidates = Candidates(problem, rng)
    assert len(candidates) == len(open_table("digits"))
    cell = digits.space.cell(77)
    stands_for = candidates.cell(candidates.position(cell))
    assert digits.identity(stands_for) == digits.identity(cell)
    assert len(Candidates(Problem(cifar10.space, (200,), Budget(1, "evals")), rng)) == 15_625


def test_a_large_space_is_sampled():
    from nasbench.spaces import open_space

    space = open_space("nasbench101")
    candidates = Candidates(Problem(space, (108,), Budget(1, "evals")), np.random.default_rng(0))
    assert len(candidates) == len(set(candidates.indices.tolist())) == LIMIT


@pytest.mark.parametrize("name", ["gp_bo", "npenas", "local_search", "regularized_evolution", "zero_cost", "nsga2"])
def test_partial_tables_are_searched_without_asking_elsewhere(name, shipped):
    kept = np.random.default_rng(0).permutation(15_625)[:300]
    entry = shipped.curves("cifar10")
    arrays = {n: entry.full(n)[np.sort(kept)] for n in ("val_acc", "train_seconds", "parameters", "latency_seconds")}
    table = Table.from_arrays("nasbench201", [Curves("cifar10", (200,), arrays)], cells=np.sort(kept))
    benchmark = TabularBenchmark(table, "cifar10")
    assert isinstance(benchmark.search_space, PartialSpace)
    result = run(CATALOGUE[name], benchmark, Budget(40, "evals"), 0, name)
    assert (len(result.steps), result.missing) == (40, 0)


def test_tables_and_predictors_know_the_same_proxies():
    counts = {"params", "flops"}
    assert set(PROXIES) == {name for name, entry in KNOWN_PROXIES.items() if not entry.of} - counts
    assert all(entry.passes > 0 for name, entry in KNOWN_PROXIES.items() if name in PROXIES and name != "l2_norm")


def with_scores(table: Table) -> Table:
    """A table with made-up scores of two proxies: minus the row, and undefined in the first row."""
    entry = table.curves(table.tasks[0])
    score = -np.arange(len(table), dtype=float)
    score[0] = np.nan
    arrays = {name: entry.arrays[name] for name in entry.arrays}
    arrays |= {"proxy_nwot": score, "proxy_nwot_seconds": np.full(len(table), 0.25)}
    attributes = {**entry.attributes, "proxies": {"nwot": [64, 1.0]}}
    curves = Curves(entry.task, entry.epochs, arrays, entry.seeds, attributes)
    return Table.from_arrays(table.space, [curves], table.rows, table.cells)


def test_stored_scores_are_looked_up_and_charged(tiny_table):
    benchmark = TabularBenchmark(with_scores(tiny_table), "toy")
    settings = zero_cost.Settings("nwot", 20)
    result = run(lambda p, g: zero_cost.ZeroCostRanking(p, g, settings), benchmark, Budget(22.8, "evals"), 0)
    proxies = result.ledger.total(Kind.PROXY)
    assert proxies == Cost(5.0, 20 * 0.64, 20 * 64 * 5.0, pytest.approx(20 * 0.64 / 3))
    asked = [benchmark.space.index(step.trial.cell) for step in result.steps]
    assert asked == sorted(asked, key=lambda i: -1 if i == 0 else -i, reverse=True)
    assert len(asked) == 18  # 20 scores cost 4.27 evaluations


def test_scores_are_computed_on_the_images_where_no_table_has_them(digits):
    entry = dataclasses.replace(CATALOGUE["zero_cost-synflow"], settings={"proxy": "synflow", "cells": 4})
    first, again = (run(entry, digits, Budget(3, "evals"), 0) for _ in range(2))
    assert [entry.kind for entry in first.ledger.entries][:4] == [Kind.PROXY] * 4
    assert [s.trial for s in first.steps] == [s.trial for s in again.steps]
    assert first.ledger.total(Kind.PROXY).flops == again.ledger.total(Kind.PROXY).flops > 0
    assert first.ledger.total(Kind.PROXY).seconds > 0


@pytest.mark.parametrize("objective", ["latency_seconds", "parameters"])
@pytest.mark.parametrize("name", ["nsga2", "mo_bo"])
def test_two_objectives_spread_along_the_front(name, objective, cifar10):
    """The front of 100 evaluations dominates a larger area than that of random search, on the mean of some seeds."""

    def area(entry, seed):
        result = run(entry, cifar10, Budget(100, "evals"), seed, name)
        measure = cifar10.measures[objective]
        largest = max(measure(cifar10.space.cell(i)) for i in range(0, 15_625, 50))
        points = sorted((measure(s.trial.cell) / largest, s.outcome.val_acc) for s in result.steps)
        covered, height = 0.0, 50.0
        for (size, accuracy), after in zip(points, [*(p[0] for p in points[1:]), 1.0], strict=True):
            height = max(height, accuracy)
            covered += (height - 50) * max(0.0, min(after, 1.0) - size)
        return covered

    settings = {"objective": objective}
    random = dataclasses.replace(CATALOGUE["random_pareto"], settings=settings)
    entry = dataclasses.replace(CATALOGUE[name], settings=settings)
    assert np.mean([area(entry, seed) for seed in range(3)]) > np.mean([area(random, seed) for seed in range(3)])


def refused(factory, benchmark, words):
    with pytest.raises(NasbenchError, match=words):
        run(factory, benchmark, Budget(5, "evals"))


def test_what_a_strategy_needs_and_the_benchmark_lacks_is_said_before_it_starts(cifar10, digits, tmp_path, capsys):
    refused(CATALOGUE["zero_cost-synflow"], cifar10, "the proxy synflow needs the images of 'cifar10'")
    refused(CATALOGUE["hyperband"], cifar10, "needs learning curves, and 'cifar10' has results after 200 epochs only")
    refused(
        dataclasses.replace(CATALOGUE["nsga2"], settings={"objective": "flops"}), cifar10,
        "needs the flops of cells as a second objective, and 'cifar10' has parameters, latency_seconds of that kind",
    )  # fmt: skip
    out = tmp_path / "out"
    assert main(["compare", "--strategies", "random_search,darts", "--seeds", "1", "--out", str(out)]) == 2
    assert "strategy 'darts' cannot search 'cifar10': DARTS needs the images" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: gp_bo.Settings(initial=1), "at least 2 first cells"),
        (lambda: gp_bo.Settings(acquisition="hope"), "hope"),
        (lambda: npenas.Settings(children=0), "children = 0"),
        (lambda: predictor_search.Settings(initial=1), "at least 2 cells"),
        (lambda: zero_cost.Settings(cells=0), "at least one cell"),
    ],
)
def test_impossible_settings(build, words):
    with pytest.raises(NasbenchError, match=words):
        build()


def test_unknown_predictors_proxies_and_samplers(cifar10):
    refused(lambda p, g: predictor_search.PredictorSearch(p, g, predictor_search.Settings("gpp")), cifar10, "gpp")
    refused(lambda p, g: zero_cost.ZeroCostRanking(p, g, zero_cost.Settings("synflo")), cifar10, "synflow")
    refused(lambda p, g: optuna_bridge.OptunaSearch(p, g, optuna_bridge.Settings("TPE")), cifar10, "TPESampler")
    problem = Problem(cifar10.space, (200,), Budget(1, "evals"))
    with pytest.raises(NasbenchError, match="vote is an aggregate"):
        ChargedProxy(problem, "vote")
