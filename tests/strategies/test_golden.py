"""One committed trace per registered strategy: whoever changes what a strategy does has to say so.

`python -m pytest tests/strategies/test_golden.py --write-golden` writes them anew.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import json
import platform
from pathlib import Path

import pytest

from nasbench.benchmarks import TabularBenchmark
from nasbench.runs import Budget, run
from nasbench.tables import open_table
from nasbench.tables.source_tasks import read_sources
from strategies import CATALOGUE

FOLDER = Path(__file__).parent / "golden"


DIGITS = {"multi-fidelity": (20, {}), "one-shot": (6, {"epochs": 2})}
"""Families that need curves or images: evaluations on digits, and settings for a search of seconds."""
ROUNDED = ("Bayesian optimisation", "predictor", "one-shot", "multi-objective", "meta-learned")
"""Families whose choices hang on sums that processors and libraries round differently; a short trace, which may differ
elsewhere than where it was made."""


def here() -> str:
    """Versions of the libraries that add up, and what linear algebra chooses its code by, as far as Linux tells."""
    versions = [
        f"{name} {importlib.metadata.version(name).partition('+')[0]}"
        for name in ("numpy", "scipy", "scikit-learn", "xgboost", "torch", "optuna")
    ]
    return ", ".join([*versions, _processor()])


def _processor() -> str:
    try:
        lines = [line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines()]
    except OSError:
        return platform.machine()
    facts = {name.strip(): value.split() for name, _, value in lines}
    sets = {"avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile"} & set(facts.get("flags", []))
    return " ".join([*facts.get("vendor_id", [platform.machine()]), *sorted(sets)])


@functools.cache
def cora() -> TabularBenchmark:
    """A graph task that has descriptors, with two sources: what is learned there is kept for all strategies."""
    table = open_table("nasbench_graph")
    sources = functools.cache(lambda: read_sources((table,), "cora", ["citeseer", "photo"]))
    return TabularBenchmark(table, "cora", sources=sources)


def trace(name, table):
    """150 evaluations on NAS-Bench-201's CIFAR-10, or what DIGITS says; meta-learned strategies search `cora`."""
    entry = CATALOGUE[name]
    amount, settings = DIGITS.get(entry.family, (25 if entry.family in ROUNDED else 150, {}))
    if entry.settings.get("proxy", "params") != "params":
        amount, settings = 3, {"cells": 5}
    on_digits = entry.family in DIGITS or "cells" in settings
    benchmark = TabularBenchmark(open_table("digits"), "digits") if on_digits else TabularBenchmark(table, "cifar10")
    if entry.family == "meta-learned":
        benchmark = cora()
    entry = dataclasses.replace(entry, settings={**entry.settings, **settings}) if settings else entry
    result = run(entry, benchmark, Budget(amount, "evals"), 0, name)
    return {
        "cells": [benchmark.space.index(step.trial.cell) for step in result.steps],
        **({"epochs": [step.trial.epochs for step in result.steps]} if entry.family == "multi-fidelity" else {}),
        "repeats": result.repeats,
        "best_val_acc": round(result.incumbents[-1].score.val_acc, 6),
        **({"made_on": here()} if entry.family in ROUNDED or "cells" in settings else {}),
    }


def test_every_strategy_has_a_trace_and_every_trace_a_strategy():
    assert {path.stem for path in FOLDER.glob("*.json")} == set(CATALOGUE)


@pytest.mark.parametrize("name", list(CATALOGUE))
def test_trace_is_the_committed_one(name, shipped, request):
    path = FOLDER / f"{name}.json"
    if request.config.getoption("--write-golden"):
        path.write_text(json.dumps(trace(name, shipped)) + "\n")
    wanted = json.loads(path.read_text())
    found = trace(name, shipped)
    made_on, now = wanted.pop("made_on", ""), found.pop("made_on", "")
    if found != wanted and made_on != now:
        pytest.skip(f"the trace of {name} differs from that made on {made_on}")
    assert found == wanted
