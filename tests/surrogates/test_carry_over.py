"""`nasbench fit --as-benchmark --check`: strategies on surrogate and table, left out, drift, trained afresh."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

import strategies
from nasbench.cli import main
from nasbench.errors import NasbenchError
from nasbench.tables import Curves, Table, open_table
from surrogates.benchmark import draw_sample, fit, make_benchmark
from surrogates.carry_over import Check, run_check, verdict
from surrogates.drift import Afresh, Group, known_groups

pytestmark = pytest.mark.filterwarnings("ignore")
NAMES = ("random_search", "local_search", "regularized_evolution")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A check of digits, small, with four trainings."""
    folder = tmp_path_factory.mktemp("check") / "out"
    table = open_table("digits")
    surrogate = make_benchmark(table, "digits", "ridge", 200)
    check = Check("digits", "digits", NAMES, "ridge", 200, budget="30evals", seeds=3, afresh=4)
    return run_check(check, table, surrogate, strategies.CATALOGUE, folder)


def test_strategies_run_on_both_and_are_left_out(found):
    facts = json.loads((found / "check.json").read_text())
    assert set(facts["regret"]) == set(facts["left_out"]) == set(facts["true_regret"]) == set(NAMES)
    for side in (0, 1):
        runs = pd.read_csv(found / ("table", "surrogate")[side] / "runs.csv")
        means = runs.groupby("strategy").val_regret.mean()
        assert {name: facts["regret"][name][side] for name in NAMES} == pytest.approx(dict(means))
    assert all(regret >= 0 for regret in facts["true_regret"].values())
    assert all(-1 <= tau <= 1 for taus in facts["left_out"].values() for tau in taus)
    assert facts["sentence"].startswith("Conclusions ")
    assert facts["sentence"].count(".") == facts["sentence"].count("0.") + facts["sentence"].count("1.") + 1


def test_drift_is_of_trainings_that_the_fit_never_saw(found):
    table = open_table("digits")
    drift = pd.read_csv(found / "drift.csv")
    groups = {name: group for name, group in drift.groupby("group", sort=False)}
    assert list(groups) == ["other seeds", "left out", "trained last", "trained afresh"]
    sample = draw_sample(table, "digits", "ridge", 200)
    cells = sample.data.index[sample.order[:200]]
    assert set(groups["other seeds"].cell) == set(cells)
    assert len(groups["other seeds"]) == 2 * 200
    assert not set(groups["left out"].cell) & set(cells)
    assert len(groups["left out"]) == 5260 - 200
    assert set(groups["trained last"].cell) < set(groups["left out"].cell)
    assert 0.19 < len(groups["trained last"]) / len(groups["left out"]) < 0.21
    row = groups["left out"].iloc[0]
    assert row.trained == pytest.approx(table.query(table.space.cell(row.cell), "digits", seed=row.seed).val_acc, 1e-5)


def test_fresh_trainings_are_new_and_like_the_tables(found):
    table, facts = open_table("digits"), json.loads((found / "check.json").read_text())
    fresh = pd.read_csv(found / "drift.csv").query("group == 'trained afresh'")
    assert len(fresh) == 4
    assert set(fresh.seed) == {3}
    assert facts["training"]["failed"] == 0
    assert facts["training"]["took"] > facts["drift"][-1]["seconds"] / 2 > 0
    true = [table.query(table.space.cell(int(cell)), "digits").val_acc for cell in fresh.cell]
    assert np.abs(fresh.trained - true).max() < 8


def test_scores_of_a_group_by_hand():
    trained = np.array([90.0, 91.0, 92.0])
    predicted, ones = np.array([91.0, 92.0, 96.0]), np.ones(3)
    group = Group("left out", np.arange(3), np.zeros(3), predicted, ones, trained, trained)
    scores = group.scores()
    assert (scores["trainings"], scores["bias"], scores["kendall"]) == (3, 2, 1)
    assert scores["rmse"] == pytest.approx(np.sqrt(6))
    assert scores["coverage_90"] == pytest.approx(2 / 3)
    assert scores["high"] - 2 == pytest.approx(1.959964 * np.sqrt(3 / 3))
    assert scores["seconds"] == 273


