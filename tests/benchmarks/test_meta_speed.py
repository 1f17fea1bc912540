"""How long meta-training takes on 30 tasks of 500 cells, and adapting to a task and ranking NAS-Bench-201 afterwards.

The tasks are the shipped table's three with made-up differences, as speed does not hang on what is learned:
`python -m pytest tests/benchmarks/test_meta_speed.py --benchmark-enable`.
"""

from __future__ import annotations

import numpy as np
import pytest

import surrogates
from nasbench.records import Cost
from nasbench.tables.source_tasks import Sources, SourceTask
from surrogates.meta.standings import standings

TASKS, CELLS = 30, 500


@pytest.fixture(scope="module")
def sources(shipped, request) -> Sources:
    """As many tasks as the module says where times are measured, else four."""
    rng, tasks = np.random.default_rng(0), []
    for number in range(TASKS if request.config.getoption("benchmark_enable") else 4):
        index = np.sort(rng.permutation(len(shipped))[:CELLS])
        level = shipped.curves(shipped.tasks[number % 3]).mean("val_acc")[index]
        accuracies = np.clip(level + rng.normal(size=CELLS), 0, 100)
        one = np.ones(CELLS, int)
        tasks.append(SourceTask(f"task{number}", index, accuracies, one, Cost(1, 1, 1, CELLS), rng.normal(size=20)))
    return Sources(shipped.space, tuple(tasks), rng.normal(size=20))


def test_standings(benchmark, sources):
    """What sources say of every cell: a Gaussian process each, which all predictors and strategies share."""
    standing = benchmark.pedantic(lambda: standings(Sources(sources.space, sources.tasks)), rounds=1)
    assert standing.shape == (15625, len(sources))


@pytest.mark.parametrize("name", surrogates.available("tasks"))
def test_meta_training(benchmark, sources, name):
    standings(sources)

    def learn() -> None:
        for key in [key for key in sources.learned if key != "standings"]:
            del sources.learned[key]
        predictor = surrogates.build(name, sources.space)
        if benchmark.disabled and "episodes" in predictor.get_params():
            predictor.set_params(episodes=5)
        predictor.meta_fit(sources)

    benchmark.pedantic(learn, rounds=1)


@pytest.mark.parametrize("name", surrogates.available("tasks"))
def test_adapting_and_ranking_the_space(benchmark, sources, name, shipped):
    predictor = surrogates.build(name, sources.space)
    if "episodes" in predictor.get_params():
        predictor.set_params(episodes=5)
    predictor.meta_fit(sources)
    cells, accuracies = shipped.space.cells, shipped.curves("cifar10").mean("val_acc")
    benchmark.pedantic(lambda: predictor.fit(cells[:20], accuracies[:20]).predict(cells), rounds=3)
