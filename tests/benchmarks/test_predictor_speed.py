"""How long predictors take to fit 200 labels and to rank the 15,625 cells of NAS-Bench-201, and proxies to score one.

`python -m pytest tests/benchmarks/test_predictor_speed.py --benchmark-enable`. Wanted on two cores: ridge, forest and
XGBoost below 1 s, Gaussian processes below 3 s, graph networks below 60 s.
"""

from __future__ import annotations

import numpy as np
import pytest

import surrogates
from nasbench.tables import open_table
from nasbench.tasks import load_task
from nasbench.training import Arrays, task_protocol
from surrogates.finite_process import FiniteProcess
from surrogates.proxies import PROXIES, score_cells


@pytest.fixture(scope="module")
def labelled():
    table = open_table("nasbench201")
    cells = np.asarray(table.space.cells, np.int64)
    drawn = np.random.default_rng(0).permutation(len(cells))[:200]
    return cells, drawn, table.curves("cifar10").mean("val_acc")[drawn]


@pytest.mark.parametrize("name", surrogates.available())
def test_fit_200_and_rank_all(benchmark, labelled, name):
    cells, drawn, accuracies = labelled

    def fit_and_rank():
        return surrogates.build(name).fit(cells[drawn], accuracies).predict(cells)

    found = benchmark.pedantic(fit_and_rank, rounds=3, warmup_rounds=1)
    assert np.isfinite(found).all()


def test_a_step_of_a_search_of_200(benchmark, labelled):
    """One more observation in Bayesian optimisation, 150 known: extend the factors and look at every cell."""
    from nasbench.spaces import open_space

    cells, drawn, accuracies = labelled
    process = FiniteProcess(open_space("nasbench201").encode(cells, "summary"))
    process.posterior(drawn[:150], accuracies[:150])
    known = iter(range(151, 201))

    def step():
        count = next(known)
        return process.posterior(drawn[:count], accuracies[:count])

    mean, _ = benchmark.pedantic(step, rounds=15)
    assert len(mean) == len(cells)


@pytest.mark.parametrize("name", [name for name, entry in PROXIES.items() if not entry.of])
def test_proxies_one_cell_of_digits(benchmark, name):
    """Cells a second is what this prints as OPS, times the number of cells: 4."""
    task = load_task("digits")
    space = open_table("digits").space
    cells = [space.cell(i) for i in (11, 222, 3333, 14_444)]
    scores, _ = benchmark.pedantic(
        score_cells, (cells, Arrays.of(task), task_protocol("digits"), [name]), rounds=3, warmup_rounds=1
    )
    assert len(scores[name]) == 4


@pytest.mark.parametrize("how", ["one by one", "population"])
def test_gradients_of_64_untrained_cells(benchmark, how):
    """What `grad_norm`, `snip`, `plain` and `fisher` look at, by the probes and by the stacked population, one thread.

    On a CPU the population is no faster, so that proxies go one by one, over processes.
    """
    torch = pytest.importorskip("torch")
    from nasbench.networks import build_graph, initial_parameters, prune
    from nasbench.training.population_cuda.plan import Plan
    from nasbench.training.population_cuda.stacked import StackedEngine
    from nasbench.training.protocol import generators

    arrays, protocol = Arrays.of(load_task("digits")), task_protocol("digits")
    skeleton = protocol.skeleton(arrays.classes, arrays.image_shape)
    space = open_table("digits").space
    cells = [space.cell(int(index)) for index in np.random.default_rng(0).choice(len(space), 64, replace=False)]

    def population():
        vectors = [initial_parameters(build_graph(prune(cell), skeleton), generators(cell, 0)[0]) for cell in cells]
        images, labels = torch.from_numpy(arrays.x_train[:64]), torch.from_numpy(arrays.y_train[:64]).long()
        engine = StackedEngine(Plan.of(cells, skeleton), vectors, protocol)
        return engine.gradients(images.expand(64, *images.shape), labels.expand(64, 64))[2]

    def one_by_one():
        return score_cells(cells, arrays, protocol, ["grad_norm"])[0]["grad_norm"]

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = benchmark.pedantic(population if how == "population" else one_by_one, rounds=3, warmup_rounds=1)
    torch.set_num_threads(threads)
    assert len(found) > 0
