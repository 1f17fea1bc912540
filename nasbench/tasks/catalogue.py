"""The built-in tasks and the registry: a task is a function from a data folder to a Source, and one
`register` line.

A task of one's own is either such a function in one file, or one npz file whose path is given in place of a
name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import NasbenchError
from .files import (
    DEBIAN,
    fetch,
    fetched_folder,
    find_file,
    halve,
    read_cifar,
    read_idx,
    read_npz,
)
from .subsets import SUPERCLASSES, TINY_TENS
from .task import Source, Task, split

Folder = str | Path | None
Reader = Callable[[Folder, bool], Source]


@dataclass(frozen=True)
class Entry:
    """A registered task: how to read it, its sizes (train, validation, test) and what there is to say about
    it."""

    name: str
    read: Reader
    sizes: tuple[int | None, int | None, int | None]
    licence: str
    citation: str
    description: str


_ENTRIES: dict[str, Entry] = {}


def register(
    name: str,
    read: Reader,
    sizes: tuple[int | None, int | None, int | None] = (None, None, None),
    licence: str = "unknown",
    citation: str = "",
    description: str = "",
) -> None:
    """Add a task.

    Args:
        read: a function of (data folder or None, whether to fetch) that returns a Source.
        sizes: training, validation and test images, as in `split`.
    """
    if name in _ENTRIES or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise NasbenchError(f"A task cannot be called {name!r}: a new name of a-z, 0-9 and _ is needed.")
    _ENTRIES[name] = Entry(name, read, sizes, licence, citation, description)


def task_names() -> list[str]:
    """The registered tasks, in the order of registration."""
    return list(_ENTRIES)


def task_entry(name: str) -> Entry:
    """The entry of a registered task; NasbenchError for an unknown name."""
    if name not in _ENTRIES:
        few = ", ".join(list(_ENTRIES)[:6])
        raise NasbenchError(f"There is no task {name!r}: choose one of {few}, ..., or give the path of an npz file.")
    return _ENTRIES[name]


def _own_file(name: str, folder: Folder) -> Path | None:
    """NAME.npz in the current folder or among the data sets."""
    file = f"{name}.npz"
    return None if Path(name).name != name else Path(file) if Path(file).is_file() else find_file([file], folder)


def own_entries() -> tuple[Entry, ...]:
    """The tasks that were registered from outside, for `adopt`."""
    return tuple(_ENTRIES[name] for name in _ENTRIES if name not in BUILT_IN)


def adopt(entries: Iterable[Entry]) -> None:
    """Register another process's own tasks in this one."""
    _ENTRIES.update((entry.name, entry) for entry in entries)


def load_task(
    name: str | Path,
    folder: Folder = None,
    n_train: int | None = None,
    n_val: int | None = None,
    n_test: int | None = None,
    fetch_missing: bool = False,
) -> Task:
    """A task by its registered name, or of an npz file by its path, or by its name where it lies in the current folder
    or among the data sets.

    Args:
        folder: where data sets lie (see data_folders).
        n_train, n_val, n_test: sizes other than the task's own; they are part of its key and hash.
        fetch_missing: download what is not there (needs pooch and a network).

    Raises:
        NasbenchError: data are missing, damaged or too few.
    """
    own = None if isinstance(name, Path) or name in _ENTRIES else _own_file(name, folder)
    if own is not None or isinstance(name, Path) or name.endswith(".npz"):
        path = own or Path(name)
        if not path.is_file():
            raise NasbenchError(f"There is no file {path}.")
        if path.stem in _ENTRIES:
            raise NasbenchError(
                f"{path} goes by the name of the task {path.stem!r}, which is another: rename the file."
            )
        entry = Entry(
            path.stem,
            lambda *_: read_npz(path),
            (None, None, None),
            "unknown",
            "",
            f"The npz file {path.name}.",
        )
    else:
        entry = task_entry(name)
    sizes = [own if asked is None else asked for asked, own in zip((n_train, n_val, n_test), entry.sizes, strict=True)]
    source = entry.read(folder, fetch_missing)
    return split(entry.name, source, sizes, entry.licence, entry.citation, entry.description)


