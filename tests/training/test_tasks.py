"""Tasks: fixed splits and hashes, every file format, and one sentence for whatever is wrong with a file."""

import dataclasses
import gzip
import io
import json
import os
import pickle
import sys
import tarfile
import types
from pathlib import Path

import numpy as np
import pytest

from nasbench.errors import NasbenchError
from nasbench.tasks import Source, load_task, register, split, task_entry, task_names
from nasbench.tasks.catalogue import _ENTRIES
from nasbench.tasks.features import task_features
from nasbench.tasks.files import DEBIAN, PlainUnpickler, fetched_folder, halve, read_cifar, read_idx, read_npz
from nasbench.tasks.subsets import SUPERCLASSES, TINY_TENS
from nasbench.tasks.task import Task, balanced_order

DIGITS = "8854988d0254381cfe6a7b6564a132619c9aced8da8496bae7a92eb83ac94db8"
LARGE = (1024, 386, 387)


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """No data folder of this machine's: only tmp_path."""
    monkeypatch.setenv("NASBENCH_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("nasbench.tasks.files.DEBIAN", tmp_path / "debian")
    return tmp_path


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.astype(np.uint8).tobytes()


def write_idx_set(folder: Path, n: int = 60, zipped: bool = False) -> np.ndarray:
    folder.mkdir(parents=True, exist_ok=True)
    images = np.random.default_rng(0).integers(0, 256, (n, 28, 28), dtype=np.uint8)
    labels = np.arange(n) % 10
    for part in ("train", "t10k"):
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            data = idx(array)
            path = folder / f"{part}-{kind}-ubyte{'.gz' if zipped else ''}"
            path.write_bytes(gzip.compress(data) if zipped else data)
    return images


def small_npz(path: Path, **changes: object) -> Path:
    rng = np.random.default_rng(0)
    arrays: dict[str, object] = {
        "x_train": rng.integers(0, 256, (60, 4, 4, 3), dtype=np.uint8), "y_train": np.arange(60) % 3,
        "x_test": rng.integers(0, 256, (30, 4, 4, 3), dtype=np.uint8), "y_test": np.arange(30) % 3,
    }  # fmt: skip
    arrays |= changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def test_digits_are_what_they_were():
    task = load_task("digits")
    assert task.key == "digits-256-770-771"
    assert task.digest == DIGITS
    assert load_task("digits", None, *LARGE).digest.startswith("009891803030")
    assert task.image_shape == (8, 8, 1)
    mean, deviation = task.statistics
    x = task.normalised("train")
    assert x.dtype == np.float32
    assert abs(x.mean()) < 1e-5
    assert abs(x.std() - 1) < 1e-5
    np.testing.assert_allclose(x * deviation + mean, task.x_train, atol=1e-4)
    everything = np.concatenate([task.x_train, task.x_val, task.x_test]).reshape(1797, 64)
    from sklearn.datasets import load_digits

    assert sorted(map(bytes, everything)) == sorted(map(bytes, load_digits().data.astype(np.uint8)))


def test_sizes_are_part_of_the_hash_and_sets_are_nested():
    small, large = load_task("digits", n_train=128), load_task("digits")
    assert small.digest != large.digest
    np.testing.assert_array_equal(small.x_train, large.x_train[:128])
    np.testing.assert_array_equal(small.x_val, large.x_val)
    np.testing.assert_array_equal(small.x_test, large.x_test)


def test_every_prefix_is_balanced():
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(5), [100, 100, 50, 40, 10]))
    order = balanced_order(labels)
    assert sorted(order) == list(range(300))
    for n in (30, 60, 123, 200):
        shares = np.bincount(labels[order[:n]], minlength=5) / n
        np.testing.assert_allclose(shares, np.array([100, 100, 50, 40, 10]) / 300, atol=1.01 / n)


def test_images_with_channels_first_are_refused(tmp_path):
    for shape in ((60, 3, 8, 8), (60, 3, 8, 12), (60, 1, 12, 8)):
        with pytest.raises(NasbenchError, match="channels first"):
            load_task(small_npz(tmp_path / "mine.npz", x_train=np.zeros(shape, dtype=np.uint8)))
    for shape in ((60, 1, 128, 9), (60, 3, 64, 6)):  # windows of sensors, with as many channels
        images = np.zeros(shape, dtype=np.uint8)
        assert load_task(small_npz(tmp_path / "mine.npz", x_train=images, x_test=images[:30])).image_shape == shape[1:]


