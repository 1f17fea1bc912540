"""Proxy scores as arrays of a table: for every row, gone on with after a kill, and what they are."""

from __future__ import annotations

import os

import numpy as np
import pytest

from nasbench.benchmarks import TabularBenchmark
from nasbench.cli import main
from nasbench.tables import Curves, Table, open_table
from surrogates.proxies import score_cells


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """Five rows of digits as a table of its own, without their scores."""
    whole = open_table("digits")
    entry, rows = whole.curves("digits"), [3, 50, 700, 2000, 5000]
    arrays = {name: array[rows] for name, array in entry.arrays.items() if not name.startswith("proxy_")}
    facts = {name: value for name, value in entry.attributes.items() if name != "proxies"}
    curves = Curves("digits", entry.epochs, arrays, entry.seeds, facts)
    table = Table.from_arrays("nasbench201", [curves], "classes", whole.cells[rows], whole.attributes)
    return table.save(tmp_path_factory.mktemp("few") / "few.h5")


def test_scores_of_every_row_are_stored_and_charged(few, tmp_path):
    out = tmp_path / "scored.h5"
    assert main(["table", "score", str(few), str(out), "--proxies", "nwot,synflow,zico", "--jobs", "1"]) == 0
    assert not list(tmp_path.glob("*.part.npz"))
    table = open_table(out)
    benchmark = TabularBenchmark(table, "digits")
    images = benchmark.images()
    cells = [table.space.cell(int(index)) for index in table.cells]
    wanted, _ = score_cells(cells, images.arrays, images.protocol, ["nwot", "synflow", "zico"])
    assert benchmark.probing.names == ("synflow", "nwot", "zico")
    flops = table.curves("digits").arrays["flops"]
    for name, looked_at in (("nwot", 64 * 1), ("synflow", 1 * 3), ("zico", 128 * 3)):
        found = [benchmark.probing(cell, name) for cell in cells]
        np.testing.assert_allclose([score for score, _ in found], wanted[name], rtol=1e-6)
        assert all(cost.seconds > 0 for _, cost in found)
        assert [cost.flops for _, cost in found] == pytest.approx(looked_at * flops)
    assert np.array_equal(table.curves("digits").arrays["val_acc"], open_table(few).curves("digits").arrays["val_acc"])


def test_goes_on_where_it_was_stopped(few, tmp_path, monkeypatch, capsys):
    out, calls = tmp_path / "scored.h5", []

    def counted(cells, *arguments):
        calls.append(len(cells))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return score_cells(cells, *arguments)

    monkeypatch.setattr("nasbench.score_command.BLOCK", 3)
    monkeypatch.setattr("surrogates.proxies.score_cells", counted)
    command = ["table", "score", str(few), str(out), "--proxies", "l2_norm", "--jobs", "1"]
    assert main(command) == 130
    assert not out.exists()
    assert main([*command[:5], "nwot", *command[6:]]) == 2
    assert "other proxies" in capsys.readouterr().err
    assert main(command) == 0
    assert calls == [3, 2, 2]
    assert np.isfinite(open_table(out).curves("digits").arrays["proxy_l2_norm"]).all()


def test_every_task_is_scored_and_described(few, tmp_path):
    """Tables of before this release lack what a task is like."""
    old = open_table(few).curves("digits")
    facts = {name: value for name, value in old.attributes.items() if name != "embedding"}
    tasks = [Curves("digits", old.epochs, old.arrays, old.seeds, facts), Curves("mine", (1,), {"val_acc": np.ones(5)})]
    mixed = Table.from_arrays("nasbench201", tasks, "classes", open_table(few).cells).save(tmp_path / "mixed.h5")
    out = tmp_path / "out.h5"
    command = ["table", "score", str(mixed), str(out), "--proxies", "l2_norm", "--jobs", "1"]
    assert main(command) == 2  # nobody knows the images of `mine`
    assert not list(tmp_path.glob("*.part.npz"))
    assert main([*command, "--task", "digits"]) == 0
    curves = open_table(out).curves("digits")
    assert np.isfinite(curves.arrays["proxy_l2_norm"]).all()
    assert len(curves.attributes["embedding"]) == 144
    assert curves.attributes["trainer"] == old.attributes["trainer"]
    assert "proxy_l2_norm" not in open_table(out).curves("mine").arrays


@pytest.mark.skipif("NASBENCH_DATA" not in os.environ, reason="needs the images of CIFAR")
def test_tasks_of_a_table_are_scored_on_their_own_images(tmp_path):
    whole = open_table("images16")
    rows = np.flatnonzero(whole.curves("cifar100").valid.any(axis=1))[:3]
    tasks = [
        Curves(name, entry.epochs, {n: a[rows] for n, a in entry.arrays.items()}, entry.seeds, entry.attributes)
        for name, entry in ((name, whole.curves(name)) for name in ("cifar10", "cifar100"))
    ]
    few = Table.from_arrays("nasbench201", tasks, "classes", whole.cells[rows]).save(tmp_path / "two.h5")
    assert main(["table", "score", str(few), str(tmp_path / "o.h5"), "--proxies", "snip", "--jobs", "1"]) == 0
    one, other = (open_table(tmp_path / "o.h5").curves(name).arrays["proxy_snip"] for name in ("cifar10", "cifar100"))
    assert np.isfinite(one).all()
    assert (one != other).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nasbench201", "x.h5"], "does not say which images 'cifar10' has"),
        (["nasbench201", "x.h5", "--task", "cifar10"], "does not say which images"),
        (["digits", "x.h5", "--proxies", "synflo"], "synflow"),
        (["digits", "x.txt"], "a file called FILE.h5, not to 'x.txt'"),
        (["digits", "nowhere/x.h5"], "a folder that is there"),
        (["digits", "x.h5", "--proxies", ""], "names separated by commas are needed"),
        (["digits", "x.h5", "--proxies", "params"], "not of params"),
    ],
)
def test_what_cannot_be_scored(arguments, words, capsys):
    assert main(["table", "score", *arguments]) == 2
    assert words in capsys.readouterr().err
