"""The page of a study of meta-learned predictors: sentences, tests and break-even of a folder worked out by hand."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

import reports
from nasbench.errors import NasbenchError
from nasbench.tasks.subsets import SUPERCLASSES
from reports import meta_bill, meta_findings, meta_maps
from reports.meta_study import MetaStudy

TARGETS = ["cifar10", "digits", "cifar100_fish", "cifar100_people", "fashion_mnist"]
SEES = {"rank_transfer": "tasks", "gp_transfer": "tasks", "gp": "cells"}
SIZES = [0, 10, 50]
METRICS = {"kendall": 0.0, "spearman": 0.1, "rmse": 2.0, "regret": 0.5, "precision_top1": 0.25, "coverage_90": 0.85}


def tau_of(name, task, n):
    """With 10 labels gp_transfer fails on fashion_mnist; with 50 gp is better than the mean rank."""
    if name == "gp":
        return {10: 0.2, 50: 0.6}.get(n)
    if name == "rank_transfer" or n == 0:
        return 0.4
    return 0.7 if n == 50 else 0.1 if task == "fashion_mnist" else 0.5


def write_study(folder, tau=tau_of, targets=TARGETS, sees=SEES, sizes=SIZES, **facts):
    """A study's folder with 2 draws a fiftieth above and below `tau(predictor, task, n)`."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    sources = {task: facts.get("sources", []) or [other for other in targets if other != task] for task in targets}
    tasks = {
        task: {
            "sources": sources[task], "cells": 100, "truth": "val_acc", "ceiling": 0.9,
            "cost": [7200.0, 900.0, None, 90.0], "descriptor": rng.random(6).tolist(),
        }
        for task in targets
    }  # fmt: skip
    manifest = {
        "format": 1, "table": "mine", "targets": targets, "predictors": list(sees), "train_sizes": sizes, "seeds": 2,
        "sources": [], "leave_out": "task", "source_counts": [2], "target_among_sources": False,
        "space": "nasbench201", "checksums": ["abc"], "tasks": tasks, "sees": sees,
        "families": {n: "meta-learned" if s == "tasks" else "Gaussian process" for n, s in sees.items()},
    } | facts  # fmt: skip
    scores, seconds = [], []
    for task in targets:
        numbers = [(len(sources[task]), range(2)), *((count, range(3)) for count in manifest["source_counts"])]
        for name in sees:
            for count, draws in numbers if sees[name] == "tasks" else numbers[:1]:
                for n in sizes:
                    for seed in draws if tau(name, task, n) is not None else ():
                        key = (name, "mine", task, count, n, seed)
                        value = tau(name, task, n) + (0.02 if seed == 0 else -0.02 if seed == 1 else 0.0)
                        scores += [(*key, metric, value if metric == "kendall" else x) for metric, x in METRICS.items()]
                        seconds += [(*key, m, 0.5) for m in ("meta_seconds", "fit_seconds", "query_seconds")]
    columns = ["predictor", "table", "task", "sources", "n", "seed", "metric", "value"]
    pd.DataFrame(scores, columns=columns).to_csv(folder / "scores.csv", index=False)
    pd.DataFrame(seconds, columns=columns).to_csv(folder / "seconds.csv", index=False)
    helps = [(source, task, rng.uniform(0.2, 0.9)) for task in targets for source in sources[task]]
    pd.DataFrame(helps, columns=["source", "task", "value"]).to_csv(folder / "helps.csv", index=False)
    (folder / "meta.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("meta") / "study")


@pytest.fixture(scope="module")
def text(folder):
    """What a reader sees of the page."""
    return words(reports.write(folder))


def words(page):
    body = re.sub(r"<(svg|style).*?</\1>", "", page.read_text(), flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body)).replace("&#39;", "'")


def test_headline(text):
    assert (
        "On a task that they have never seen, the best meta-learned predictor is rank_transfer without labels (0.400, "
        "as gp_transfer) and gp_transfer with 10 labels (0.420) and with 50 labels (0.700): Kendall's τ, mean over 5 "
        "held-out targets; the noise "
        "ceiling is 0.900." in text
    )
    assert "From scratch, the best is gp with 10 labels (0.200) and with 50 labels (0.600)" in text
    assert (
        "gp_transfer is ahead of gp with 10 labels on 4 of 5 targets (p = 0.19) and gp_transfer is ahead of gp with 50 "
        "labels on 5 of 5 targets (p = 0.03)" in text
    )