def test_parts_on_two_scales_are_refused(tmp_path):
    path = small_npz(tmp_path / "mine.npz", x_test=np.random.default_rng(0).random((30, 4, 4, 3)))
    with pytest.raises(NasbenchError, match="x_test of float32 and x_train of uint8: images of one task are of one"):
        load_task(path)


def test_names_of_classes(tmp_path):
    task = load_task(small_npz(tmp_path / "mine.npz", classes=np.array([b"cat", b"dog", b"emu"])))
    assert task.classes == ("cat", "dog", "emu")
    with pytest.raises(NasbenchError, match="they must be a list of names"):
        load_task(small_npz(tmp_path / "mine.npz", classes=np.array("cat")))


def test_a_file_does_not_go_by_another_task_s_name(tmp_path):
    """It would be trained by that task's protocol, and taken for its images."""
    with pytest.raises(
        NasbenchError, match="goes by the name of the task 'cifar10', which is another: rename the file"
    ):
        load_task(small_npz(tmp_path / "cifar10.npz"))


def test_images_of_one_pixel_have_features(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (60, 1, 1, 3), dtype=np.uint8)
    task = load_task(small_npz(tmp_path / "mine.npz", x_train=pixels, x_test=pixels[:30]))
    assert np.isfinite(task_features(task)["embedding"]).all()


def test_copies_across_the_parts_are_counted(tmp_path):
    path = small_npz(tmp_path / "mine.npz")
    assert load_task(path).copies() == []
    arrays = dict(np.load(path))
    arrays["x_test"][:4] = load_task(path).x_train[:4]
    np.savez(path, **arrays)
    assert load_task(path).copies() == [("train", "test", 4)]


def test_npz_by_path(tmp_path):
    task = load_task(small_npz(tmp_path / "mine.npz"), n_train=30)
    assert task.key == "mine-30-10-30"
    assert task.classes == ("0", "1", "2")
    assert load_task(str(tmp_path / "mine.npz"), n_train=30).digest == task.digest
    np.savez(tmp_path / "whole.npz", x=np.zeros((50, 5, 5), np.float64), y=np.arange(50) % 2, classes=["a", "b"])
    whole = load_task(tmp_path / "whole.npz")
    assert whole.key == "whole-34-6-10"
    assert whole.x_train.dtype == np.float32
    assert whole.classes == ("a", "b")
    assert set(whole.descriptor()) >= {"sha256", "licence", "mean", "classes", "n_train"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"y_train": None}, "lacks y_train"),
        ({"y_train": np.arange(59) % 3}, "60 images with 59 labels"),
        ({"y_train": np.full(60, 300)}, "at most 256"),
        ({"y_train": np.linspace(0, 1, 60)}, "integers from 0"),
        ({"y_train": np.arange(60) % 3 + 10}, "no image with the label 0, but has some up to 12"),
        ({"x_train": np.zeros((60, 16), np.uint8)}, "must be uint8 or float"),
        ({"x_test": np.zeros((30, 5, 5, 3), np.uint8)}, "of one size"),
        ({"classes": np.array(["only"])}, "two or more"),
        ({"classes": np.array(["a", "b"])}, "only 2 classes"),
        ({"x_train": np.full((60, 4, 4, 3), np.nan)}, "not finite"),
        (
            {
                name: np.random.default_rng(0).random((n, 4, 4, 3)) * scale
                for name, n, scale in (("x_train", 60, 1), ("x_test", 30, 255))
            },
            "x_test with 99 % of pixels up to 25.* images of one task are on one scale",
        ),
        ({"x_train": np.array([{}] * 60, object)}, "not a readable npz"),
    ],
)
def test_bad_npz(tmp_path, changes, words):
    with pytest.raises(NasbenchError, match=words):
        load_task(small_npz(tmp_path / "bad.npz", **changes))


def test_damaged_npz(tmp_path):
    path = tmp_path / "cut.npz"
    path.write_bytes(small_npz(tmp_path / "good.npz").read_bytes()[:700])
    with pytest.raises(NasbenchError, match=r"cut\.npz is not a readable npz"):
        read_npz(path)
    with pytest.raises(NasbenchError, match="no file"):
        load_task(tmp_path / "none.npz")


