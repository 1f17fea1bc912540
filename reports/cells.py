"""The best cells that a comparison found, and their drawing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from nasbench.spaces import Space

from .findings import listed
from .study import Study
from .style import INK, MUTED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOP = 4
"""Cells shown per task."""

LETTERS = 38
"""Most letters of a name below a drawing."""


class Found(NamedTuple):
    """One cell that runs ended with.

    Attributes:
        number: the cell's index in the space.
        rank: place by true validation accuracy among the cells that runs on this task ended with, from 1.
        runs: runs of all strategies that ended with it, out of `of`.
        strategies: those that did so most often, `share` of their runs.
    """

    task: str
    rank: int
    number: int
    text: str
    val_acc: float
    test_acc: float | None
    runs: int
    of: int
    strategies: str
    share: float


def best_cells(study: Study, space: Space | None, top: int = TOP) -> list[Found]:
    """The best cells that runs ended with, for every task, by true validation accuracy."""
    found: list[Found] = []
    for task in study.tasks:
        ends: dict[Any, Counter[str]] = {}
        facts: dict[Any, tuple[int, float, float | None]] = {}
        totals = {name: len(study.documents.get((task, name), [])) for name in study.strategies}
        for name in study.strategies:
            for document in study.documents.get((task, name), []):
                incumbents = document["incumbents"]
                if not incumbents["step"] or incumbents["val_acc"][-1] is None:
                    continue
                index = document["steps"]["cell"][incumbents["step"][-1]]
                key = study.identity(index)
                ends.setdefault(key, Counter())[name] += 1
                facts.setdefault(key, (index, incumbents["val_acc"][-1], incumbents["test_acc"][-1]))
        order = sorted(facts, key=lambda key: (-facts[key][1], facts[key][0]))[:top]
        for rank, key in enumerate(order, 1):
            index, val_acc, test_acc = facts[key]
            shares = {name: ends[key][name] / totals[name] for name in study.strategies if totals[name]}
            share = max(shares.values())
            most = listed([name for name in shares if shares[name] == share])
            text = space.to_string(space.cell(index)) if space is not None else ""
            of = sum(totals.values())
            found.append(Found(task, rank, index, text, val_acc, test_acc, ends[key].total(), of, most, share))
    return found


def draw_cells(study: Study, space: Space, found: Sequence[Found]) -> Figure:
    """The cells in one row per task, with their accuracies and who found them."""
    from matplotlib.figure import Figure

    tasks = [task for task in study.tasks if any(cell.task == task for cell in found)]
    across = max(cell.rank for cell in found)
    each, picture, row, head, gap = 2.6, 1.75, 2.86, 0.3, 0.12
    width, height = each * max(across, 2), row * len(tasks)
    figure = Figure(figsize=(width, height))
    for down, task in enumerate(tasks):
        top = height - down * row
        figure.text(gap / width, (top - 0.2) / height, task, fontsize=10, fontweight="bold", color=INK)
        for cell in (cell for cell in found if cell.task == task):
            left = each * (cell.rank - 1)
            box = (
                (left + gap / 2) / width,
                (top - head - picture) / height,
                (each - gap) / width,
                picture / height,
            )
            space.draw(space.cell(cell.number), figure.add_axes(box))
            lines = [f"{cell.rank}. {_accuracies(cell)}", f"{cell.runs:,} of {cell.of:,} runs ended here"]
            lines += [f"most often, {cell.share:.0%} of the runs of", shorten(cell.strategies, LETTERS)]
            for k, line in enumerate(lines):
                figure.text(
                    (left + gap) / width, (top - head - picture - 0.16 - 0.17 * k) / height, line,
                    fontsize=8.5 if k == 0 else 7.5, color=INK if k == 0 else MUTED,
                    fontweight="bold" if k == 0 else "normal",
                )  # fmt: skip
    return figure


def shorten(text: str, most: int) -> str:
    """At most so many letters, the middle left out."""
    return text if len(text) <= most else f"{text[: most // 2]}…{text[len(text) - (most - 1) // 2 :]}"


def _accuracies(cell: Found) -> str:
    test = "" if cell.test_acc is None or math.isnan(cell.test_acc) else f", test {cell.test_acc:.2f} %"
    return f"val {cell.val_acc:.2f} %{test}"
