"""Scores by hand, and `nasbench fit`: the same bytes for any number of processes, going on, bad input."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from nasbench.cli import main
from nasbench.errors import NasbenchError
from nasbench.tables import Curves, Table, open_table
from reports.predictors import RANKS, PredictorStudy
from surrogates.scores import SCORES, ceiling, score
from surrogates.study import COLUMNS, Study, draw, read_data, run_study, unseen


def test_scores_by_hand():
    truth = np.array([90.0, 91.0, 92.0, 93.0])
    mean = np.array([90.5, 90.04, 90.01, 93.5])
    found = score(truth, mean, np.full(4, 0.5))
    assert found["kendall"] == pytest.approx(kendalltau(mean, truth).statistic)
    assert found["kendall"] == pytest.approx((3 - 3) / 6)
    assert found["sparse_kendall"] == pytest.approx((3 - 2) / np.sqrt(6 * 5))  # 90.04 and 90.01 are one
    assert found["rmse"] == pytest.approx(np.sqrt((0.5**2 + 0.96**2 + 1.99**2 + 0.5**2) / 4))
    assert found["r2"] == pytest.approx(1 - found["rmse"] ** 2 / 1.25)
    assert found["regret"] == 0
    assert found["precision_top1"] == 1
    assert found["coverage_90"] == 0.5
    assert set(found) <= set(SCORES)


def test_sizes_are_held_against_the_labels_own_metric():
    validation = np.array([90.0, 91.0, 92.0, 93.0])
    found = score(validation + 3, validation, np.full(4, 0.1), level=validation)
    assert (found["kendall"], found["rmse"], found["coverage_90"], found["regret"]) == (1, 0, 1, 0)


def test_for_times_the_least_is_best():
    found = score(np.array([5.0, 1.0, 3.0]), np.array([5.0, 2.9, 2.0]), larger_is_better=False)
    assert found["regret"] == 2
    assert found["precision_top1"] == 0
    assert np.isnan(found["sparse_kendall"])  # a tenth of a second is nothing in particular


def test_constant_predictions_have_no_correlation():
    assert np.isnan(score(np.arange(5.0), np.ones(5))["kendall"])


def test_a_right_spread_is_calibrated():
    rng = np.random.default_rng(0)
    mean = rng.normal(size=20_000)
    spread = rng.uniform(0.5, 2, 20_000)
    found = score(mean + spread * rng.standard_normal(20_000), mean, spread)
    assert found["coverage_90"] == pytest.approx(0.9, abs=0.01)
    assert found["calibration_error"] < 0.01
    assert score(mean + spread * rng.standard_normal(20_000), mean, spread / 3)["calibration_error"] > 0.1


def test_ceiling_falls_with_noise_and_rises_with_seeds():
    rng = np.random.default_rng(0)
    true = rng.normal(size=(2000, 1))
    expected = kendalltau(true[:, 0], true[:, 0] + 0.5 / np.sqrt(2) * rng.standard_normal(2000)).statistic
    two = true + 0.5 * rng.standard_normal((2000, 2))
    found = ceiling(two, two.mean(axis=1), rng)
    assert found == pytest.approx(expected, abs=0.03)
    eight = true + 0.5 * rng.standard_normal((2000, 8))
    assert ceiling(eight, eight.mean(axis=1), rng) > found
    assert np.isnan(ceiling(true, true[:, 0], rng))


@pytest.fixture
def own_table(tmp_path) -> Table:
    """400 of NAS-Bench-201's cells, two seeds each, some of them missing; accuracy is live convolutions and noise."""
    rng = np.random.default_rng(3)
    rows = np.sort(rng.permutation(15_625)[:400]).astype(np.int32)
    table = Table.from_arrays("nasbench201", [Curves("toy", (10,), {"val_acc": np.zeros((15_625, 1))})])
    quality = table.space.encode(table.space.cells[rows], "counts")[:, 3] * 5.0 + 50
    val = quality[:, None] + rng.normal(0, 1, (400, 2))
    val[rng.random((400, 2)) < 0.2] = np.nan
    seconds = 10 + quality[:, None] * np.ones(2)
    curves = Curves("toy", (10,), {"val_acc": val, "test_acc": val - 1, "train_seconds": seconds})
    made = Table.from_arrays("nasbench201", [curves], cells=rows)
    made.save(tmp_path / "own.h5")
    return made


def test_labels_are_single_trainings_and_the_truth_their_mean(own_table):
    data = read_data(own_table, "toy")
    assert data.truth_name == "test_acc"
    assert len(data.truth) == (~np.isnan(own_table.curves("toy").at("val_acc", 10))).any(axis=1).sum()
    order, chosen, labels = draw(data, 5)
    assert sorted(order.tolist()) == list(range(len(data.truth)))
    assert np.array_equal(data.labels[order, chosen], labels)
    assert not np.array_equal(draw(data, 6)[0], order)


