"""Benchmarks answer trials: `evaluate(trials) -> outcomes`, the same call whatever stands behind it."""

from .base import Benchmark
from .tabular import TabularBenchmark

__all__ = ["Benchmark", "TabularBenchmark"]
