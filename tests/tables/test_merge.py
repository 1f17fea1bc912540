"""Merging: the union of what was measured, nothing made up, and contradictions named."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from nasbench.errors import NasbenchError
from nasbench.spaces import open_space
from nasbench.tables import Curves, Table
from nasbench.tables.merge import merge

SPACE = "nasbench201"


def whole_table(rng: np.random.Generator, rows: int = 12, seeds: int = 3) -> Table:
    """Two tasks, one of them under two schedules; complete, with arrays of every number of axes."""
    cells = np.sort(rng.choice(15_625, rows, replace=False))
    curves = []
    for task, epochs in (("a", (2, 4)), ("a", (1, 4, 9)), ("b", (5,))):
        shape = (rows, seeds, len(epochs))
        arrays: dict[str, np.ndarray] = {
            "val_acc": rng.uniform(0, 100, shape),
            "train_loss": rng.uniform(0, 3, shape).astype(np.float32),
            "test_acc": rng.uniform(0, 100, shape[:2]) if len(epochs) == 1 else rng.uniform(0, 100, shape),
            "train_seconds": rng.uniform(1, 9, shape[:2]),
            "status": rng.integers(0, 2, shape[:2]).astype(np.int8),
            "parameters": rng.integers(100, 999, rows).astype(np.int32),
        }
        curves.append(Curves(task, epochs, arrays, tuple(range(seeds)), {"images": 100}))
    return Table.from_arrays(SPACE, curves, cells=cells, attributes={"protocol": "p", "name": "whole"})


def part(table: Table, rows: Sequence[int], seeds: Sequence[int], tasks: Sequence[str] = ("a", "b")) -> Table:
    """What one shard of the table's campaign would hold."""
    rows, seeds = list(rows), list(seeds)
    curves = []
    for task in tasks:
        for schedule in table.schedules(task):
            entry = table.curves(task, schedule)
            arrays = {
                name: array[rows] if array.ndim == 1 else array[rows][:, seeds] for name, array in entry.arrays.items()
            }
            labels = tuple(entry.seeds[seed] for seed in seeds)
            curves.append(Curves(task, entry.epochs, arrays, labels, entry.attributes))
    return Table.from_arrays(SPACE, curves, cells=table.cells[rows], attributes=table.attributes)


@pytest.mark.parametrize("draw", range(8))
def test_shards_in_any_order_make_the_whole_again(draw: int) -> None:
    rng = np.random.default_rng(draw)
    whole = whole_table(rng)
    shards = []
    for rows in np.array_split(rng.permutation(len(whole)), 3):
        for seeds in ([0], [2, 1]):
            for tasks in (["a"], ["b"]):
                shards.append(part(whole, rows.tolist(), seeds, tasks))
    rng.shuffle(shards)
    shards.append(shards[0])
    merged = merge(shards)
    assert sorted(merged.tasks) == ["a", "b"]
    in_order = merge([part(whole, range(len(whole)), range(3), ["a"]), merged])
    assert in_order.checksum == whole.checksum == merge([whole]).checksum


def test_what_nobody_measured_is_nan_and_integers_stay_integers_only_if_complete() -> None:
    whole = whole_table(np.random.default_rng(0), rows=4)
    merged = merge([part(whole, [0, 1], [0]), part(whole, [2, 3], [0, 1], ["a"])])
    a, b = merged.curves("a", 9), merged.curves("b")
    assert merged.cells.tolist() == whole.cells.tolist()
    assert a.seeds == (0, 1)
    assert b.seeds == (0,)
    assert np.isnan(a.arrays["val_acc"][:2, 1]).all()
    assert not np.isnan(a.arrays["val_acc"][2:]).any()
    assert np.isnan(b.arrays["val_acc"][2:]).all()
    assert b.valid[:, 0].tolist() == [True, True, False, False]
    assert a.arrays["parameters"].dtype == np.int32
    assert b.arrays["parameters"].dtype == np.float64
    assert a.arrays["status"].dtype == np.float64
    assert a.arrays["train_loss"].dtype == np.float32
    assert np.isnan(b.arrays["parameters"][2:]).all()