def test_a_shift_between_sittings_is_noticed():
    """Rows that `nasbench train` took last, three points better than the others."""
    digits = open_table("digits")
    entry = digits.curves("digits")
    late = known_groups(
        digits, "digits", sample := draw_sample(digits, "digits", "ridge", 200), _ridge(digits, sample)
    )[-1]
    arrays = {name: entry.arrays[name] for name in ("val_acc", "train_seconds")}
    arrays["val_acc"] = arrays["val_acc"].copy()
    arrays["val_acc"][digits.row_of_cell[late.cells]] -= 3
    shifted = Table.from_arrays(
        "nasbench201", [Curves("digits", entry.epochs, arrays, entry.seeds, entry.attributes)], "classes", digits.cells
    )
    sample = draw_sample(shifted, "digits", "ridge", 200)
    groups = {one.name: one.scores() for one in known_groups(shifted, "digits", sample, _ridge(shifted, sample))}
    assert groups["trained last"]["low"] > groups["left out"]["high"]


def _ridge(table, sample):
    return fit("ridge", table.space, sample.cells, sample.labels)


@pytest.mark.parametrize(
    ("tau", "loss", "covered", "beginning"),
    [
        (0.9, 0.0, 0.9, "Conclusions carry over:"),
        (0.9, 0.2, 0.9, "Conclusions carry over with care:"),
        (0.9, 0.0, 0.5, "Conclusions carry over with care:"),
        (0.3, 0.0, 0.9, "Conclusions do not carry over:"),
    ],
)
def test_the_verdict(tau, loss, covered, beginning):
    drift = [{"name": "left out", "bias": 0.25, "coverage_90": covered}]
    said = verdict({"tau": tau, "left_out": {"a": (0.6 - loss, 0.6), "b": (0.5, 0.5)}, "drift": drift})
    assert said.startswith(beginning)
    assert "0.25 points too high" in said


def test_the_verdict_names_what_was_not_tested():
    unknown = {"a": (float("nan"), float("nan"))}
    drift = [{"name": "left out", "bias": 0.25, "coverage_90": 0.9}]
    said = verdict({"tau": 0.9, "left_out": unknown, "drift": drift})
    assert said.startswith("Conclusions carry over with care:")
    assert "how cells that a strategy visits are predicted by a fit without them could not be tested" in said
    for nothing in ([], [drift[0] | {"coverage_90": float("nan")}]):
        said = verdict({"tau": 0.9, "left_out": {"a": (0.6, 0.6)}, "drift": nothing})
        assert said.startswith("Conclusions carry over with care:")
        assert "no trainings that the fit never saw" in said
    said = verdict({"tau": float("nan"), "left_out": unknown, "drift": drift})
    assert said.startswith("Whether conclusions carry over cannot be told:")
    assert "nan" not in said


def test_a_small_table_is_not_said_to_carry_over(tmp_path, capsys, recwarn):
    """Of 40 cells most are sampled: nothing is left to leave out, and a search finds cells without a result."""
    cells = np.sort(np.random.default_rng(0).permutation(15625)[:40])
    rng = np.random.default_rng(1)
    curves = Curves("mine", (1,), {"val_acc": 50 + 10 * rng.random((40, 1))})
    Table.from_arrays("nasbench201", [curves], cells=cells).save(tmp_path / "mine.h5")
    options = ["--table", str(tmp_path / "mine.h5"), "--predictor", "ridge", "--train-sizes", "38", "--check",
               "--as-benchmark", str(tmp_path / "s.h5"), "--strategies", ",".join(NAMES), "--seeds", "2",
               "--budget", "10evals", "--jobs", "1", "--out", str(tmp_path / "out")]  # fmt: skip
    assert main(["fit", *options]) == 0
    facts = json.loads((tmp_path / "out" / "check.json").read_text())
    assert facts["budget"] == "10evals"
    assert "could not be tested" in facts["sentence"] or "cannot be told" in facts["sentence"]
    page = (tmp_path / "out" / "report" / "index.html").read_text()
    assert "The table has results for none of the cells that strategies find on the surrogate." in page
    assert "No strategy found a cell" not in page
    assert "Leaving out what a strategy visits" not in page
    assert "--budget 10evals" in page
    assert not [warning for warning in recwarn if "identical low and high" in str(warning.message)]


def test_a_budget_that_buys_nothing_is_said(tmp_path, capsys):
    options = ["--predictor", "ridge", "--train-sizes", "50", "--check", "--as-benchmark", str(tmp_path / "s.h5"),
               "--strategies", ",".join(NAMES), "--seeds", "1", "--budget", "0.5evals", "--jobs", "1"]  # fmt: skip
    assert main(["fit", *options, "--out", str(tmp_path / "out")]) == 2
    assert "0.5evals may be less than one training costs" in capsys.readouterr().err


