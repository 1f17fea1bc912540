"""Fixtures: the shipped table, a small made-up one, and the folder of published data where there is one."""

from __future__ import annotations

import os
from pathlib import Path

if not Path("/dev/nvidiactl").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # read when Triton is imported, which several packages do

import hypothesis
import numpy as np
import pytest

from nasbench.spaces import CellSpace, open_space
from nasbench.tables import Curves, Table, open_table

hypothesis.settings.register_profile("untimed", deadline=None)  # a busy machine is not a failure
hypothesis.settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-golden", action="store_true", help="write the golden traces anew instead of comparing")


@pytest.fixture(scope="session")
def nb201() -> CellSpace:
    space = open_space("nasbench201")
    assert isinstance(space, CellSpace)
    return space


@pytest.fixture(scope="session")
def shipped() -> Table:
    return open_table("nasbench201")


@pytest.fixture(scope="session")
def published() -> dict[str, np.ndarray]:
    """Arrays of the published NAS-Bench-201 results; the test is skipped where they are not at hand."""
    path = Path(os.environ.get("NASBENCH_DATA", "")) / "published" / "nasbench201.npz"
    if "NASBENCH_DATA" not in os.environ or not path.exists():
        pytest.skip("needs NASBENCH_DATA to point at a folder with published/nasbench201.npz")
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="session")
def published_table(published: dict[str, np.ndarray]) -> Table:
    """NAS-Bench-201 with its 12- and 200-epoch schedules and test accuracies."""
    curves = []
    for i, task in enumerate(map(str, published["datasets"])):
        seconds = published["train_time_200"][:, i]
        arrays = {"val_acc": published["val_acc_200_seeds"][:, i], "test_acc": published["test_acc_200"][:, i]}
        curves.append(Curves(task, (200,), {**arrays, "train_seconds": seconds}, (0, 1, 2)))
        arrays = {"val_acc": published["val_acc_12"][:, i], "test_acc": published["test_acc_12"][:, i]}
        curves.append(Curves(task, (12,), {**arrays, "train_seconds": seconds * 12 / 200}))
    return Table.from_arrays("nasbench201", curves)


def tiny_space(operations: int = 2) -> CellSpace:
    """A space of `operations` ** 6 cells."""
    return CellSpace("tiny", ("none", "skip_connect", "nor_conv_1x1")[:operations])


@pytest.fixture
def tiny_table() -> Table:
    """64 cells x 2 seeds x 3 epochs of numbers that are easy to check: accuracy = index + seed / 10 +
    epoch."""
    space = tiny_space()
    index, seed, epoch = np.meshgrid(np.arange(64), [0, 1], [1, 2, 3], indexing="ij")
    arrays = {
        "val_acc": index + seed / 10 + epoch,
        "test_acc": index + seed / 10,
        "train_seconds": 10.0 * epoch,
        "flops": np.full(64, 5.0),
    }
    return Table.from_arrays(space, [Curves("toy", (1, 2, 3), arrays, (7, 8), {"train_size": 100})])


def toy_tasks(tasks: int = 5, cells: int = 0, described: bool = True) -> Table:
    """Made-up tasks that are alike but not the same, two noisy trainings of each cell: what meta-learners learn from.

    Args:
        cells: how many of the 729 have results, drawn at random; 0 for all.
    """
    space, rng = CellSpace("toys", ("none", "skip_connect", "nor_conv_1x1")), np.random.default_rng(0)
    index = np.arange(len(space)) if not cells else np.sort(rng.permutation(len(space))[:cells])
    summary = space.encode(space.cells, "summary").astype(np.float64)
    summary = ((summary - summary.mean(axis=0)) / (summary.std(axis=0) + 1e-9))[index]
    common, curves = rng.normal(size=summary.shape[1]), []
    for number in range(tasks):
        quality = summary @ (common + 0.2 * np.sin(number + np.arange(len(common)))) / 2
        level = 60 + 5 * number + 3 * quality[:, None] + 0.3 * rng.normal(size=(len(index), 2))
        arrays = {"val_acc": level, "test_acc": level - 1, "train_seconds": np.full(len(index), 2.0)}
        facts = {name: 10 + number**2 + i for i, name in enumerate(("n_nodes", "n_edges", "n_features", "n_classes"))}
        curves.append(Curves(f"toy{number}", (4,), arrays, (0, 1), facts if described else {}))
    return Table.from_arrays(space, curves, cells=index)


@pytest.fixture(scope="session")
def toys() -> Table:
    return toy_tasks()
