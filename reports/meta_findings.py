"""Who is ahead of whom on how many held-out tasks, by sign tests, and the sentences that say so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from . import meta_harm, tables
from .findings import listed
from .meta_study import BASELINE, EQUAL, MetaStudy, with_labels
from .statistics import ALPHA
from .tables import Text, number, p_value


@dataclass(frozen=True)
class Signs:
    """On how many targets one predictor has the higher mean tau.

    Attributes:
        p: of a one-sided binomial sign test that it is more than half of them, ties dropped; nan if all are ties.
    """

    name: str
    other: str
    n: int
    wins: int
    ties: int
    targets: int
    p: float

    @property
    def share(self) -> str:
        return f"{self.wins} of {self.targets}"

    @property
    def level(self) -> str:
        """As in `p = 0.03`."""
        text = p_value(self.p)
        return "all equal" if math.isnan(self.p) else f"p {text}" if text.startswith("<") else f"p = {text}"


def sign_test(study: MetaStudy, name: str, other: str, n: int) -> Signs:
    """One predictor against another at n labels."""
    ours, theirs = study.of(name)[n], study.of(other)[n]
    wins, losses = int((ours > theirs + EQUAL).sum()), int((ours < theirs - EQUAL).sum())
    decided = wins + losses
    p = float(binomtest(wins, decided, 0.5, alternative="greater").pvalue) if decided else float("nan")
    return Signs(name, other, n, wins, len(study.targets) - decided, len(study.targets), p)


def against_scratch(study: MetaStudy) -> list[Signs]:
    """Every meta-learned predictor against every predictor from scratch, at every n that both have."""
    return [
        sign_test(study, name, other, n)
        for name in study.learned
        for other in study.scratch
        for n in study.asked(other)
    ]


def against_baseline(study: MetaStudy) -> list[Signs]:
    """rank_transfer against every other meta-learned predictor, at every n; none where it was not asked."""
    if BASELINE not in study.learned:
        return []
    return [sign_test(study, BASELINE, name, n) for name in study.learned if name != BASELINE for n in study.sizes]


def signs_table(name: str, found: Sequence[Signs], first: str, second: str) -> tables.Table:
    """A row for every pair and a column for every n; bold where p is below 0.05."""
    sizes = sorted({one.n for one in found})
    pairs = list(dict.fromkeys((one.name, one.other) for one in found))
    at = {(one.name, one.other, one.n): one for one in found}
    rows = []
    for pair in pairs:
        cells = [at[(*pair, n)] for n in sizes if (*pair, n) in at]
        shown = [Text(c.share, c.p < ALPHA, note=c.level) for c in cells]
        rows.append([tables.strategy(pair[0]), tables.strategy(pair[1]), *shown])
    frame = pd.DataFrame(
        [(s.name, s.other, s.n, s.wins, s.ties, s.targets, s.p) for s in found],
        columns=["predictor", "against", "n", "wins", "ties", "targets", "p"],
    )
    columns = [first, second, *(f"{n} labels" for n in sizes)]
    return tables.build(name, columns, rows, frame, text=2)


def headline(study: MetaStudy) -> list[str]:
    """What was found: the best without and with few labels, from scratch, by sign test."""
    sentences = [_leaders(study)]
    both = [n for n in study.sizes if study.best(study.scratch, n)]
    compared = [n for n in study.quoted if n in both] or both[:1]
    if compared:
        nothing = ", and without labels nothing can be learned" if 0 in study.sizes else ""
        sentences.append(f"From scratch, the best is {_best(study, study.scratch, compared)}{nothing}.")
    elif study.learned and study.unasked:
        sentences.append("From scratch, nothing can be learned from fewer than two labels.")
    elif study.learned:
        sentences.append("No predictor from scratch was asked, so that nothing says what meta-learning is worth.")
    ahead = []
    for n in compared:
        name, other = study.best(study.learned, n), study.best(study.scratch, n)
        if name and other:
            found = sign_test(study, name, other, n)
            ahead.append(f"{name} is ahead of {other} {with_labels(n)} on {found.share} targets ({found.level})")
    if ahead:
        sentences.append(f"By one-sided sign tests, {listed(ahead)}.")
    sentences += [baseline_sentence(study), meta_harm.sentence(study, meta_harm.harm(study))]
    return [sentence for sentence in sentences if sentence]


def _leaders(study: MetaStudy) -> str:
    if not study.learned:
        return "No meta-learned predictor was asked: this study has predictors from scratch only."
    targets, seeds = study.targets, study.facts["seeds"]
    draws = "one draw" if seeds == 1 else f"{seeds} draws"
    over = f"mean over {len(targets)} held-out targets" if len(targets) > 1 else f"mean over {draws} of labels"
    if study.leaks():
        task = "targets that are among their own sources"
    else:
        task = "a task that they have never seen" if len(targets) > 1 else f"{targets[0]}, which they have never seen"
    best = _best(study, study.learned, study.quoted)
    return f"On {task}, the best meta-learned predictor is {best}: Kendall's τ, {over}{_ceiling(study)}."


def _best(study: MetaStudy, names: Sequence[str], sizes: Sequence[int]) -> str:
    """As in `a without labels (0.512) and b with 10 labels (0.600) and with 50 labels (0.700)`."""
    found: dict[str, list[str]] = {}
    for n in sizes:
        name = study.best(names, n)
        if name:
            others = [other for other in study.firsts(names, n) if other != name]
            same = f", as {listed(others)}" if others else ""
            found.setdefault(name, []).append(f"{with_labels(n)} ({number(float(study.mean().loc[name, n]), 3)}{same})")
    return listed([f"{name} {listed(parts)}" for name, parts in found.items()])


def _ceiling(study: MetaStudy) -> str:
    found = study.ceilings()
    if not found:
        return "; no noise ceiling is known, since no cell was trained twice"
    some = "" if len(found) == len(study.targets) else f" over the {len(found)} targets where it is known"
    return f"; the noise ceiling is {number(float(np.mean(list(found.values()))), 3)}{some}"


def baseline_sentence(study: MetaStudy) -> str:
    """Where the mean rank on the sources beats what is learned."""
    others = [name for name in study.learned if name != BASELINE]
    if not others:
        return ""
    if BASELINE not in study.learned:
        return f"{BASELINE}, the mean rank on the sources, was not asked: nothing says whether learning beats it."
    means = study.mean()
    parts, never = [], []
    for name in others:
        ahead = [n for n in study.sizes if means.loc[BASELINE, n] > means.loc[name, n] + EQUAL]
        if ahead:
            parts.append(f"{name} {_sizes(ahead)}")
        else:
            never.append(name)
    if not parts:
        return (
            f"{BASELINE}, the mean rank on the sources, is not ahead of any other in mean τ, with any number of labels."
        )
    rest = f", and never of {listed(never)}" if never else ""
    return f"{BASELINE}, the mean rank on the sources, is ahead in mean τ of {'; of '.join(parts)}{rest}."


def _sizes(sizes: Sequence[int]) -> str:
    """As in `without labels and with 5 and 10`."""
    counts = [str(n) for n in sizes if n]
    parts = ["without labels"] * (0 in sizes) + ([f"with {listed(counts)}"] if counts else [])
    return " and ".join(parts) + (" labels" if counts and 0 not in sizes else "")
