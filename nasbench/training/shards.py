"""A folder of finished trainings: shards that are written whole or not at all, and what they all belong to.

manifest.json          space, task with its hash, protocol, trainer, device, library versions
00000-1a2b3c4d.npz     some trainings; the second part is a hash of the content
latency.npz            measured seconds of the rows' forward passes, once a table was made

Arrays of a shard, n trainings of E epochs: `cell` (index in the space of the class's smallest cell), `seed`,
`status`, `steps` [n], and [n, E] as in History: `train_loss` `train_acc` `val_acc` `test_acc` `seconds`
`evaluation_seconds`. A process that is killed at any moment loses only what it has not written yet.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import platform
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..errors import NasbenchError
from ..files import holds, write_whole
from ..tasks.task import Task
from .population import trainer_version
from .protocol import Protocol
from .result import OK, History

FORMAT = 1
CURVES = ("train_loss", "train_acc", "val_acc", "test_acc", "seconds", "evaluation_seconds")
Key = tuple[int, int]
"""(index in the space of the class's smallest cell, training seed)."""


@dataclass(frozen=True)
class Setting:
    """What the trainings of a folder have in common; the first four fields decide whether others may join them.

    Attributes:
        task: what `Task.descriptor` says.
        trainer: see trainer_version.
        device: the processor, in words.
    """

    space: str
    task: Mapping[str, Any]
    protocol: Protocol
    trainer: str
    device: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, task: Task, protocol: Protocol, device: str = "cpu", trainer: str = "auto") -> Setting:
        """The setting of trainings on this machine."""
        found = trainer_version(protocol, device, trainer)
        return cls("nasbench201", task.descriptor(), protocol, found, device_name(device), versions())

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Setting:
        """The inverse of `to_fields`."""
        return cls(**{**fields, "protocol": Protocol(**fields["protocol"])})

    def to_fields(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {**self.__dict__, "protocol": asdict(self.protocol)}

    def differs(self, other: Setting) -> str:
        """Why trainings of `other` do not belong with these, in words; empty if they do."""
        if self.space != other.space:
            return f"the space {other.space}, not {self.space}"
        if self.task["sha256"] != other.task["sha256"]:
            return f"the task {other.task['key']} ({other.task['sha256'][:12]}), not {self.task['key']} " + (
                f"({self.task['sha256'][:12]})"
            )
        mine, theirs = asdict(self.protocol), asdict(other.protocol)
        unlike = [name for name in mine if mine[name] != theirs[name]]
        if unlike:
            parts = [f"{name} = {theirs[name]!r}, not {mine[name]!r}" for name in unlike]
            return f"the protocol {', '.join(parts)}"
        if self.trainer != other.trainer:
            return f"the trainer {other.trainer!r}, not {self.trainer!r}"
        return ""


def device_name(device: str) -> str:
    """The processor in words, e.g. "cpu: Intel Xeon, one thread a network"."""
    if device != "cpu":
        import torch

        return f"{device}: {torch.cuda.get_device_name(device)}"
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    except OSError:
        pass
    return f"cpu: {name}, one thread a network"


def versions() -> dict[str, str]:
    """Versions of what takes part in a training."""
    found = {"python": platform.python_version(), "nasbench": __version__}
    for name in ("numpy", "torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


class Shards:
    """The trainings of one folder.

    Args:
        folder: made if it is not there; a folder that holds other things is refused.
        setting: what is to be trained; None takes what the folder's manifest says.

    Raises:
        NasbenchError: the folder holds trainings of another setting, other files, or none where `setting` is None.
    """

    def __init__(self, folder: str | Path, setting: Setting | None = None) -> None:
        self.folder = Path(folder)
        path = self.folder / "manifest.json"
        if self.folder.exists() and not self.folder.is_dir():
            raise NasbenchError(f"{self.folder} is a file; trainings need a folder.")
        found = _read_manifest(path)
        if found is None:
            if setting is None:
                raise NasbenchError(
                    f"{self.folder} holds no trainings; `nasbench train --out {self.folder}` makes some."
                )
            if self.folder.exists() and any(holds(self.folder)):
                raise NasbenchError(f"{self.folder} is not empty and holds no trainings; choose another folder.")
            content = json.dumps({"format": FORMAT, **setting.to_fields()}, indent=1, sort_keys=True) + "\n"
            write_whole(path, content)
            found = setting
        elif setting is not None and (difference := setting.differs(found)):
            raise NasbenchError(f"{self.folder} holds trainings of {difference}; choose another folder.")
        # the same task, perhaps described by an earlier release in fewer words
        self.setting = found if setting is None else replace(found, task=setting.task)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from training into the folder meanwhile; NasbenchError if one does.

        The lock dies with its process, however that ends.
        """
        try:
            file = (self.folder / ".lock").open("w")
        except OSError as error:
            raise NasbenchError(f"cannot write {self.folder}: {error.strerror or error}.") from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                sentence = f"another process trains into {self.folder}; wait for it or choose another folder."
                raise NasbenchError(sentence) from None
            for unfinished in self.folder.glob(".*.tmp"):  # of a process that was killed while it wrote
                unfinished.unlink(missing_ok=True)
            yield

    @property
    def paths(self) -> list[Path]:
        """The shards' files in order."""
        return sorted(self.folder.glob("[0-9]*-*.npz"))

    def read(self) -> dict[Key, History]:
        """Every training, by (cell, seed); where one is there twice, the longer of the two."""
        found: dict[Key, History] = {}
        for path in self.paths:
            for key, history in self._read(path):
                if key not in found or trained_epochs(history) > trained_epochs(found[key]):
                    found[key] = history
        return found

    def _read(self, path: Path) -> Iterable[tuple[Key, History]]:
        try:
            with np.load(path) as file:
                arrays = {name: file[name] for name in ("cell", "seed", "status", "steps", *CURVES)}
            shape = (len(arrays["cell"]), self.setting.protocol.epochs)
            if any(arrays[name].shape != shape for name in CURVES):
                raise ValueError
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            raise NasbenchError(
                f"the shard {path} is damaged: delete it, and the same command trains again what it held."
            ) from None
        for i in range(len(arrays["cell"])):
            columns = (np.ascontiguousarray(arrays[name][i], dtype=np.float64) for name in CURVES)
            history = History(str(arrays["status"][i]), int(arrays["steps"][i]), *columns)
            yield (int(arrays["cell"][i]), int(arrays["seed"][i])), history

    def write(self, trainings: Mapping[Key, History]) -> Path | None:
        """Add a shard; None if there is nothing to write. Epochs that were not trained are written as nan."""
        if not trainings:
            return None
        epochs = self.setting.protocol.epochs
        keys, histories = list(trainings), [h.padded(epochs) for h in trainings.values()]
        arrays: dict[str, Any] = {
            "cell": np.array([cell for cell, _ in keys], np.int32),
            "seed": np.array([seed for _, seed in keys], np.int32),
            "status": np.array([h.status for h in histories]),
            "steps": np.array([h.steps for h in histories], np.int32),
        }
        arrays |= {name: np.stack([getattr(h, name) for h in histories]) for name in CURVES}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        data = buffer.getvalue()
        number = 1 + max((int(path.name.partition("-")[0]) for path in self.paths), default=-1)
        path = self.folder / f"{number:05d}-{hashlib.sha256(data).hexdigest()[:8]}.npz"
        write_whole(path, data)
        return path


def trained_epochs(history: History) -> int:
    """How many epochs of the history have results."""
    return int((~np.isnan(history.val_acc)).sum())


def is_whole(history: History) -> bool:
    """Whether the training ended, rather than was stopped before its last epoch."""
    return history.status != OK or not np.isnan(history.val_acc[-1])


def _read_manifest(path: Path) -> Setting | None:
    try:
        fields = json.loads(path.read_bytes())
        if fields.pop("format") != FORMAT:
            raise ValueError
        return Setting.from_fields(fields)
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        return None
    except OSError as error:
        raise NasbenchError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise NasbenchError(f"{path} is damaged or was written by another release; use a new folder.") from None