def test_sign_tests(folder):
    study = MetaStudy(folder)
    found = meta_findings.sign_test(study, "gp_transfer", "gp", 10)
    assert (found.wins, found.ties, found.targets, found.p) == (4, 0, 5, pytest.approx(6 / 32))
    ties = meta_findings.sign_test(study, "rank_transfer", "gp_transfer", 0)
    assert (ties.wins, ties.ties) == (0, 5)
    assert ties.level == "all equal"


def test_where_the_mean_rank_is_ahead_is_said(folder, tmp_path, text):
    assert "rank_transfer, the mean rank on the sources, is not ahead of any other" in text

    def worse(name, task, n):
        return 0.3 if (name, n) == ("gp_transfer", 10) else tau_of(name, task, n)

    page = reports.write(write_study(tmp_path / "worse", worse))
    assert "is ahead in mean τ of gp_transfer with 10 labels." in words(page)
    baseline = pd.read_csv(page.parent / "tables" / "baseline.csv").set_index("n")
    assert baseline.loc[10, ["wins", "p"]].tolist() == [5, 1 / 32]


def test_negative_transfer_is_listed(folder, text):
    assert "Negative transfer: of 10 cases, a target and a number of labels each," in text
    assert "rank_transfer in 5" in text
    assert "gp_transfer in 1" in text
    assert "fashion_mnist (−0.100, gp 0.200)" in text
    harm = pd.read_csv(folder / "report" / "tables" / "harm.csv")
    assert len(harm) == 6


@pytest.mark.parametrize(
    ("name", "n", "needed", "tasks", "shown"),
    [
        ("gp_transfer", 0, 30, 3, "3"),  # 90 trainings / 30 labels saved
        ("gp_transfer", 10, 32, 5, "5"),  # 90 / 22
        ("gp_transfer", 50, 50, np.nan, "not known"),
        ("rank_transfer", 50, 30, np.inf, "never"),
    ],
)
def test_break_even(folder, name, n, needed, tasks, shown):
    found = meta_bill.payback(MetaStudy(folder), name, n)
    assert found.needed == pytest.approx(needed)
    assert found.tasks == pytest.approx(tasks, nan_ok=True)
    assert found.tasks_words == shown
    assert found.needed_words == ("more than 50" if name == "gp_transfer" and n == 50 else f"{needed}.0")


def test_break_even_is_a_bound_where_scratch_never_reaches(tmp_path):
    study = MetaStudy(write_study(tmp_path / "far", lambda *key: 0.8 if key[0] == "gp_transfer" else tau_of(*key)))
    assert meta_bill.payback(study, "gp_transfer", 10).tasks_words == "at most 3"  # 90 / 40


def test_bill(text):
    assert (
        "The source tasks of a target cost 90 trainings (2.0 hours of training); it takes 30.0 labels from scratch to "
        "rank as well as rank_transfer without labels, so that the sources are paid back after 3 target tasks;" in text
    )
    assert "a target's 10 labels alone 10 100 800 –" in text
    assert "spread over 5 tasks, as many as here 28 280 2,240 –" in text


def test_figures_tables_and_command(folder, text):
    report = folder / "report"
    assert {p.stem for p in (report / "figures").glob("*.png")} == {
        "adaptation",
        "targets",
        "sources",
        "map",
        "helps",
        "harm",
    }
    scores = pd.read_csv(report / "tables" / "scores.csv")
    assert scores[(scores["predictor"] == "gp") & (scores["n"] == 50)]["kendall"].tolist() == [pytest.approx(0.6)]
    assert "nasbench fit --meta --table mine --task cifar10,digits" in text
    assert "--train-sizes 0,10,50 --seeds 2 --source-counts 2" in text


