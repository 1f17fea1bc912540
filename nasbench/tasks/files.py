"""Reading data sets that others published: idx files, npz files and the official CIFAR archives.

Nothing here executes what a file says: npz files are read without pickles, and the CIFAR archives' pickles
through an unpickler that admits plain data and numpy arrays only.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import logging
import os
import pickle
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import NasbenchError
from .task import Source

logger = logging.getLogger(__name__)

DEBIAN = Path("/usr/share/datasets")
"""Where Debian's packages of data sets put their files."""


def data_folders(folder: str | Path | None = None) -> list[Path]:
    """Folders that are searched, first one first: the argument, $NASBENCH_DATA (each with its subfolder
    `datasets`), the cache that fetched files go to, and Debian's."""
    given = [Path(one) for one in (folder, os.environ.get("NASBENCH_DATA")) if one]
    return [*(path for one in given for path in (one, one / "datasets")), fetched_folder(), DEBIAN]


def fetched_folder() -> Path:
    """The folder that fetched files are kept in: $XDG_CACHE_HOME/nasbench/datasets or
    ~/.cache/nasbench/datasets."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "nasbench" / "datasets"


def find_file(names: Iterable[str], folder: str | Path | None = None) -> Path | None:
    """The first of the files (paths relative to a data folder) that exists, or None."""
    names = list(names)
    for base in data_folders(folder):
        for name in names:
            if (base / name).is_file():
                return base / name
    return None


def fetch(name: str, url: str, md5: str) -> Path:
    """Download one file with pooch and check it; NasbenchError without pooch, without a network, or on a
    wrong hash."""
    try:
        import pooch
    except ImportError as error:
        raise NasbenchError(f"Fetching {name} needs the package pooch: install it, or fetch {url} yourself.") from error
    try:
        return Path(pooch.retrieve(url, f"md5:{md5}", name, fetched_folder()))
    except (OSError, ValueError) as error:
        raise NasbenchError(f"{url} could not be fetched ({error}): put the file into {fetched_folder()}.") from error


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array of an idx file of bytes, gzipped or not. Raises NasbenchError for anything else."""
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise NasbenchError(f"{path} cannot be read ({error}): get a fresh copy of it.") from error
    dimensions = data[3] if len(data) >= 4 and data[:3] == b"\x00\x00\x08" else 0
    shape = tuple(int(n) for n in np.frombuffer(data[4 : 4 + 4 * dimensions], ">u4")) if dimensions else ()
    size = 4 + 4 * dimensions
    if not dimensions or len(shape) != dimensions or len(data) - size != int(np.prod(shape, dtype=np.int64)):
        raise NasbenchError(f"{path} is not a complete idx file of bytes ({len(data)} bytes): get a fresh copy of it.")
    return np.frombuffer(data[size:], np.uint8).reshape(shape)


