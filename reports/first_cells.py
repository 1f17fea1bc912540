"""What searches with a supernet chose: the first cell that a run trained, before it had seen any training.

That cell is the whole answer of a one-shot strategy as published (its other trainings are what is left of the budget),
and is where a collapse shows: DARTS and others drift to operations without weights, skip connections above all (Zela
et al., "Understanding and robustifying differentiable architecture search", ICLR 2020; Dong and Yang, ICLR 2020).
Operations count where they are on a way from input to output; others are as good as `none`. Runs of several simulated
workers are left out: they keep trainings in the order in which these end, not in that in which they were asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nasbench.runs.budget import Kind
from nasbench.spaces import CellSpace
from nasbench.spaces.drawing import OPERATION_COLOURS, OPERATION_LABELS

from .findings import listed
from .statistics import estimate, interquartile_mean
from .study import METRICS, Study
from .style import INK
from .tables import NOTHING, Table, build, digits_for, interval, number, strategy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WEIGHTS = "conv"
"""What is in the name of an operation that has weights."""


def searched(study: Study) -> list[str]:
    """Strategies whose runs trained a supernet before they trained a cell."""
    found = []
    for name in study.strategies:
        kinds = [d["ledger"]["kind"] for task in study.tasks for d in study.documents.get((task, name), [])]
        if any(Kind.SUPERNET in k[: k.index(Kind.TRAINING)] for k in kinds if Kind.TRAINING in k):
            found.append(name)
    return found


def first_cells(study: Study) -> pd.DataFrame:
    """One row a run that trained a cell: task, strategy, seed, its first cell, that cell's regret by metric (nan where
    the training failed), and how many live edges have which operation; empty where there is nothing of that kind."""
    space = study.space
    if not isinstance(space, CellSpace) or study.suite.workers > 1 or not searched(study):
        return pd.DataFrame()
    rows: list[dict[str, Any]] = []
    for (task, name), documents in study.documents.items():
        for document in documents:
            if not document["steps"]["cell"]:
                continue
            index, incumbents = document["steps"]["cell"][0], document["incumbents"]
            row: dict[str, Any] = {"task": task, "strategy": name, "seed": document["seed"], "cell": index}
            for metric in study.metrics:
                known = incumbents[f"{metric}_acc"][0] if incumbents["step"][:1] == [0] else None
                row[f"{metric}_regret"] = math.nan if known is None else study.references[task, metric] - known
            codes = np.array([space.cell(index)])
            codes = np.where(space.live_edges(codes), codes, 0)[0].tolist()
            rows.append(row | {name: codes.count(code) for code, name in enumerate(space.operations)})
    return pd.DataFrame(rows)


def table(study: Study, cells: pd.DataFrame, order: Sequence[str]) -> Table:
    """One row a strategy: regrets of its first cells, how many have no weights, and their operations."""
    assert study.space is not None
    operations = list(study.space.operations)
    regrets = {
        (metric, task, name): estimate(own[f"{metric}_regret"].dropna().to_numpy())
        for metric in study.metrics
        for (task, name), own in cells.groupby(["task", "strategy"])
    }
    digits = digits_for(found.value for found in regrets.values())
    rows = []
    for name in order:
        own = cells[cells["strategy"] == name]
        if not len(own):
            continue
        shown = [
            interval(regrets[metric, task, name], digits) if (metric, task, name) in regrets else NOTHING
            for metric in study.metrics
            for task in study.tasks
        ]
        bare = int(without_weights(own).sum())
        rows.append([strategy(name), *shown, f"{bare} of {len(own)}", *(number(own[o].mean(), 1) for o in operations)])
    several = len(study.metrics) > 1
    columns = [
        "strategy",
        *(f"{task}, {METRICS[metric]} regret" if several else f"{task}, regret"
          for metric in study.metrics for task in study.tasks),
        "no weights", *operations,
    ]  # fmt: skip
    return build("first_cells", columns, rows, cells)


def without_weights(cells: pd.DataFrame) -> pd.Series:
    """Whether none of a cell's live operations has weights."""
    return cells[[column for column in cells.columns if WEIGHTS in column]].sum(axis=1) == 0


def in_words(study: Study, cells: pd.DataFrame) -> list[str]:
    """How good the first cells are, and which searches collapsed."""
    names = searched(study)
    middles = cells.dropna(subset="val_regret").groupby(["strategy", "task"])["val_regret"]
    regret = middles.agg(lambda values: float(interquartile_mean(values.to_numpy()))).groupby("strategy").mean()
    own = regret.reindex(names).dropna()
    found = []
    if len(own):
        best = str(own.idxmin())
        others = [name for name in ("random_search", "exhaustive") if name in regret.dropna()]
        beside = f", a random one (of {others[0]}) {number(regret[others[0]])}" if others else ""
        several = " in the mean over tasks" if len(study.tasks) > 1 else ""
        lowest = "a regret of " if len(own) == 1 else "the lowest regret of the searches with a supernet: "
        found.append(f"The first cell of {best} has {lowest}{number(own[best])}{several}{beside}.")
    bare = without_weights(cells).groupby(cells["strategy"]).agg(["sum", "size"])
    collapsed = [
        f"{name} ({bare['sum'][name]} of {bare['size'][name]} runs)" for name in names if bare["sum"].get(name)
    ]
    if collapsed:
        found.append(f"First cells without a single operation that has weights: {listed(collapsed)}.")
    else:
        found.append("Every first cell of a search with a supernet has an operation with weights.")
    return found


def figure(study: Study, cells: pd.DataFrame, order: Sequence[str]) -> Figure:
    """The operations of first cells, mean over runs on all tasks, a bar a strategy."""
    from matplotlib.figure import Figure

    assert study.space is not None
    operations = study.space.operations
    means = cells.groupby("strategy")[list(operations)].mean()
    order = [name for name in order if name in means.index]
    label, each = 0.25 + 0.078 * max(map(len, order)), 0.24
    width, height = label + 5.6 + 0.15, each * len(order) + 0.85
    drawn = Figure(figsize=(width, height))
    ax = drawn.add_axes((label / width, 0.45 / height, 5.6 / width, each * len(order) / height))
    start = np.zeros(len(order))
    for operation in sorted(operations, key=lambda name: WEIGHTS not in name):
        part = means.loc[order, operation].to_numpy()
        colour = OPERATION_COLOURS.get(operation, "#7d5ba6")
        ax.barh(
            range(len(order)), part, left=start, height=0.76, color=colour, edgecolor="white", linewidth=0.6,
            label=OPERATION_LABELS.get(operation, operation),
        )  # fmt: skip
        start = start + part
    ax.set_xlim(0, max(1.0, float(start.max())))
    ax.set_xlabel("edges of the cell, mean over runs")
    ax.set_ylim(len(order) - 0.5, -0.5)
    ax.set_yticks(range(len(order)), order, color=INK)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", visible=False)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=len(operations), borderaxespad=0.3)
    return drawn
