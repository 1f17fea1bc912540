"""A table as full-precision CSV, as Markdown, and as cells for the page; numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from .statistics import Estimate

NOTHING = "–"


@dataclass(frozen=True)
class Text:
    """A cell of a table; `strategy` names the strategy whose line sample stands before it.

    A `note` stands below in small letters; with a strategy, the cell then has the pale hue of its family.
    """

    text: str
    strong: bool = False
    strategy: str = ""
    note: str = ""

    def __str__(self) -> str:
        text = f"**{self.text}**" if self.strong else self.text
        return f"{text} ({self.note})" if self.note else text


@dataclass(frozen=True)
class Table:
    """A table as people read it and, in `frame`, as programs do.

    Attributes:
        name: of its files.
        numeric: columns, by position, that are aligned to the right.
    """

    name: str
    columns: Sequence[str]
    rows: list[list[Text]]
    frame: pd.DataFrame
    numeric: frozenset[int] = field(default_factory=frozenset)

    def to_csv(self) -> str:
        return self.frame.to_csv(index=False, lineterminator="\n")

    def to_markdown(self) -> str:
        rule = ["---:" if i in self.numeric else "---" for i in range(len(self.columns))]
        lines = [self.columns, rule, *self.rows]
        return "".join("| " + " | ".join(str(x).replace("|", "\\|") for x in line) + " |\n" for line in lines)


def build(
    name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], frame: pd.DataFrame, text: int = 1
) -> Table:
    """A table from display values; all but the first `text` columns are numeric."""
    cells = [[x if isinstance(x, Text) else Text(str(x)) for x in row] for row in rows]
    return Table(name, list(columns), cells, frame, frozenset(range(text, len(columns))))


def strategy(name: str, strong: bool = False) -> Text:
    return Text(name, strong, name)


def number(value: float, digits: int = 2) -> str:
    """With thousands separators; a dash where there is none."""
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞"
    shown = f"{value:,.{digits}f}"
    return f"{0:.{digits}f}" if float(shown.replace(",", "")) == 0 else shown.replace("-", "−")


def amount(value: float) -> str:
    """An amount of a budget's currency: whole if it is, else with one digit."""
    if value is None or not math.isfinite(value):
        return number(math.nan if value is None else value)
    if abs(value) >= 1e9:
        return f"{value:.3g}"
    return number(value, 0 if abs(value - round(value)) < 1e-6 or abs(value) >= 1000 else 1)


def duration(seconds: float) -> str:
    """In the largest unit of which there are two."""
    if not math.isfinite(seconds):
        return number(seconds)
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{number(seconds / size, 1)} {unit}"
    return f"{number(seconds, 0)} seconds"


def interval(found: Estimate, digits: int = 2) -> str:
    """A value with its interval."""
    if not math.isfinite(found.low):
        return number(found.value, digits)
    return f"{number(found.value, digits)} [{number(found.low, digits)}, {number(found.high, digits)}]"


def digits_for(values: Iterable[float]) -> int:
    """Two digits, or three where differences below a tenth of a point are what is compared."""
    positive = [v for v in values if math.isfinite(v) and v > 0]
    return 3 if positive and min(positive) < 0.1 else 2


def p_value(p: float) -> str:
    if math.isnan(p):
        return NOTHING
    return "< 0.0001" if p < 1e-4 else f"{p:.4f}" if p < 0.01 else f"{p:.2f}"


def share(value: float) -> str:
    if math.isnan(value):
        return NOTHING
    return f"{value:.0%}" if value in (0, 1) or 0.005 <= value < 0.995 else ("< 1%" if value < 0.5 else "> 99%")


def signed(value: float) -> str:
    shown = number(value)
    return shown if shown == NOTHING or shown.startswith("−") or value == 0 else f"+{shown}"