def read_npz(path: Path) -> Source:
    """A data set of one npz file with x_train, y_train, x_test, y_test (or only x, y) and, if wanted,
    classes.

    Images are (n, height, width) or (n, height, width, channels), uint8 or any float; labels are integers
    from 0.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files if name in _NPZ_NAMES}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise NasbenchError(
            f"{path} is not a readable npz file of plain arrays ({error}): get a fresh copy."
        ) from error
    names = ("x_train", "y_train") if "x_train" in arrays else ("x", "y")
    missing = [name for name in names if name not in arrays]
    if "x_test" in arrays and "y_test" not in arrays:
        missing.append("y_test")
    if missing:
        raise NasbenchError(
            f"{path} lacks {', '.join(missing)}: it needs x_train, y_train, x_test and y_test, or x and y."
        )
    x, y = _images(path, arrays[names[0]]), _labels(path, arrays[names[1]])
    x_test = _images(path, arrays["x_test"]) if "x_test" in arrays else None
    y_test = _labels(path, arrays["y_test"]) if "x_test" in arrays else None
    for images, labels in ((x, y), (x_test, y_test)):
        if images is not None and labels is not None and len(images) != len(labels):
            raise NasbenchError(f"{path} has {len(images)} images with {len(labels)} labels: each image needs one.")
    if "classes" in arrays:
        classes = _classes(path, arrays["classes"])
    else:
        classes = tuple(str(label) for label in range(int(y.max(initial=0)) + 1))
        empty = sorted(set(range(len(classes))) - set(y.tolist()))
        if empty:
            raise NasbenchError(
                f"{path} has no image with the label {empty[0]}, but has some up to {len(classes) - 1}: number them "
                "from 0, or name all classes in an array `classes`."
            )
    return Source(x, y, classes, x_test, y_test)


_NPZ_NAMES = ("x_train", "y_train", "x_test", "y_test", "x", "y", "classes")


def _images(path: Path, images: NDArray[Any]) -> Any:
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or not (images.dtype == np.uint8 or np.issubdtype(images.dtype, np.floating)):
        raise NasbenchError(
            f"{path} has images of {images.dtype} {images.shape}: they must be uint8 or float, "
            "(n, height, width) or (n, height, width, channels)."
        )
    channels, height, width = images.shape[1:]
    if channels in (1, 3) and height > 4 and width > 4 and height / 2 <= width <= 2 * height:
        raise NasbenchError(f"{path} has images of {images.shape}, channels first: they must be last.")
    return images if images.dtype == np.uint8 else images.astype(np.float32)


def _labels(path: Path, labels: NDArray[Any]) -> NDArray[np.integer]:
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer) or (len(labels) and labels.min() < 0):
        raise NasbenchError(
            f"{path} has labels of {labels.dtype} {labels.shape}: they must be integers from 0, one each."
        )
    if len(labels) and labels.max() > 255:
        raise NasbenchError(f"{path} has a label {labels.max()}: tasks have at most 256 classes.")
    return labels


def _classes(path: Path, names: NDArray[Any]) -> tuple[str, ...]:
    if names.ndim != 1 or names.dtype.kind not in "USiu":
        raise NasbenchError(f"{path} has classes of {names.dtype} {names.shape}: they must be a list of names.")
    if names.dtype.kind == "S":
        names = np.char.decode(names, "utf-8", "replace")
    return tuple(str(name) for name in names)


class PlainUnpickler(pickle.Unpickler):
    """Reads plain data and numpy arrays of numbers; everything else a pickle can name is refused."""

    ADMITTED = frozenset(
        (module, name)
        for package in ("numpy.core.multiarray", "numpy._core.multiarray", "numpy")
        for module, name in ((package, "_reconstruct"), (package, "ndarray"), (package, "dtype"))
    ) | {("_codecs", "encode")}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ADMITTED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not plain data")
        if name == "_reconstruct":
            return np.empty(0).__reduce__()[0]  # that of this numpy, whichever wrote the pickle
        return super().find_class(module, name)


def halve(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images (n, 2h, 2w, channels) as their 2 x 2 means (n, h, w, channels), rounded half up."""
    n, height, width, channels = images.shape
    blocks = images.reshape(n, height // 2, 2, width // 2, 2, channels).astype(np.uint16)
    means: NDArray[np.uint8] = ((blocks.sum((2, 4), dtype=np.uint16) + 2) // 4).astype(np.uint8)
    return means


def read_cifar(path: Path, classes: int, md5: str = "") -> Source:
    """The official python archive of CIFAR-10 or CIFAR-100 (a .tar.gz), averaged 2 x 2 to 16 x 16.

    CIFAR-100 has its fine labels.

    Args:
        md5: of the published archive; a file with another one is refused.
    """
    if md5:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "md5").hexdigest()
        if found != md5:
            raise NasbenchError(f"{path} has md5 {found}, the published archive {md5}: get a fresh copy of it.")
    fine = classes == 100
    train = ["train"] if fine else [f"data_batch_{i}" for i in range(1, 6)]
    meta, names_key = ("meta", b"fine_label_names") if fine else ("batches.meta", b"label_names")
    wanted = {*train, "test" if fine else "test_batch", meta}
    found_parts: dict[str, Any] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = Path(member.name).name
                content = archive.extractfile(member) if member.isfile() and name in wanted else None
                if content is not None:
                    found_parts[name] = PlainUnpickler(io.BytesIO(content.read()), encoding="bytes").load()

        def images(names: list[str]) -> tuple[NDArray[np.uint8], NDArray[np.integer]]:
            data = np.concatenate([found_parts[name][b"data"] for name in names])
            labels = [found_parts[name][b"fine_labels" if fine else b"labels"] for name in names]
            return halve(data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), np.concatenate(labels).astype(np.uint8)

        x, y = images(train)
        x_test, y_test = images(["test" if fine else "test_batch"])
        names = tuple(name.decode() for name in found_parts[meta][names_key])
    except (OSError, EOFError, tarfile.TarError, pickle.UnpicklingError, zlib.error) as error:
        raise NasbenchError(f"{path} is not a sound CIFAR archive ({error}): get a fresh copy of it.") from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise NasbenchError(f"{path} is not laid out as the CIFAR-{classes} archive ({error!r}).") from error
    return Source(x, y, names, x_test, y_test)
