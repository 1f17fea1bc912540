"""Exporting: what is written reads back as the same table, and other programs can read it too."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from nasbench.errors import NasbenchError
from nasbench.spaces import open_space
from nasbench.tables import Curves, Table
from nasbench.tables.export import export
from nasbench.tables.importers import import_table


@pytest.fixture
def table() -> Table:
    """Three cells, two tasks, one with curves; the second cell lacks a seed, the third was never trained."""
    accuracies = np.array([[[10, 20.1], [30, 1 / 3]], [[50, 60], [np.nan, np.nan]], [[np.nan] * 2] * 2])
    arrays = {
        "val_acc": accuracies,
        "train_loss": (accuracies / 7).astype(np.float32),
        "train_seconds": np.array([8.0, 9.0, 10.0]),
        "parameters": np.array([100, 200, 300], dtype=np.int32),
    }
    final = {
        "val_acc": np.array([[1.0, 2.0], [3.0, np.nan], [4.0, 5.0]]),
        "train_seconds": np.array([1.0, 2.0, 3.0]),
    }
    curves = [
        Curves("curved", (3, 9), arrays, (777, 888), {"images": 100}),
        Curves("final", (9,), final, (0, 1)),
        Curves("final", (5,), final, (0, 1)),
    ]
    attributes = {"name": "mine", "citation": ["A and B, 2020", 'C, "quoted", 2021'], "protocol": "p"}
    return Table.from_arrays("nasbench201", curves, cells=np.array([4, 11, 2000]), attributes=attributes)


def test_npz_reads_back_as_the_same_content(table: Table, tmp_path: Path) -> None:
    path = export(table, tmp_path / "out.npz")
    assert import_table(None, path).checksum == table.checksum
    content = path.read_bytes()
    assert export(table, path).read_bytes() == content
    with np.load(path, allow_pickle=False) as file:
        np.testing.assert_array_equal(file["curved/9/val_acc"], table.curves("curved").arrays["val_acc"])


def test_csv_reads_back_as_the_same_content(table: Table, tmp_path: Path) -> None:
    back = import_table(None, export(table, tmp_path / "out.csv"))
    assert back.cells.tolist() == table.cells.tolist()
    assert back.tasks == table.tasks
    assert back.attributes == table.attributes
    assert back.space.name == "nasbench201"
    for task in table.tasks:
        assert back.schedules(task) == table.schedules(task)
        for schedule in table.schedules(task):
            wanted, found = table.curves(task, schedule), back.curves(task, schedule)
            assert (found.epochs, found.seeds, found.attributes) == (
                wanted.epochs,
                wanted.seeds,
                wanted.attributes,
            )
            np.testing.assert_array_equal(found.valid, wanted.valid)
            for name in wanted.arrays:
                for epoch in wanted.epochs:
                    expected = np.broadcast_to(wanted.at(name, epoch), wanted.valid.shape)
                    actual = np.broadcast_to(found.at(name, epoch), wanted.valid.shape)
                    np.testing.assert_array_equal(actual[wanted.valid], expected[wanted.valid], err_msg=name)
    assert back.curves("curved").arrays["parameters"].tolist() == [100, 200, 300]
    assert np.issubdtype(back.curves("curved").arrays["parameters"].dtype, np.integer)


def test_a_csv_of_final_results_reads_back_with_the_same_checksum(table: Table, tmp_path: Path) -> None:
    only = Table.from_arrays(table.space, [table.curves("final")], cells=table.cells, attributes=table.attributes)
    assert import_table(None, export(only, tmp_path / "out.csv")).checksum == only.checksum


def test_other_programs_read_the_csv(table: Table, tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.read_csv(export(table, tmp_path / "out.csv", task="final"), comment="#")
    assert list(frame.columns) == ["cell", "task", "epochs", "seed", "val_acc", "train_seconds"]
    assert len(frame) == 2 * 5
    assert set(frame["task"]) == {"final"}
    space = open_space("nasbench201")
    assert frame["cell"][0] == space.to_string(space.cell(4))
    with open(tmp_path / "out.csv", newline="") as file:
        assert next(file).startswith("# {")
        assert len(list(csv.reader(file))) == 11


def test_one_task_can_be_exported(table: Table, tmp_path: Path) -> None:
    back = import_table(None, export(table, tmp_path / "out.npz", task="final"))
    assert back.tasks == ("final",)
    assert back.schedules("final") == (5, 9)
    with pytest.raises(NasbenchError, match="unknown task in table mine 'finale'; did you mean 'final'"):
        export(table, tmp_path / "out.npz", task="finale")


def test_the_shipped_table_survives_both_formats(shipped: Table, tmp_path: Path) -> None:
    small = Table.from_arrays(
        shipped.space,
        [
            Curves(c.task, c.epochs, {n: a[:300] for n, a in c.arrays.items()}, c.seeds, c.attributes)
            for c in (shipped.curves(task) for task in shipped.tasks)
        ],
        cells=shipped.cells[:300],
        attributes=shipped.attributes,
    )
    for suffix in ("npz", "csv"):
        assert import_table(None, export(small, tmp_path / f"out.{suffix}")).checksum == small.checksum


def test_bad_paths_are_told_and_leave_nothing_behind(table: Table, tmp_path: Path) -> None:
    with pytest.raises(NasbenchError, match=r"exported as \.npz or \.csv, and 'out\.xlsx' is neither"):
        export(table, tmp_path / "out.xlsx")
    (tmp_path / "file").touch()
    with pytest.raises(NasbenchError, match=r"cannot write .*out\.csv"):
        export(table, tmp_path / "file" / "out.csv")
    (tmp_path / "taken.csv").mkdir()
    with pytest.raises(NasbenchError, match="cannot write"):
        export(table, tmp_path / "taken.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken.csv"]