@pytest.mark.parametrize("zipped", [False, True])
def test_idx_files(alone, zipped):
    images = write_idx_set(alone / "datasets" / "fashion-mnist", zipped=zipped)
    task = load_task("fashion_mnist", n_train=40, n_val=20, n_test=60)
    assert task.image_shape == (16, 16, 1)
    assert not task.x_train[:, 0].any()
    assert not task.x_train[:, :, -1].any()
    means = (images.reshape(60, 14, 2, 14, 2).astype(int).sum((2, 4)) + 2) // 4
    ours = sorted(bytes(x) for x in np.concatenate([task.x_train, task.x_val])[:, 1:15, 1:15, 0])
    assert ours == sorted(bytes(x) for x in means.astype(np.uint8))
    with pytest.raises(NasbenchError, match="60 images for training and validation"):
        load_task("fashion_mnist")


def test_idx_files_in_any_folder(alone):
    write_idx_set(alone / "elsewhere")
    assert len(load_task("mnist", alone / "elsewhere", n_train=30, n_val=10, n_test=20).y_train) == 30
    with pytest.raises(NasbenchError, match="train-images-idx3-ubyte"):
        load_task("mnist")


@pytest.mark.parametrize("data", [b"", b"\0\0\x08\x01\0\0\0\x05abc", b"\0\0\x0d\x01\0\0\0\1abcd", b"\x1f\x8bjunk"])
def test_damaged_idx(tmp_path, data):
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(NasbenchError, match="fresh copy"):
        read_idx(path)


def test_missing_data_say_what_to_put_where(alone):
    for name, words in (
        ("fashion_mnist", "dataset-fashion-mnist"), ("mnist", "train-images"), ("cifar10", "cifar10_16.npz"),
        ("tinyimagenet100", "tinyimagenet100_16.npz"), ("cifar100_fish", "cifar100_16.npz"),
    ):  # fmt: skip
        with pytest.raises(NasbenchError, match=words) as caught:
            load_task(name)
        assert "\n" not in str(caught.value)
        assert "put it" in str(caught.value)


def cifar_archive(path: Path, extra: object = None) -> np.ndarray:
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, (20, 3072), dtype=np.uint8)
    with tarfile.open(path, "w:gz") as archive:

        def add(name: str, value: object) -> None:
            content = pickle.dumps(value, protocol=2)
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))

        for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
            add(name, {b"data": data, b"labels": [i % 10 for i in range(20)], b"extra": extra})
        add("batches.meta", {b"label_names": [f"class {i}".encode() for i in range(10)]})
    return data


def test_cifar_archive(tmp_path):
    data = cifar_archive(tmp_path / "cifar.tar.gz")
    source = read_cifar(tmp_path / "cifar.tar.gz", 10)
    assert source.x.shape == (100, 16, 16, 3)
    assert source.classes[3] == "class 3"
    block = data[0].reshape(3, 32, 32)[1, 4:6, 6:8].astype(int)
    assert source.x[0, 2, 3, 1] == (block.sum() + 2) // 4


class Evil:
    def __reduce__(self):
        return os.system, ("true",)


def test_archives_cannot_run_code(tmp_path):
    cifar_archive(tmp_path / "evil.tar.gz", Evil())
    with pytest.raises(NasbenchError, match="not plain data"):
        read_cifar(tmp_path / "evil.tar.gz", 10)
    for name in ("builtins.eval", "numpy.load", "os.system", "numpy.core.multiarray.scalar"):
        module, attribute = name.rsplit(".", 1)
        with pytest.raises(pickle.UnpicklingError):
            PlainUnpickler(io.BytesIO()).find_class(module, attribute)


def test_wrong_archives_are_named(alone):
    path = alone / "datasets" / "cifar-10-python.tar.gz"
    path.parent.mkdir()
    cifar_archive(path)
    with pytest.raises(NasbenchError, match=r"has md5 .* c58f30108f718f92721af3b95e74349a"):
        load_task("cifar10")
    path.write_bytes(b"not a tar")
    with pytest.raises(NasbenchError, match="not a sound"):
        read_cifar(path, 10)


