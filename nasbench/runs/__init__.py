"""Budgets, ledgers, runs and comparisons."""

from .budget import Budget, Entry, Kind, Ledger
from .compare import compare
from .results import Results
from .run import Incumbent, Run, Step, run
from .strategy import Problem, Strategy
from .suite import Suite, suites

__all__ = [
    "Budget", "Entry", "Incumbent", "Kind", "Ledger", "Problem", "Results", "Run", "Step", "Strategy", "Suite",
    "compare", "run", "suites",
]  # fmt: skip