def test_the_order_of_rows_changes_nothing(own_table):
    """Draws are of cells."""
    curves, turned = own_table.curves("toy"), np.random.default_rng(0).permutation(len(own_table))
    arrays = {name: array[turned] for name, array in curves.arrays.items()}
    other = Table.from_arrays("nasbench201", [Curves("toy", (10,), arrays)], cells=own_table.cells[turned])
    found = []
    for table in (own_table, other):
        data = read_data(table, "toy")
        order, _, labels = draw(data, 0)
        found.append((data.index[order].tolist(), labels.tolist(), data.truth[order].tolist()))
    assert found[0] == found[1]


def test_draws_in_which_nothing_is_ranked_count_as_none(own_table, tmp_path, capsys):
    """The mean over three draws is not that of the one that is left."""
    out = tmp_path / "out"
    arguments = ["fit", "--table", str(tmp_path / "own.h5"), "--predictor", "ridge,gp", "--train-sizes", "20"]
    arguments += ["--seeds", "3", "--out", str(out), "--jobs", "1"]
    assert main(arguments) == 0
    kept = PredictorStudy(out)
    assert kept.constant == 0
    first = json.loads((out / "draws" / "ridge-20-0.json").read_text())
    for seed in (1, 2):
        path = out / "draws" / f"ridge-20-{seed}.json"
        scores = json.loads(path.read_text())
        path.write_text(json.dumps({k: float("nan") if k in RANKS else v for k, v in scores.items()}))
    capsys.readouterr()
    assert main(arguments) == 0
    assert "In 2 fits, a predictor gave all cells the same value: tau is 0 there." in capsys.readouterr().out
    study = PredictorStudy(out)
    assert study.constant == 2
    assert study.means("kendall").loc["ridge", 20] == pytest.approx(first["kendall"] / 3)
    page = (out / "report" / "index.html").read_text()
    assert "In 2 fits, a predictor gave all cells the same value; that counts as τ = 0." in page
    assert study.means("kendall").loc["gp", 20] == kept.means("kendall").loc["gp", 20]


def test_unseen_cells_are_one_of_each_class_without_a_label(shipped):
    data = read_data(shipped, "cifar10")
    order, _, _ = draw(data, 0)
    classes = shipped.space.classes("exact")
    for n in (100, 15_000):
        rest, chosen = order[n:], unseen(data, order, n)
        learned = set(classes[order[:n]].tolist())
        firsts = {int(np.flatnonzero(classes == one)[0]) for one in set(classes[rest].tolist()) - learned}
        assert set(rest[chosen].tolist()) == firsts & set(rest.tolist())
    n = 100
    twins = np.isin(classes[order[n:]], classes[order[:n]]).mean()
    assert 0.2 < twins < 0.4


def test_a_table_of_classes_has_no_twins():
    data = read_data(open_table("digits"), "digits")
    order, _, _ = draw(data, 0)
    assert unseen(data, order, 100).all()


def test_the_tau_of_unseen_cells(own_table, tmp_path):
    truth, mean = np.arange(6.0), np.array([0.0, 2.0, 1.0, 5.0, 4.0, 3.0])
    chosen = np.array([True, True, True, True, False, False])
    assert score(truth, mean, unseen=chosen)["kendall_unseen"] == pytest.approx(4 / 6)
    assert score(truth, mean, unseen=np.ones(6, bool))["kendall_unseen"] == score(truth, mean)["kendall"]
    assert np.isnan(score(truth, mean, unseen=np.arange(6) < 2)["kendall_unseen"])
    spread = np.array([1.0, 0.5, 1.0, 1.0, 1.0, 1.0])
    found = score(truth, mean, spread, unseen=chosen)
    assert (found["coverage_90"], found["coverage_90_unseen"]) == (3 / 6, 2 / 4)
    folder = run_study(Study("own", "toy", ("ridge",), (20,), seeds=1), own_table, tmp_path / "out")
    path = folder / "draws" / "ridge-20-0.json"
    draws = json.loads(path.read_bytes())
    expected = (folder / "scores.csv").read_bytes()
    assert "kendall_unseen" in expected.decode()
    for older in ("kendall_unseen", "coverage_90_unseen"):
        path.write_text(json.dumps({name: value for name, value in draws.items() if name != older}))
        run_study(Study("own", "toy", ("ridge",), (20,), seeds=1), own_table, folder)
        assert (folder / "scores.csv").read_bytes() == expected