def test_epochs_recorded_in_one_table_only_are_nan_in_the_rows_of_the_other() -> None:
    final = Curves("t", (4,), {"val_acc": np.array([[40.0]]), "train_seconds": np.array([8.0])})
    curve = Curves("t", (1, 4), {"val_acc": np.array([[[10.0, 30.0]]]), "train_seconds": np.array([4.0])})
    one, two = (
        Table.from_arrays(SPACE, [final], cells=np.array([5])),
        Table.from_arrays(SPACE, [curve], cells=np.array([3])),
    )
    merged = merge([one, two]).curves("t")
    assert merged.epochs == (1, 4)
    np.testing.assert_array_equal(merged.arrays["val_acc"], [[[10, 30]], [[np.nan, 40]]])
    assert merged.arrays["train_seconds"].tolist() == [4, 8]
    assert merged.at("train_seconds", 1).tolist() == [[1], [2]]


def test_seconds_with_and_without_an_axis_of_epochs() -> None:
    even = Curves("t", (1, 4), {"val_acc": np.full((1, 1, 2), 1.0), "train_seconds": np.array([8.0])})
    uneven = Curves("t", (1, 4), {"val_acc": np.full((1, 1, 2), 1.0), "train_seconds": np.array([[[5.0, 8.0]]])})
    tables = [Table.from_arrays(SPACE, [c], cells=np.array([i])) for i, c in enumerate((even, uneven))]
    assert merge(tables).curves("t").arrays["train_seconds"].tolist() == [[[2, 8]], [[5, 8]]]


def test_a_cell_seconds_differ_between_seeds_of_two_tables() -> None:
    def table(seeds: tuple[int, ...], seconds: float, accuracies: list[float]) -> Table:
        arrays = {"val_acc": np.array([accuracies]), "train_seconds": np.array([seconds])}
        return Table.from_arrays(SPACE, [Curves("t", (4,), arrays, seeds)], cells=np.array([5]))

    merged = merge([table((0, 1), 8.0, [10, np.nan]), table((1, 2), 9.0, [20, 30])]).curves("t")
    assert merged.arrays["train_seconds"].tolist() == [[8, 9, 9]]
    assert merged.arrays["val_acc"].tolist() == [[10, 20, 30]]


def test_two_values_for_one_training_are_refused_by_task_seed_and_cell() -> None:
    whole = whole_table(np.random.default_rng(1), rows=3)
    other = part(whole, range(3), range(3))
    accuracies = other.curves("a", 9).arrays["val_acc"]
    accuracies[2, 1, 0] = 12.5
    space = open_space(SPACE)
    cell = space.to_string(space.cell(int(whole.cells[2])))
    with pytest.raises(NasbenchError) as caught:
        merge([whole, other])
    assert "disagree on val_acc of 'a' (9 epochs), seed 1, cell " + cell in str(caught.value)
    assert str(caught.value).endswith("and 12.5.")


def test_seconds_of_one_training_may_differ_and_the_first_stay() -> None:
    whole = whole_table(np.random.default_rng(1), rows=3)
    other = part(whole, range(3), range(3))
    arrays = other.curves("a", 9).arrays
    arrays["train_seconds"] = arrays["train_seconds"] * 2
    found = merge([whole, other]).curves("a", 9)
    np.testing.assert_array_equal(found.full("train_seconds"), merge([whole]).curves("a", 9).full("train_seconds"))


def test_float32_is_no_contradiction() -> None:
    def table(dtype: type) -> Table:
        return Table.from_arrays(
            SPACE, [Curves("t", (4,), {"val_acc": np.array([[100 / 3]], dtype)})], cells=np.array([5])
        )

    assert merge([table(np.float64), table(np.float32)]).curves("t").arrays["val_acc"].tolist() == [[100 / 3]]


def test_attributes_that_differ_are_listed_and_protocols_must_agree() -> None:
    def table(cell: int, **attributes: object) -> Table:
        entry = Curves("t", (4,), {"val_acc": np.array([50.0])}, attributes={"data": attributes["device"]})
        return Table.from_arrays(SPACE, [entry], cells=np.array([cell]), attributes={"licence": "MIT"} | attributes)

    tables = [
        table(0, device="x", name="n0"),
        table(1, device="y", name="n1"),
        table(2, device="x", name="n0"),
    ]
    merged = merge(tables)
    assert merged.attributes == {"licence": "MIT", "device": ["x", "y"], "name": "n0 + n1"}
    assert merge([tables[0], merged]).attributes["name"] == "n0 + n1"
    assert merged.curves("t").attributes == {"data": ["x", "y"]}
    assert merge([merged, table(3, device="z", name="n1")]).attributes["device"] == ["x", "y", "z"]
    with pytest.raises(NasbenchError, match="different training protocols cannot be merged: 'one' and 'two'"):
        merge([table(0, device="x", protocol="one"), table(1, device="x", protocol="two")])


