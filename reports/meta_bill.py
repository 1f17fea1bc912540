"""What the source tasks cost, and after how many target tasks their trainings are paid back."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import pandas as pd

from . import tables
from .meta_study import CURRENCIES, MetaStudy, with_labels
from .tables import NOTHING, Text, amount, duration, number

SERVED = (1, 10, 100)
"""Numbers of target tasks over which the bill spreads the sources' trainings."""
WORDS = {"seconds": "seconds", "epochs": "epochs", "flops": "FLOPs", "evaluations": "trainings"}


@dataclass(frozen=True)
class Payback:
    """What a meta-learned predictor saves over predictors from scratch.

    Attributes:
        tau: its mean tau with n labels.
        needed: labels that the predictor from scratch `by` needs for the same tau, read off its curve in straight
            lines; inf where none reaches it with as many labels as were asked, nan where there is none.
        tasks: target tasks after which the sources are paid back; inf for never, nan where it is not known.
        bound: whether `needed` and with it `tasks` are only bounds: the sources are paid back after at most so many.
    """

    name: str
    n: int
    tau: float
    needed: float
    by: str
    saved: float
    tasks: float
    bound: bool

    @property
    def needed_words(self) -> str:
        if math.isnan(self.needed):
            return NOTHING
        return f"more than {self.needed:g}" if self.bound else number(self.needed, 1)

    @property
    def tasks_words(self) -> str:
        if math.isnan(self.tasks):
            return "not known" if not math.isnan(self.needed) else NOTHING
        return "never" if math.isinf(self.tasks) else f"{'at most ' * self.bound}{number(self.tasks, 0)}"


def payback(study: MetaStudy, name: str, n: int) -> Payback:
    """See `Payback`."""
    means = study.mean()
    tau, most = float(means.loc[name, n]), study.sizes[-1]
    found = {other: labels_needed(_curve(study, other), tau) for other in study.scratch}
    if not found:
        return Payback(name, n, tau, math.nan, "", math.nan, math.nan, False)
    by = min(found, key=lambda other: found[other])
    bound = math.isinf(found[by])
    needed = most if bound else found[by]
    saved = needed - n
    price = study.cost()["evaluations"]
    if saved <= 0:
        tasks = math.nan if bound else math.inf
    else:
        tasks = math.ceil(price / saved - 1e-9) if math.isfinite(price) else math.nan
    return Payback(name, n, tau, needed, "" if bound else by, saved, tasks, bound)


def _curve(study: MetaStudy, name: str) -> list[tuple[float, float]]:
    """(labels, mean tau) from no labels on, with which a predictor from scratch can only guess: a tau of 0."""
    means = study.mean()
    return [(0.0, 0.0), *((float(n), float(means.loc[name, n])) for n in study.asked(name))]


def labels_needed(curve: list[tuple[float, float]], tau: float) -> float:
    """The first number of labels at which a curve is at `tau`, between its points in straight lines; inf for never."""
    for (x0, y0), (x1, y1) in itertools.pairwise(curve):
        if tau <= y0:
            return x0
        if tau <= y1:
            return x0 + (x1 - x0) * (tau - y0) / (y1 - y0)
    return math.inf


def payback_table(study: MetaStudy) -> tables.Table:
    """Tasks after which the sources are paid back, a row for every meta-learned predictor, a column for every n."""
    seconds = study.mean("meta_seconds").max(axis=1)
    found = [[payback(study, name, n) for n in study.sizes] for name in study.learned]
    rows = [
        [
            tables.strategy(line[0].name),
            *(Text(one.tasks_words, note=f"{one.needed_words} labels") for one in line),
            number(float(seconds[line[0].name]), 2),
        ]
        for line in found
    ]
    columns = ("name", "n", "tau", "needed", "by", "saved", "tasks", "bound")
    frame = pd.DataFrame([[getattr(one, c) for c in columns] for line in found for one in line], columns=list(columns))
    shown = ["predictor", *(f"{n} labels" for n in study.sizes), "meta-training, s"]
    return tables.build("payback", shown, rows, frame.rename(columns={"name": "predictor"}))


def readings_table(study: MetaStudy) -> tables.Table:
    """What a target task costs with the labels of the middle: alone, and with the sources spread over tasks."""
    cost, n, here = study.cost(), study.middle, len(study.targets)
    each = {c: cost[c] / cost["evaluations"] if cost["evaluations"] else math.nan for c in CURRENCIES}
    lines = [("all source tasks of a target, once", dict(cost)), (f"a target's {_labels(n)} alone", _times(each, n))]
    for served in sorted({*SERVED, here}):
        shared = {c: n * each[c] + cost[c] / served for c in CURRENCIES}
        spread = "one task" if served == 1 else f"{served} tasks" + (", as many as here" if served == here else "")
        lines.append((f"a target's {_labels(n)} and its share of the sources, spread over {spread}", shared))
    order = ("evaluations", "epochs", "seconds", "flops")
    rows = [[text, *(amount(values[c]) for c in order)] for text, values in lines]
    frame = pd.DataFrame([{"what": text, **{c: values[c] for c in order}} for text, values in lines])
    return tables.build("bill", ["", *(WORDS[c] for c in order)], rows, frame)


def _times(each: dict[str, float], n: int) -> dict[str, float]:
    return {c: n * each[c] for c in CURRENCIES}


def _labels(n: int) -> str:
    return "one label" if n == 1 else f"{n} labels"


def sentence(study: MetaStudy) -> str:
    """What the sources cost, and when that is paid back, in one sentence."""
    cost = study.cost()
    trainings = (
        f"{amount(cost['evaluations'])} trainings"
        if math.isfinite(cost["evaluations"])
        else "an unknown number of trainings"
    )
    position = CURRENCIES.index("evaluations")
    several = len({study.facts["tasks"][target]["cost"][position] for target in study.targets}) > 1
    start = f"The source tasks of a target cost {'on average ' * several}{trainings}"
    if math.isfinite(cost["seconds"]):
        start += f" ({duration(cost['seconds'])} of training)"
    if not study.learned:
        return f"{start}."
    if not study.scratch:
        return f"{start}; without predictors from scratch, nothing says how many labels that saves."
    parts = []
    for n in [n for n in study.quoted if n < study.sizes[-1]] or study.quoted[:1]:
        one = payback(study, study.best(study.learned, n) or study.learned[0], n)
        parts.append(
            f"it takes {one.needed_words} labels from scratch to rank as well as {one.name} {with_labels(n)}, so that "
            f"{_back(one)}"
        )
    return f"{start}; {'; '.join(parts)}."


def _back(one: Payback) -> str:
    if math.isinf(one.tasks):
        return "the sources are never paid back"
    if math.isnan(one.tasks):
        return "it is not known after how many tasks the sources are paid back"
    return f"the sources are paid back after {one.tasks_words} target task{'s' * (one.tasks != 1)}"
