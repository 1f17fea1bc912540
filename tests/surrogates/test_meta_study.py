"""`nasbench fit --meta`: what its folder holds, that it is the same however it was made, and what it refuses."""

from __future__ import annotations

import dataclasses
import json

import pandas as pd
import pytest
from conftest import toy_tasks

import reports
from nasbench.cli import main
from nasbench.errors import NasbenchError
from surrogates.meta.study import MetaStudy, run_meta_study

STUDY = MetaStudy("toys", ("toy0", "toy3"), ("rank_transfer", "stacked", "ridge"), (0, 5), 2, source_counts=(2,))
FILES = ("meta.json", "scores.csv", "helps.csv")


@pytest.fixture(scope="module")
def table():
    return toy_tasks(4, cells=90)


@pytest.fixture(scope="module")
def folder(table, tmp_path_factory):
    return run_meta_study(STUDY, table, tmp_path_factory.mktemp("meta") / "study")


def test_every_target_is_asked_with_its_own_sources(folder):
    scores = pd.read_csv(folder / "scores.csv")
    facts = json.loads((folder / "meta.json").read_bytes())
    assert facts["tasks"]["toy0"]["sources"] == ["toy1", "toy2", "toy3"]
    assert facts["tasks"]["toy3"]["cost"][3] == 3 * 90 * 2
    taus = scores[(scores["metric"] == "kendall") & (scores["sources"] == 3)]
    count = taus.groupby(["predictor", "task", "n"]).size()
    assert (count == 2).all()
    assert set(taus[taus["predictor"] == "ridge"]["n"]) == {5}
    assert set(taus[taus["predictor"] == "stacked"]["n"]) == {0, 5}
    part = scores[(scores["metric"] == "kendall") & (scores["sources"] == 2)]
    assert set(part["predictor"]) == {"rank_transfer", "stacked"}
    assert (part.groupby(["predictor", "task", "n"]).size() == 3).all()


def test_sources_help_by_a_number_each(folder):
    helps = pd.read_csv(folder / "helps.csv")
    assert len(helps) == 2 * 3
    assert helps["value"].between(-1, 1).all()
    assert not (helps["source"] == helps["task"]).any()


def test_the_same_bytes_for_two_processes_and_after_a_kill(table, folder, tmp_path):
    again = run_meta_study(STUDY, table, tmp_path / "again", jobs=2)
    assert all((again / name).read_bytes() == (folder / name).read_bytes() for name in FILES)
    (again / "draws" / "toy0" / "all" / "stacked.json").unlink()
    (again / "draws" / "toy0" / "all" / "ridge.json").write_text("")
    (again / "draws" / "toy3" / "all" / "ridge.json").write_text("[[0]]")
    (again / "scores.csv").unlink()
    run_meta_study(STUDY, table, again)
    assert all((again / name).read_bytes() == (folder / name).read_bytes() for name in FILES)


def test_the_page_is_written(folder, tmp_path):
    assert "toy3" in reports.write(folder, tmp_path / "page").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 3}, "another study"),
        ({"targets": ("toy0",)}, "more targets than are asked for"),
        ({"predictors": ("stacked",)}, "more predictors than are asked for"),
        ({"source_counts": ()}, "more numbers of sources than are asked for"),
        ({"train_sizes": (0, 89)}, "89 labels are not possible"),
        ({"source_counts": (1,)}, "numbers of sources are from 2 to"),
        ({"source_counts": (99,)}, "which is what a target has; not 99"),
        ({"predictors": ("stacked", "stacked")}, "once each"),
        ({"predictors": ("sotl_e",)}, "sees curves"),
        ({"targets": ("toy9",)}, "unknown task"),
        ({"sources": ("toy0",)}, "is the target"),
    ],
)
def test_mistakes_are_one_sentence_and_leave_the_folder(table, folder, changes, message):
    before = {name: (folder / name).read_bytes() for name in FILES}
    with pytest.raises(NasbenchError, match=message):
        run_meta_study(dataclasses.replace(STUDY, **changes), table, folder)
    assert before == {name: (folder / name).read_bytes() for name in FILES}


def test_from_the_command_line(capsys, tmp_path):
    command = ["fit", "--meta", "--table", "images16", "--predictor", "stacked,ridge", "--train-sizes", "0,5"]
    assert main([*command, "--seeds", "1", "--jobs", "1", "--out", str(tmp_path / "study")]) == 0
    shown = capsys.readouterr().out
    assert "stacked" in shown
    assert "report:" in shown
    assert (tmp_path / "study" / "report" / "index.html").exists()
