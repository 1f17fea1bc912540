"""The shipped digits table: really trained, complete, and held against published results."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from nasbench.tables import open_table

CARD = {4: 0.24, 6: 0.55, 8: 0.61, 10: 0.56, 12: 0.53}
"""Spearman's correlation by epoch with NAS-Bench-201's CIFAR-10 test accuracy, as the data card has it."""


def test_every_class_was_trained_three_times(nb201):
    table = open_table("digits")
    curves = table.curves("digits")
    assert len(table) == 5260
    assert (table.row_of_cell >= 0).all()
    assert curves.epochs == tuple(range(1, 13))
    assert curves.valid.shape == (5260, 3)
    assert curves.valid.all()
    for name in ("val_acc", "test_acc", "train_acc", "train_loss", "train_seconds"):
        assert np.isfinite(curves.full(name)).all()
    images = curves.full("val_acc") * 770 / 100
    assert np.abs(images - np.round(images)).max() < 1e-2  # whole images


def test_correlation_with_published_results(published):
    table = open_table("digits")
    for epoch, expected in CARD.items():
        ours = table.curves("digits").mean("val_acc", epoch)[table.row_of_cell]
        assert spearmanr(ours, published["test_acc_200"][:, 0]).statistic == pytest.approx(expected, abs=0.01)
