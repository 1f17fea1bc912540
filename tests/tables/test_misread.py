"""Results that would be taken for others: refused when a table is made, and nowhere made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasbench import Curves, Table, TabularBenchmark
from nasbench.cli import main
from nasbench.errors import NasbenchError
from nasbench.records import Status, Trial
from nasbench.runs import Budget, run
from nasbench.spaces import open_space
from nasbench.tables.export import export
from nasbench.tables.importers import guess_kind, import_table
from nasbench.tables.importers.arrays import import_csv, import_npz
from nasbench.tables.merge import merge
from strategies import CATALOGUE

SPACE = "nasbench201"


def npz(tmp_path: Path, about: dict[str, Any] | None = None, **arrays: Any) -> Path:
    path = tmp_path / "mine.npz"
    texts = {} if about is None else {"about": json.dumps(about)}
    np.savez(path, **texts, **{name.replace("__", "/"): np.asarray(array) for name, array in arrays.items()})
    return path


@pytest.mark.parametrize("name", ["val_acc", "status"])
def test_one_value_a_row_is_no_training_under_another_table_s_seed(name: str) -> None:
    def table(cells: list[int], seed: int) -> Table:
        arrays = {"val_acc": np.full((2, 1), 50.0), "parameters": np.array([3, 4])}
        arrays[name] = np.array([1, 0]) if name == "status" else np.array([10.0, 20.0])
        return Table.from_arrays(SPACE, [Curves("a", (10,), arrays, (seed,))], cells=np.array(cells))

    merged = merge([table([1, 2], 0), table([5, 6], 1)])
    entry = merged.curves("a")
    assert entry.seeds == (0, 1)
    assert entry.valid.tolist() == [[True, False]] * 2 + [[False, True]] * 2
    assert np.isnan(entry.at(name, 10)[0]).tolist() == [False, True]
    assert entry.arrays["parameters"].tolist() == [3, 4, 3, 4]
    same = merge([table([1, 2], 0), table([5, 6], 0)]).curves("a")
    assert same.arrays[name].shape == (4,)


def test_of_a_seed_that_a_cell_lacks_there_is_nothing(shipped: Table) -> None:
    missing = int(np.flatnonzero(~shipped.curves("cifar10").valid[:, 2])[0])
    result = shipped.query(shipped.space.cell(missing), "cifar10", seed=2)
    assert result.seeds == ()
    assert np.isnan([result.val_acc, result.train_seconds]).all()
    assert result.parameters > 0
    assert shipped.query(shipped.space.cell(missing), "cifar10", seed=0).seeds == (0,)


def test_a_diverged_seed_beside_one_never_trained_is_a_failure() -> None:
    """Codes 0 and 1 must not become their mean, which would round to success without an accuracy."""
    values = np.random.default_rng(0).uniform(50, 60, (15_625, 2))
    status = np.zeros((15_625, 2), np.int8)
    values[::2], status[::2, 1] = np.nan, Status.DIVERGED
    table = Table.from_arrays(SPACE, [Curves("t", (5,), {"val_acc": values, "status": status})])
    benchmark = TabularBenchmark(table, "t")
    (outcome,) = benchmark.evaluate([Trial(table.space.cell(0), 5)])
    assert outcome.status is Status.DIVERGED
    for seed in range(5):
        result = run(CATALOGUE["random_search"], benchmark, Budget(50, "evals"), seed)
        seen = [step.outcome.val_acc for step in result.steps if step.outcome.status is Status.OK]
        assert result.incumbents[-1].score.val_acc == max(seen)


@pytest.mark.parametrize(
    ("epochs", "arrays", "says"),
    [
        ((5, 10), {"val_acc": np.full(3, 50.0)}, "'val_acc' of 't' has 1 of 2 epochs, 5, 10: it needs all of them"),
        ((5, 10), {"val_acc": np.full((3, 1, 1), 50.0)}, "has 1 of 2 epochs"),
        (
            (9, 10),
            {"val_acc": np.full((3, 1, 2), 50.0), "train_loss": np.ones(3)},
            "'train_loss' of 't' has 1 of 2 epochs",
        ),
        ((10,), {"val_acc": np.full(3, 50.0), "status": np.array([0, 0, 7])}, "'status' of 't' is one of 0, 1 and 2"),
        ((10,), {"val_acc": np.full(3, 50.0), "status": np.array([0, 0, 0.5])}, "'status' of 't' is one of 0, 1 and 2"),
    ],
)
def test_curves_without_their_epochs_and_unknown_status(epochs: tuple[int, ...], arrays: dict, says: str) -> None:
    with pytest.raises(NasbenchError, match=says):
        Table.from_arrays(SPACE, [Curves("t", epochs, arrays)], cells=np.arange(3))


def test_fractions_are_noticed_wherever_they_stand(tmp_path: Path) -> None:
    fractions = np.random.default_rng(0).random(15_625)
    with pytest.raises(NasbenchError, match=r"no val_acc of 't' is above 0\.\d+, and accuracies are percentages"):
        Table.from_arrays(SPACE, [Curves("t", (5,), {"val_acc": fractions})])
    lines = ["cell,task,epochs,val_acc,test_acc", "1,a,5,50,.4", "2,a,5,60,.5", "1,b,5,70,70"]
    (tmp_path / "mine.csv").write_text("\n".join(lines))
    with pytest.raises(NasbenchError, match=r"mine\.csv: no test_acc of 'a' is above 0\.5"):
        import_csv(tmp_path / "mine.csv", SPACE)
    few = Table.from_arrays(SPACE, [Curves("t", (5,), {"val_acc": np.ones(3)})], cells=np.arange(3))
    assert len(few) == 3  # three networks that learned nothing of a hundred classes
    short = Curves("t", (1,), {"val_acc": fractions})
    assert Table.from_arrays(SPACE, [short, Curves("t", (5,), {"val_acc": 50 + fractions})]).schedules("t") == (1, 5)


def test_seconds_of_single_epochs_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    curves = {"t__4__val_acc": rng.uniform(10, 90, (15_625, 1, 4))}
    for seconds in (np.full((15_625, 1, 4), 5.0), rng.uniform(4, 6, (15_625, 1, 4))):
        with pytest.raises(NasbenchError, match="train_seconds of 't' do not grow from epoch to epoch"):
            import_npz(npz(tmp_path, **curves, t__4__train_seconds=seconds), SPACE)
        table = import_npz(npz(tmp_path, **curves, t__4__train_seconds=seconds.cumsum(axis=2)), SPACE)
        assert table.curves("t").full("train_seconds").shape == (15_625, 1, 4)


def test_a_file_s_own_space_is_not_overruled(tmp_path: Path) -> None:
    path = npz(tmp_path, {"space": "transnasbench101_micro"}, cells=[17, 18], t__5__val_acc=[50.0, 60.0])
    with pytest.raises(NasbenchError, match="has cells of transnasbench101_micro, not of nasbench201"):
        import_npz(path, SPACE)
    assert import_npz(path, "transnasbench101_micro").space.name == "transnasbench101_micro"


@pytest.mark.parametrize(
    ("about", "says"),
    [
        ({"licence": "MIT"}, r"unknown name in the description in .*mine\.npz 'licence'"),
        ({"curves": {"t/5": 5}}, "has attributes of t/5 that are no JSON object"),
        ([1], "must be a JSON object"),
    ],
)
def test_descriptions_that_would_be_lost_are_refused(tmp_path: Path, about: Any, says: str) -> None:
    path = npz(tmp_path, about, cells=[17, 18], t__5__val_acc=[50.0, 60.0])
    with pytest.raises(NasbenchError, match=says):
        import_npz(path, SPACE)


def test_operation_codes_in_place_of_indices_are_named(tmp_path: Path) -> None:
    path = npz(tmp_path, cells=np.zeros((2, 6), np.int8), t__5__val_acc=[50.0, 60.0])
    with pytest.raises(NasbenchError, match=r"along one axis, not a int8 array of shape \(2, 6\)"):
        import_npz(path, SPACE)


def test_a_file_of_transnasbench101_is_known_by_its_arrays(tmp_path: Path) -> None:
    names = list(open_space("transnasbench101_micro").operations)
    path = npz(tmp_path, cells=[[0] * 6, [3] * 6], op_names=names, jigsaw=[10.0, 90.0])
    assert guess_kind(path) == "transnasbench101"
    assert import_table(None, path).tasks == ("jigsaw",)


def test_semicolons_are_named(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("cell;task;epochs;val_acc\n1;t;5;50\n")
    with pytest.raises(NasbenchError, match="and columns are separated by commas"):
        import_csv(tmp_path / "mine.csv", SPACE)


def test_what_cannot_be_a_table_is_one_sentence(tmp_path: Path) -> None:
    curves = Curves("t", (5,), {"val_acc": np.full(3, 50.0)})
    with pytest.raises(NasbenchError, match="takes a list of curves"):
        Table.from_arrays(SPACE, curves, cells=np.arange(3))  # type: ignore[arg-type]
    table = Table.from_arrays(SPACE, [curves], cells=np.arange(3), attributes={"rate": np.float32(0.1)})
    with pytest.raises(NasbenchError, match="attributes of a table are values of JSON"):
        table.save(tmp_path / "t.h5")
    assert not list(tmp_path.iterdir())


def test_a_failed_training_costs_what_it_used() -> None:
    """Charging rule 6, in every currency: up to the epoch that was broken off, where a table has curves."""
    values = np.tile(np.arange(1.0, 11.0), (15_625, 2, 1))
    status = np.zeros((15_625, 2), np.int8)
    values[0, 0, 1:], values[0, 1, 4:], status[0] = np.nan, np.nan, Status.DIVERGED
    curves = Curves("t", tuple(range(1, 11)), {"val_acc": values, "status": status, "flops": np.full(15_625, 2.0)},
                    attributes={"train_size": 100})  # fmt: skip
    table = Table.from_arrays(SPACE, [curves])
    benchmark, cell = TabularBenchmark(table, "t"), table.space.cell(0)
    costs = {trial: benchmark.evaluate([trial])[0].cost for trial in (
        Trial(cell, 10, 0), Trial(cell, 10, 1), Trial(cell, 10), Trial(cell, 1, 0), Trial(table.space.cell(1), 10, 0),
    )}  # fmt: skip
    assert [cost.epochs for cost in costs.values()] == [2, 5, 3.5, 1, 10]
    assert [cost.evaluations for cost in costs.values()] == [0.2, 0.5, 0.35, 0.1, 1]
    assert [cost.flops / 600 for cost in costs.values()] == [2, 5, 3.5, 1, 10]
    ends = Table.from_arrays(SPACE, [Curves("t", (10,), {"val_acc": values[:, :, -1], "status": status})])
    assert TabularBenchmark(ends, "t").evaluate([Trial(cell, 10, 0)])[0].cost.epochs == 10


def test_what_a_failure_used_is_not_guessed() -> None:
    """Epochs that nobody recorded of a training are not taken for epochs that it broke off."""
    ten = Curves("t", tuple(range(1, 11)), {"val_acc": np.full((3, 1, 10), 50.0)})
    arrays = {"val_acc": np.array([[50.0], [np.nan]]), "status": np.array([[0], [1]])}
    first = Table.from_arrays(SPACE, [ten], cells=np.arange(3))
    second = Table.from_arrays(SPACE, [Curves("t", (10,), arrays)], cells=np.array([5, 6]))
    for table in (second, merge([first, second])):
        (outcome,) = TabularBenchmark(table, "t").evaluate([Trial(table.space.cell(6), 10)])
        assert (outcome.status, outcome.cost.epochs) == (Status.DIVERGED, 10)
    seconds = np.arange(1.0, 11).reshape(1, 1, 10)
    arrays = {"val_acc": np.full((1, 1, 10), np.nan), "status": np.array([1]), "train_seconds": seconds}
    table = Table.from_arrays(SPACE, [Curves("t", tuple(range(1, 11)), arrays)], cells=np.array([6]))
    assert TabularBenchmark(table, "t").evaluate([Trial(table.space.cell(6), 10)])[0].cost.epochs == 1


def test_the_price_of_one_training_is_a_mean_in_every_currency() -> None:
    values = np.tile(np.arange(1.0, 11) * 5, (1, 2, 1))
    values[0, 1, 1:] = np.nan
    seconds = np.minimum(np.arange(1.0, 11), np.array([[10.0], [2.0]]))[None]
    arrays = {"val_acc": values, "status": np.array([[0, 1]]), "train_seconds": seconds}
    table = Table.from_arrays(SPACE, [Curves("t", tuple(range(1, 11)), arrays)], cells=np.array([6]))
    (outcome,) = TabularBenchmark(table, "t").evaluate([Trial(table.space.cell(6), 10)])
    assert (outcome.status, outcome.cost.seconds, outcome.cost.epochs) == (Status.OK, 6, 6)
    alone = Curves("t", tuple(range(1, 11)), {"val_acc": values[:, 1:], "status": np.array([[1, 1]])}, (0, 1))
    table = Table.from_arrays(SPACE, [alone], cells=np.array([6]))
    assert TabularBenchmark(table, "t").evaluate([Trial(table.space.cell(6), 10)])[0].cost.epochs == 2


def test_trainings_that_ended_early_can_be_exported_and_imported(tmp_path: Path) -> None:
    """Their seconds are constant from there on, as those of an honest table of failures or of short trials."""
    values = np.tile(np.arange(1.0, 11) * 5, (20, 1, 1))
    values[:18, :, 1:] = np.nan
    seconds = np.tile(np.arange(1.0, 11), (20, 1, 1))
    seconds[:18] = 1
    arrays = {"val_acc": values, "status": np.array([[1]] * 18 + [[0]] * 2), "train_seconds": seconds}
    table = Table.from_arrays(SPACE, [Curves("t", tuple(range(1, 11)), arrays)], cells=np.arange(20))
    export(table, tmp_path / "t.npz")
    assert import_npz(tmp_path / "t.npz").curves("t").arrays["train_seconds"].tolist() == seconds.tolist()
    two = []
    for epochs, rate in (((4, 8, 12), 10.0), ((2, 6, 12), 20.0)):
        took = np.tile(np.array(epochs) * rate, (4, 1, 1))
        two.append(Curves("t", epochs, {"val_acc": np.full((4, 1, 3), 50.0), "train_seconds": took}))
    merged = merge([Table.from_arrays(SPACE, [entry], cells=np.arange(4)) for entry in two])
    export(merged, tmp_path / "two.npz")
    assert import_npz(tmp_path / "two.npz").curves("t").epochs == (2, 4, 6, 8, 12)


def test_two_rows_at_chance_beside_another_task_are_no_fractions(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("cell,task,epochs,val_acc\n1,a,5,50\n1,hundred,5,1\n2,hundred,5,.8\n")
    assert import_csv(tmp_path / "mine.csv", SPACE).tasks == ("a", "hundred")


def test_failed_trainings_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    val = np.array([[80.0, np.nan], [np.nan, np.nan], [70.0, 60.0]])
    arrays = {"val_acc": val, "status": np.array([[0, 1], [2, 1], [0, 0]]), "parameters": np.arange(3) + 5}
    table = Table.from_arrays(SPACE, [Curves("a", (10,), arrays, (3, 4))], cells=np.arange(3))
    found = [table.query(table.space.cell(k), "a") for k in range(3)]
    assert [one.failed for one in found] == [(4,), (3, 4), ()]
    assert [one.seeds for one in found] == [(3, 4)] * 3
    assert table.query(table.space.cell(0), "a", seed=3).failed == ()
    table.save(tmp_path / "mine.h5")
    assert main(["query", str(tmp_path / "mine.h5"), "0"]) == 0
    assert "failed" in capsys.readouterr().out
    assert main(["query", str(tmp_path / "mine.h5"), "2"]) == 0
    assert "failed" not in capsys.readouterr().out
    assert main(["table", "info", str(tmp_path / "mine.h5")]) == 0
    assert "trainings that failed: 3 of 6 on a after 10 epochs" in capsys.readouterr().out


def test_a_file_without_an_accuracy_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("cell,task,epochs,seed,val_acc,parameters\n0,a,10,0,,5\n1,a,10,0,,6\n")
    with pytest.raises(NasbenchError, match="not one validation accuracy"):
        import_table("csv", tmp_path / "mine.csv", space=SPACE)


def test_one_accuracy_for_several_seeds_is_looked_up() -> None:
    """Of a table that has the mean validation accuracy alone, and three test accuracies."""
    arrays = {"val_acc": np.array([80.0, np.nan]), "test_acc": np.full((2, 3), 70.0)}
    table = Table.from_arrays(SPACE, [Curves("a", (10,), arrays, (0, 1, 2))], cells=np.arange(2))
    found = table.query(table.space.cell(0), "a")
    assert (found.val_acc, found.failed) == (80, ())
