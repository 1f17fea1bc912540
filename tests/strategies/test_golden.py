"""One committed trace per registered strategy: whoever changes what a strategy does has to say so.

`python -m pytest tests/strategies/test_golden.py --write-golden` writes them anew.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nasbench.benchmarks import TabularBenchmark
from nasbench.runs import Budget, run
from nasbench.tables import open_table
from strategies import CATALOGUE

FOLDER = Path(__file__).parent / "golden"


def trace(name, table):
    """150 evaluations on NAS-Bench-201's CIFAR-10; 20 on digits, which has curves, for what needs shorter trainings."""
    short = CATALOGUE[name].family == "multi-fidelity"
    benchmark = TabularBenchmark(open_table("digits"), "digits") if short else TabularBenchmark(table, "cifar10")
    result = run(CATALOGUE[name], benchmark, Budget(20 if short else 150, "evals"), 0, name)
    return {
        "cells": [benchmark.space.index(step.trial.cell) for step in result.steps],
        **({"epochs": [step.trial.epochs for step in result.steps]} if short else {}),
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
