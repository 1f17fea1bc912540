"""Tables: from arrays, to a file and back, queries, and what a damaged file says."""

from __future__ import annotations

import pickle

import h5py
import numpy as np
import pytest

from nasbench.errors import NasbenchError
from nasbench.tables import Curves, Table, open_table
from nasbench.tables.hdf5 import verify
from nasbench.tables.noise import noise
from reports.portrait import draw_table


def test_shipped_table_agrees_with_the_published_results(shipped, published):
    for i, task in enumerate(map(str, published["datasets"])):
        curves = shipped.curves(task)
        ours, theirs = curves.full("val_acc")[:, :, 0], published["val_acc_200_seeds"][:, i]
        assert np.array_equal(ours, theirs, equal_nan=True) or np.nanmax(np.abs(ours - theirs)) < 1e-6
        assert np.allclose(curves.mean("train_seconds"), published["train_time_200"][:, i])
        assert np.allclose(curves.mean("latency_seconds"), published["latency_s"][:, i])


def test_shipped_parameter_counts_follow_from_the_operations(shipped, nb201):
    """A skeleton of 73,306 and 28,000 or 243,040 per convolution; the published file has 150 cells' counts
    wrong."""
    counts = (nb201.cells[:, :, None] == np.arange(5)).sum(axis=1)
    expected = 73_306 + 28_000 * counts[:, 2] + 243_040 * counts[:, 3]
    assert np.array_equal(shipped.curves("cifar10").mean("parameters"), expected)


def test_shipped_table_has_the_published_optima(shipped):
    best = {task: (shipped.curves(task).mean("val_acc")) for task in shipped.tasks}
    assert {t: (int(np.argmax(v)), round(float(v.max()), 2)) for t, v in best.items()} == {
        "cifar10": (6111, 91.61),
        "cifar100": (9930, 73.49),
        "ImageNet16-120": (10676, 46.73),
    }


def test_query_by_string_seed_and_epoch(tiny_table):
    cell = tiny_table.space.cell(5)
    result = tiny_table.query(tiny_table.space.to_string(cell), "toy")
    assert (result.val_acc, result.test_acc, result.train_seconds) == (5 + 0.05 + 3, 5.05, 30.0)
    assert result.seeds == (7, 8)
    assert tiny_table.query(cell, "toy", epochs=1, seed=8).val_acc == pytest.approx(6.1)


def test_missing_seeds_are_neither_filled_in_nor_counted(shipped):
    curves = shipped.curves("cifar10")
    row = int(np.flatnonzero(~curves.valid[:, 2])[0])
    result = shipped.query(shipped.space.cell(row), "cifar10")
    assert result.seeds == (0, 1)
    assert result.val_acc == pytest.approx(curves.full("val_acc")[row, :2, 0].mean())


def test_schedule_totals_are_shared_out_over_epochs(tiny_table):
    curves = Curves("t", (5, 10), {"val_acc": np.zeros((64, 1, 2)), "train_seconds": np.full(64, 40.0)})
    assert curves.at("train_seconds", 5)[0, 0] == 20.0


def test_file_round_trip_keeps_content_and_checksum(tiny_table, tmp_path):
    table = Table.from_arrays("nasbench201", [Curves("t", (2,), {"val_acc": np.random.default_rng(0).random((3, 2))})],
                              cells=np.array([5, 0, 77]), attributes={"licence": "CC0"})  # fmt: skip
    path = table.save(tmp_path / "deep" / "t.h5")
    again = open_table(path)
    assert again.checksum == table.checksum
    assert again.attributes == {"licence": "CC0"}
    assert again.row(again.space.cell(77)) == 2
    assert again.row(again.space.cell(78)) == -1
    assert np.array_equal(again.curves("t").arrays["val_acc"], table.curves("t").arrays["val_acc"])
    assert pickle.loads(pickle.dumps(again)).checksum == table.checksum
    assert verify(path)["datasets"] == 2
    assert again.to_frame("t").shape == (3, 4)
    before = path.read_bytes()
    table.save(path)
    assert path.read_bytes() == before


def test_one_training_answers_for_its_class(nb201, tmp_path):
    representatives = nb201.representatives("exact")
    accuracy = np.arange(len(representatives), dtype=float) / 100
    table = Table.from_arrays(nb201, [Curves("t", (1,), {"val_acc": accuracy})], rows="classes", cells=representatives)
    table = open_table(table.save(tmp_path / "classes.h5"))
    first, second = (3, 3, 0, 0, 2, 2), (3, 3, 0, 0, 2, 2)[::1]
    swapped = (first[1], first[0], 0, first[3], first[5], first[4])
    assert table.row(first) == table.row(swapped) == table.row(second) >= 0
    assert (table.row_of_cell >= 0).all()