def test_rows_that_are_classes_meet_under_the_smaller_cell() -> None:
    space = open_space(SPACE)
    classes = space.classes("exact")
    first, second = np.flatnonzero(classes == np.bincount(classes).argmax())[:2].tolist()

    def table(cell: int, seed: int) -> Table:
        entry = Curves("t", (4,), {"val_acc": np.array([[10.0 + seed]])}, seeds=(seed,))
        return Table.from_arrays(SPACE, [entry], "classes", cells=np.array([cell]))

    merged = merge([table(second, 0), table(first, 1)])
    assert merged.cells.tolist() == [first]
    assert merged.curves("t").arrays["val_acc"].tolist() == [[10, 11]]
    assert merged.row(space.cell(second)) == 0


def test_tables_that_do_not_belong_together_are_refused() -> None:
    def table(space: str, rows: str = "cells") -> Table:
        return Table.from_arrays(space, [Curves("t", (4,), {"val_acc": np.array([50.0])})], rows, cells=np.array([0]))

    with pytest.raises(NasbenchError, match="there are no tables"):
        merge([])
    with pytest.raises(NasbenchError, match="over nasbench201 and one over transnasbench101_micro"):
        merge([table(SPACE), table("transnasbench101_micro")])
    with pytest.raises(NasbenchError, match="rows are cells and one of classes"):
        merge([table(SPACE), table(SPACE, "classes")])


def test_the_same_trainings_under_other_labels_are_refused() -> None:
    values = np.random.default_rng(0).random((20, 2)) * 100
    first, second = (
        Table.from_arrays("nasbench201", [Curves("t", (5,), {"val_acc": values}, seeds)], cells=np.arange(20))
        for seeds in ((0, 1), (777, 888))
    )
    with pytest.raises(NasbenchError, match="one training under two labels"):
        merge([first, second])


def test_equal_accuracies_of_few_images_are_no_relabelling() -> None:
    """Of eight validation images, two trainings agree often; their losses do not."""
    accuracy, rng = np.array([50.0, 62.5, 75.0, 50.0]), np.random.default_rng(0)
    first, second = (
        Table.from_arrays(
            SPACE, [Curves("t", (5,), {"val_acc": accuracy, "train_loss": rng.random(4)}, (seed,))], cells=np.arange(4)
        )
        for seed in (0, 1)
    )
    assert merge([first, second]).curves("t").seeds == (0, 1)


def test_rows_of_several_trainers_say_whose_they_are() -> None:
    def table(cells: list[int], seeds: tuple[int, ...], trainer: str) -> Table:
        shape = (len(cells), len(seeds))
        arrays = {"val_acc": np.full(shape, 50.0), "status": np.zeros(shape, np.int8)}
        entry = Curves("t", (4,), arrays, seeds, {"trainer": trainer})
        return Table.from_arrays(SPACE, [entry], cells=np.array(cells))

    one, two, three = table([0, 5], (0,), "cpu"), table([3, 5], (1,), "gpu"), table([9], (0, 1), "other")
    assert "trainer" not in merge([one, table([3], (0,), "cpu")]).curves("t").arrays
    both = merge([one, two])
    entry = both.curves("t")
    assert entry.attributes["trainer"] == ["cpu", "gpu"]
    np.testing.assert_array_equal(entry.arrays["trainer"], [[0, np.nan], [np.nan, 1], [0, 1]])
    entry = merge([three, both]).curves("t")
    assert entry.attributes["trainer"] == ["other", "cpu", "gpu"]
    np.testing.assert_array_equal(entry.arrays["trainer"], [[1, np.nan], [np.nan, 2], [1, 2], [0, 0]])
    complete = merge([table([0], (0,), "cpu"), table([0], (1,), "gpu")]).curves("t").arrays["trainer"]
    assert complete.dtype == np.int8
    assert complete.tolist() == [[0, 1]]
    assert merge([both, both]).checksum == both.checksum
