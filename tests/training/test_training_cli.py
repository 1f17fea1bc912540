"""The commands that train, as people use and misuse them: every mistake is one sentence, and nothing is written."""

from __future__ import annotations

import dataclasses
import importlib.util

import numpy as np
import pytest

from nasbench.cli import main
from nasbench.commands import PROTOCOL_OPTIONS
from nasbench.tables import open_table
from nasbench.tasks import task_names
from nasbench.training import Protocol

TINY = ["--channels", "4", "--epochs", "1"]


def fails(capsys, *arguments):
    """The one sentence that a wrong call prints."""
    assert main([str(a) for a in arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("nasbench: ")
    assert said.count("\n") == 1
    assert "Traceback" not in said
    return said


@pytest.fixture
def npz(tmp_path, monkeypatch):
    """Writes my.npz into the current folder, with what a test changes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NASBENCH_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("nasbench.tasks.files.DEBIAN", tmp_path / "debian")

    def write(classes=2, n=200, **changes):
        arrays = {
            "x": np.random.default_rng(0).integers(0, 256, (n, 4, 4), dtype=np.uint8),
            "y": np.arange(n) % classes,
        }
        np.savez(tmp_path / "my.npz", **(arrays | changes))

    write()
    return write


def test_the_options_are_the_protocol():
    assert {f.name: f.type for f in dataclasses.fields(Protocol)} == {
        n: k.__name__ for n, (k, _) in PROTOCOL_OPTIONS.items()
    }


def test_tasks_are_listed_and_shown(capsys):
    assert main(["task", "list"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in task_names())
    assert main(["task", "info", "digits"]) == 0
    said = capsys.readouterr().out
    assert "key: digits-256-770-771" in said
    assert '"epochs": 12' in said
    assert "8854988d0254381cfe6a7b6564a132619c9aced8da8496bae7a92eb83ac94db8" in said


def test_one_cell_is_trained_and_shown(capsys):
    assert main(["train", "--task", "digits", "--cell", "6111", "--seeds", "0,3", "--epochs", "2"]) == 0
    said = capsys.readouterr().out
    assert said.count("train loss") == said.count(": ok") == 2
    assert "digits-256-770-771" in said


def test_rows_are_trained_made_a_table_of_and_replayed(capsys, tmp_path, npz):
    train = ["train", "--task", "my.npz", *TINY, "--jobs", "1", "--seeds", "0,1"]
    table, larger = tmp_path / "t.h5", tmp_path / "u.h5"
    assert main([*train, "--rows", "3", "--out", str(tmp_path / "a"), "--table", str(table), "--no-latency"]) == 0
    assert "6 trainings with" in capsys.readouterr().out
    more = ["--rows", "4", "--out", str(tmp_path / "b"), "--known", str(table), "--table", str(larger)]
    assert main([*train, *more, "--no-latency"]) == 0
    assert "2 trainings with" in capsys.readouterr().out
    assert len(open_table(larger)) == 4
    assert main(["table", "verify", str(larger)]) == 0
    assert main(["query", str(larger), "6033", "--task", "my"]) == 0
    capsys.readouterr()
    assert main(["table", "replay", str(larger), "--task", "my.npz", "--rows", "5", "--jobs", "1"]) == 0
    said = capsys.readouterr().out
    assert "5 of 5 trainings agree exactly" in said
    assert "the same trainer" in said
    both = ["table", "merge", str(tmp_path / "a"), str(tmp_path / "b"), "--no-latency", "--out", str(tmp_path / "v.h5")]
    assert main(both) == 0
    assert open_table(tmp_path / "v.h5").checksum == open_table(larger).checksum
    assert "epochs = 1, not 2" in fails(capsys, *train, "--epochs", "2", "--rows", "3", "--out", tmp_path / "a")
    assert "the task my-" in fails(capsys, *train, "--sizes", "64,20,20", "--rows", "3", "--out", tmp_path / "a")
    npz(x=np.zeros((200, 4, 4), np.uint8))
    assert "cannot be replayed here" in fails(capsys, "table", "replay", larger, "--task", "my.npz", "--rows", "5")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "--task", "digits"], "say what to train"),
        (["train", "--task", "digits", "--rows", "3", "--cell", "5"], "say what to train"),
        (["train", "--task", "digits", "--rows", "3"], "need a folder: --out DIR"),
        (["train", "--task", "digit", "--rows", "3", "--out", "o"], "no task 'digit'"),
        (["train", "--task", "cifar10", "--rows", "3", "--out", "o"], "needs the file cifar10_16.npz"),
        (["train", "--task", "fashion_mnist", "--rows", "3", "--out", "o"], "dataset-fashion-mnist"),
        (["train", "--task", "none.npz", "--rows", "3", "--out", "o"], "no file none.npz"),
        (["train", "--task", "digits", "--rows", "0", "--out", "o"], "rows are 1 to 5260"),
        (["train", "--task", "digits", "--rows", "9999", "--out", "o"], "rows are 1 to 5260"),
        (["train", "--task", "digits", "--rows", "some", "--out", "o"], "rows are all or a number"),
        (
            ["train", "--task", "digits", "--rows", "3", "--seeds", "a", "--out", "o"],
            "training seeds are whole numbers",
        ),
        (["train", "--task", "digits", "--rows", "3", "--seeds", "1,1", "--out", "o"], "training seeds are distinct"),
        (["train", "--task", "digits", "--rows", "3", "--out", "o", "--epochs", "0"], "epochs = 0"),
        (["train", "--task", "digits", "--rows", "3", "--out", "o", "--channels", "0"], "channels = 0"),
        (["train", "--task", "digits", "--rows", "3", "--out", "o", "--lr", "nan"], "learning rate"),
        (["train", "--task", "digits", "--rows", "3", "--out", "o", "--batch-size", "512"], "fewer than one batch"),
        (["train", "--task", "digits", "--rows", "3", "--out", "o", "--sizes", "32,20,20"], "fewer than one batch"),
        (["train", "--task", "digits", "--rows", "3", "--out", "o", "--sizes", "32"], "three sizes"),
        (["train", "--task", "digits", "--rows", "3", "--out", "o", "--sizes", "3200,20,20"], "were asked for"),
        (["train", "--task", "digits", "--rows", "3", "--out", "o", "--protocol", "none.json"], "cannot be read"),
        (["train", "--task", "digits", "--rows", "3", "--out", "o", "--jobs", "0"], "at least one process"),
        (["train", "--task", "digits", "--rows", "3", "--out", "o", "--shard", "0"], "at least 1 training"),
        (["train", "--task", "digits", "--rows", "3", "--out", "o", "--device", "tpu"], "use 'cpu' or 'cuda'"),
        (["train", "--task", "digits", "--rows", "3", "--out", "o", "--trainer", "fast"], "choose one of auto"),
        (
            ["train", "--task", "digits", "--rows", "3", "--out", "o", "--known", "nasbench201"],
            "no trainings of 'digits'",
        ),
        (["train", "--task", "digits", "--rows", "3", "--out", "/proc/o"], "cannot write"),
        (["train", "--task", "digits", "--cell", "nonsense"], "is not a cell of nasbench201"),
        (["train", "--task", "digits", "--cell", "99999"], "there is no cell 99999"),
        (["task", "info", "nothing"], "no task 'nothing'"),
        (["table", "replay", "nasbench201", "--task", "cifar10"], "no protocol of ours"),
        (["table", "replay", "nasbench201"], "choose one with --task"),
        (["table", "merge", ".", "--out", "x.h5"], "holds no trainings"),
        (["compare", "--mode", "surrogate"], "holds trainings; mode 'surrogate' needs a table made by"),
        (["compare", "--mode", "dream"], "unknown mode"),
        (["compare", "--keep", "kept"], "add --mode train"),
        (["compare", "--mode", "train"], "needs the file cifar10_16.npz"),
        (["compare", "--mode", "train", "--task", "digitz"], "no task 'digitz'"),
        (["compare", "--mode", "train", "--task", "digits", "--train-seeds", "0,1"], "no mean over several seeds"),
        (["compare", "--mode", "train", "--task", "digits", "--train-seeds", "x"], "whole numbers"),
        (["compare", "--mode", "train", "--task", "a/my.npz"], "in the current folder"),
        (["compare", "nasbench201-paper", "--mode", "train", "--task", "digits"], "which only tables have"),
    ],
)
def test_mistakes(capsys, npz, tmp_path, arguments, says):
    before = sorted(tmp_path.rglob("*"))
    assert says in fails(capsys, *arguments)
    assert [p for p in sorted(tmp_path.rglob("*")) if "cache" not in p.parts] == before


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"classes": 1}, "needs two or more"),
        ({"n": 40}, "fewer than one batch of 64"),
        ({"y": np.arange(150) % 2}, "200 images with 150 labels"),
        ({"x": np.zeros((200, 16), np.uint8)}, "images must be|they must be uint8 or float"),
    ],
)
def test_own_tasks_that_cannot_be_trained(capsys, npz, changes, says):
    npz(**changes)
    said = fails(capsys, "train", "--task", "my.npz", "--rows", "2", "--out", "o")
    assert any(part in said for part in says.split("|"))


@pytest.mark.parametrize("text", ["[1]", '{"epoch": 3}', '{"epochs": 0}', '{"epochs": "3"}', "{"])
def test_protocols_that_cannot_be_read(capsys, npz, tmp_path, text):
    (tmp_path / "p.json").write_text(text)
    for command in (["train", "--rows", "2", "--out", "o"], ["compare", "--mode", "train"]):
        said = fails(capsys, *command, "--task", "digits", "--protocol", "p.json")
        assert "protocol" in said or "epochs" in said


def test_damaged_files_are_named(capsys, npz, tmp_path):
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    (folder / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03junk")
    assert "train-images-idx3-ubyte is not a complete idx file" in fails(capsys, "task", "info", "fashion_mnist")
    (tmp_path / "cifar10_16.npz").write_bytes(b"PK\x03\x04junk")
    assert "cifar10_16.npz is not a readable npz" in fails(capsys, "task", "info", "cifar10")
    (tmp_path / "cifar10_16.npz").unlink()
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"junk")
    assert "c58f30108f718f92721af3b95e74349a" in fails(capsys, "task", "info", "cifar10")


def test_no_cuda_where_there_is_none(capsys, npz):
    if importlib.util.find_spec("torch") is None:
        pytest.skip("needs torch")
    import torch

    if torch.cuda.is_available():
        pytest.skip("needs a machine without CUDA")
    for command in (["train", "--cell", "5"], ["train", "--rows", "2", "--out", "o"], ["compare", "--mode", "train"]):
        assert "no CUDA device" in fails(capsys, *command, "--task", "digits", "--device", "cuda")


def test_a_corrupt_shard_and_a_foreign_folder(capsys, npz, tmp_path):
    train = ["train", "--task", "my.npz", *TINY, "--jobs", "1", "--rows", "2", "--out", str(tmp_path / "o")]
    assert main(train) == 0
    capsys.readouterr()
    (shard,) = (tmp_path / "o").glob("*.npz")
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    assert f"{shard.name} is damaged: delete it" in fails(capsys, *train)
    shard.unlink()
    assert main(train) == 0
    assert "2 trainings with" in capsys.readouterr().out
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "a.tex").write_text("mine")
    assert "not empty" in fails(capsys, *train[:-1], tmp_path / "thesis")
