"""The same comparison under equal amounts of evaluations, of seconds and of FLOPs, from the ledgers of the same runs.

On every task all strategies are held to one amount: what the median run of the cheapest strategy spent in all, of those
that use at least half of the budget. Half of that strategy's runs, and all that stop earlier, keep their regret.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from .amounts import Amounts
from .findings import listed
from .statistics import WORST, Estimate, rank_agreement
from .study import METRICS
from .style import Look
from .tables import Table, amount, build, digits_for, number, strategy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = {"evaluations": "evaluations", "seconds": "seconds", "flops": "FLOPs"}
"""Currencies under which strategies are compared -> the word for them."""


class Held(NamedTuple):
    """What all strategies are held to on one task; `cheapest` sets it, "" if their median runs spend the same."""

    amount: float
    cheapest: str


@dataclass(frozen=True)
class Comparison:
    """Rankings of one metric.

    Attributes:
        unknown: currency -> the tasks on which some run's ledger does not know it.
        held: (currency, task) -> the amount.
        idle: strategies whose median run stops before half of the budget on some task, so that it sets no amount there.
        means: currency -> mean regrets [strategy, task]; inf where a run has no result, nan without runs.
        ranks: rows strategies, columns currencies: mean over tasks of the rank of the mean regret.
        places: the same as places, 1 the best.
        agreement: pair of currencies -> Kendall's tau between the rankings, with its bootstrap interval over runs.
        chance: tau between the rankings by one currency of two resamplings of the runs: what chance alone leaves.
            Below its interval, rankings differ by more than chance.
    """

    metric: str
    unknown: dict[str, list[str]]
    held: dict[tuple[str, str], Held]
    idle: list[str]
    means: dict[str, pd.DataFrame]
    ranks: pd.DataFrame
    places: pd.DataFrame
    agreement: dict[tuple[str, str], Estimate]
    chance: Estimate

    @property
    def currencies(self) -> list[str]:
        return list(self.means)

    @property
    def moves(self) -> pd.Series:
        """By how many places a strategy moves at most between currencies, most first."""
        return (self.places.max(axis=1) - self.places.min(axis=1)).sort_values(ascending=False, kind="stable")


def compare_currencies(amounts: Amounts, metric: str) -> Comparison:
    """The rankings under every currency that all ledgers know."""
    study = amounts.study
    known = {task: amounts.known(task) for task in study.tasks}
    unknown = {c: [task for task in study.tasks if c not in known[task]] for c in SHOWN}
    currencies = [c for c in SHOWN if not unknown[c]]
    held, regrets = {}, {}
    for currency in currencies:
        for task in study.tasks:
            held[currency, task] = Held(*amounts.common(task, currency))
            for name in study.strategies:
                found, _ = amounts.after(metric, task, name, currency, held[currency, task].amount)
                regrets[currency, task, name] = found
    means = {c: _means(regrets, c, study.tasks, study.strategies) for c in currencies}
    filled = {key: np.where(np.isinf(values), WORST, values) for key, values in regrets.items()}
    ranked = {c: _means(filled, c, study.tasks, study.strategies).fillna(WORST).rank() for c in currencies}
    ranks = pd.DataFrame({c: frame.mean(axis=1) for c, frame in ranked.items()}, index=study.strategies)
    samples = {c: [[regrets[c, t, s] for s in study.strategies] for t in study.tasks] for c in currencies}
    agreement, chance = rank_agreement(samples) if len(currencies) > 1 else ({}, Estimate(*[np.nan] * 3))
    places = ranks.rank(method="min")
    unknown = {c: tasks for c, tasks in unknown.items() if tasks}
    stopped = {name for task in study.tasks for name in amounts.idle(task)}
    idle = [name for name in study.strategies if name in stopped]
    return Comparison(metric, unknown, held, idle, means, ranks, places, agreement, chance)


def _means(regrets: dict, currency: str, tasks: Sequence[str], names: Sequence[str]) -> pd.DataFrame:
    found = {t: [float(np.mean(x)) if len(x := regrets[currency, t, n]) else np.nan for n in names] for t in tasks}
    return pd.DataFrame(found, index=list(names))


def tables(found: Comparison, tasks: Sequence[str]) -> list[Table]:
    """The rankings side by side, their agreement, and the amounts."""
    words = [SHOWN[c] for c in found.currencies]
    digits = digits_for(v for frame in found.means.values() for v in frame.to_numpy().ravel())
    rows, records = [], []
    for name in found.ranks.sort_values(found.currencies, kind="stable").index:
        record: dict[str, Any] = {"metric": METRICS[found.metric], "strategy": name}
        places, regrets = [], []
        for c in found.currencies:
            record |= {f"{c}_place": found.places.loc[name, c], f"{c}_mean_rank": found.ranks.loc[name, c]}
            record |= {f"{c}_{task}_mean_regret": found.means[c].loc[name, task] for task in tasks}
            places.append(f"{number(found.places.loc[name, c], 0)} ({number(found.ranks.loc[name, c], 1)})")
            regrets.append(" / ".join(number(v, digits) for v in found.means[c].loc[name]))
        record["moves"] = found.moves[name]
        records.append(record)
        rows.append([strategy(name), *places, number(found.moves[name], 0), *regrets])
    columns = [
        "strategy",
        *(f"place by {w} (mean rank)" for w in words),
        "moves",
        *(f"mean regret, {w}" for w in words),
    ]
    made = [build(f"currencies_{found.metric}", columns, rows, pd.DataFrame(records))]
    if found.agreement:
        taus: list[dict[str, Any]] = [
            {"metric": METRICS[found.metric], "currency": a, "other": b, "kendall_tau": e.value, "low": e.low,
             "high": e.high,
             "chance": found.chance.value, "chance_low": found.chance.low, "chance_high": found.chance.high}
            for (a, b), e in found.agreement.items()
        ]  # fmt: skip
        shown = [
            [f"{SHOWN[t['currency']]} and {SHOWN[t['other']]}", number(t["kendall_tau"]),
             f"{number(t['low'])} to {number(t['high'])}"] for t in taus
        ]  # fmt: skip
        frame = pd.DataFrame(taus)
        made.append(build(f"currency_taus_{found.metric}", ["rankings by", "Kendall's τ", "95 %"], shown, frame))
    return made


def held_table(found: Comparison, tasks: Sequence[str]) -> Table:
    """What all strategies are held to, and whose median run sets it."""
    rows, records = [], []
    for task in tasks:
        record: dict[str, Any] = {"task": task}
        for c in found.currencies:
            held = found.held[c, task]
            record |= {f"{c}": held.amount, f"{c}_set_by": held.cheapest}
        records.append(record)
        cells = [found.held[c, task] for c in found.currencies]
        rows.append([task, *(f"{amount(h.amount)}{f' ({h.cheapest})' if h.cheapest else ''}" for h in cells)])
    columns = ["task", *(f"{SHOWN[c]}, set by" for c in found.currencies)]
    return build("held", columns, rows, pd.DataFrame(records))


def in_words(found: Comparison) -> list[str]:
    """Whether the ranking depends on the currency, for whom most, and which currency is left out."""
    sentences = []
    for currency, tasks in found.unknown.items():
        sentences.append(
            f"{SHOWN[currency]} are left out: not every expense on {listed(tasks)} has a known cost in them."
        )
    if len(found.currencies) < 2:
        return [*sentences, "So there are no two currencies to compare."]
    if found.idle and len(found.idle) < len(found.ranks):
        stop, put = ("stops", "sets") if len(found.idle) == 1 else ("stop", "set")
        sentences.append(f"{listed(found.idle)} {stop} before half of the budget and {put} no amount.")
    if not any(np.isfinite(frame.to_numpy()).any() for frame in found.means.values()):
        return [*sentences, "At these amounts no strategy has a result in all of its runs: there is nothing to rank."]
    (a, b), least = min(found.agreement.items(), key=lambda item: item[1].value)
    moved = found.moves[found.moves > 0]
    if not len(moved):
        return [*sentences, "The ranking does not depend on the currency."]
    names = [
        f"{name} (place {', '.join(f'{number(found.places.loc[name, c], 0)} by {SHOWN[c]}' for c in found.currencies)})"
        for name in moved.index[:3]
    ]
    verdict = "The ranking depends on the currency"
    if least.value >= found.chance.low - 1e-9:
        verdict += " no more than on chance"
    sentences.append(
        f"{verdict}: Kendall's τ between {SHOWN[a]} and {SHOWN[b]} is {number(least.value)}, and "
        f"{number(found.chance.value)} ({number(found.chance.low)} to {number(found.chance.high)} in 95 %) between two "
        f"resamplings of the runs under one currency; places differ most for "
        f"{listed(names)}."
    )
    return sentences


def slopes(found: Comparison, looks: dict[str, Look]) -> Figure:
    """Places under every currency joined by lines."""
    from . import comparisons

    return comparisons.slopes(found.ranks, [f"same {SHOWN[c]}" for c in found.currencies], looks)
