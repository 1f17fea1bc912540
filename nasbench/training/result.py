"""What goes into a training and what comes out of it, the same for every trainer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import NasbenchError
from ..tasks.task import Task

OK, DIVERGED, OUT_OF_MEMORY, KILLED = "ok", "diverged", "out of memory", "killed"


@dataclass(frozen=True)
class Arrays:
    """A task as a trainer wants it: float32 images (n, height, width, channels), already normalised,
    C-contiguous, and int32 labels 0 to classes - 1."""

    x_train: NDArray[np.float32]
    y_train: NDArray[np.int32]
    x_val: NDArray[np.float32]
    y_val: NDArray[np.int32]
    x_test: NDArray[np.float32]
    y_test: NDArray[np.int32]
    classes: int

    def __post_init__(self) -> None:
        for part in ("train", "val", "test"):
            x, y = getattr(self, f"x_{part}"), getattr(self, f"y_{part}")
            if (
                x.dtype != np.float32
                or x.ndim != 4
                or not x.flags.c_contiguous
                or x.shape[1:] != self.x_train.shape[1:]
            ):
                raise NasbenchError(
                    f"x_{part} is {x.dtype} {x.shape}: images are C-contiguous float32 (n, height, width, "
                    "channels), of one size in all three parts."
                )
            if y.dtype != np.int32 or y.shape != x.shape[:1] or not y.flags.c_contiguous:
                raise NasbenchError(f"y_{part} is {y.dtype} {y.shape}: it must be int32 with one label per image.")
            if len(y) and not (y.min() >= 0 and y.max() < self.classes):
                raise NasbenchError(f"y_{part} has labels {y.min()} to {y.max()}, outside 0 to {self.classes - 1}.")

    @classmethod
    def of(cls, task: Task) -> Arrays:
        """The arrays of a task, normalised by its training pixels."""
        images = {part: task.normalised(part) for part in ("train", "val", "test")}
        return cls(
            images["train"], task.y_train.astype(np.int32),
            images["val"], task.y_val.astype(np.int32),
            images["test"], task.y_test.astype(np.int32), len(task.classes),
        )  # fmt: skip

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(height, width, channels)."""
        return self.x_train.shape[1:]


@dataclass(frozen=True)
class History:
    """One training. All arrays are float64 (epochs,); epochs that a diverged training did not finish are NaN.

    Attributes:
        status: `ok`; `diverged` where the loss stopped being finite; `out of memory` and `killed`, which have no
            results, and all their seconds in the first epoch.
        steps: batches trained.
        train_loss: mean cross entropy over the epoch's batches, as they were trained on, in nats.
        train_acc: the share of the trained images predicted right.
        val_acc, test_acc: shares right at the end of the epoch, with running batch-normalisation statistics.
        seconds: of training; an epoch broken off has the seconds that it used.
        evaluation_seconds: of the two evaluations.
    """

    status: str
    steps: int
    train_loss: NDArray[np.float64]
    train_acc: NDArray[np.float64]
    val_acc: NDArray[np.float64]
    test_acc: NDArray[np.float64]
    seconds: NDArray[np.float64]
    evaluation_seconds: NDArray[np.float64]

    def padded(self, epochs: int) -> History:
        """The same with NaN for the epochs that are lacking to `epochs`."""
        missing = epochs - len(self.val_acc)
        if missing <= 0:
            return self
        names = ("train_loss", "train_acc", "val_acc", "test_acc", "seconds", "evaluation_seconds")
        columns = (np.concatenate([getattr(self, name), np.full(missing, np.nan)]) for name in names)
        return History(self.status, self.steps, *columns)

    def same_results(self, other: History) -> bool:
        """Whether everything but the measured seconds is equal, bit for bit."""
        names = ("train_loss", "train_acc", "val_acc", "test_acc")
        return (self.status, self.steps) == (other.status, other.steps) and all(
            getattr(self, name).tobytes() == getattr(other, name).tobytes() for name in names
        )


def failed_history(status: str, epochs: int, seconds: float) -> History:
    """History of a training that left nothing but its cost in seconds."""
    rows = np.full((epochs, 6), np.nan)
    rows[0, 4] = seconds
    return History(status, 0, *np.ascontiguousarray(rows.T))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception, or one that it came of, says that a memory is full; torch raises its own RuntimeErrors for
    that, and others while it records a CUDA graph."""
    cause = error.__cause__ or error.__context__
    return (
        isinstance(error, MemoryError)
        or any(words in str(error) for words in ("out of memory", "can't allocate memory"))
        or (cause is not None and is_out_of_memory(cause))
    )


def history_from_rows(rows: NDArray[np.float64], steps: int, wanted: int) -> History:
    """History from an array (epochs, 6): the trainers' common form, columns in the order of the fields of
    History."""
    columns = [np.ascontiguousarray(rows[:, i]) for i in range(6)]
    return History(OK if steps == wanted else DIVERGED, steps, *columns)
