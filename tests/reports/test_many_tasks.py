"""More tasks than a sentence can name: means over them first, and each of them folded away."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nasbench.cli import main
from reports import findings
from reports.figures import bands, mean_bands
from reports.study import Study


@pytest.fixture(scope="module")
def nine(tmp_path_factory):
    """A comparison on the nine tasks of the graph table, one of which has results for a part of the space."""
    folder = tmp_path_factory.mktemp("many") / "nine"
    command = ["compare", "--table", "nasbench_graph", "--strategies", "random_search,local_search", "--seeds", "3"]
    assert main([*command, "--budget", "6evals", "--jobs", "1", "--out", str(folder)]) == 0
    return folder


def test_sentences_give_the_mean_and_the_range():
    few = {"a": 0.1, "b": 0.2}
    assert findings.on_tasks(few, " points") == "0.10 points on a and 0.20 points on b"
    many = {f"t{i}": float(i) for i in range(9)}
    assert findings.on_tasks(many) == "4.00 in the mean over 9 tasks (0.00 to 8.00)"
    assert findings.on_tasks({}) == ""


def test_the_mean_over_tasks_is_that_of_the_tasks_curves(nine):
    study = Study(nine)
    each = bands(study, "val", study.strategies)
    (heading, together), *rest = mean_bands(study, "val", study.strategies).items()
    assert (heading, rest) == ("mean over 9 tasks", [])
    assert set(together) == {"random_search", "local_search"}
    for name, (x, mean, low, high) in together.items():
        assert x.tolist() == [1, 2, 3, 4, 5, 6]
        assert np.allclose(mean, np.mean([each[task][name][1] for task in study.tasks], axis=0))
        assert (low <= mean + 1e-9).all()
        assert (mean <= high + 1e-9).all()


def test_the_page_folds_tasks_away(nine):
    page = (nine / "report" / "index.html").read_text()
    assert page.count("<details>") == page.count("</details>") == 5
    assert "<dt>Tasks</dt><dd>9</dd>" in page
    assert "in the mean over 9 tasks" in page
    assert (nine / "report" / "figures" / "together_val.svg").exists()
    assert (nine / "report" / "tables" / "scores_val_cora.csv").exists()
    points = pd.read_csv(nine / "report" / "tables" / "anytime.csv")
    points = points[(points["metric"] == "validation") & (points["spent"] == 6)]
    means = points.groupby(points["task"] == "mean over 9 tasks")["regret_mean"].mean()
    assert len(points) == 2 * 10
    assert means[True] == pytest.approx(means[False], rel=1e-4)
