"""The training protocol: everything that decides a network's curve besides its cell, its seed and the task.

One frozen dataclass, recorded whole in every table. The randomness of a network derives from (pruned cell,
seed) alone through numpy's SeedSequence and Philox, so its curve never depends on who else is trained, and
both trainers start from the same weights and see the same batches.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import NasbenchError, unknown
from ..networks.graph import REDUCTIONS, Skeleton, check_cell, prune
from ..tasks.subsets import SUPERCLASSES, TINY_TENS

AUGMENTATIONS = ("none", "flip", "flip+crop")


@dataclass(frozen=True)
class Protocol:
    """SGD with Nesterov momentum, weight decay on every parameter, and a cosine learning rate per step, from
    `lr` to 0.

    Batch normalisation is torch's default: momentum 0.1, epsilon 1e-5.

    Attributes:
        channels, cells, reduction: the skeleton (see nasbench.networks.Skeleton).
        epochs: each over the whole training set in a fresh order; the last incomplete batch is dropped.
        augmentation: `none`, `flip` (left-right with probability 1/2) or `flip+crop` (also shifted by up to `crop`
            pixels, borders zero after normalisation).

    Raises:
        NasbenchError: for a value that cannot be trained.
    """

    channels: int = 8
    cells: int = 1
    reduction: str = "plain"
    epochs: int = 12
    batch_size: int = 64
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    augmentation: str = "none"
    crop: int = 2

    def __post_init__(self) -> None:
        for field in fields(self):
            value, kind = getattr(self, field.name), field.type
            right = isinstance(value, str) if kind == "str" else isinstance(value, int | float)
            if kind == "int":
                right = isinstance(value, int)
            if not right or isinstance(value, bool):
                raise NasbenchError(f"{field.name} = {value!r}: the protocol wants {kind} here.")
        for name, least in (("channels", 1), ("cells", 1), ("epochs", 1), ("batch_size", 2), ("crop", 0)):
            if getattr(self, name) < least:
                raise NasbenchError(f"{name} = {getattr(self, name)}: a protocol needs at least {least}.")
        if self.crop > 60:
            raise NasbenchError(f"crop = {self.crop}: images are shifted by at most 60 pixels.")
        if self.reduction not in REDUCTIONS:
            raise NasbenchError(f"reduction = {self.reduction!r}: choose one of {', '.join(REDUCTIONS)}.")
        if self.augmentation not in AUGMENTATIONS:
            raise NasbenchError(f"augmentation = {self.augmentation!r}: choose one of {', '.join(AUGMENTATIONS)}.")
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise NasbenchError(f"lr = {self.lr}: the learning rate must be a positive number.")
        if not 0 <= self.momentum < 1:
            raise NasbenchError(f"momentum = {self.momentum}: it must be at least 0 and below 1.")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise NasbenchError(f"weight_decay = {self.weight_decay}: it must be 0 or a positive number.")

    def skeleton(self, classes: int, image_shape: Sequence[int]) -> Skeleton:
        """The skeleton for images of shape (height, width, channels)."""
        height, width, image_channels = (int(n) for n in image_shape)
        return Skeleton(self.channels, self.cells, self.reduction, classes, height, width, image_channels)

    def steps(self, n_train: int) -> int:
        """Batches in an epoch; NasbenchError where there are fewer images than one batch takes."""
        if n_train < self.batch_size:
            raise NasbenchError(
                f"The task has {n_train} training images, fewer than one batch of {self.batch_size}: "
                "use a larger task or a smaller batch_size."
            )
        return n_train // self.batch_size

    def learning_rates(self, steps: int) -> NDArray[np.float32]:
        """The learning rate of every step of the whole training, float32, for `steps` steps an epoch."""
        total = self.epochs * steps
        return (self.lr * 0.5 * (1 + np.cos(np.pi * np.arange(total) / total))).astype(np.float32)

    def to_json(self) -> str:
        """The protocol as one line of JSON with sorted keys: equal protocols give equal text."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Protocol:
        """The protocol of `to_json`; NasbenchError where the text is not one."""
        try:
            values: Any = json.loads(text)
        except json.JSONDecodeError as error:
            raise NasbenchError(f"This is not a protocol in JSON: {error}.") from error
        known = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or set(values) - known:
            extra = sorted(set(values) - known) if isinstance(values, dict) else type(values).__name__
            raise NasbenchError(f"A protocol has no {extra}; it has {', '.join(sorted(known))}.")
        return cls(**values)


PROTOCOLS = {
    "digits": Protocol(epochs=12),
    **dict.fromkeys(
        ("cifar10", "cifar100", "tinyimagenet100", "fashion_mnist", "mnist"), Protocol(channels=4, epochs=5)
    ),
    **dict.fromkeys(
        [*(f"cifar100_{name}" for name in SUPERCLASSES), *(f"tinyimagenet100_{number}" for number in TINY_TENS)],
        Protocol(channels=4, epochs=10, batch_size=32),
    ),
}
"""The protocol of a task where none is given; that of other tasks is `Protocol()`."""


def task_protocol(task: str, fields: Mapping[str, Any] | None = None) -> Protocol:
    """The protocol of the task called `task`, with some fields changed; NasbenchError for impossible ones."""
    fields = fields or {}
    known = sorted(field.name for field in dataclasses.fields(Protocol))
    for name in fields:
        if name not in known:
            raise unknown("entry of a protocol", name, known)
    return dataclasses.replace(PROTOCOLS.get(task, Protocol()), **fields)


def generators(cell: Sequence[int], seed: int) -> tuple[np.random.Generator, np.random.Generator]:
    """Two independent streams of a network, for its initial weights and for its data order, from (cell, seed)
    alone.

    Cells that differ in dead edges only are one network and share their streams. Raises NasbenchError for a
    negative seed.
    """
    if seed < 0:
        raise NasbenchError(f"seed = {seed}: seeds are 0, 1, 2, ...")
    key = 0
    for code in prune(check_cell(cell)):
        key = 5 * key + code
    children = np.random.SeedSequence([key, seed]).spawn(2)
    first, second = (np.random.Generator(np.random.Philox(child)) for child in children)
    return first, second


def draw_order(
    protocol: Protocol, n_train: int, generator: np.random.Generator
) -> tuple[NDArray[np.int32], NDArray[np.int8] | None]:
    """Image indices (epochs, steps, batch) and, with augmentation, the changes (epochs, steps, batch, 3).

    The changes of an image are: flip (0 or 1), then the row and the column, 0 to 2 * crop, at which the crop
    of the padded image starts.
    """
    steps = protocol.steps(n_train)
    used = steps * protocol.batch_size
    order = np.stack([generator.permutation(n_train)[:used] for _ in range(protocol.epochs)]).astype(np.int32)
    shape = (protocol.epochs, steps, protocol.batch_size)
    order = order.reshape(shape)
    if protocol.augmentation == "none":
        return order, None
    changes = np.full((*shape, 3), protocol.crop, np.int8)
    changes[..., 0] = generator.integers(0, 2, shape)
    if protocol.augmentation == "flip+crop":
        changes[..., 1:] = generator.integers(0, 2 * protocol.crop + 1, (*shape, 2))
    return order, changes