def test_fetching(alone, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(NasbenchError, match="needs the package pooch"):
        load_task("cifar10", fetch_missing=True)

    def retrieve(url, known_hash, name, folder):
        assert known_hash.startswith("md5:")
        assert folder == fetched_folder()
        if "mnist" not in url:
            raise OSError("no network")
        source = alone / "published" / url.rsplit("/", 1)[1]
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(source.read_bytes())
        return str(folder / name)

    write_idx_set(alone / "published", zipped=True)
    monkeypatch.setitem(sys.modules, "pooch", types.SimpleNamespace(retrieve=retrieve))
    fetched = load_task("mnist", n_train=30, n_val=10, n_test=20, fetch_missing=True)
    assert load_task("mnist", n_train=30, n_val=10, n_test=20).digest == fetched.digest
    with pytest.raises(NasbenchError, match=r"could not be fetched \(no network\): put the file into"):
        load_task("cifar100", fetch_missing=True)


def test_halve_rounds_half_up():
    block = np.array([[0, 1], [1, 0]], np.uint8).reshape(1, 2, 2, 1)
    assert halve(block).item() == 1
    assert halve(np.full((1, 2, 2, 1), 255, np.uint8)).item() == 255


def test_superclass_tasks(alone):
    names = [name for members in SUPERCLASSES.values() for name in members]
    assert len(SUPERCLASSES) == 20
    assert len(set(names)) == 100
    assert sum(name.startswith("cifar100_") for name in task_names()) == 20
    tens = [name for members in TINY_TENS.values() for name in members]
    assert (len(TINY_TENS), len(tens), tens) == (10, 100, sorted(set(tens)))
    assert sum(name.startswith("tinyimagenet100_") for name in task_names()) == 10
    (alone / "datasets").mkdir()
    labels = np.tile(np.arange(100, dtype=np.uint8), 6)
    x = np.repeat(labels, 3).reshape(-1, 1, 1, 3)
    np.savez(
        alone / "datasets" / "cifar100_16.npz",
        x_train=x,
        y_train=labels,
        x_test=x,
        y_test=labels,
        classes=sorted(names),
    )
    task = load_task("cifar100_trees", n_train=20, n_val=10, n_test=30)
    assert task.classes == SUPERCLASSES["trees"]
    assert [task.classes[y] for y in task.y_train] == [sorted(names)[x] for x in task.x_train[:, 0, 0, 0]]


def test_features_tell_tasks_apart_and_need_training_images_only():
    rng = np.random.default_rng(0)

    def task(contrast, channels=3):
        labels = np.arange(200, dtype=np.uint8) % 4
        noise = rng.normal(0, 1, (200, 8, 8, channels))
        noise[:, :, ::2] += contrast * labels[:, None, None, None]  # classes differ in stripes
        images = noise.astype(np.float32)
        return Task(
            "t", images[:100], labels[:100], images[100:150], labels[100:150], images[150:], labels[150:], (*"abcd",)
        )

    easy, hard = task_features(task(2.0)), task_features(task(0.0))
    assert easy["separability"] > 0.3 > hard["separability"]
    assert easy["nearest_mean"] > 0.8 > 0.5 > hard["nearest_mean"]
    assert len(easy["embedding"]) == 144
    assert len(easy["channel_correlations"]) == 3
    one = task(1.0, 1)
    assert len(task_features(one)["channel_correlations"]) == 1
    changed = dataclasses.replace(one, x_test=one.x_test + 1, x_val=one.x_val + 1)
    assert task_features(changed) == task_features(one)
    constant = dataclasses.replace(one, x_train=np.zeros_like(one.x_train))
    json.dumps(task_features(constant), allow_nan=False)


def test_register_and_unknown():
    def read(folder, fetch_missing):
        return Source(np.zeros((30, 4, 4, 1), np.uint8), np.arange(30) % 2, ("a", "b"))

    register("my_own", read, licence="mine")
    try:
        assert load_task("my_own").licence == "mine"
        with pytest.raises(NasbenchError, match="new name"):
            register("my_own", read)
    finally:
        del _ENTRIES["my_own"]
    with pytest.raises(NasbenchError, match="no task 'nothing'"):
        task_entry("nothing")
    with pytest.raises(NasbenchError, match="at least 1"):
        load_task("digits", n_train=0)
    with pytest.raises(NasbenchError, match="were asked for"):
        split("few", read(None, False), (40, 5, 5))


def test_real_fashion_mnist():
    if not (DEBIAN / "fashion-mnist").is_dir():
        pytest.skip("needs Debian's dataset-fashion-mnist")
    task = load_task("fashion_mnist")
    assert task.key == "fashion_mnist-8000-4000-4000"
    assert task.digest.startswith("f668af819dd4")
    assert set(np.bincount(task.y_train)) == {800}


def test_real_npz_sets():
    if not (Path(os.environ.get("NASBENCH_DATA", "/nowhere")) / "datasets" / "cifar10_16.npz").is_file():
        pytest.skip("needs datasets/cifar10_16.npz in the folder that NASBENCH_DATA names")
    task = load_task("cifar10")
    assert task.image_shape == (16, 16, 3)
    assert len(task.classes) == 10
    assert task.digest.startswith("856343b0a4f4")
    assert task.key == "cifar10-8000-4000-4000"
