"""The page of a study of predictors: made from its folder, the same bytes again, bad folders refused."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

import reports
from nasbench.errors import NasbenchError
from surrogates.study import Study, run_study


@pytest.fixture(scope="module")
def folder(shipped, tmp_path_factory):
    study = Study("nasbench201", "cifar10", ("ridge", "bayesian_ridge"), (20, 30), seeds=2)
    return run_study(study, shipped, tmp_path_factory.mktemp("fit") / "study")


def test_page_says_what_was_found(folder):
    page = reports.write(folder)
    text = page.read_text()
    assert page == folder / "report" / "index.html"
    assert "ranks cells left out best" in text
    assert "nasbench fit --table nasbench201 --task cifar10 --predictor ridge,bayesian_ridge" in text
    assert "http-equiv" not in text
    drawn = {path.stem for path in (folder / "report" / "figures").glob("*.png")}
    assert drawn == {"tau", "time", "scatter", "calibration", "effects"}
    assert (folder / "report" / "tables" / "scores.csv").read_text().startswith("predictor,kendall,")


def test_scores_of_an_older_release_give_a_page(folder, tmp_path):
    assert "Unseen classes: one cell of each class" in reports.write(folder, tmp_path / "new").read_text()
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("report"))
    scores = pd.read_csv(copy / "scores.csv")
    older = ~scores["metric"].isin(["kendall_unseen", "coverage_90_unseen"])
    scores[older].to_csv(copy / "scores.csv", index=False)
    assert "unseen classes" not in reports.write(copy).read_text()


def test_a_column_without_a_value_is_left_out(shipped, tmp_path):
    study = Study("nasbench201", "cifar10", ("ridge",), (20,), seeds=1, target="latency_seconds")
    page = reports.write(run_study(study, shipped, tmp_path / "latency"))
    columns = (page.parent / "tables" / "scores.csv").read_text().splitlines()[0].split(",")
    assert "kendall" in columns
    assert "sparse_kendall" not in columns
    assert "There is no sparse τ" in page.read_text()


def test_constant_predictions_are_said_to_rank_nothing(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("report"))
    scores = pd.read_csv(copy / "scores.csv")
    scores.loc[scores["metric"].isin(["kendall", "spearman", "sparse_kendall"]), "value"] = np.nan
    scores.to_csv(copy / "scores.csv", index=False)
    assert "no predictor ranks cells left out" in reports.write(copy).read_text()


def test_same_study_same_page(folder, tmp_path):
    first, second = (reports.write(folder, tmp_path / name) for name in ("a", "b"))
    for path in sorted(first.parent.rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (second.parent / path.relative_to(first.parent)).read_bytes(), path.name


def test_shap_values_find_that_none_on_the_direct_edge_hurts(folder):
    with np.load(folder / "examples.npz") as examples:
        effects, operations = examples["effects"], examples["operations"].tolist()
    assert effects.shape == (6, 5)
    assert effects[:, operations.index("none")].mean() < 0 < effects[:, operations.index("nor_conv_3x3")].mean()


@pytest.mark.parametrize(("missing", "sentence"), [("examples.npz", "lacks examples.npz"), ("scores.csv", "lacks")])
def test_unfinished_studies_are_refused(folder, tmp_path, missing, sentence):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("report"))
    (copy / missing).unlink()
    with pytest.raises(NasbenchError, match=sentence):
        reports.write(copy)
    assert not (copy / "report").exists()


def test_damaged_studies_are_refused(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("report"))
    (copy / "study.json").write_text("{}")
    with pytest.raises(NasbenchError, match="damaged"):
        reports.write(copy)