def _read_digits(folder: Folder, fetch_missing: bool) -> Source:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    pixels: NDArray[np.uint8] = images.reshape(-1, 8, 8, 1).astype(np.uint8)
    return Source(pixels, labels, tuple("0123456789"))


_IDX = {
    "x": "train-images-idx3-ubyte", "y": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte", "y_test": "t10k-labels-idx1-ubyte",
}  # fmt: skip


def _read_idx_set(
    name: str,
    classes: tuple[str, ...],
    url: str,
    md5: dict[str, str],
    package: str,
    folder: Folder,
    fetch_missing: bool,
) -> Source:
    parts = {}
    for part, file in _IDX.items():
        # Two data sets share these file names: a bare one counts only in a folder that the caller named.
        own = [Path(folder) / f"{file}{end}" for end in ("", ".gz")] if folder else []
        bases = (f"{name}/", f"{name.replace('_', '-')}/", f"{name}-")
        places = [f"{base}{file}{end}" for base in bases for end in ("", ".gz")]
        path = next((one for one in own if one.is_file()), None) or find_file(places, folder)
        if path is None and fetch_missing:
            path = fetch(f"{name}-{file}.gz", f"{url}{file}.gz", md5[part])
        if path is None:
            raise NasbenchError(
                f"{name} needs the file {file}.gz: put it with its three companions into "
                f"$NASBENCH_DATA/datasets/{name.replace('_', '-')}/{package}, or ask for it to be fetched."
            )
        parts[part] = read_idx(path)
        wanted = 3 if part.startswith("x") else 1
        if parts[part].ndim != wanted or (wanted == 3 and parts[part].shape[1:] != (28, 28)):
            raise NasbenchError(f"{path} holds {parts[part].shape}: {name} has 28 x 28 images and one label each.")

    def small(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.pad(halve(images[..., None]), ((0, 0), (1, 1), (1, 1), (0, 0)))

    for x, y in (("x", "y"), ("x_test", "y_test")):
        if len(parts[x]) != len(parts[y]):
            raise NasbenchError(
                f"{name} has {len(parts[x])} images with {len(parts[y])} labels: its files do not belong together."
            )
    return Source(small(parts["x"]), parts["y"], classes, small(parts["x_test"]), parts["y_test"])


def _read_16(name: str, url: str, md5: str, folder: Folder, fetch_missing: bool) -> Source:
    path = find_file([f"{name}_16.npz"], folder)
    if path is not None:
        return read_npz(path)
    archive = url.rsplit("/", 1)[-1]
    path = find_file([archive], folder) if url else None
    if path is None and url and fetch_missing:
        path = fetch(archive, url, md5)
    if path is None:
        other = f" or the official {archive}" if url else ""
        raise NasbenchError(
            f"{name} needs the file {name}_16.npz{other}: put it into $NASBENCH_DATA/datasets/"
            + (f" or {fetched_folder()}, or ask for it to be fetched." if url else f" or {fetched_folder()}.")
        )
    return read_cifar(path, 100 if "100" in name else 10, md5)


def _read_classes(parent: str, members: tuple[str, ...], folder: Folder, fetch_missing: bool) -> Source:
    """The images of some classes of another task, labelled in the order of `members`."""
    whole = task_entry(parent).read(folder, fetch_missing)
    missing = [name for name in members if name not in whole.classes]
    if missing or whole.x_test is None or whole.y_test is None:
        raise NasbenchError(
            f"This file of {parent} has no class {', '.join(missing)}: it is not the published data set."
        )
    codes = [whole.classes.index(name) for name in members]
    relabel = np.full(len(whole.classes), 255, np.uint8)
    relabel[codes] = np.arange(len(codes))
    kept, kept_test = np.isin(whole.y, codes), np.isin(whole.y_test, codes)
    return Source(
        whole.x[kept],
        relabel[whole.y[kept]],
        members,
        whole.x_test[kept_test],
        relabel[whole.y_test[kept_test]],
    )


_FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_IMAGENET_TERMS = "ImageNet's terms: non-commercial research"
_TINY_IMAGENET = "Y. Le and X. Yang, Tiny ImageNet, Stanford CS 231N, 2015"
_KRIZHEVSKY = "A. Krizhevsky, Learning multiple layers of features from tiny images, 2009"

register(
    "digits", _read_digits, (256, 770, 771),
    "CC BY 4.0 (UCI Machine Learning Repository; shipped with scikit-learn)",
    "E. Alpaydin and C. Kaynak, Optical recognition of handwritten digits, UCI, 1998",
    "Handwritten digits, 8 x 8, grey; all 1,797 of scikit-learn's, few of them for training: with 1,024 nearly every "
    "cell is right in 98 of 100 cases.",
)  # fmt: skip
register(
    "fashion_mnist",
    partial(
        _read_idx_set, "fashion_mnist", _FASHION, "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        {"x": "8d4fb7e6c68d591d4c3dfef9ec88bf0d", "y": "25c81989df183df01b3e8a0aad5dffbe",
         "x_test": "bef4ecab320f06d8554ea6380940ec79", "y_test": "bb300cfdad3c16e7a12a480ee83cd310"},
        f" (or install Debian's dataset-fashion-mnist, which puts them into {DEBIAN}/fashion-mnist)",
    ),
    (8000, 4000, 4000), "MIT", "H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST, arXiv:1708.07747, 2017",
    "Articles of clothing, grey, 28 x 28 averaged 2 x 2 to 14 x 14 and padded with zeros to 16 x 16.",
)  # fmt: skip
register(
    "mnist",
    partial(
        _read_idx_set, "mnist", tuple("0123456789"), "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {"x": "f68b3c2dcbeaaa9fbdd348bbdeb94873", "y": "d53e105ee54ea40749a09fcbcd1e9432",
         "x_test": "9fb629c4189551a2d022fa330f9573f3", "y_test": "ec29112dd5afa0611ce80d1b7f02629c"},
        "",
    ),
    (8000, 4000, 4000), "CC BY-SA 3.0", "Y. LeCun, C. Cortes and C. Burges, The MNIST database, 1998",
    "Handwritten digits, grey, 28 x 28 averaged 2 x 2 to 14 x 14 and padded with zeros to 16 x 16.",
)  # fmt: skip
for _name, _md5, _n in (
    ("cifar10", "c58f30108f718f92721af3b95e74349a", 10),
    ("cifar100", "eb9058c3a382ffc7106e4002c42a8d85", 100),
):
    register(
        _name, partial(_read_16, _name, f"https://www.cs.toronto.edu/~kriz/cifar-{_n}-python.tar.gz", _md5),
        (8000, 4000, 4000) if _n == 10 else (12000, 4000, 4000), "none stated; free for research",
        _KRIZHEVSKY, f"Photographs of {_n} kinds, colour, 32 x 32 averaged 2 x 2 to 16 x 16.",
    )  # fmt: skip
register(
    "tinyimagenet100", partial(_read_16, "tinyimagenet100", "", ""), (12000, 4000, 4000),
    _IMAGENET_TERMS, _TINY_IMAGENET,
    "The first 100 classes of Tiny ImageNet (in the order of their WordNet numbers), colour, averaged to 16 x 16.",
)  # fmt: skip
for _superclass, _members in SUPERCLASSES.items():
    register(
        f"cifar100_{_superclass}", partial(_read_classes, "cifar100", _members), (1500, 1000, 500),
        "none stated; free for research", _KRIZHEVSKY,
        f"CIFAR-100's superclass '{_superclass.replace('_', ' ')}': {', '.join(_members)}; colour, 16 x 16.",
    )  # fmt: skip
for _ten, _members in TINY_TENS.items():
    register(
        f"tinyimagenet100_{_ten}", partial(_read_classes, "tinyimagenet100", _members), (3500, 1500, 500),
        _IMAGENET_TERMS, _TINY_IMAGENET,
        f"The classes {_members[0]} to {_members[-1]} of tinyimagenet100, ten of them; colour, 16 x 16.",
    )  # fmt: skip
BUILT_IN = frozenset(_ENTRIES)
"""Names of the tasks that every process has."""
