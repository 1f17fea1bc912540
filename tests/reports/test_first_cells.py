"""What searches with a supernet chose first: counted from the runs, said where it is a collapse, absent elsewhere."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path

import pandas as pd
import pytest

import reports
import strategies
from nasbench.networks.graph import prune
from nasbench.runs import Suite, compare
from reports import first_cells
from reports.study import Study


@pytest.fixture(scope="module")
def one_shot(tmp_path_factory) -> Path:
    """Searches of two epochs beside random search."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("one_shot") / "results"
    chosen = {"random_search": strategies.CATALOGUE["random_search"]}
    for name in ("darts", "random_sharing"):
        entry = strategies.CATALOGUE[name]
        chosen[name] = dataclasses.replace(entry, settings={**entry.settings, "epochs": 2})
    fields = {"name": "one-shot", "table": "digits", "tasks": ["digits"], "strategies": list(chosen), "seeds": 2,
              "budget": "4evals"}  # fmt: skip
    compare(Suite.from_fields(fields), chosen, folder, jobs=1)
    return folder


def test_first_cells_are_those_of_the_runs(one_shot):
    reports.write(one_shot)
    study = Study(one_shot)
    assert first_cells.searched(study) == ["darts", "random_sharing"]
    found = pd.read_csv(one_shot / "report" / "tables" / "first_cells.csv").set_index(["strategy", "seed"])
    assert len(found) == 6
    for name in study.strategies:
        for seed in range(2):
            document = json.loads((one_shot / "runs" / "digits" / name / f"{seed:05d}.json").read_text())
            row, cell = found.loc[name, seed], document["steps"]["cell"][0]
            assert row["cell"] == cell
            codes = prune(study.space.cell(cell))
            assert [row[o] for o in study.space.operations] == [codes.count(k) for k in range(5)]
            best, incumbents = document["best"], document["incumbents"]
            assert row["val_regret"] == pytest.approx(best["val_acc"] - incumbents["val_acc"][0])
            assert row["test_regret"] == pytest.approx(best["test_acc"] - incumbents["test_acc"][0])
    page = (one_shot / "report" / "index.html").read_text()
    assert "What the searches chose by themselves" in page
    assert (one_shot / "report" / "figures" / "first_cells.png").stat().st_size > 5000


def test_a_collapse_is_said(one_shot):
    study = Study(one_shot)
    cells = first_cells.first_cells(study)
    darts = cells["strategy"] == "darts"
    cells.loc[darts, [*study.space.operations]] = 0
    cells.loc[darts, "skip_connect"] = 6
    cells.loc[cells["strategy"] == "random_sharing", "nor_conv_3x3"] += 1
    said = first_cells.in_words(study, cells)
    assert said[-1] == "First cells without a single operation that has weights: darts (2 of 2 runs)."
    cells.loc[darts, "nor_conv_1x1"] = 1
    assert first_cells.in_words(study, cells)[-1].startswith("Every first cell of a search with a supernet")


def test_operations_on_dead_ends_do_not_count(one_shot):
    study = Study(one_shot)
    index = study.space.index((3, 0, 0, 1, 0, 0))  # a convolution that leads nowhere, beside a skip connection
    study.documents["digits", "darts"][0]["steps"]["cell"][0] = index
    row = first_cells.first_cells(study).set_index(["strategy", "seed"]).loc["darts", 0]
    assert (row["cell"], row["none"], row["skip_connect"], row["nor_conv_3x3"]) == (index, 5, 1, 0)


def test_words_and_table_say_the_same_mean(one_shot):
    """Also where a quarter of the searches failed badly, which interquartile means leave aside."""
    study = Study(one_shot)
    cells = first_cells.first_cells(study)
    darts = cells[cells["strategy"] == "darts"].iloc[[0] * 8].assign(seed=range(8))
    darts["val_regret"] = [1.0] * 6 + [80.0] * 2
    others = cells[cells["strategy"] != "darts"].assign(val_regret=2.0)
    cells = pd.concat([darts, others], ignore_index=True)
    said = first_cells.in_words(study, cells)[0]
    assert said.startswith(
        "The first cell of darts has the lowest regret of the searches with a supernet: 1.00, a random"
    )
    rows = first_cells.table(study, cells, study.strategies).rows
    assert [str(row[1]).split()[0] for row in rows] == ["2.00", "1.00", "2.00"]


def test_with_several_workers_nothing_is_said(one_shot):
    study = Study(one_shot)
    study.suite = study.suite.replace(workers=4)
    assert first_cells.first_cells(study).empty


def test_without_a_search_there_is_nothing_to_say(one_shot):
    study = copy.copy(Study(one_shot))
    study.strategies = ["random_search"]
    assert first_cells.first_cells(study).empty
