"""The neural predictors: scikit-learn's contract, the same seed the same bytes, and real accuracies learned."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import kendalltau

pytest.importorskip("torch")
pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

from nasbench.errors import NasbenchError
from nasbench.spaces import open_space
from surrogates.neural import MLP, BananasEnsemble, GCNRegressor, GINRegressor, PairwiseRanker, SemiNAS
from surrogates.neural.cells import live_decisions, live_graphs
from surrogates.neural.ensemble import Scaling, folds, held_out
from surrogates.neural.graph_networks import gcn, gin
from surrogates.neural.mlp import bananas, mlp
from surrogates.neural.pairwise import pairwise
from surrogates.neural.seminas import seminas
from surrogates.targets import Targets

SPACES = ("nasbench201", "transnasbench101_micro", "nasbench101", "nasbench_graph")
ON_FEATURES = [
    MLP(members=2, width=16, epochs=10, learning_rate=1e-2),
    BananasEnsemble(members=2, layers=2, epochs=15),
]
ON_CELLS = [
    GCNRegressor(members=2, width=16, epochs=10),
    GINRegressor(members=2, width=16, epochs=10, context="summary"),
    PairwiseRanker(members=2, width=16, epochs=10),
    SemiNAS(members=2, width=16, epochs=10, unlabelled=50),
]


def named(estimator):
    return type(estimator).__name__


every = pytest.mark.parametrize("estimator", [*ON_FEATURES, *ON_CELLS], ids=named)
on_cells = pytest.mark.parametrize("estimator", ON_CELLS, ids=named)


def some_cells(name, n):
    """Decisions [n, d] of random cells; of NAS-Bench-101 by a walk, for which the space needs no numbering."""
    space, rng = open_space(name), np.random.default_rng(0)
    if name != "nasbench101":
        return rng.integers(0, space.choices, (n, len(space.choices)))
    cells = [space.from_string("0-1+0-2+1-2|maxpool3x3")]
    while len(cells) < n:
        cells.append(space.mutate(cells[-1], rng))
    return np.array([space.to_choices(cell) for cell in cells])


CELLS = some_cells("nasbench201", 40)
ACCURACIES = 90 + (CELLS == 3).sum(axis=1) - 2.0 * (CELLS == 0).sum(axis=1)


@pytest.mark.parametrize("estimator", ON_FEATURES, ids=named)
def test_scikit_learn_accepts_it(estimator):
    check_estimator(estimator, on_skip=None)


@every
def test_shapes_and_types(estimator):
    model = clone(estimator).fit(CELLS[:30], ACCURACIES[:30])
    mean, spread = model.predict(CELLS, return_std=True)
    assert mean.shape == spread.shape == (40,)
    assert mean.dtype == spread.dtype == np.float64
    assert np.isfinite(mean).all()
    assert (spread >= 0).all()
    assert spread.max() > 0
    np.testing.assert_array_equal(model.predict(CELLS), mean)


@every
def test_same_seed_same_bytes(estimator):
    first, second = (clone(estimator).fit(CELLS, ACCURACIES) for _ in range(2))
    other = clone(estimator).set_params(random_state=1).fit(CELLS, ACCURACIES)
    assert pickle.dumps(first) == pickle.dumps(second)
    assert first.predict(CELLS).tobytes() == second.predict(CELLS).tobytes()
    assert (other.predict(CELLS) != first.predict(CELLS)).any()


@every
def test_global_random_state_and_threads_are_left_alone(estimator):
    import torch

    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002 - the global state is what is tested
    torch_before, numpy_before, threads = torch.get_rng_state(), np.random.get_state()[1], torch.get_num_threads()  # noqa: NPY002
    clone(estimator).fit(CELLS, ACCURACIES).predict(CELLS)
    assert torch.equal(torch.get_rng_state(), torch_before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    assert torch.get_num_threads() == threads


@every
def test_pickling_and_cloning(estimator):
    model = clone(estimator).fit(CELLS, ACCURACIES)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(CELLS), model.predict(CELLS))
    fresh = clone(model)
    assert not [name for name in vars(fresh) if name.endswith("_")]
    assert fresh.get_params() == model.get_params()


@every
def test_a_prediction_does_not_depend_on_its_company(estimator):
    model = clone(estimator).fit(CELLS[:20], ACCURACIES[:20])
    alone = np.concatenate([model.predict(CELLS[i : i + 1]) for i in range(20, 40)])
    np.testing.assert_allclose(alone, model.predict(CELLS[20:]), rtol=0, atol=1e-7)


@every
def test_constant_accuracies_and_two_cells(estimator):
    mean, spread = clone(estimator).fit(CELLS, np.full(40, 61.5)).predict(CELLS, return_std=True)
    assert (mean == 61.5).all()
    assert (spread == 0).all()
    mean, spread = clone(estimator).fit(CELLS[:2], [60.0, 70.0]).predict(CELLS, return_std=True)
    assert np.isfinite(mean).all()
    assert np.isfinite(spread).all()
    tied = clone(estimator).fit(CELLS[:3], [60.0, 60.0, 70.0]).predict(CELLS)
    assert np.isfinite(tied).all()


@every
def test_the_spread_knows_of_cells_that_were_not_seen(estimator):
    """Labels of pure noise: whatever a network makes of them, new ones are as far away as noise is wide."""
    rng = np.random.default_rng(0)
    cells, noise = some_cells("nasbench201", 400), rng.normal(60, 5, 400)
    model = clone(estimator).set_params(epochs=60, members=5).fit(cells[:200], noise[:200])
    mean, spread = model.predict(cells[200:], return_std=True)
    assert 0.8 < (np.abs(noise[200:] - mean) < 1.645 * spread).mean() < 0.99
    assert clone(estimator).set_params(members=1).fit(CELLS, ACCURACIES).predict(CELLS, return_std=True)[1].max() == 0


@pytest.mark.parametrize("estimator", [ON_FEATURES[0], *ON_CELLS], ids=named)
def test_the_length_that_errs_less_on_unseen_cells_is_kept(estimator):
    several = clone(estimator).set_params(epochs=(1, 60)).fit(CELLS, ACCURACIES)
    apart = [clone(estimator).set_params(epochs=epochs).fit(CELLS, ACCURACIES) for epochs in (1, 60)]
    assert several.error_ == min(one.error_ for one in apart)
    best = min(apart, key=lambda one: one.error_)
    assert several.epochs_ == best.epochs
    assert several.predict(CELLS).tobytes() == best.predict(CELLS).tobytes()
    alone = clone(estimator).set_params(epochs=(1, 7), members=1).fit(CELLS, ACCURACIES)
    assert alone.epochs_ == 7  # where none is held out, the last


def test_no_network_is_trained_on_what_it_is_tested_on():
    import torch

    seen, unseen = folds(5, 43, torch.Generator().manual_seed(0))
    assert seen.shape == (5, 35)
    assert unseen.shape == (5, 8)
    for mine, others in zip(seen.tolist(), unseen.tolist(), strict=True):
        assert sorted(mine + others) == list(range(43))
    assert len(set(unseen.ravel().tolist())) == 40
    assert [held_out(k, n) for k, n in ((1, 100), (2, 100), (5, 4), (5, 5), (20, 100))] == [0, 20, 0, 1, 5]


def test_features_beyond_those_of_the_training_cells_count_as_their_end():
    scaling = Scaling(np.array([[0.0, 5.0, 1.0], [2.0, 5.0, 2.0]]))
    np.testing.assert_allclose(scaling(np.array([[9.0, 5.0, 1.5], [-9.0, 7.0, 2.0]])), [[1, 0, 0], [-1, 0, 1]])


@every
def test_missing_values_are_refused(estimator):
    y = ACCURACIES.copy()
    y[3] = np.nan
    with pytest.raises(ValueError, match=r"nan|NaN"):
        clone(estimator).fit(CELLS, y)
    X = CELLS.astype(float)
    X[7, 2] = np.nan
    with pytest.raises(ValueError, match=r"nan|NaN"):
        clone(estimator).fit(X, ACCURACIES)
    with pytest.raises(ValueError, match=r"nan|NaN"):
        clone(estimator).fit(CELLS, ACCURACIES).predict(X)


@on_cells
@pytest.mark.parametrize(
    ("X", "complaint"),
    [
        (CELLS[:, :5], "row of 6 decisions"),
        (CELLS + 1, "whole numbers below"),
        (CELLS + 0.5, "whole numbers below"),
    ],
)
def test_what_is_no_cell_is_refused(estimator, X, complaint):
    with pytest.raises(NasbenchError, match=complaint):
        clone(estimator).fit(X, ACCURACIES)


@on_cells
@pytest.mark.parametrize("name", SPACES[1:])
def test_other_spaces(estimator, name):
    if name == "nasbench101" and isinstance(estimator, SemiNAS):
        pytest.skip("draws cells, for which the space is first numbered in 20 seconds")
    X = some_cells(name, 30)
    model = clone(estimator).set_params(space=name).fit(X, np.arange(30.0))
    assert np.isfinite(model.predict(X)).all()


@on_cells
def test_dead_edges_do_not_matter(estimator):
    model = clone(estimator).fit(CELLS, ACCURACIES)
    alive = (3, 0, 0, 1, 0, 2)  # edges 0-1, 0-3 and 2-3; nothing leads into node 2 or out of node 1
    same = [(code, 0, 0, 1, 0, other) for code in range(5) for other in range(5)]
    mean, spread = model.predict(np.array([alive, *same]), return_std=True)
    assert len(set(mean)) == len(set(spread)) == 1
    assert model.predict(np.array([(0, 0, 0, 3, 0, 0)]))[0] != mean[0]


@pytest.mark.parametrize("estimator", ON_CELLS[:3], ids=named)
def test_equal_functions_are_equal_to_graph_networks(estimator, nb201):
    """Nodes renumbered and skip connections dissolved: in each pair both cells are the same network."""
    pairs = np.array([[(3, 2, 0, 1, 4, 2), (2, 3, 0, 1, 2, 4)], [(1, 0, 0, 0, 3, 0), (3, 0, 0, 0, 1, 0)]])
    assert all(nb201.canonical(tuple(map(int, a))) == nb201.canonical(tuple(map(int, b))) for a, b in pairs)
    first, second = clone(estimator).fit(CELLS, ACCURACIES).predict(pairs.reshape(4, 6)).reshape(2, 2).T
    np.testing.assert_allclose(first, second, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", SPACES)
def test_live_graphs_reach_from_input_to_output(name):
    space = open_space(name)
    adjacency, features = live_graphs(space, some_cells(name, 200))
    present = features.any(axis=2)
    assert (present[:, [0, -1]]).all()
    inner = present[:, 1:-1]
    assert (adjacency.sum(axis=1)[:, 1:-1] > 0).tolist() == inner.tolist()
    assert (adjacency.sum(axis=2)[:, 1:-1] > 0).tolist() == inner.tolist()


def test_decisions_without_effect_are_zeroed():
    space = open_space("nasbench101")
    frame = np.array(space.to_choices(space.from_string("0-1+0-2+1-2|maxpool3x3")))
    dead = frame.copy()
    dead[1], dead[-1] = 1, 2  # an edge from the input to a vertex that leads nowhere, an operation nobody uses
    np.testing.assert_array_equal(live_decisions(space, np.array([dead])), [frame])


@pytest.mark.parametrize("kind", ["rank", "standard"])
def test_targets_go_there_and_back(kind):
    y = np.array([93.0, 10.0, 91.0, 91.0, 92.5])
    targets, learned = Targets.of(y, kind)
    np.testing.assert_allclose(targets.back(learned), y)
    beyond = targets.back(np.array([-5.0, learned.min(), learned.max(), 5.0]))
    assert (np.diff(beyond) > 0).all()
    assert abs(learned.mean()) < 0.1


@pytest.mark.parametrize("estimator", [MLP(), BananasEnsemble(), *ON_CELLS], ids=named)
def test_settings_that_do_not_exist_are_named(estimator):
    for name in {"targets", "loss", "space"} & set(estimator.get_params()):
        with pytest.raises(NasbenchError, match="nonsense"):
            clone(estimator).set_params(**{name: "nonsense"}).fit(CELLS, ACCURACIES)


@pytest.fixture(scope="module")
def real(shipped):
    """150 training cells and 600 others of NAS-Bench-201, and their CIFAR-10 validation accuracies."""
    cells = np.random.default_rng(1).choice(shipped.space.cells, 750, replace=False).astype(np.int64)
    return cells, np.array([shipped.query(tuple(cell), "cifar10").val_acc for cell in cells.tolist()])


@pytest.mark.parametrize(
    ("estimator", "encoding", "at_least"),
    [
        (MLP(epochs=50), "summary", 0.65),
        (BananasEnsemble(epochs=50), "path", 0.5),
        (GCNRegressor(members=2, width=32, epochs=50), None, 0.65),
        (GINRegressor(members=2, width=32, epochs=50), None, 0.65),
        (PairwiseRanker(members=2, width=32, epochs=50), None, 0.65),
        (SemiNAS(members=2, width=32, epochs=50), None, 0.6),
    ],
    ids=lambda value: named(value) if hasattr(value, "fit") else None,
)
def test_learns_real_accuracies(estimator, encoding, at_least, real, nb201):
    cells, accuracies = real
    model = clone(estimator)
    if encoding:
        model = make_pipeline(FunctionTransformer(nb201.encode, kw_args={"encoding": encoding}), model)
    predicted = model.fit(cells[:150], accuracies[:150]).predict(cells[150:])
    assert kendalltau(predicted, accuracies[150:]).statistic > at_least
    assert 5 < np.median(predicted) < 100


@pytest.mark.parametrize("build", [mlp, bananas, gcn, gin, pairwise, seminas])
@pytest.mark.parametrize("name", SPACES)
def test_is_built_by_the_name_of_a_space(build, name):
    predictor = build(name)
    assert clone(predictor).get_params().keys() == predictor.get_params().keys()
    assert name in [value for key, value in predictor.get_params().items() if key.endswith("space")]
    with pytest.raises(NasbenchError, match="decisions"):
        predictor.fit(np.zeros((4, 3)), np.arange(4.0))


def test_surrogates_alone_do_not_load_torch():
    code = "import sys, surrogates; assert 'torch' not in sys.modules; import surrogates.neural"
    subprocess.run([sys.executable, "-c", code], check=True)
