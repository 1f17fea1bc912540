"""The shipped tables of our own: really trained, every class, and held against published results."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from nasbench.benchmarks import TabularBenchmark
from nasbench.tables import open_table
from nasbench.tasks import load_task
from nasbench.tasks.subsets import SUPERCLASSES
from nasbench.training import task_protocol
from nasbench.training.campaign import class_order

TABLES = {"digits": 12, "fashion_mnist": 5}
"""Table, which is also its task -> epochs."""
CARD = {
    "digits": {4: 0.24, 6: 0.55, 8: 0.61, 10: 0.56, 12: 0.53},
    "fashion_mnist": {1: 0.57, 2: 0.60, 3: 0.74, 4: 0.85, 5: 0.87},
}
"""Spearman's correlation by epoch with NAS-Bench-201's CIFAR-10 test accuracy, as the data cards have it."""


@pytest.mark.parametrize("name", TABLES)
def test_every_class_was_trained(name):
    table = open_table(name)
    curves = table.curves(name)
    assert len(table) == 5260
    assert (table.row_of_cell >= 0).all()
    assert curves.epochs == tuple(range(1, TABLES[name] + 1))
    assert curves.valid[:, 0].all()
    sizes = {"val_acc": curves.attributes["n_val"], "test_acc": curves.attributes["n_test"]}
    for array in ("val_acc", "test_acc", "train_acc", "train_loss", "train_seconds"):
        known = curves.full(array)[curves.valid]
        assert np.isfinite(known).all()
        if array in sizes:
            images = known * sizes[array] / 100
            assert np.abs(images - np.round(images)).max() < 1e-2  # whole images


def test_digits_was_trained_three_times():
    assert open_table("digits").curves("digits").valid.all()


@pytest.mark.parametrize("name", TABLES)
def test_correlation_with_published_results(published, name):
    table = open_table(name)
    for epoch, expected in CARD[name].items():
        ours = table.curves(name).mean("val_acc", epoch)[table.row_of_cell]
        assert spearmanr(ours, published["test_acc_200"][:, 0]).statistic == pytest.approx(expected, abs=0.01)


def test_the_default_protocol_makes_the_digits_table():
    """`nasbench train --task digits` trains what is shipped."""
    attributes = open_table("digits").curves("digits").attributes
    assert attributes["sha256"] == load_task("digits").digest
    assert attributes["protocol"] == task_protocol("digits").__dict__


PARTIAL = {"cifar10": (1500, 60, 0.71), "cifar100": (600, 40, 0.55)}
"""Task of images16 -> rows, rows with a second seed, Spearman's correlation with published test accuracy."""


TRAINED = {
    **{task: ("images16", rows, twice) for task, (rows, twice, _) in PARTIAL.items()},
    **{f"cifar100_{name}": ("tasks16", 150, 30) for name in SUPERCLASSES},
}
"""Task -> its table, rows, rows with a second seed."""


@pytest.mark.parametrize("task", TRAINED)
def test_parts_of_the_space_are_the_first_classes_of_the_fixed_order(task):
    name, rows, twice = TRAINED[task]
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


@pytest.mark.parametrize("task", PARTIAL)
def test_images16_agrees_with_published_results_as_its_card_says(published, task):
    table, column = open_table("images16"), list(PARTIAL).index(task)
    ours = np.append(table.curves(task).mean("val_acc"), np.nan)[table.row_of_cell]
    known = ~np.isnan(ours)
    found = spearmanr(ours[known], published["test_acc_200"][known, column]).statistic
    assert found == pytest.approx(PARTIAL[task][2], abs=0.01)
