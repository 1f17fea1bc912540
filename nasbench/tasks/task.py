"""A task: images with fixed, hashed train, validation and test splits, and what there is to know about them.

Splits are stratified and seeded: images are put in an order of which every prefix is as balanced as the
whole; the validation images come first, the training images follow, so that a larger training set contains
the smaller one and both are validated on the same images. Official test images are only ever used for
testing.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..errors import NasbenchError

SPLIT_SEED = 20260101
"""The seed of every built-in split."""

Images = NDArray[np.uint8] | NDArray[np.float32]
Labels = NDArray[np.uint8]


SCALES = 20
"""How many times larger the pixels of a part must be to be on another scale, such as 0 to 255 beside 0 to 1."""


def _reach(x: NDArray[np.generic]) -> float:
    """What 99 % of some 100,000 pixels lie below, without their sign."""
    return float(np.quantile(np.abs(x.ravel()[:: max(1, x.size // 100_000)]), 0.99))


@dataclass(frozen=True)
class Source:
    """A data set before it is split.

    Attributes:
        x: images (n, height, width, channels), uint8 or float32.
        y: labels (n,), 0 to classes - 1.
        x_test, y_test: the official test part, or None where all three splits are to be drawn from x.
    """

    x: Images
    y: NDArray[np.integer]
    classes: tuple[str, ...]
    x_test: Images | None = None
    y_test: NDArray[np.integer] | None = None


@dataclass(frozen=True, eq=False)
class Task:
    """Arrays with fixed splits. Images are (n, height, width, channels), uint8 or float32; labels uint8 (n,).

    Attributes:
        name: with the sizes it makes `key`.
        licence, citation: of the data.
        description: one line for people.
    """

    name: str
    x_train: Images
    y_train: Labels
    x_val: Images
    y_val: Labels
    x_test: Images
    y_test: Labels
    classes: tuple[str, ...]
    licence: str = "unknown"
    citation: str = ""
    description: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        shape = self.x_train.shape[1:]
        if len(self.classes) < 2:
            raise NasbenchError(f"The task {self.name} has {len(self.classes)} class: a task needs two or more.")
        for part in ("train", "val", "test"):
            x, y = getattr(self, f"x_{part}"), getattr(self, f"y_{part}")
            if x.ndim != 4 or x.shape[1:] != shape or x.dtype not in (np.uint8, np.float32):
                raise NasbenchError(
                    f"The task {self.name} has x_{part} of {x.dtype} {x.shape}: images are uint8 or float32, "
                    "(n, height, width, channels), of one size."
                )
            if x.dtype != self.x_train.dtype:
                raise NasbenchError(
                    f"The task {self.name} has x_{part} of {x.dtype} and x_train of {self.x_train.dtype}: "
                    "images of one task are of one type, and on one scale."
                )
            if not len(x) or y.shape != (len(x),):
                raise NasbenchError(
                    f"The task {self.name} has {len(x)} images and {y.size} labels in its {part} part: "
                    "each part needs images, with one label each."
                )
            if int(y.max()) >= len(self.classes):
                raise NasbenchError(
                    f"The task {self.name} has a label {y.max()}, but only {len(self.classes)} classes."
                )
            if x.dtype == np.float32:
                self._check_pixels(part, x)

    def _check_pixels(self, part: str, x: NDArray[np.generic]) -> None:
        if not np.isfinite(x).all():
            raise NasbenchError(f"The task {self.name} has pixels in x_{part} that are not finite numbers.")
        own, other = _reach(x), _reach(self.x_train)
        if min(own, other) > 0 and max(own, other) > SCALES * min(own, other):
            raise NasbenchError(
                f"The task {self.name} has x_{part} with 99 % of pixels up to {own:.3g} and x_train up to {other:.3g}: "
                "images of one task are on one scale."
            )

    @property
    def key(self) -> str:
        """Name and sizes, e.g. `digits-1024-386-387` (train, validation, test)."""
        return f"{self.name}-{len(self.y_train)}-{len(self.y_val)}-{len(self.y_test)}"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        height, width, channels = self.x_train.shape[1:]
        return height, width, channels

    def copies(self) -> list[tuple[str, str, int]]:
        """(part, later part, images of the later one that the other has too, byte for byte), where there are any."""
        parts = {part: [image.tobytes() for image in getattr(self, f"x_{part}")] for part in ("train", "val", "test")}
        found = []
        for first, second in itertools.combinations(parts, 2):
            known = set(parts[first])
            found.append((first, second, sum(image in known for image in parts[second])))
        return [pair for pair in found if pair[2]]

    @cached_property
    def digest(self) -> str:
        """sha256 of the key, the class names and all six arrays (type, shape and bytes), as 64 hexadecimal
        digits."""
        hasher = hashlib.sha256("\n".join([self.key, *self.classes]).encode())
        for part in ("train", "val", "test"):
            for kind in "xy":
                array = np.ascontiguousarray(getattr(self, f"{kind}_{part}"))
                hasher.update(f"{kind}_{part} {array.dtype.str} {array.shape}".encode())
                hasher.update(array.data)
        return hasher.hexdigest()

    @cached_property
    def statistics(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of the training pixels, float64 (channels,); a constant channel has
        deviation 1."""
        channels = self.image_shape[2]
        pixels = self.x_train.reshape(-1, channels)
        mean = pixels.mean(0, dtype=np.float64)
        deviation = pixels.std(0, dtype=np.float64)
        return mean, np.where(deviation > 0, deviation, 1.0)

    def normalised(self, part: str) -> NDArray[np.float32]:
        """The images of `train`, `val` or `test`, less the mean, over the deviation; float32,
        C-contiguous."""
        mean, deviation = self.statistics
        images = getattr(self, f"x_{part}").astype(np.float32)
        images -= mean.astype(np.float32)
        images /= deviation.astype(np.float32)
        return np.ascontiguousarray(images)

    def descriptor(self) -> dict[str, object]:
        """What a table records of its task, with `tasks.features`: plain values only."""
        mean, deviation = self.statistics
        return {
            "name": self.name,
            "key": self.key,
            "sha256": self.digest,
            "classes": list(self.classes),
            "image_shape": list(self.image_shape),
            "n_train": len(self.y_train),
            "n_val": len(self.y_val),
            "n_test": len(self.y_test),
            "mean": [float(value) for value in mean],
            "deviation": [float(value) for value in deviation],
            "licence": self.licence,
            "citation": self.citation,
            "description": self.description,
            **self._features,
        }

    @cached_property
    def _features(self) -> dict[str, object]:
        from .features import task_features

        return task_features(self)


