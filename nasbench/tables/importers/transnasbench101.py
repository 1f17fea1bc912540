"""TransNAS-Bench-101's micro space from one npz file of arrays: all 4,096 cells, one number a cell and task.

    cells       [row, 6]  operation codes in the edge order 0-1, 0-2, 1-2, 0-3, 1-3, 2-3
    op_names    [4]       what the codes mean
    TASK        [row]     final validation result, percent, larger is better
    edges       [6]       that order in words, "0-1" and so on; may be left out

Duan et al., "TransNAS-Bench-101: Improving Transferability and Generalizability of Cross-Task Neural Architecture
Search", CVPR 2021 (arXiv:2105.11871). Of its seven tasks the four that are measured in percent can be imported; the
others are measured by losses and structural similarity, for which tables of accuracies have no place.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...errors import NasbenchError, unknown
from ...spaces import Space, open_space
from ...spaces.cells import EDGES
from ..curves import Curves, refuse_fractions
from ..table import Table
from .arrays import load_arrays

TASKS: dict[str, tuple[int, int, str]] = {
    "class_scene": (25, 47, "top-1 accuracy of the scene"),
    "class_object": (25, 75, "top-1 accuracy of the object"),
    "jigsaw": (10, 1000, "top-1 accuracy of the permutation of nine tiles"),
    "segmentsemantic": (30, 17, "share of pixels in the right class, not the paper's mean intersection over union"),
}
"""Task -> epochs and classes, by the authors' configuration files, and what is measured in percent."""
OTHERS = ("room_layout", "autoencoder", "normal")
LAYOUT = ("cells", "op_names", "edges")

ATTRIBUTES = {
    "name": "transnasbench101_micro",
    "source": "the results that TransNAS-Bench-101's authors released, as an npz file of arrays",
    "licence": "Apache-2.0",
    "citation": (
        "Duan et al., TransNAS-Bench-101: Improving Transferability and Generalizability of Cross-Task Neural "
        "Architecture Search, CVPR 2021, arXiv:2105.11871"
    ),
    "validation": "of the final epoch, one training a cell; larger is better in every task (see each task's `metric`)",
    "missing": "test results, learning curves, training time, latency, parameters, and the tasks " + ", ".join(OTHERS),
}


def import_transnasbench101(path: str | Path) -> Table:
    """The table in the npz file at `path`; tasks in the file's order.

    NasbenchError if arrays are missing, of other shapes, or of a task that is not measured in percent.
    """
    path = Path(path)
    found = load_arrays(path)
    space = open_space("transnasbench101_micro")
    cells = _cells(found, space, path)
    curves = []
    for task, values in found.items():
        if task in OTHERS:
            raise NasbenchError(
                f"{path} has results of {task}, which are no percentages: tables hold {', '.join(TASKS)} of this space."
            )
        elif task in TASKS:
            if values.shape != (len(cells),):
                raise NasbenchError(f"{path}: {task} is an array {values.shape} for {len(cells)} cells.")
            epochs, n_classes, metric = TASKS[task]
            if np.issubdtype(values.dtype, np.floating) and np.isnan(values).all():
                raise NasbenchError(f"{path} has no result of {task}: every value is nan.")
            attributes = {"metric": metric, "n_classes": n_classes}
            curves.append(Curves(task, (epochs,), {"val_acc": values}, attributes=attributes))
        elif task not in LAYOUT:
            raise unknown(f"array in {path}", task, (*LAYOUT, *TASKS))
    if not curves:
        raise NasbenchError(f"{path} has no results of {', '.join(TASKS)}.")
    try:
        table = Table.from_arrays(space, curves, cells=cells, attributes=ATTRIBUTES)
        refuse_fractions(curves, small=True)
    except NasbenchError as error:
        raise NasbenchError(f"{path}: {error}") from None
    return table


def _cells(found: dict[str, np.ndarray], space: Space, path: Path) -> np.ndarray:
    """The index [row] of every row's cell."""
    order = [f"{a}-{b}" for a, b in EDGES]
    if "edges" in found and found["edges"].tolist() != order:
        raise NasbenchError(f"{path} has edges in another order than {', '.join(order)}.")
    try:
        codes, names = found["cells"], found["op_names"].tolist()
        own = map(space.operations.index, names)
        code_of = dict(enumerate(own))
        return np.array([space.index(tuple(code_of[code] for code in line)) for line in codes.tolist()])
    except (KeyError, ValueError, TypeError):
        raise NasbenchError(
            f"{path} is not a file of TransNAS-Bench-101: it needs `cells`, six operation codes a row, and `op_names`, "
            f"the names {', '.join(space.operations)} in the order of the codes."
        ) from None
