"""Budget and ledger: what a run may spend, and what it spent on what, in every currency (charging rules 1, 2, 7)."""

from __future__ import annotations

import enum
import math
import re
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import NasbenchError, unknown
from ..records import Cost

CURRENCIES: dict[str, str] = {"s": "seconds", "epochs": "epochs", "flops": "flops", "evals": "evaluations"}
"""Unit in which a budget is written -> the field of `Cost` it limits, in the order of those fields."""

ROUNDING = 1e-9
"""Relative slack when a cost is held against what is left, so that 0.1 + 0.2 fits into 0.3."""


@dataclass(frozen=True)
class Budget:
    """An amount of one currency: `Budget.parse("12000s")`."""

    amount: float
    unit: str

    def __post_init__(self) -> None:
        if self.unit not in CURRENCIES:
            raise unknown("unit of a budget", self.unit, CURRENCIES)
        if not (math.isfinite(self.amount) and self.amount >= 0):
            raise NasbenchError(f"a budget must be a finite amount of at least 0, not {self.amount}.")

    @classmethod
    def parse(cls, text: str) -> Budget:
        """From "12000s", "100evals", "1200epochs" or "3e18flops"; NasbenchError otherwise, and for nothing at all."""
        match = re.fullmatch(r"\s*([-+]?[\d_.]+(?:e[-+]?\d+)?)\s*([a-z]+)\s*", str(text).lower())
        try:
            amount = float(match[1]) if match else math.nan
        except ValueError:
            amount = math.nan
        if not match or math.isnan(amount):
            raise NasbenchError(f"{text!r} is not a budget; write one like 12000s, 100evals, 1200epochs or 3e18flops.")
        if not amount > 0:
            raise NasbenchError(f"a budget must be more than 0, not {text!r}.")
        return cls(amount, match[2])

    def __str__(self) -> str:
        return f"{self.amount:g}{self.unit}" if self.amount >= 1e15 else f"{self.amount:.15g}{self.unit}"

    @property
    def currency(self) -> str:
        """The field of `Cost` that the budget limits."""
        return CURRENCIES[self.unit]

    @property
    def column(self) -> int:
        """Position of that field in `Cost`."""
        return Cost._fields.index(self.currency)


class Kind(enum.StrEnum):
    """What an expense was for."""

    TRAINING = "training"
    PROXY = "proxy"
    SUPERNET = "supernet"
    PREDICTOR = "predictor"
    META_TRAINING = "meta-training"
    OVERHEAD = "overhead"


class Entry(NamedTuple):
    """One expense."""

    kind: Kind
    cost: Cost


class Ledger:
    """Every expense of one run, in the order in which it was made, held against the run's budget."""

    __slots__ = ("_column", "_limit", "budget", "closed", "entries", "measured", "sources", "spent")

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.entries: list[Entry] = []
        self.sources: dict[str, Cost] = {}
        """What had been spent on other tasks, by task, if the run learned there: beside the budget (rule 9)."""
        self.spent = 0.0
        """Sum so far in the budget's currency."""
        self.closed = False
        """Whether an expense was refused, after which nothing more is bought (rule 7)."""
        self.measured = 0.0
        """Seconds of the entries that this process really spent, and that are no overhead therefore."""
        self._column = budget.column
        self._limit = budget.amount * (1 + ROUNDING)

    @property
    def affordable(self) -> bool:
        """Whether anything is left that may be spent."""
        return self.spent < self.budget.amount and not self.closed

    def fits(self, cost: Cost) -> bool:
        """Whether `cost` can still be paid; a cost that is unknown in the budget's currency never fits."""
        return self.spent + cost[self._column] <= self._limit

    def charge(self, kind: Kind, cost: Cost) -> None:
        """Enter one expense."""
        self.entries.append(Entry(kind, cost))
        self.spent += cost[self._column]

    def total(self, kind: Kind | None = None) -> Cost:
        """Sum of all entries, or of those of one kind, in every currency."""
        costs = [entry.cost for entry in self.entries if kind is None or entry.kind is kind]
        return Cost(*(math.fsum(column) for column in zip(*costs, strict=True))) if costs else Cost(0.0, 0.0, 0.0, 0.0)
