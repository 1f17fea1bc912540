"""The shipped tables of our own: really trained, every class, and held against published results."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from nasbench.benchmarks import TabularBenchmark
from nasbench.tables import PROXIES, open_table
from nasbench.tasks import load_task
from nasbench.tasks.subsets import SUPERCLASSES
from nasbench.training import task_protocol
from nasbench.training.campaign import class_order

WHOLE = {"digits": ("digits", 12), "cifar10": ("images16", 5), "fashion_mnist": ("images16", 5)}
"""Task of which every class was trained -> its table, epochs."""
TABLES = ("digits", "images16", "tasks16")
CARD = {
    "digits": {4: 0.24, 6: 0.55, 8: 0.61, 10: 0.56, 12: 0.53},
    "cifar10": {1: 0.47, 2: 0.67, 3: 0.79, 4: 0.81, 5: 0.82},
    "fashion_mnist": {1: 0.65, 2: 0.75, 3: 0.83, 4: 0.90, 5: 0.90},
}
"""Spearman's correlation by epoch with NAS-Bench-201's CIFAR-10 test accuracy, as the data cards have it."""


@pytest.mark.parametrize("task", WHOLE)
def test_every_class_was_trained(task):
    name, epochs = WHOLE[task]
    table = open_table(name)
    curves = table.curves(task)
    assert len(table) == 5260
    assert (table.row_of_cell >= 0).all()
    assert curves.epochs == tuple(range(1, epochs + 1))
    assert curves.valid[:, 0].all()
    assert len(curves.attributes["embedding"]) == 144
    sizes = {"val_acc": curves.attributes["n_val"], "test_acc": curves.attributes["n_test"]}
    for array in ("val_acc", "test_acc", "train_acc", "train_loss", "train_seconds"):
        known = curves.full(array)[curves.valid]
        assert np.isfinite(known).all()
        if array in sizes:
            images = known * sizes[array] / 100
            assert np.abs(images - np.round(images)).max() < 1e-2  # whole images


@pytest.mark.parametrize(("name", "task"), [(name, task) for name in TABLES for task in open_table(name).tasks])
def test_proxies_and_their_seconds_are_known_of_every_row(name, task):
    table = open_table(name)
    curves = table.curves(task)
    rows = curves.valid[:, 0]
    constant = table.row((0,) * 6)  # every edge is cut: only the norm of its weights is defined
    for proxy in PROXIES:
        known = np.isfinite(curves.arrays[f"proxy_{proxy}"])
        assert (known == rows)[np.arange(len(table)) != constant].all()
        assert (curves.arrays[f"proxy_{proxy}_seconds"][rows] >= 0).all()


@pytest.mark.parametrize("task", WHOLE)
def test_every_class_was_trained_three_times(task):
    curves = open_table(WHOLE[task][0]).curves(task)
    assert curves.seeds == (0, 1, 2)
    assert curves.valid.all()


@pytest.mark.parametrize("task", WHOLE)
def test_correlation_with_published_results(published, task):
    table = open_table(WHOLE[task][0])
    for epoch, expected in CARD[task].items():
        ours = table.curves(task).mean("val_acc", epoch)[table.row_of_cell]
        assert spearmanr(ours, published["test_acc_200"][:, 0]).statistic == pytest.approx(expected, abs=0.01)


def test_the_default_protocol_makes_the_digits_table():
    """`nasbench train --task digits` trains what is shipped."""
    attributes = open_table("digits").curves("digits").attributes
    assert attributes["sha256"] == load_task("digits").digest
    assert attributes["protocol"] == task_protocol("digits").__dict__


PARTS = {
    **{task: ("images16", 600, 40) for task in ("cifar100", "tinyimagenet100", "mnist")},
    **{f"cifar100_{name}": ("tasks16", 300, 30) for name in SUPERCLASSES},
    **{f"tinyimagenet100_{k}": ("tasks16", 300, 30) for k in range(10)},
}
"""Task -> its table, rows, rows with a second seed."""


@pytest.mark.parametrize("task", PARTS)
def test_parts_of_the_space_are_the_first_classes_of_the_fixed_order(task):
    name, rows, twice = PARTS[task]
    table = open_table(name)
    curves = table.curves(task)
    assert curves.attributes["protocol"] == task_protocol(task).__dict__
    assert curves.valid.sum(axis=0).tolist() == [rows, twice]
    order = class_order(table.space)
    assert set(table.cells[curves.valid[:, 0]].tolist()) == set(order[:rows].tolist())
    assert set(table.cells[curves.valid[:, 1]].tolist()) == set(order[:twice].tolist())
    assert len(curves.attributes["embedding"]) == 144
    assert 0 < curves.attributes["separability"] < 1
    benchmark = TabularBenchmark(table, task)
    assert len(benchmark.search_space) < len(benchmark.space)
    for array in ("val_acc", "test_acc", "train_acc", "train_loss", "train_seconds"):
        assert np.isfinite(curves.full(array)[curves.valid]).all()


@pytest.mark.parametrize(
    ("task", "column", "everywhere", "best"),
    [
        ("cifar10", 0, 0.82, 0.35),
        ("cifar100", 1, 0.55, 0.23),
        ("tinyimagenet100", 2, 0.43, -0.02),
        ("mnist", 0, 0.80, 0.00),
        ("fashion_mnist", 0, 0.90, 0.28),
    ],
)
def test_tasks_agree_with_published_results_as_the_card_says(published, task, column, everywhere, best):
    """Over the cells that have results, and over those of them that are among the published best 10 % of the space."""
    table, theirs = open_table("images16"), published["test_acc_200"][:, column]
    ours = np.append(table.curves(task).mean("val_acc"), np.nan)[table.row_of_cell]
    known = ~np.isnan(ours)
    top = known & (theirs >= np.sort(theirs)[-1562])
    assert spearmanr(ours[known], theirs[known]).statistic == pytest.approx(everywhere, abs=0.01)
    assert spearmanr(ours[top], theirs[top]).statistic == pytest.approx(best, abs=0.01)