def balanced_order(labels: NDArray[np.integer], seed: int = SPLIT_SEED) -> NDArray[np.intp]:
    """A seeded order (n,) of which every prefix holds the classes in the proportions of the whole, to within
    one."""
    generator = np.random.Generator(np.random.Philox(seed))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        place[generator.permutation(members)] = (np.arange(len(members)) + 0.5) / len(members)
    return np.lexsort((labels, place))


def split(
    name: str,
    source: Source,
    sizes: Sequence[int | None],
    licence: str = "unknown",
    citation: str = "",
    description: str = "",
) -> Task:
    """The task of a source.

    Args:
        sizes: training, validation and test images; None for training or test takes all that are left, None for
            validation a sixth of them.

    Raises:
        NasbenchError: the source is too small.
    """
    n_train, n_val, n_test = sizes
    for part, size in zip(("training", "validation", "test"), sizes, strict=True):
        if size is not None and size < 1:
            raise NasbenchError(f"{size} {part} images were asked for: each part of a task needs at least 1.")
    order = balanced_order(source.y)
    if source.x_test is None or source.y_test is None:
        test = order[: len(order) // 5 if n_test is None else n_test]
        order, x_test, y_test = order[len(test) :], source.x[test], source.y[test]
    else:
        test = balanced_order(source.y_test)
        test = test if n_test is None else test[:n_test]
        x_test, y_test = source.x_test[test], source.y_test[test]
    if n_val is None:
        n_val = len(order) // 6
    if n_train is None:
        n_train = len(order) - n_val
    if n_train + n_val > len(order) or n_train < 1 or (n_test or 0) > len(test):
        raise NasbenchError(
            f"{name} has {len(order)} images for training and validation and {len(test)} for testing: "
            f"{n_train} + {n_val} and {n_test} were asked for."
        )
    val, train = order[:n_val], order[n_val : n_val + n_train]
    y = source.y.astype(np.uint8)
    return Task(
        name, source.x[train], y[train], source.x[val], y[val], x_test, y_test.astype(np.uint8),
        source.classes, licence, citation, description,
    )  # fmt: skip