def test_processes_change_nothing_and_a_study_goes_on(own_table, tmp_path):
    study = Study("own", "toy", ("ridge", "bayesian_ridge"), (20, 40), seeds=2)
    alone = run_study(study, own_table, tmp_path / "alone")
    together = run_study(study, own_table, tmp_path / "together", jobs=2)
    expected = (alone / "scores.csv").read_bytes()
    assert (together / "scores.csv").read_bytes() == expected
    scores = pd.read_csv(alone / "scores.csv")
    assert tuple(scores.columns) == COLUMNS
    assert set(scores.predictor) == {"ridge", "bayesian_ridge"}
    assert scores[scores.metric == "kendall"].value.mean() > 0.55
    assert len(scores) == 2 * 2 * 2 * scores.metric.nunique()
    seconds = pd.read_csv(alone / "seconds.csv")
    assert set(seconds.metric) == {"fit_seconds", "query_seconds"}
    kept = sorted((alone / "draws").iterdir())
    assert len(kept) == 8
    stamps = [path.stat().st_mtime_ns for path in kept[1:]]
    kept[0].write_text("{")
    calls = []
    run_study(study, own_table, alone, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(7, 8), (8, 8)]
    assert [path.stat().st_mtime_ns for path in kept[1:]] == stamps
    assert (alone / "scores.csv").read_bytes() == expected
    with np.load(alone / "examples.npz") as examples:
        assert len(examples["truth"]) == len(examples["mean ridge"]) == len(read_data(own_table, "toy").truth) - 40


def test_times_can_be_predicted(own_table, tmp_path):
    study = Study("own", "toy", ("ridge",), (40,), seeds=2, target="train_seconds")
    folder = run_study(study, own_table, tmp_path / "times")
    scores = pd.read_csv(folder / "scores.csv")
    assert scores[scores.metric == "kendall"].value.mean() > 0.8
    assert json.loads((folder / "study.json").read_text())["truth"] == "train_seconds"


def test_a_folder_of_another_study_is_kept(own_table, tmp_path):
    folder = run_study(Study("own", "toy", ("ridge",), (20,), seeds=1), own_table, tmp_path / "one")
    before = (folder / "scores.csv").read_bytes()
    with pytest.raises(NasbenchError, match="another study"):
        run_study(Study("own", "toy", ("ridge",), (20,), 1, "train_seconds"), own_table, folder)
    assert (folder / "scores.csv").read_bytes() == before
    (folder / "study.json").write_text("{")
    with pytest.raises(NasbenchError, match=r"study.json is damaged"):
        run_study(Study("own", "toy", ("ridge",), (20,), 1), own_table, folder)
    assert (folder / "scores.csv").read_bytes() == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine")
    with pytest.raises(NasbenchError, match="other files"):
        run_study(Study("own", "toy", ("ridge",), (20,), 1), own_table, tmp_path / "full")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--predictor", "xgbost"], "did you mean 'xgboost'"),
        (["--train-sizes", "20,400"], "a training set of 400 cells is not possible"),
        (["--train-sizes", "many"], "whole numbers"),
        (["--train-sizes", "1"], "a training set of 1 cells"),
        (["--seeds", "0"], "at least one"),
        (["--target", "accurracy"], "did you mean 'accuracy'"),
        (["--target", "latency_seconds"], "has no latency_seconds"),
        (["--task", "tow"], "did you mean 'toy'"),
        (["--predictor", "ridge,ridge"], "once each"),
        (["--schedule", "12"], "not trained for 12 epochs"),
        (["--curve-epochs", "3"], "--curve-epochs is for predictors of curves, and none is among ridge."),
        (["--curve-epochs", "3", "--predictor", "sotl_"], "did you mean 'sotl_e'"),
        (["--predictor", "all,ridge"], "--predictor all stands alone: it takes every predictor that sees cells."),
        (["--meta", "--predictor", "ridge,all"], "--predictor all stands alone: it takes every predictor that learns"),
        (["--data", "."], "--data goes with --train-afresh"),
    ],
)
def test_bad_input_is_one_sentence(own_table, tmp_path, capsys, options, sentence):
    out = tmp_path / "out"
    arguments = ["fit", "--table", str(tmp_path / "own.h5"), "--predictor", "ridge", "--out", str(out), *options]
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert not (out / "scores.csv").exists()


def test_constant_results_are_refused(capsys, tmp_path):
    table = Table.from_arrays("nasbench201", [Curves("flat", (1,), {"val_acc": np.full(15_625, 50.0)})])
    table.save(tmp_path / "flat.h5")
    assert main(["fit", "--table", str(tmp_path / "flat.h5"), "--out", str(tmp_path / "out")]) == 2
    assert "the same value for every cell" in capsys.readouterr().err


def test_fit_prints_what_it_found(own_table, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["fit", "--table", str(tmp_path / "own.h5"), "--predictor", "ridge", "--train-sizes", "20,40"]
    assert main([*arguments, "--seeds", "1", "--out", str(out), "--jobs", "1"]) == 0
    said = capsys.readouterr().out
    assert "tau, n = 40" in said
    assert str(out / "scores.csv") in said


def test_help_says_what_happens_with_meta_and_check(capsys):
    with pytest.raises(SystemExit):
        main(["fit", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "(default: its first, or with --meta each of them in turn)" in said
    assert "(default: 50,100,200, or with --meta 0,5,10,20,50; --as-benchmark needs one)" in said
    assert "or with --check runs of each strategy (default: 10)" in said
    assert "or with --meta rank_transfer, stacked, gp_transfer, xgboost_transfer, ridge, random_forest" in said
    assert "with --meta results/meta-TABLE, with --check results/check-TABLE-TASK" in said.replace("- ", "-")
