"""What every strategy spent on trainings and on what else: the ledger by kind, and measured overhead beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nasbench.runs.budget import CURRENCIES, Kind

from .accounts import overheads, seconds_in_words
from .findings import listed
from .study import Study
from .style import INK, MUTED, Look
from .tables import Table, amount, build, duration, share, strategy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILLS = {
    Kind.TRAINING: ("#cfd6dd", ""), Kind.PROXY: ("#e8d36b", "////"), Kind.SUPERNET: ("#0a2b5c", ""),
    Kind.PREDICTOR: ("#7b7f86", "...."), Kind.META_TRAINING: ("#aea26f", "\\\\\\\\"),
    Kind.OVERHEAD: ("#ffffff", "xxxx"),
}  # fmt: skip
"""Kind of expense -> colour, of a scale that the colour-blind can order, and hatching."""


def by_kind(study: Study) -> pd.DataFrame:
    """Mean over a strategy's runs of what one spent: rows strategies, columns (currency, kind) that occur.

    nan where some ledger does not know what an entry cost in that currency.
    """
    found: dict[str, dict[tuple[str, str], float]] = {}
    kinds = [str(kind) for kind in Kind]
    for name in study.strategies:
        runs = [d["ledger"] for task in study.tasks for d in study.documents.get((task, name), [])]
        sums = np.zeros((len(CURRENCIES), len(kinds)))
        for ledger in runs:
            at = np.array([kinds.index(kind) for kind in ledger["kind"]], dtype=int)
            for i, currency in enumerate(CURRENCIES.values()):
                costs = np.array(ledger[currency], dtype=float)
                sums[i] += np.bincount(at, weights=costs, minlength=len(kinds))
        means = sums / max(1, len(runs))
        found[name] = {(c, k): means[i, j] for i, c in enumerate(CURRENCIES.values()) for j, k in enumerate(kinds)}
    frame = pd.DataFrame(found).T
    there = {kind for d in study.results.documents for kind in d["ledger"]["kind"]}
    return frame[[column for column in frame.columns if column[1] in there]]


def table(study: Study, order: Sequence[str]) -> Table:
    """One row a strategy: share of its expenses by kind, simulated seconds, measured overhead."""
    spent, overhead = by_kind(study), overheads(study)
    currency = CURRENCIES[study.budget.unit]
    kinds = [kind for c, kind in spent.columns if c == currency]
    rows, records = [], []
    for name in order:
        own = spent.loc[name]
        total = math.fsum(own[currency, kind] for kind in kinds)
        seconds = math.fsum(own["seconds", kind] for kind in kinds)
        measured = float(overhead.get(name, math.nan))
        record: dict[str, Any] = {"strategy": name, "family": study.families[name]}
        record |= {f"{c}_on_{kind}": own[c, kind] for c, kind in spent.columns}
        record["measured_overhead_seconds"] = measured
        records.append(record)
        rows.append(
            [
                strategy(name),
                amount(total),
                *(share(own[currency, kind] / total if total else math.nan) for kind in kinds),
                duration(seconds),
                seconds_in_words(measured),
                share(measured / (measured + seconds) if seconds else math.nan),
            ]
        )
    columns = [
        "strategy", f"{currency} spent, mean", *(f"on {kind}" for kind in kinds), "simulated time, mean",
        "overhead, measured", "overhead in all time",
    ]  # fmt: skip
    return build("costs", columns, rows, pd.DataFrame(records))


def in_words(study: Study) -> str:
    """Which kinds of expense there were."""
    spent = by_kind(study)
    currency = CURRENCIES[study.budget.unit]
    other = {kind: spent[currency, kind] for c, kind in spent.columns if c == currency and kind != Kind.TRAINING}
    total = sum(spent[column] for column in spent.columns if column[0] == currency)
    if not other:
        spenders = [name for name in study.strategies if isinstance(total, pd.Series) and total[name] > 0]
        if not spenders:
            return "Nothing was spent."
        nothing = [name for name in study.strategies if name not in spenders]
        if nothing:
            return f"What was spent was spent on trainings alone; {listed(nothing)} spent nothing."
        return "Every strategy spent its budget on trainings alone."
    parts = []
    for kind, values in other.items():
        shares = (values / total).dropna()
        top = str(shares.idxmax()) if len(shares) else ""
        if top and shares[top] > 0:
            parts.append(f"on {kind} {top} spent most, {share(float(shares[top]))} of its expenses")
    text = "; ".join(parts)
    return f"Besides trainings: {text}." if text else "What was not spent on trainings cost nothing in this currency."


def bars(study: Study, order: Sequence[str], looks: dict[str, Look]) -> Figure | None:
    """Mean expenses by kind as shares of the budget, and measured overhead; None if all is training."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch
    from matplotlib.ticker import FuncFormatter, NullLocator

    spent, overhead = by_kind(study), overheads(study)
    currency = CURRENCIES[study.budget.unit]
    kinds = [kind for c, kind in spent.columns if c == currency]
    if len(kinds) < 2:
        return None
    label, each = 0.25 + 0.078 * max(map(len, order)), 0.2
    width, height = label + 4.6 + 0.35 + 2.6 + 0.15, each * len(order) + 0.8
    figure = Figure(figsize=(width, height))
    left, right = (
        figure.add_axes((x / width, 0.5 / height, w / width, each * len(order) / height))
        for x, w in ((label, 4.6), (label + 4.95, 2.6))
    )
    rows, start = np.arange(len(order)), np.zeros(len(order))
    for kind in kinds:
        part = 100 * spent.loc[list(order), (currency, kind)].to_numpy() / study.budget.amount
        colour, hatch = FILLS[Kind(kind)]
        left.barh(rows, part, left=start, height=0.72, color=colour, hatch=hatch, edgecolor="#55606c", linewidth=0.4)
        start = start + np.nan_to_num(part)
    left.set_xlim(0, max(100.0, float(start.max())))
    left.set_xlabel(f"percent of the budget ({currency}), mean over runs")
    handles = [
        Patch(facecolor=FILLS[Kind(k)][0], hatch=FILLS[Kind(k)][1], edgecolor="#55606c", linewidth=0.4, label=k)
        for k in kinds
    ]
    left.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=len(handles), borderaxespad=0.3)
    measured = np.array([float(overhead.get(name, math.nan)) for name in order])
    if np.isfinite(measured).any():
        for row, name in enumerate(order):
            right.plot(measured[row], row, marker=looks[name].marker, markersize=6, color=looks[name].colour)
        right.set_xscale("log")
        right.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        right.xaxis.set_minor_locator(NullLocator())
    else:
        right.text(0.5, 0.5, "not recorded", transform=right.transAxes, ha="center", color=MUTED)
    right.set_xlabel("overhead, measured seconds a run")
    for ax in (left, right):
        ax.set_ylim(len(order) - 0.5, -0.5)
        ax.set_yticks(rows, order if ax is left else [""] * len(order), color=INK)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="y", visible=ax is right)
    return figure
