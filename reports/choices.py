"""Which strategy for which budget: the lowest mean regret at every step of a ladder of budgets, and what is tied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from nasbench.runs.budget import CURRENCIES

from .amounts import Amounts
from .findings import listed
from .statistics import ALPHA, leader_p_values, table_noise
from .study import METRICS
from .tables import NOTHING, Table, Text, amount, build, digits_for, number

STEPS = 7
"""Budgets in the matrix, each twice the one before."""

NAMED = 3
"""Most tied strategies that a cell of the page names; the CSV names all."""


class Choice(NamedTuple):
    """The strategy of lowest mean regret on one task after one budget.

    Attributes:
        regret: its mean over runs.
        tied: those that the test does not separate from it, or that lie within the table's seed noise, best first.
        compared: strategies that had a result in every run by then, of `of` that have runs.
        tested: whether there were enough runs for a test; if not, only the table's seed noise makes ties.
    """

    strategy: str
    regret: float
    tied: list[str]
    compared: int
    of: int
    tested: bool

    @property
    def alone(self) -> bool:
        """Whether nothing is tied with it, as far as that can be told."""
        return self.tested and not self.tied


def ladder(budget: float, whole: bool, steps: int = STEPS) -> list[float]:
    """Budgets up to `budget`, ascending, each half of the next; whole numbers, each once, if `whole`."""
    levels = [budget / 2**k for k in reversed(range(steps))]
    return sorted({float(np.floor(level)) for level in levels if level >= 1}) if whole else levels


def choose(
    regrets: Mapping[str, np.ndarray], cells: Mapping[str, np.ndarray], deviation: float, seeds: float
) -> Choice | None:
    """The choice among strategies by their regrets [run], inf without a result; None if all have runs without.

    Strategies with such runs take no part.

    Args:
        cells: strategy -> the cell [run] that each run would return.
        deviation, seeds: the table's seed noise, as for `table_noise`; nan if not known.
    """
    began = [name for name, values in regrets.items() if len(values)]
    means = {name: float(np.mean(regrets[name])) for name in began if np.isfinite(regrets[name]).all()}
    order = sorted(means, key=lambda name: means[name])
    if not order:
        return None
    best, others = order[0], order[1:]
    p_values = leader_p_values({name: regrets[name] for name in order}, best)
    noise = table_noise({name: cells[name] for name in order}, deviation, seeds).loc[best]
    tested = not others or any(map(np.isfinite, p_values.values()))
    tied = [n for n in others if (tested and not p_values[n] < ALPHA) or means[n] - means[best] <= noise[n]]
    return Choice(best, means[best], tied, len(order), len(began), tested)


def choices(amounts: Amounts, metric: str) -> dict[tuple[float, str], Choice | None]:
    """(budget, task) -> the choice; budgets after which no task has one are left out."""
    study = amounts.study
    currency = CURRENCIES[study.budget.unit]
    found: dict[tuple[float, str], Choice | None] = {}
    for level in ladder(study.budget.amount, study.budget.unit in ("evals", "epochs")):
        row: dict[tuple[float, str], Choice | None] = {}
        for task in study.tasks:
            after = {name: amounts.after(metric, task, name, currency, level) for name in amounts.runs(task)}
            noise = study.noise(task, metric)
            regrets = {name: regret for name, (regret, _) in after.items()}
            cells = {name: ends for name, (_, ends) in after.items()}
            row[level, task] = choose(regrets, cells, noise.get("deviation_top", np.nan), noise.get("seeds", np.nan))
        if any(row.values()):
            found |= row
    return found


def matrix(amounts: Amounts, metric: str, found: Mapping[tuple[float, str], Choice | None]) -> Table:
    """Rows budgets, columns tasks; as CSV with all that is tied."""
    study = amounts.study
    currency = CURRENCIES[study.budget.unit]
    rows, records = [], []
    digits = digits_for(choice.regret for choice in found.values() if choice)
    for level in dict.fromkeys(level for level, _ in found):
        record: dict[str, Any] = {"metric": METRICS[metric], "currency": currency, "budget": level}
        row: list[Text | str] = [amount(level)]
        for task in study.tasks:
            choice = found[level, task]
            record |= {
                f"{task}_strategy": choice.strategy if choice else "",
                f"{task}_family": study.families[choice.strategy] if choice else "",
                f"{task}_mean_regret": choice.regret if choice else np.nan,
                f"{task}_tied": " ".join(choice.tied) if choice else "",
            }
            row.append(_cell(choice, digits))
        records.append(record)
        rows.append(row)
    return build(
        f"choice_{metric}", [f"{currency} spent", *study.tasks], rows, pd.DataFrame(records), 1 + len(study.tasks)
    )


def _cell(choice: Choice | None, digits: int) -> Text:
    if choice is None:
        return Text(NOTHING)
    rest = len(choice.tied) - NAMED
    named = f"tied: {', '.join(choice.tied[:NAMED])}{f' and {rest} more' if rest > 0 else ''}"
    tied = "no tie" if not choice.tied else "all others tied" if len(choice.tied) == choice.of - 1 > NAMED else named
    notes = [number(choice.regret, digits), *([tied] if choice.tied or choice.tested else [])]
    notes += [] if choice.tested else ["not tested"]
    return Text(choice.strategy, choice.alone, choice.strategy, "; ".join(notes))


def in_words(found: Mapping[tuple[float, str], Choice | None]) -> str:
    """How often each strategy leads, and how often alone."""
    known = [choice for choice in found.values() if choice]
    if not known:
        return "No strategy has a result in every run."
    leads = Counter(choice.strategy for choice in known).most_common()
    first = [f"{name} in {count}" for name, count in leads[:4]]
    rest = len(known) - sum(count for _, count in leads[:4])
    others = [f"others in {rest}"] if rest else []
    alone, untested = sum(choice.alone for choice in known), sum(not choice.tested for choice in known)
    ties = f"in {alone} nothing is tied with it" if alone else "everywhere something is tied with it"
    if untested == len(known):
        ties = "there are too few runs for a test"
    elif untested:
        ties = f"in {alone} nothing is tied with it, and in {untested} there are too few runs for a test"
    return (
        f"Of {len(known)} combinations of task and budget, the lowest mean regret is that of "
        f"{listed([*first, *others])}; {ties}."
    )


def families_of(study_families: Mapping[str, str], found: Sequence[Choice | None]) -> dict[str, str]:
    """Family -> one of its strategies, of those that lead somewhere, for a legend."""
    kept: dict[str, str] = {}
    for choice in found:
        if choice:
            kept.setdefault(study_families[choice.strategy], choice.strategy)
    return kept
