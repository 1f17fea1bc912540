"""Cells that a comparison found, looked up in another table of their space."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import reports
import strategies
from nasbench.cli import main
from nasbench.errors import NasbenchError
from nasbench.runs import Suite, compare
from nasbench.tables import Curves, Table, open_table
from reports import elsewhere
from reports.statistics import rank_agreement
from reports.study import Study

NAMES = ("random_search", "local_search", "regularized_evolution")


@pytest.fixture(scope="module")
def searched(tmp_path_factory) -> Path:
    """Three strategies on our own trainings of digits."""
    folder = tmp_path_factory.mktemp("elsewhere") / "results"
    fields = {
        "name": "own",
        "table": "digits",
        "tasks": ["digits"],
        "strategies": NAMES,
        "seeds": 5,
        "budget": "20evals",
    }
    compare(Suite.from_fields(fields), strategies.CATALOGUE, folder, jobs=1)
    return folder


def last_cells(folder: Path, task: str) -> dict[tuple[str, int], int]:
    found = {}
    for path in (folder / "runs" / task).glob("*/*.json"):
        document = json.loads(path.read_text())
        found[document["strategy"], document["seed"]] = document["steps"]["cell"][document["incumbents"]["step"][-1]]
    return found


def test_last_cells_have_the_other_tables_accuracies(searched, tmp_path, capsys):
    assert main(["report", str(searched), "--out", str(tmp_path / "page"), "--judge", "nasbench201"]) == 0
    other = open_table("nasbench201")
    frame = pd.read_csv(tmp_path / "page" / "tables" / "elsewhere_digits.csv").set_index(["strategy", "seed"])
    cells = last_cells(searched, "digits")
    assert len(frame) == len(cells) == 15
    for key, index in cells.items():
        for task in other.tasks:
            expected = other.query(other.space.cell(index), task).val_acc
            assert frame.loc[key, f"{task}_val_acc"] == pytest.approx(expected)
    page = (tmp_path / "page" / "index.html").read_text()
    assert "What was found, looked up in nasbench201" in page
    means = frame.groupby("strategy")["cifar10_val_acc"].mean()
    said = elsewhere.in_words(Study(searched), elsewhere.look_up(Study(searched), "nasbench201"))
    assert (
        f"those of {means.idxmax()} have the highest mean validation accuracy on cifar10 there, {means.max():.2f}"
        in said[0]
    )


def test_orders_that_are_the_same_agree_wholly(searched):
    """The comparison's own table, by validation accuracies alone, orders strategies as its regrets do."""
    digits = open_table("digits")
    curves = digits.curves("digits")
    own = Table.from_arrays(
        digits.space, [Curves("digits", curves.epochs, {"val_acc": curves.arrays["val_acc"]}, curves.seeds)],
        digits.rows, digits.cells,
    )  # fmt: skip
    own.save(searched.parent / "own.h5")
    found = elsewhere.look_up(Study(searched), searched.parent / "own.h5")
    assert found.metric == "val"
    assert found.agreement["digits"] == pytest.approx((1, 1, 1))
    for label, ends in found.ends.groupby("strategy"):
        here = Study(searched).accuracies("val", "digits", str(label))
        assert ends["digits"].to_numpy() == pytest.approx(here)


def test_test_accuracies_are_taken_where_every_task_has_them(searched):
    assert elsewhere.look_up(Study(searched), "digits").word == "test"
    assert elsewhere.look_up(Study(searched), "nasbench201").word == "validation"


def test_cells_without_a_result_there_are_counted(searched, tmp_path):
    known = sorted(set(last_cells(searched, "digits").values()))[:3]
    accuracy = np.full((len(known), 1), 50.0)
    table = Table.from_arrays("nasbench201", [Curves("few", (1,), {"val_acc": accuracy})], cells=np.array(known))
    table.save(tmp_path / "few.h5")
    study = Study(searched)
    found = elsewhere.look_up(study, tmp_path / "few.h5")
    lost = sum(cell not in known for cell in last_cells(searched, "digits").values())
    assert lost
    assert elsewhere.in_words(study, found)[0] == f"{lost} of 15 runs end with a cell that few has no result for."
    assert int(found.ends["few"].isna().sum()) == lost
    reports.write(searched, tmp_path / "page", tmp_path / "few.h5")


