"""The official files of NAS-Bench-101, nasbench_{only108,full}.tfrecord, read without TensorFlow.

Each record is a JSON list: hash of the cell, epochs, adjacency bits, operations, and a base64 protocol buffer
`ModelMetrics` with evaluations before, halfway through and after training. Every cell was trained three times
under each of four schedules. Reading takes some 50 microseconds a record and 400 a cell: about four minutes
for 108 epochs only, seven for all. Data: Ying et al., "NAS-Bench-101", ICML 2019 (arXiv:1902.09635),
Apache-2.0.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import NasbenchError
from ...spaces import open_space
from ..curves import Curves
from ..table import Table
from .tfrecord import fields, records

TASK, SCHEDULES, SEEDS = "cifar10", (4, 12, 36, 108), 3

EVALUATION_DATA, TRAINABLE_PARAMETERS = 1, 2
"""Field numbers of ModelMetrics, from lib/model_metrics.proto of google-research/nasbench."""

EVALUATED = {2: "train_seconds", 3: "train_acc", 4: "val_acc", 5: "test_acc"}
"""Field numbers of EvaluationData; accuracies are fractions there."""

ATTRIBUTES = {
    "name": "nasbench101",
    "licence": "Apache-2.0",
    "citation": (
        "Ying et al., NAS-Bench-101: Towards Reproducible Neural Architecture Search, ICML 2019, arXiv:1902.09635"
    ),
    "protocol": (
        "NAS-Bench-101, arXiv:1902.09635: RMSProp, batch 256, learning rate 0.2 to 0 along a cosine, "
        "weight decay 1e-4; 128 channels, 3 stacks of 3 cells"
    ),
    "seeds": "labels 0, 1, 2 are the order of a cell's repeats in the file",
    "halfway": "each schedule was also evaluated at half its length, the first of its two recorded epochs",
}

SPLITS = {
    "training": "40,000 images of the original training set",
    "validation": "the other 10,000 images of the original training set",
    "test_acc": "the original test set of 10,000 images, after the same training",
    "train_acc": "10,000 images of the 40,000",
    "train_seconds": "training without evaluation, on a TPU v2 of the NAS-Bench-101 authors",
}


def import_nasbench101(path: str | Path) -> Table:
    """The table in the TFRecord file; rows are the cells it holds, in ascending order of index.

    Per schedule in the file, all under the task cifar10: val_acc, test_acc, train_acc (percent) and
    train_seconds, float32 [row, seed, epoch] at half and at full length; parameters [row]. nan where a repeat
    is missing.

    NasbenchError naming the record if a checksum is wrong, the file ends early, or a record is not as
    published.
    """
    space = open_space("nasbench101")
    index_of = _index(space)
    size = len(space)
    parameters = np.zeros(size, dtype=np.int32)
    repeats: dict[int, np.ndarray] = {}
    arrays: dict[int, dict[str, np.ndarray]] = {}
    for number, record in enumerate(records(path)):
        try:
            identity, epochs, bits, operations, encoded = json.loads(record)
            metrics, parameter_count = _metrics(base64.b64decode(encoded, validate=True))
            if epochs not in SCHEDULES:
                raise ValueError(f"a schedule of {epochs} epochs")
            index = index_of(identity, bits, operations)
        except (ValueError, TypeError, IndexError, KeyError) as error:
            raise NasbenchError(f"record {number} of {path} is not as NAS-Bench-101 publishes them: {error}") from None
        if epochs not in arrays:
            repeats[epochs] = np.zeros(size, dtype=np.uint8)
            arrays[epochs] = {name: np.full((size, SEEDS, 2), np.nan, np.float32) for name in EVALUATED.values()}
        seed = int(repeats[epochs][index])
        if seed >= SEEDS:
            raise NasbenchError(
                f"record {number} of {path} is repeat {seed + 1} of {identity}; there should be {SEEDS}."
            )
        repeats[epochs][index] += 1
        parameters[index] = parameter_count
        for name, values in metrics.items():
            arrays[epochs][name][index, seed] = values
    cells = np.flatnonzero(np.any([count > 0 for count in repeats.values()], axis=0)).astype(np.int32)
    curves = []
    for epochs in sorted(arrays):
        by_name = arrays.pop(epochs)
        kept = {name: by_name.pop(name)[cells] for name in list(by_name)} | {"parameters": parameters[cells]}
        curves.append(Curves(TASK, (epochs // 2, epochs), kept, tuple(range(SEEDS)), SPLITS))
    source = {"source": f"{Path(path).name}, github.com/google-research/nasbench"}
    return Table.from_arrays(space, curves, cells=cells, attributes=ATTRIBUTES | source)


def _index(space: Any) -> Callable[[str, str, str], int]:
    """Hash, adjacency bits and operations of a record -> index of its cell, ValueError if they do not belong
    together.

    Each cell is worked out once and remembered by its hash, since its twelve trainings are twelve records.
    """
    known: dict[str, int] = {}

    def index_of(identity: str, bits: str, operations: str) -> int:
        if identity not in known:
            vertices = math.isqrt(len(bits))
            if vertices**2 != len(bits) or not set(bits) <= {"0", "1"}:
                raise ValueError(f"an adjacency matrix {bits!r}")
            matrix = np.array([int(bit) for bit in bits], dtype=np.int8).reshape(vertices, vertices)
            cell = space.from_matrix(matrix, operations.split(","))
            if space.module_hash(cell) != identity:
                raise ValueError(f"the hash {identity} is not that of its cell")
            known[identity] = space.index(cell)
        return known[identity]

    return index_of


def _metrics(message: bytes) -> tuple[dict[str, list[float]], int]:
    """Per metric its values halfway and after training, in percent and seconds, and the number of
    parameters."""
    evaluations: list[dict[int, Any]] = []
    parameters: Any = 0
    for number, value in fields(message):
        if number == EVALUATION_DATA:
            if not isinstance(value, bytes):
                raise ValueError("an evaluation is not a message")
            evaluations.append(dict(fields(value)))
        elif number == TRAINABLE_PARAMETERS:
            parameters = value
    if len(evaluations) != 3:
        raise ValueError(f"{len(evaluations)} evaluations instead of 3")
    found = {}
    for number, name in EVALUATED.items():
        scale = 1.0 if name == "train_seconds" else 100.0
        found[name] = [scale * float(evaluation[number]) for evaluation in evaluations[1:]]
    return found, int(parameters)
