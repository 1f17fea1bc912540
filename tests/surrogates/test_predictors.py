"""The contract of every predictor: small samples, constants, spread, determinism, cloning, bad input."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.stats import kendalltau
from sklearn.base import clone
from sklearn.linear_model import BayesianRidge, LinearRegression
from sklearn.utils.estimator_checks import check_estimator

import surrogates
from nasbench.errors import NasbenchError
from nasbench.spaces import open_space
from surrogates.encoder import CellEncoder
from surrogates.ensemble import WeightedEnsemble
from surrogates.linear import Ridge
from surrogates.targets import RankTarget
from surrogates.trees import Committee, Forest

SPACE = open_space("nasbench201")
NAMES = [name for name in surrogates.available() if surrogates.CATALOGUE[name].family != "neural"]  # see test_neural
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def sample(shipped) -> tuple[np.ndarray, np.ndarray]:
    """120 cells and their mean validation accuracies."""
    rows = np.random.default_rng(0).permutation(len(SPACE))[:120]
    return SPACE.cells[rows], shipped.curves("cifar10").mean("val_acc")[rows]


@pytest.mark.parametrize("name", NAMES)
def test_learns_the_order_of_unseen_cells(name, sample):
    cells, accuracy = sample
    predictor = surrogates.build(name).fit(cells[:60], accuracy[:60])
    mean, spread = predictor.predict(cells[60:], return_std=True)
    assert mean.shape == spread.shape == (60,)
    assert (spread >= 0).all()
    assert np.isfinite(mean).all()
    np.testing.assert_allclose(predictor.predict(cells[60:]), mean)
    assert kendalltau(mean, accuracy[60:]).statistic > 0.55


@pytest.mark.parametrize("name", NAMES)
def test_same_bytes_again_from_a_clone_and_from_a_pickle(name, sample):
    cells, accuracy = sample
    first = surrogates.build(name).fit(cells[:30], accuracy[:30])
    expected = first.predict(cells).tobytes()
    assert clone(first).fit(cells[:30], accuracy[:30]).predict(cells).tobytes() == expected
    assert pickle.loads(pickle.dumps(first)).predict(cells).tobytes() == expected
    apart = np.concatenate([first.predict(cells[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(apart, first.predict(cells)[:5], rtol=1e-6)  # no row depends on its company


@pytest.mark.parametrize("name", NAMES)
def test_two_labels_and_constant_labels(name, sample):
    cells, accuracy = sample
    two = surrogates.build(name).fit(cells[:2], accuracy[:2])
    assert np.isfinite(two.predict(cells, return_std=True)).all()
    mean, spread = surrogates.build(name).fit(cells[:20], np.full(20, 91.5)).predict(cells, return_std=True)
    np.testing.assert_allclose(mean, 91.5)
    np.testing.assert_allclose(spread, 0)


@pytest.mark.parametrize("name", NAMES)
def test_bad_cells_and_labels_are_refused(name, sample):
    cells, accuracy = sample
    predictor = surrogates.build(name)
    with pytest.raises(ValueError, match="NaN"):
        predictor.fit(cells[:10], np.append(accuracy[:9], np.nan))
    with pytest.raises(ValueError, match="NaN"):
        predictor.fit(np.full((10, 6), np.nan), accuracy[:10])
    with pytest.raises(NasbenchError, match="row of 6 decisions"):
        predictor.fit(np.zeros((10, 26)), accuracy[:10])
    with pytest.raises(NasbenchError, match="whole numbers"):
        predictor.fit(np.full((10, 6), 5), accuracy[:10])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("space", ["transnasbench101_micro", "nasbench101"])
def test_other_spaces(name, space):
    space = open_space(space)
    rng = np.random.default_rng(1)
    cells = np.array([space.to_choices(space.sample(rng)) for _ in range(40)])
    mass = cells.sum(axis=1) + rng.normal(0, 0.1, 40)
    predictor = surrogates.build(name, space.name).fit(cells[:30], mass[:30])
    assert predictor.predict(cells[30:]).shape == (10,)


@pytest.mark.parametrize("name", NAMES)
def test_dead_edges_change_nothing(name, sample):
    cells, accuracy = sample
    predictor = surrogates.build(name).fit(cells[:40], accuracy[:40])
    alive = (0, 3, 0, 2, 4, 1)  # node 1 has no input, so what leaves it is dead
    same = [(0, 3, code, 2, other, 1) for code in range(5) for other in range(5)]
    predicted = predictor.predict(np.array([alive, *same]))
    np.testing.assert_allclose(predicted, predicted[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        (RankTarget(BayesianRidge()), ()),
        (Ridge(), ()),
        (
            Forest(5),
            ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data"),
        ),
        (Committee(LinearRegression(), 3), ()),
        (WeightedEnsemble((BayesianRidge(), Forest(3, random_state=0))), ()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_scikit_learns_own_checks(estimator, expected):
    """Those of weights fail for scikit-learn's own forests, too, which draw rows by them."""
    check_estimator(estimator, expected_failed_checks=dict.fromkeys(expected, "as in scikit-learn"))


def test_rank_target_keeps_order_beyond_the_labels():
    y = np.array([1.0, 2.0, 4.0, 8.0, 90.0])
    target = RankTarget(LinearRegression()).fit(np.arange(5.0)[:, None], y)
    predicted = target.predict(np.linspace(-3, 8, 50)[:, None])
    assert (np.diff(predicted) > 0).all()
    assert predicted[-1] > 90


def test_encoder_drops_what_tells_nothing_apart():
    encoder = CellEncoder("nasbench201", ("one_hot",)).fit(SPACE.cells[:3])
    assert encoder.transform(SPACE.cells).shape == (len(SPACE), len(encoder.kept_))
    assert (np.ptp(encoder.transform(SPACE.cells[:3]), axis=0) > 0).all()


def test_an_ensemble_prefers_who_ranks_better():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    y = x[:, 0] + 0.1 * rng.normal(size=60)

    class Blind(BayesianRidge):
        def fit(self, X, y):
            return super().fit(np.asarray(X)[:, ::-1] * [1, 1, 0], y)

        def predict(self, X, return_std=False):
            return super().predict(np.asarray(X)[:, ::-1] * [1, 1, 0], return_std)

    weighted = WeightedEnsemble((BayesianRidge(), Blind())).fit(x, y)
    assert weighted.weights_[0] > 0.99


def test_unknown_names_are_one_sentence():
    with pytest.raises(NasbenchError, match="did you mean 'xgboost'"):
        surrogates.build("xgbost")
    with pytest.raises(NasbenchError, match="unknown space"):
        surrogates.build("gp", "nasbench301")


def test_a_predictor_whose_package_is_missing_says_which(monkeypatch):
    monkeypatch.setitem(surrogates.CATALOGUE, "rare", surrogates.Entry("surrogates.trees:rare", "trees", "", "no_such"))
    with pytest.raises(NasbenchError, match="needs the package no_such"):
        surrogates.build("rare")
    assert "rare" not in surrogates.available()
