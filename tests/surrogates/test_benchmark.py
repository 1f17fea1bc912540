"""Surrogate benchmarks: predictions for every cell, noise like that between seeds, and never taken for trainings."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau

from nasbench.cli import main
from nasbench.errors import NasbenchError
from nasbench.tables import Curves, Table, open_table
from nasbench.tables.merge import merge
from nasbench.tables.noise import noise
from surrogates.benchmark import deviation, make_benchmark, mixing

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def surrogate(shipped):
    return make_benchmark(shipped, "cifar10", "ridge", 200)


def test_every_cell_has_a_prediction_and_noise_like_the_tables(shipped, surrogate):
    own, real = surrogate.curves("cifar10"), shipped.curves("cifar10")
    assert len(surrogate) == len(shipped) == 15_625
    assert np.isfinite(own.full("val_acc")).all()
    assert own.full("val_acc").shape == real.full("val_acc").shape
    assert kendalltau(own.mean("val_acc"), real.mean("val_acc")).statistic > 0.7
    assert kendalltau(own.mean("train_seconds"), real.mean("train_seconds")).statistic > 0.7
    assert np.array_equal(own.mean("parameters"), real.mean("parameters"))
    ours, theirs = noise(own).deviation_top, noise(real).deviation_top
    assert 0.5 < ours / theirs < 2


def test_classes_and_curves_are_kept():
    digits = open_table("digits")
    surrogate = make_benchmark(digits, "digits", "ridge", 100)
    curves = surrogate.curves("digits")
    assert surrogate.rows == "classes"
    assert len(surrogate) == 5260
    assert curves.epochs == tuple(range(1, 13))
    assert curves.full("val_acc").shape == (5260, 3, 12)
    assert np.median(curves.at("val_acc", 12)) > np.median(curves.at("val_acc", 1)) + 20
    assert curves.attributes["train_size"] == 256


@pytest.mark.parametrize(("name", "task", "early"), [("digits", "digits", 4), ("images16", "cifar10", 2)])
def test_chance_is_as_related_as_between_trainings(name, task, early):
    """Of one training after some epochs, at its end and in the test: early stopping is no easier than on the table."""
    real = open_table(name)

    def related(table: Table) -> list[float]:
        curves = table.curves(task)
        last = curves.at("val_acc", curves.schedule)
        planes = [curves.at("val_acc", early), last, curves.at("test_acc", curves.schedule)]
        known = ~np.isnan(sum(planes)).any(axis=1)
        first, end, test = ((p[known] - p[known].mean(axis=1, keepdims=True)).ravel() for p in planes)
        return [float(np.corrcoef(first, end)[0, 1]), float(np.corrcoef(end, test)[0, 1])]

    assert related(make_benchmark(real, task, "ridge", 300)) == pytest.approx(related(real), abs=0.08)


def test_a_sample_that_shows_one_value_is_refused():
    values = np.full((15_625, 1), 10.0)
    values[7] = 60
    table = Table.from_arrays("nasbench201", [Curves("flat", (1,), {"val_acc": values})])
    with pytest.raises(NasbenchError, match="all 20 sampled trainings of 'flat' show 10: nothing can be learned"):
        make_benchmark(table, "flat", "ridge", 20)


def test_unrelated_planes_are_not_mixed():
    rng = np.random.default_rng(0)
    one, other = rng.standard_normal((2, 2000, 3))
    assert mixing([one]) == pytest.approx(np.eye(1))
    assert mixing([one, other]) == pytest.approx(np.eye(2), abs=0.05)
    root = mixing([one, one + other, other])
    half = 0.5**0.5
    assert (root @ root.T) == pytest.approx(np.array([[1, half, 0], [half, 1, half], [0, half, 1]]), abs=0.05)
    assert mixing([one, one[:, :1]]) == pytest.approx(np.eye(2))  # one value a cell: nothing is known of its chance
    assert mixing([np.full((9, 3), np.nan), one[:9]]) == pytest.approx(np.eye(2))


def test_the_same_sample_gives_the_same_table(shipped, surrogate, tmp_path):
    again = make_benchmark(shipped, "cifar10", "ridge", 200)
    assert again.checksum == surrogate.checksum
    assert make_benchmark(shipped, "cifar10", "ridge", 200, seed=1).checksum != surrogate.checksum
    assert open_table(surrogate.save(tmp_path / "s.h5")).checksum == surrogate.checksum


def test_deviation_follows_quality():
    rng = np.random.default_rng(0)
    centre = np.linspace(50, 90, 1000)
    size = np.where(centre < 70, 3.0, 0.5)
    values = centre[:, None] + size[:, None] * rng.standard_normal((1000, 3))
    values[rng.random((1000, 3)) < 0.2] = np.nan
    low, high = deviation(values, np.array([55.0, 88.0]))
    assert low == pytest.approx(3, rel=0.2)
    assert high == pytest.approx(0.5, rel=0.2)
    assert deviation(values[:, :1], centre).max() == 0


def test_predictions_are_not_taken_for_trainings(shipped, surrogate, tmp_path, capsys):
    path = str(surrogate.save(tmp_path / "s.h5"))
    options = [
        "--task",
        "cifar10",
        "--strategies",
        "random_search",
        "--seeds",
        "1",
        "--budget",
        "5evals",
        "--jobs",
        "1",
    ]
    assert main(["compare", "--table", path, *options, "--out", str(tmp_path / "r")]) == 2
    assert "holds predictions, not trainings; use mode 'surrogate'" in capsys.readouterr().err
    assert main(["compare", "--mode", "surrogate", "--table", path, *options, "--out", str(tmp_path / "r")]) == 0
    page = (tmp_path / "r" / "report" / "index.html").read_text()
    assert "Every result is a prediction, by ridge from 200 trainings of the table nasbench201" in page
    with pytest.raises(NasbenchError, match="not merged"):
        merge([shipped, surrogate])
    with pytest.raises(NasbenchError, match="fitted to trainings"):
        make_benchmark(surrogate, "cifar10")
    assert main(["table", "replay", path]) == 2


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--predictor", "ridge,gp"], "by one --predictor"),
        (["--train-sizes", "5"], "10 to 15625 cells"),
        (["--predictor", "sotl_e"], "sees learning curves"),
        (["--as-benchmark", "x.csv"], "FILE.h5"),
        (["--target", "train_seconds"], "predicts accuracy"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, capsys, options, sentence):
    out = tmp_path / "s.h5"
    assert main(["fit", "--predictor", "ridge", "--train-sizes", "50", "--as-benchmark", str(out), *options]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert not out.exists()


def test_what_is_excluded_is_not_sampled(shipped):
    everything = np.ones(len(shipped), dtype=bool)
    with pytest.raises(NasbenchError, match="0 cells are left to sample"):
        make_benchmark(shipped, "cifar10", "ridge", 50, exclude=everything)
