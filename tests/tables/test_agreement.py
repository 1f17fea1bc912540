"""How alike tasks are: by hand, where they share rows and where they do not, and as a figure."""

from __future__ import annotations

import re

import numpy as np
import pytest

from nasbench.cli import main
from nasbench.tables import Curves, Table
from nasbench.tables.agreement import agreement, proxy_correlations


@pytest.fixture
def three_tasks(tiny_table):
    rng = np.random.default_rng(0)
    first = rng.random((64, 2)) * 100
    second = np.full((64, 1), np.nan)
    second[:30, 0] = 100 - first[:30, 0]
    third = np.full((64, 1), np.nan)
    third[28:, 0] = rng.random(36) * 100
    curves = [
        Curves(name, (3,), {"val_acc": values}) for name, values in zip("abc", (first, second, third), strict=True)
    ]
    return Table.from_arrays("transnasbench101_micro", curves, cells=np.arange(64))


def test_correlations_over_the_rows_that_both_have(three_tasks):
    found = agreement(three_tasks)
    assert found.tasks == ("a", "b", "c")
    assert found.rows.tolist() == [[64, 30, 36], [30, 0, 2], [36, 2, 0]]
    assert found.correlations[0, 1] == pytest.approx(-1)
    assert abs(found.correlations[0, 0]) < 0.4  # two seeds of noise
    assert np.isnan(found.correlations[1, 2])  # two rows are too few
    assert np.array_equal(found.correlations, found.correlations.T, equal_nan=True)


def test_proxies_are_held_against_means_over_the_rows_that_have_both():
    accuracies = np.random.default_rng(0).random((20, 2)) * 100
    score = -accuracies.mean(axis=1)
    score[:3] = np.nan
    arrays = {"val_acc": accuracies, "proxy_zen": score, "proxy_snip": np.where(np.arange(20) < 9, 1.0, np.nan)}
    found = proxy_correlations(Curves("a", (3,), {**arrays, "parameters": np.full(20, 7)}))
    assert found["zen"] == pytest.approx(-1)
    assert np.isnan([found["snip"], found["parameters"]]).all()
    assert list(found) == ["parameters", "snip", "zen"]


def test_table_info_shows_proxies(three_tasks, tmp_path, capsys):
    assert main(["table", "info", "images16", "--proxies"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^cifar10 +0\.72 +0\.72 +0\.52 ", shown, re.MULTILINE)
    path = three_tasks.save(tmp_path / "three.h5")
    assert main(["table", "info", str(path), "--proxies"]) == 2
    assert "three has no proxies' scores" in capsys.readouterr().err


def test_the_heat_map(three_tasks, tmp_path, capsys):
    path = three_tasks.save(tmp_path / "three.h5")
    assert main(["table", "draw", str(path), str(tmp_path / "map.png"), "--between-tasks"]) == 0
    assert (tmp_path / "map.png").stat().st_size > 5000
    assert main(["table", "draw", "digits", str(tmp_path / "x.png"), "--between-tasks"]) == 2
    assert "digits has one task" in capsys.readouterr().err