def test_a_refused_check_leaves_the_one_before(found, tmp_path, capsys):
    folder, file = tmp_path / "out", tmp_path / "s.h5"
    shutil.copytree(found, folder)
    make_benchmark(open_table("digits"), "digits", "ridge", 200).save(file)
    before, surrogate = (folder / "check.json").read_bytes(), file.read_bytes()
    options = ["--table", "digits", "--predictor", "ridge", "--train-sizes", "100", "--check", "--as-benchmark",
               str(file), "--strategies", ",".join(NAMES), "--seeds", "3", "--budget", "30evals"]  # fmt: skip
    assert main(["fit", *options, "--out", str(folder)]) == 2
    assert "holds results on another table" in capsys.readouterr().err
    assert (folder / "check.json").read_bytes() == before
    assert file.read_bytes() == surrogate


def test_what_was_run_is_kept(found, tmp_path):
    table, folder = open_table("digits"), tmp_path / "out"
    shutil.copytree(found, folder)
    runs = sorted(folder.glob("*/runs/**/*.json*"))
    stamps = [path.stat().st_mtime_ns for path in runs]
    check = Check("digits", "digits", NAMES, "ridge", 200, budget="30evals", seeds=3)
    run_check(check, table, make_benchmark(table, "digits", "ridge", 200), strategies.CATALOGUE, folder)
    assert len(runs) == 2 * 3 * 3
    assert [path.stat().st_mtime_ns for path in runs] == stamps
    before, after = (json.loads((one / "check.json").read_text()) for one in (found, folder))
    assert after["regret"] == before["regret"]
    assert after["drift"] == before["drift"][:-1]


def test_bad_checks_are_refused(shipped, tmp_path):
    surrogate = make_benchmark(shipped, "cifar10", "ridge", 50)
    three = Check("nasbench201", "cifar10", NAMES, "ridge", 50)
    with pytest.raises(NasbenchError, match="at least 3 strategies, not of 1"):
        run_check(Check("nasbench201", "cifar10", NAMES[:1], "ridge", 50), shipped, surrogate, {}, tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.tex").write_text("mine")
    with pytest.raises(NasbenchError, match=r"holds 'thesis.tex', which is not part of a check"):
        run_check(three, shipped, surrogate, strategies.CATALOGUE, tmp_path / "b")
    with pytest.raises(NasbenchError, match="was not made by `nasbench train`"):
        Afresh(shipped, "cifar10")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--check"], "add --as-benchmark"),
        (["--train-afresh", "3"], "belong to --check"),
        (["--as-benchmark", "s.h5", "--check", "--data", "."], "--data goes with --train-afresh"),
        (["--as-benchmark", "s.h5", "--seeds", "3"], "--seeds goes with --check"),
        (["--as-benchmark", "s.h5", "--out", "results"], "--out goes with --check"),
        (["--as-benchmark", "s.h5", "--check", "--curve-epochs", "3"], "--curve-epochs does not go with"),
        (["--as-benchmark", "s.h5", "--check", "--seeds", "0"], "at least one run of each strategy, not 0"),
        (["--as-benchmark", "s.h5", "--check", "--train-afresh", "3"], "was not made by `nasbench train`"),
        (["--as-benchmark", "s.h5", "--check", "--table", "digits", "--train-afresh", "6000"], "1 to 5"),
        (["--as-benchmark", "s.h5", "--check", "--strategies", "random_serach"], "did you mean 'random_search'"),
        (["--as-benchmark", "s.h5", "--check", "--strategies", "random_search"], "at least 3 strategies"),
    ],
)
def test_bad_options_are_one_sentence(options, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    some = [] if "--strategies" in options or "--check" not in options else ["--strategies", ",".join(NAMES)]
    assert main(["fit", "--predictor", "ridge", "--train-sizes", "50", *options, *some]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert not (tmp_path / "results").exists()
    assert not (tmp_path / "s.h5").exists()


def test_the_command_makes_as_many_runs_as_it_is_told(capsys, tmp_path):
    command = [
        "fit",
        "--predictor",
        "ridge",
        "--train-sizes",
        "50",
        "--as-benchmark",
        str(tmp_path / "s.h5"),
        "--check",
    ]
    command += ["--strategies", ",".join(NAMES), "--out", str(tmp_path / "out"), "--jobs", "1"]
    assert main([*command, "--seeds", "2"]) == 0
    assert "means over 2 runs" in capsys.readouterr().out
    for side in ("table", "surrogate"):
        assert len(pd.read_csv(tmp_path / "out" / side / "runs.csv")) == 2 * len(NAMES)
    assert "--check --seeds 2" in (tmp_path / "out" / "report" / "index.html").read_text()
    assert main([*command, "--seeds", "1"]) == 2
    assert "holds 2 runs of each strategy, not 1; choose another folder." in capsys.readouterr().err
    assert (tmp_path / "out" / "check.json").exists()
