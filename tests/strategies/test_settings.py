"""Settings that make no sense, and strategies that live in a user's own file."""

from __future__ import annotations

import pytest

import strategies
from nasbench.benchmarks import TabularBenchmark
from nasbench.errors import NasbenchError
from nasbench.runs import Budget, run
from strategies import genetic_algorithm, local_search, regularized_evolution

OWN = """
from nasbench.records import Trial


class Greedy:
    def __init__(self, problem, rng):
        self.problem, self.rng = problem, rng

    def ask(self):
        return Trial(self.problem.space.sample(self.rng), self.problem.full)

    def tell(self, trial, outcome):
        pass
"""


def test_a_strategy_of_ones_own_is_one_file(tmp_path, shipped):
    (tmp_path / "mine.py").write_text(OWN)
    chosen = strategies.select(["local_search", f"{tmp_path / 'mine.py'}:Greedy"])
    assert list(chosen) == ["local_search", "Greedy"]
    assert len(run(chosen["Greedy"], TabularBenchmark(shipped, "cifar10"), Budget(5, "evals")).steps) == 5


def test_names_and_files_that_are_not_there(tmp_path):
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "empty.py").write_text("")
    for name, says in (
        ("local_serch", "did you mean 'local_search'"),
        (f"{tmp_path}/none.py:X", "there is no file"),
        (f"{tmp_path}/broken.py:X", "ZeroDivisionError"),
        (f"{tmp_path}/empty.py:X", "has no class 'X'"),
    ):
        with pytest.raises(NasbenchError, match=says):
            strategies.select([name])


def test_impossible_settings_are_refused():
    for build in (
        lambda: regularized_evolution.Settings(population_size=10, sample_size=40),
        lambda: genetic_algorithm.Settings(population_size=5, elite=5),
        lambda: genetic_algorithm.Settings(mutation_rate=1.5),
        lambda: local_search.Settings(move="third"),
    ):
        with pytest.raises(NasbenchError):
            build()