def test_every_flipped_byte_is_noticed_or_harmless(tmp_path):
    """Each damaged file either says so in one sentence or reads exactly as before."""
    table = Table.from_arrays("nasbench201", [Curves("t", (2,), {"val_acc": np.arange(40.0)})], cells=np.arange(40))
    whole = table.save(tmp_path / "whole.h5").read_bytes()
    damaged, noticed = tmp_path / "damaged.h5", 0
    for position in range(0, len(whole), 13):
        damaged.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
        try:
            verify(damaged)
        except NasbenchError:
            noticed += 1
        else:
            assert np.array_equal(open_table(damaged).curves("t").arrays["val_acc"], np.arange(40.0))
    assert noticed > 50


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path, whole: path.write_bytes(whole[: len(whole) // 2]), "damaged"),
        (lambda path, whole: path.write_bytes(b"epoch,val_acc\n"), "not an HDF5 file"),
        (lambda path, whole: path.write_bytes(b""), "not an HDF5 file"),
        (lambda path, whole: path.mkdir(), "is a folder"),
        (lambda path, whole: None, "there is no table file"),
    ],
)
def test_files_that_are_no_tables_say_what_they_are(tiny_table, tmp_path, shipped, make, says):
    path = tmp_path / "x.h5"
    make(path, shipped.path.read_bytes())
    with pytest.raises(NasbenchError, match=says):
        verify(path) if path.is_file() else open_table(path)


def test_other_versions_and_foreign_files_are_refused(tmp_path, shipped):
    path = tmp_path / "x.h5"
    path.write_bytes(shipped.path.read_bytes())
    with h5py.File(path, "a") as file:
        file.attrs["version"] = 2
    with pytest.raises(NasbenchError, match="table format 2, and this release reads format 1"):
        open_table(path)
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["data"] = [1]
    with pytest.raises(NasbenchError, match="not a nasbench table"):
        open_table(tmp_path / "foreign.h5")


@pytest.mark.parametrize(
    ("curves", "says"),
    [
        (lambda: Curves("t", (2,), {"val_acc": np.zeros((3, 2))}, seeds=(0, 1)), "of shape"),
        (lambda: Curves("t", (2,), {"test_acc": np.zeros(64)}), "lack the array 'val_acc'"),
        (lambda: Curves("t", (2,), {"val_acc": np.zeros(64), "val_ac": np.zeros(64)}), "did you mean 'val_acc'"),
        (lambda: Curves("t", (2, 1), {"val_acc": np.zeros(64)}), "ascending"),
        (lambda: Curves("t", (2,), {"val_acc": np.zeros(64)}, seeds=(1, 1)), "distinct"),
    ],
)
def test_wrong_arrays_are_refused(tiny_table, curves, says):
    with pytest.raises(NasbenchError, match=says):
        Table.from_arrays(tiny_table.space, [curves()])


def test_questions_that_the_table_cannot_answer(tiny_table, shipped):
    cell = tiny_table.space.cell(0)
    for question, says in (
        (lambda: tiny_table.query(cell, "toi"), "did you mean 'toy'"),
        (lambda: tiny_table.query(cell, "toy", epochs=9), "recorded: 1 to 3"),
        (lambda: tiny_table.query(cell, "toy", schedule=12), "schedules: 3"),
        (lambda: tiny_table.query(cell, "toy", seed=1), "seeds: 7, 8"),
        (lambda: open_table("nasbench202"), "did you mean 'nasbench201'"),
    ):
        with pytest.raises(NasbenchError, match=says):
            question()


def test_noise_of_made_up_seeds_is_recovered():
    rng = np.random.default_rng(0)
    truth = rng.random(5000) * 50
    values = truth[:, None] + 2.0 * rng.standard_normal((5000, 3))
    values[::2, 2] = np.nan
    found = noise(Curves("t", (1,), {"val_acc": values}, seeds=(0, 1, 2)))
    assert found.rows == 5000
    assert found.deviation == pytest.approx(2.0, rel=0.03)
    assert found.seeds == 2.5
    assert 0 < found.kendall_top < found.kendall < 1
    assert noise(Curves("t", (1,), {"val_acc": truth})) is None


def test_the_best_tenth_is_not_chosen_by_the_seeds_that_are_compared():
    """Of pure noise, two seeds agree on nothing; they would disagree over the best by their own mean."""
    values = np.random.default_rng(0).standard_normal((20000, 3))
    found = noise(Curves("t", (1,), {"val_acc": values}, seeds=(0, 1, 2)))
    assert abs(found.kendall_top) < 0.05
    assert found.rows_top == 200
    assert noise(Curves("t", (1,), {"val_acc": values[:, :2]}, seeds=(0, 1))).kendall_top is None


def test_rows_that_were_trained_once_count_with_one_seed():
    rng = np.random.default_rng(0)
    values = rng.random(1000)[:, None] * 50 + rng.standard_normal((1000, 2))
    values[rng.permutation(1000)[:900], 1] = np.nan
    found = noise(Curves("t", (1,), {"val_acc": values}, seeds=(0, 1)))
    assert found.rows == 100
    assert found.kendall_top is None  # ten rows say nothing
    assert found.seeds == pytest.approx(1.1)
    assert found.resolution > 1.96 * found.deviation_top * 1.2, "most of the best have one"


def test_a_task_without_results_is_not_drawn(tmp_path):
    empty = Table.from_arrays("nasbench201", [Curves("t", (1,), {"val_acc": np.full(15_625, np.nan)})])
    with pytest.raises(NasbenchError, match="no cell has a result on 't'"):
        draw_table(empty, "t", tmp_path / "t.png")
    assert not list(tmp_path.iterdir())
