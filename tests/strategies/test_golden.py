"""One committed trace per registered strategy: whoever changes what a strategy does has to say so.

`python -m pytest tests/strategies/test_golden.py --write-golden` writes them anew.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from nasbench.benchmarks import TabularBenchmark
from nasbench.runs import Budget, run
from nasbench.tables import open_table
from strategies import CATALOGUE

FOLDER = Path(__file__).parent / "golden"


def trace(name, table):
    entry, task, amount = CATALOGUE[name], "cifar10", 150
    if entry.family == "one-shot":  # a search of seconds on a task with images
        table, task, amount = open_table("digits"), "digits", 6
        entry = dataclasses.replace(entry, settings={**entry.settings, "epochs": 2})
    result = run(entry, TabularBenchmark(table, task), Budget(amount, "evals"), 0, name)
    return {
        "cells": [table.space.index(step.trial.cell) for step in result.steps],
        "repeats": result.repeats,
        "best_val_acc": round(result.incumbents[-1].score.val_acc, 6),
    }


def test_every_strategy_has_a_trace_and_every_trace_a_strategy():
    assert {path.stem for path in FOLDER.glob("*.json")} == set(CATALOGUE)


@pytest.mark.parametrize("name", list(CATALOGUE))
def test_trace_is_the_committed_one(name, shipped, request):
    found, path = trace(name, shipped), FOLDER / f"{name}.json"
    if request.config.getoption("--write-golden"):
        path.write_text(json.dumps(found) + "\n")
    assert found == json.loads(path.read_text())
