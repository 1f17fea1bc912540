"""How fast the tables and the runner are: `python -m pytest tests/benchmarks --benchmark-enable`.

Figures are for reading, nothing here fails for being slow. Rates are in `extra_info` of the saved JSON.
"""

from __future__ import annotations

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

import strategies
from nasbench.benchmarks import TabularBenchmark
from nasbench.runs import Budget, Problem, compare, run
from nasbench.tables import open_table

RUNS, EVALUATIONS = 50, 200


def test_open_and_first_query(benchmark):
    """Wanted: less than 30 ms; the space's own tables are built before."""
    cell = (3, 3, 3, 1, 3, 2)
    result = benchmark(lambda: open_table("nasbench201").query(cell, "cifar10"))
    assert result.val_acc > 91


def test_first_query_in_a_new_process(benchmark):
    """The whole price of `python -c`, interpreter and numpy and h5py included."""
    code = "import nasbench; print(nasbench.open_table('nasbench201').query((3, 3, 3, 1, 3, 2), 'cifar10').val_acc)"
    benchmark.pedantic(lambda: subprocess.run([sys.executable, "-c", code], check=True, capture_output=True), rounds=5)


def test_memory_of_reading_everything(benchmark):
    """Wanted: less than 100 MB."""

    def read():
        tracemalloc.start()
        table = open_table("nasbench201")
        arrays = [table.curves(task).arrays[name] for task in table.tasks for name in table.curves(task).arrays]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert sum(a.nbytes for a in arrays) > 1e6
        return peak

    benchmark.extra_info["peak_mb"] = benchmark.pedantic(read, rounds=3) / 1e6


SIMPLE = ("random search", "random", "local search", "evolution", "reinforcement learning", "hybrid")


@pytest.mark.parametrize("name", [n for n, entry in strategies.CATALOGUE.items() if entry.family in SIMPLE])
def test_evaluations_per_second(benchmark, name):
    """Whole runner with ledger, one core. Wanted: 60,000 for random, local search and evolution."""
    bench = TabularBenchmark(open_table("nasbench201"), "cifar10")

    def play():
        return sum(len(run(strategies.CATALOGUE[name], bench, Budget(EVALUATIONS, "evals"), s, name).steps)
                   for s in range(RUNS))  # fmt: skip

    done = benchmark.pedantic(play, rounds=5, warmup_rounds=1)
    if benchmark.enabled:
        benchmark.extra_info["evaluations_per_second"] = done / benchmark.stats.stats.min


def test_a_bare_loop_without_runner(benchmark):
    """The same random search with nothing but ask, look-up and tell: what runner and ledger add is the ratio."""
    bench = TabularBenchmark(open_table("nasbench201"), "cifar10")

    def play():
        for seed in range(RUNS):
            problem = Problem(bench.space, bench.epochs, Budget(EVALUATIONS, "evals"))
            strategy = strategies.CATALOGUE["random_search"](problem, np.random.default_rng(seed))
            for _ in range(EVALUATIONS):
                trial = strategy.ask()
                strategy.tell(trial, bench.evaluate((trial,))[0])

    benchmark.pedantic(play, rounds=5, warmup_rounds=1)


def test_optuna_on_the_same_table(benchmark):
    """A peer's ask-and-tell loop with its random sampler, to compare with in the same run."""
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    table = open_table("nasbench201")
    accuracy = table.curves("cifar10").mean("val_acc")

    def play():
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0), direction="maximize")
        for _ in range(EVALUATIONS):
            trial = study.ask()
            cell = tuple(trial.suggest_categorical(str(i), range(5)) for i in range(6))
            study.tell(trial, accuracy[table.space.index(cell)])

    benchmark.pedantic(play, rounds=3, warmup_rounds=1)
    if benchmark.enabled:
        benchmark.extra_info["evaluations_per_second"] = EVALUATIONS / benchmark.stats.stats.min


def test_encoding_the_whole_space(benchmark, nb201):
    """All encodings of 15,625 cells. Wanted: less than 1 s."""
    benchmark(lambda: [nb201.encode(nb201.cells, name) for name in nb201.encodings] + [nb201.graph_arrays(nb201.cells)])


def test_a_comparison(benchmark, tmp_path_factory):
    """Two strategies of the suite `quick`, two processes."""
    from nasbench.runs import Suite

    suite = Suite.load("quick").replace(strategies=("random_search", "local_search"))
    benchmark.pedantic(
        lambda: compare(suite, strategies.CATALOGUE, tmp_path_factory.mktemp("speed") / "r", jobs=2), rounds=2
    )
