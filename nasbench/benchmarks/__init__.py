"""Benchmarks answer trials: `evaluate(trials) -> outcomes`, the same call whatever stands behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import Benchmark
from .tabular import TabularBenchmark

if TYPE_CHECKING:
    from .training import TrainingBenchmark

__all__ = ["Benchmark", "TabularBenchmark", "TrainingBenchmark"]


def __getattr__(name: str) -> Any:
    if name == "TrainingBenchmark":
        from .training import TrainingBenchmark

        return TrainingBenchmark
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
