"""Extrapolation of learning curves: made-up curves are continued, real ones ranked, and what lacks curves says so."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

import surrogates
from nasbench.cli import main
from nasbench.tables import open_table
from surrogates.curves import LastValue, PowerLaw
from surrogates.study import Study, draw, read_data, run_study

pytestmark = pytest.mark.filterwarnings("ignore")
NAMES = surrogates.available("curves")


def curves(n: int = 60, seen: int = 6, horizon: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Accuracies that grow as c - a x^-p with losses to match, and where they end."""
    rng = np.random.default_rng(0)
    level, gain, power = rng.uniform(70, 95, n), rng.uniform(20, 50, n), rng.uniform(0.5, 2, n)
    x = np.arange(1, seen + 1)
    accuracy = level[:, None] - gain[:, None] * x ** -power[:, None]
    loss = (100 - accuracy) / 40
    return np.hstack([accuracy, loss]), level - gain * float(horizon) ** -power


def test_power_laws_are_continued():
    X, ends = curves()
    forecast = PowerLaw(30).fit(X, ends).predict(X)
    assert np.abs(forecast - ends).max() < 3
    assert np.abs(forecast - ends).mean() < 0.5 * np.abs(LastValue().fit(X, ends).predict(X) - ends).mean()


@pytest.mark.parametrize("name", NAMES)
def test_contract(name):
    X, ends = curves()
    predictor = surrogates.build(name, horizon=30).fit(X[:30], ends[:30])
    mean, spread = predictor.predict(X[30:], return_std=True)
    assert mean.shape == spread.shape == (30,)
    assert (spread >= 0).all()
    assert kendalltau(mean, ends[30:]).statistic > 0.6
    assert clone(predictor).fit(X[:30], ends[:30]).predict(X).tobytes() == predictor.predict(X).tobytes()
    assert np.isfinite(surrogates.build(name).fit(X[:2, [0, 6]], ends[:2]).predict(X[:, [0, 6]])).all()
    with pytest.raises(ValueError, match="NaN"):
        predictor.fit(np.full((10, 12), np.nan), ends[:10])


@pytest.mark.parametrize("estimator", [LastValue(), PowerLaw()], ids=lambda value: type(value).__name__)
def test_scikit_learns_own_checks(estimator):
    check_estimator(estimator)


def test_real_curves_rank_better_the_more_of_them_is_seen(tmp_path):
    table = open_table("digits")
    taus = []
    for epochs in (2, 10):
        study = Study("digits", "digits", ("last_value", "sotl_e"), (50,), seeds=2, curve_epochs=epochs)
        scores = pd.read_csv(run_study(study, table, tmp_path / str(epochs)) / "scores.csv")
        taus.append(scores[scores.metric == "kendall"].groupby("predictor").value.mean())
    assert (taus[1] > taus[0]).all()


def test_the_label_and_the_curve_are_of_one_training():
    data = read_data(open_table("digits"), "digits", curve_epochs=11)
    order, chosen, labels = draw(data, 0)
    seen = data.curves[order, chosen]
    assert seen.shape == (5260, 22)
    assert np.abs(seen[:, 10] - labels).mean() < 0.5  # one epoch before the end at the smallest learning rate


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--table", "nasbench201"], "has none with the training loss of every epoch"),
        (["--table", "digits", "--curve-epochs", "12"], "from 1 to 11 epochs of 12, not 12"),
        (["--table", "digits", "--target", "train_seconds"], "the target is train_seconds"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, capsys, options, sentence):
    assert main(["fit", *options, "--predictor", "sotl_e", "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
