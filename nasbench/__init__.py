"""nasbench: cell spaces with real training results, and every search strategy compared under one budget.

import nasbench, strategies
table = nasbench.open_table("nasbench201")
results = nasbench.compare("quick", strategies.CATALOGUE, out="results/quick")
results.runs.groupby(["task", "strategy"]).val_regret.mean()
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Budget": "runs",
    "Curves": "tables",
    "NasbenchError": "errors",
    "Outcome": "records",
    "Problem": "runs",
    "Results": "runs",
    "Suite": "runs",
    "Table": "tables",
    "TabularBenchmark": "benchmarks",
    "TrainingBenchmark": "benchmarks",
    "Trial": "records",
    "compare": "runs",
    "open_space": "spaces",
    "open_table": "tables",
    "run": "runs",
    "shipped_tables": "tables",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nasbench' has no attribute {name!r}")
    return getattr(importlib.import_module(f"nasbench.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