def test_a_cell_that_one_task_lacks_is_known_on_the_others(searched, tmp_path):
    """A table of which one task has results for a few cells only."""
    known = sorted(set(last_cells(searched, "digits").values()))[:2]
    part = np.full((15625, 1), np.nan)
    part[known] = 60.0
    whole = np.random.default_rng(0).uniform(50, 70, (15625, 1))
    Table.from_arrays("nasbench201", [Curves("whole", (1,), {"val_acc": whole}), Curves("part", (1,), {
        "val_acc": part})]).save(tmp_path / "both.h5")  # fmt: skip
    study = Study(searched)
    found = elsewhere.look_up(study, tmp_path / "both.h5")
    assert "has no result for" not in " ".join(elsewhere.in_words(study, found))
    assert list(found.agreement) == ["whole"]
    (table,) = elsewhere.tables(found, NAMES)
    there = sum(cell in known for cell in last_cells(searched, "digits").values())
    shown = [str(row[2]) for row in table.rows[:3]]
    assert sum(int(text.partition("(")[2].split()[0]) for text in shown if "(" in text) == there
    assert all(text == "–" or text.startswith("60.00 ±") for text in map(lambda t: t.strip("*"), shown))
    assert not any("(" in str(row[1]) for row in table.rows)


def test_an_order_that_is_not_there_agrees_with_nothing():
    tau, _ = rank_agreement({"here": [[np.ones(3)] * 3], "there": [[np.full(3, float(k)) for k in range(3)]]})
    assert tau["here", "there"].value == 0
    tau, _ = rank_agreement({"here": [[np.ones(3)] * 3], "there": [[np.full(3, 7.0)] * 3]})
    assert tau["here", "there"].value == 1


def test_first_cells_of_searches_that_all_tasks_score(tmp_path, monkeypatch):
    fields = {"name": "one", "tasks": ["cifar10", "cifar100"], "search_task": "cifar10", "strategies": NAMES,
              "seeds": 2, "budget": "5evals"}  # fmt: skip
    compare(Suite.from_fields(fields), strategies.CATALOGUE, tmp_path / "results", jobs=1)
    first = pd.DataFrame({"task": ["cifar10", "cifar100"], "strategy": "darts", "seed": 0, "cell": 6111})
    monkeypatch.setattr(elsewhere, "first_cells", lambda _: first)
    found = elsewhere.look_up(Study(tmp_path / "results"), "nasbench201")
    assert found.firsts["task"].tolist() == ["cifar10"]


def test_searches_that_all_tasks_score_are_looked_up_once(tmp_path):
    fields = {"name": "one", "tasks": ["cifar10", "cifar100"], "search_task": "cifar10", "strategies": NAMES,
              "seeds": 3, "budget": "10evals"}  # fmt: skip
    compare(Suite.from_fields(fields), strategies.CATALOGUE, tmp_path / "results", jobs=1)
    found = elsewhere.look_up(Study(tmp_path / "results"), "images16")
    assert found.tasks == ["cifar10"]
    assert len(found.ends) == 9
    reports.write(tmp_path / "results", judge="images16")
    assert (tmp_path / "results" / "report" / "tables" / "elsewhere_cifar10.csv").is_file()


def test_first_cells_of_one_shot_searches_are_looked_up_too(searched, monkeypatch):
    study = Study(searched)
    first = pd.DataFrame({"task": "digits", "strategy": "darts", "seed": [0, 1], "cell": [6111, 0]})
    monkeypatch.setattr(elsewhere, "first_cells", lambda _: first)
    found = elsewhere.look_up(study, "nasbench201")
    table = open_table("nasbench201")
    expected = [table.query(table.space.cell(index), "cifar10").val_acc for index in (6111, 0)]
    assert found.firsts["cifar10"].tolist() == pytest.approx(expected)
    assert [shown.name for shown in elsewhere.tables(found, [*NAMES, "darts"])] == [
        "elsewhere_digits", "elsewhere_first_digits"
    ]  # fmt: skip


def test_what_cannot_judge_is_refused(searched, tmp_path, capsys):
    with pytest.raises(NasbenchError, match="are of nasbench201, those of the table nasbench_graph of nasbench_graph"):
        reports.write(searched, judge="nasbench_graph")
    with pytest.raises(NasbenchError, match="unknown table"):
        reports.write(searched, judge="nasbench202")
    accuracy = np.full((15625, 1), 50.0)
    predicted = Table.from_arrays(
        "nasbench201", [Curves("t", (1,), {"val_acc": accuracy})], attributes={"surrogate": {}}
    )
    predicted.save(tmp_path / "predicted.h5")
    with pytest.raises(NasbenchError, match="holds predictions, not trainings"):
        reports.write(searched, judge=tmp_path / "predicted.h5")
    (tmp_path / "study.json").write_text("{}")
    assert main(["report", str(tmp_path), "--judge", "nasbench201"]) == 2
    assert "holds no comparison" in capsys.readouterr().err
    reports.write(searched)
    assert "looked up in" not in (searched / "report" / "index.html").read_text()