def test_same_study_same_page(folder, tmp_path):
    first, second = (reports.write(folder, tmp_path / name) for name in ("a", "b"))
    for path in sorted(first.parent.rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (second.parent / path.relative_to(first.parent)).read_bytes(), path.name


def test_leaks_are_loud(tmp_path):
    study = write_study(tmp_path / "leak", sources=["cifar10", "digits"], target_among_sources=True)
    facts = json.loads((study / "meta.json").read_text())
    assert facts["tasks"]["cifar10"]["sources"] == ["cifar10", "digits"]
    shown = words(reports.write(study))
    assert "These results leak: the study allowed targets among their own sources, and 2 of 5 are" in shown
    assert "never seen" not in shown


def test_predictors_that_say_nothing_count_as_zero(folder, tmp_path):
    study = write_study(tmp_path / "empty")
    scores = pd.read_csv(study / "scores.csv")
    gp = (scores["predictor"] == "gp") & (scores["metric"] == "kendall") & (scores["n"] == 10)
    scores.loc[gp, "value"] = np.nan
    scores.to_csv(study / "scores.csv", index=False)
    assert MetaStudy(study).mean().loc["gp", 10] == 0
    assert "In 10 draws, a predictor gave all cells the same value; that counts as τ = 0." in words(
        reports.write(study)
    )


def test_one_target_without_scratch_or_descriptor(tmp_path):
    sees = {"rank_transfer": "tasks", "gp_transfer": "tasks"}
    study = write_study(tmp_path / "one", targets=["cifar10"], sources=["digits", "mnist", "cifar100"], sees=sees)
    facts = json.loads((study / "meta.json").read_text())
    facts["tasks"]["cifar10"] |= {"descriptor": None, "ceiling": None, "cost": [None] * 4}
    (study / "meta.json").write_text(json.dumps(facts))
    shown = words(reports.write(study))
    assert "No predictor from scratch was asked" in shown
    assert "The targets have no descriptors, so that there is no map of them" in shown
    assert "The source tasks of a target cost an unknown number of trainings" in shown
    assert "no noise ceiling is known" in shown


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ([0], "Not asked, since no number"),
        ([0], "nothing can be learned from fewer than two labels"),
        ([0, 1, 298], "From scratch, the best is gp with 298 labels"),
        ([5], "with 5 labels"),
    ],
)
def test_one_number_of_labels(tmp_path, sizes, sentence):
    study = write_study(tmp_path / "study", lambda name, task, n: None if name == "gp" and n < 2 else 0.3, sizes=sizes)
    shown = words(reports.write(study))
    assert sentence in shown
    assert "No predictor from scratch was asked" not in shown


def test_scratch_only(tmp_path):
    study = write_study(tmp_path / "scratch", sees={"gp": "cells"})
    assert "No meta-learned predictor was asked" in words(reports.write(study))


@pytest.mark.parametrize("missing", ["scores.csv", "seconds.csv", "helps.csv"])
def test_missing_files_are_named(tmp_path, missing):
    study = write_study(tmp_path / "study")
    (study / missing).unlink()
    with pytest.raises(NasbenchError, match=f"lacks {missing}; the same `nasbench fit --meta` finishes it"):
        reports.write(study)
    assert not (study / "report").exists()


def test_unfinished_draws_are_named(tmp_path):
    study = write_study(tmp_path / "study")
    scores = pd.read_csv(study / "scores.csv")
    scores[~((scores["predictor"] == "gp") & (scores["task"] == "digits"))].to_csv(study / "scores.csv", index=False)
    with pytest.raises(NasbenchError, match=r"scores.csv in .* lacks draws of gp on digits with 10 labels"):
        reports.write(study)


@pytest.mark.parametrize(
    ("file", "content"),
    [("meta.json", "{}"), ("meta.json", '{"format": 2}'), ("scores.csv", "a,b\n1,2\n"), ("helps.csv", "source\nx\n")],
)
def test_damaged_studies_are_refused(tmp_path, file, content):
    study = write_study(tmp_path / "study")
    (study / file).write_text(content)
    with pytest.raises(NasbenchError, match="damaged or of another release"):
        reports.write(study)


def test_thirty_names_on_the_map_do_not_cover_one_another():
    tasks = [*(f"cifar100_{name}" for name in SUPERCLASSES), *(f"tinyimagenet100_{k}" for k in range(10))]
    at = np.random.default_rng(3).standard_normal((30, 2)) * (5, 3)
    figure = meta_maps.map_figure(meta_maps.Places(tasks, at, (0.5, 0.2)))
    renderer = figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in figure.axes[0].texts]
    assert len(boxes) == 30
    assert not [1 for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]


def test_sources_that_order_alike_stand_together():
    names = ["a", "b", "c", "d"]
    groups = {"a": 0, "c": 0, "b": 1, "d": 1}
    values = [[np.nan if x == y else 0.9 if groups[x] == groups[y] else 0.2 for y in names] for x in names]
    found = meta_maps.ordered(names, pd.DataFrame(values, names, names))
    assert {frozenset(found[:2]), frozenset(found[2:])} == {frozenset("ac"), frozenset("bd")}
