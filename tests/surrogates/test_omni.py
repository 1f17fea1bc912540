"""The predictor that sees cells, curves and proxies: its contract, how well it ranks, and what it cannot do without."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import surrogates
from nasbench.cli import main
from nasbench.errors import NasbenchError
from nasbench.tables import PROXIES, Curves, Table, open_table
from surrogates.study import Study, draw, read_data, run_study

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def known():
    """Everything that is known of 160 cells of digits after 4 of 12 epochs, and what they ended with."""
    data = read_data(open_table("digits"), "digits")
    order, chosen, labels = draw(data, 0)
    X = np.hstack([data.cells[order], data.curves[order, chosen], data.proxies[order]])
    return X[:160], labels[:160]


def test_contract(known):
    X, y = known
    predictor = surrogates.build("omni").fit(X[:80], y[:80])
    mean, spread = predictor.predict(X[80:], return_std=True)
    assert mean.shape == spread.shape == (80,)
    assert np.isfinite(mean).all()
    assert (spread > 0).all()
    assert clone(predictor).fit(X[:80], y[:80]).predict(X).tobytes() == predictor.predict(X).tobytes()
    assert pickle.loads(pickle.dumps(predictor)).predict(X).tobytes() == predictor.predict(X).tobytes()
    apart = np.concatenate([predictor.predict(X[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(apart, predictor.predict(X)[:5], rtol=1e-6)
    assert np.isfinite(surrogates.build("omni").fit(X[:2], y[:2]).predict(X, return_std=True)).all()
    mean, spread = surrogates.build("omni").fit(X[:20], np.full(20, 91.5)).predict(X, return_std=True)
    assert (mean == 91.5).all()
    assert (spread == 0).all()


def test_bad_columns_are_refused(known):
    X, y = known
    predictor = surrogates.build("omni")
    with pytest.raises(NasbenchError, match="further columns, a curve or proxies, not 6 in all"):
        predictor.fit(X[:20, :6], y[:20])
    with pytest.raises(NasbenchError, match="whole numbers below"):
        predictor.fit(X[:20, 6:], y[:20])
    broken = X[:20].copy()
    broken[3, 8] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        predictor.fit(broken, y[:20])


def test_it_ranks_better_than_each_kind_alone(tmp_path):
    study = Study("digits", "digits", ("omni", "sotl_e", "xgboost"), (100,), seeds=2)
    folder = run_study(study, open_table("digits"), tmp_path / "out")
    scores = pd.read_csv(folder / "scores.csv")
    tau = scores[scores.metric == "kendall"].groupby("predictor").value.mean()
    assert tau["omni"] > tau["sotl_e"] > tau["xgboost"]
    facts = json.loads((folder / "study.json").read_text())
    assert facts["sees"]["omni"] == "cells, curves and proxies"
    assert facts["proxies"] == ["parameters", "flops", *(f"proxy_{name}" for name in PROXIES)]


def test_stored_proxies_are_seen_and_undefined_ones_are_the_lowest():
    digits = open_table("digits")
    entry = digits.curves("digits")
    scores = np.arange(5260, dtype=np.float32)
    scores[7] = np.nan
    curves = Curves("digits", entry.epochs, {**entry.arrays, "proxy_nwot": scores}, entry.seeds, entry.attributes)
    data = read_data(Table.from_arrays("nasbench201", [curves], "classes", digits.cells), "digits")
    column = data.proxies[:, data.proxy_names.index("proxy_nwot")]
    assert column.min() == column[7]
    assert np.abs(data.proxies).max() <= 1


def test_a_table_without_curves_is_refused_in_one_sentence(tmp_path, capsys):
    assert main(["fit", "--table", "nasbench201", "--predictor", "omni", "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "'omni' sees learning curves of accuracy" in said
    assert "has none with the training loss of every epoch" in said
    assert said.count("\n") == 1
    path = str(tmp_path / "s.h5")
    assert main(["fit", "--predictor", "omni", "--train-sizes", "50", "--as-benchmark", path]) == 2
    assert "sees learning curves, which cells without a training lack" in capsys.readouterr().err
