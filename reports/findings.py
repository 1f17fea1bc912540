"""The sentences of a report, computed from the data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from nasbench.runs.budget import CURRENCIES, ROUNDING

from .analysis import Analysis
from .statistics import ALPHA
from .study import METRICS, Study
from .tables import amount, number, p_value


def listed(names: Sequence[str]) -> str:
    """a, b and c."""
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)


def budget_in_words(study: Study) -> str:
    words = {
        "evals": "evaluations",
        "epochs": "training epochs",
        "s": "training seconds",
        "flops": "training FLOPs",
    }
    return f"{amount(study.budget.amount)} {words[study.budget.unit]}"


def _regrets(study: Study, found: Analysis, name: str) -> str:
    values = [(task, found.middles[task, name].value) for task in study.tasks]
    values = [(task, value) for task, value in values if math.isfinite(value)]
    return listed([f"{number(value)} on {task}" for task, value in values])


def headline(study: Study, analyses: Sequence[Analysis]) -> list[str]:
    """What was found, in a few sentences: who leads, by how much, and whether it can be told at all."""
    found = analyses[0]
    after = f"After {budget_in_words(study)}"
    best = found.order[0]
    if not any(math.isfinite(found.middles[task, best].value) for task in study.tasks):
        return [f"{after}, no run has a result."]
    sentences = []
    distance = f"Regret, in percent points of {METRICS[found.metric]} accuracy (interquartile mean)"
    if len(found.order) == 1:
        unit = f"percent points of {METRICS[found.metric]} accuracy"
        below = _regrets(study, found, best)
        reference = "the best cell that any run found" if study.found_best else "the table's best cell"
        return [f"{after}, {best} ends below {reference} by {below} ({unit})."]
    if not found.tested:
        sentences.append(f"{after}, {best} has the best mean rank, but there are too few runs for a test.")
    elif len(found.leaders) == len(found.order):
        sentences.append(f"{after}, the {len(found.order)} strategies cannot be told apart.")
    elif len(found.leaders) == 1:
        sentences.append(f"{after}, {best} leads: the test separates it from every other strategy.")
    else:
        leaders = [best, *(n for n in found.order if n in found.leaders and n != best)]
        sentences.append(f"{after}, {listed(leaders)} lead and cannot be told apart.")
    other = "random_search" if "random_search" in found.order and best != "random_search" else found.order[-1]
    sentences.append(f"{distance}: {best} {_regrets(study, found, best)}; {other} {_regrets(study, found, other)}.")
    if len(analyses) > 1 and analyses[1].tested and found.tested:
        test = analyses[1]
        leaders = [n for n in test.order if n in test.leaders]
        same = set(leaders) == set(found.leaders)
        lead = "lead and cannot be told apart" if len(leaders) > 1 else "leads"
        other = f"On test accuracy {listed(leaders)} {lead}."
        sentences.append("On test accuracy the same holds." if same else other)
    hidden = [
        task for task in study.tasks
        if len(found.leaders) > 1
        and _spread(found, task, found.leaders) < study.resolution(task, found.metric)
    ]  # fmt: skip
    if hidden:
        sentences.append(f"On {listed(hidden)} the leaders lie within the table's own seed noise of one another.")
    return sentences


def _spread(found: Analysis, task: str, names: Sequence[str]) -> float:
    values = np.array([found.means[task][name] for name in names])
    return float(np.ptp(values))


def fairness(study: Study) -> list[str]:
    """Whether the budget was the same for all and kept by all, from the ledger itself."""
    documents = study.results.documents
    spent = np.array([d["spent"] for d in documents])
    currency = CURRENCIES[study.budget.unit]
    ledgers = np.array([math.fsum(x or 0.0 for x in d["ledger"][currency]) for d in documents])
    over = int((spent > study.budget.amount * (1 + 2 * ROUNDING)).sum())
    wrong = int((~np.isclose(spent, ledgers, rtol=1e-6, atol=1e-9)).sum())
    runs = f"{len(documents):,} run{'s' if len(documents) != 1 else ''}"
    limit = budget_in_words(study)
    sentences = []
    if over:
        sentences.append(f"{over:,} of {runs} spent more than the budget of {limit}: do not compare them.")
    else:
        every = f"All {runs}" if len(documents) > 1 else "The run"
        most = amount(spent.max())
        sentences.append(f"{every} stayed within the same budget of {limit}; the most that was spent is {most}.")
    sentences.append(
        "In every run the entries of the ledger sum to what was spent."
        if not wrong
        else f"In {wrong:,} runs the entries of the ledger do not sum to what was spent."
    )
    stalled = {
        name: sum(d["status"] == "stalled" for t in study.tasks for d in study.documents.get((t, name), []))
        for name in study.strategies
    }
    stalled = {name: count for name, count in stalled.items() if count}
    if stalled:
        sentences.append(
            f"Stalled, with budget left, because they only asked for what they knew: "
            f"{listed([f'{count:,} of {name}' for name, count in stalled.items()])}."
        )
    return sentences


def gaps(study: Study) -> list[str]:
    """What is missing from the comparison."""
    sentences = []
    if study.found_best:
        sentences.append(
            "Results were trained afresh, so the best cell of the space is not known: "
            "regret is measured from the best that any of these runs found."
        )
    missing = study.expected - len(study.runs)
    if missing:
        sentences.append(
            f"The comparison is unfinished: {missing:,} of {study.expected:,} runs are missing. "
            "Tests and ranks use the seeds that every strategy has finished."
        )
    absent = [name for name in study.suite.strategies if name not in study.strategies]
    if absent:
        sentences.append(f"Without any run: {listed(absent)}.")
    empty = {n: int(study.runs.loc[study.runs["strategy"] == n, "best_val"].isna().sum()) for n in study.strategies}
    empty = {n: count for n, count in empty.items() if count}
    if empty:
        sentences.append(
            f"Runs without any result: {listed([f'{count:,} of {name}' for name, count in empty.items()])}. "
            "They rank last; means, medians and curves leave them out."
        )
    if study.suite.seeds == 1:
        sentences.append("There is one run a strategy and task: no intervals, and ranks rest on single runs.")
    return sentences


def about_tests(study: Study, found: Analysis) -> str:
    """What was tested on what, and what came out."""
    if len(found.order) < 2:
        return "There is one strategy, so that there is nothing to test."
    if not found.tested:
        return f"There are too few complete blocks ({found.blocks}) for a test."
    block = "one seed on one task"
    if study.together:
        block = "a seed, with the mean over tasks, because all tasks score the same searches"
    chi, p = found.friedman
    count = f"{found.blocks:,} blocks"
    if found.blocks < found.possible:
        count = f"the {found.blocks:,} complete blocks of {found.possible:,}"
    first = (
        f"Friedman's test over {count} (a block is {block}): χ² = {chi:,.1f}, p {_equals(p)}. "
        if math.isfinite(chi)
        else f"Over {count} (a block is {block}). "
    )
    return (
        first + "Pairs by Wilcoxon's signed-rank test on ranks within the task, Holm-adjusted; "
        f"a bar joins strategies that it does not separate at α = {ALPHA}. "
        "It speaks of these tasks, not of tasks in general."
    )


def _equals(p: float) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def about_noise(study: Study) -> list[str]:
    """The noise ceiling in two plain sentences."""
    apart = {t: study.noise(t, "val").get("difference_top", math.nan) for t in study.tasks}
    apart = {t: value for t, value in apart.items() if math.isfinite(value)}
    if not apart:
        return ["No cell of this table was trained twice: how far two trainings of one cell differ is not known."]
    seeds = next(study.noise(t, "val")["seeds"] for t in apart)
    differences = listed([f"{number(value)} points on {t}" for t, value in apart.items()])
    return [
        "Train one of the table's best cells twice, with nothing changed but the random seed, and the two "
        f"validation accuracies typically differ by {differences}.",
        f"The table averages {number(seeds, 1)} such trainings a cell, so that two good cells, or two "
        "strategies, that differ by less than the resolution below may just as well be equally good, however "
        "many runs are made.",
    ]


def hidden_groups(means: Mapping[str, float], resolution: float) -> list[list[str]]:
    """Largest sets of strategies whose mean accuracies lie within `resolution` of one another, best first."""
    order = sorted((n for n in means if math.isfinite(means[n])), key=lambda n: -means[n])
    groups: list[list[str]] = []
    for i, name in enumerate(order):
        group = [n for n in order[i:] if means[name] - means[n] < resolution]
        if len(group) > 1 and not (groups and group[-1] == groups[-1][-1]):
            groups.append(group)
    return groups


def hidden(found: Analysis, task: str, resolution: float, most: int = 6) -> str:
    """The groups of `hidden_groups` in words; long ones, which are ranges, by their ends."""
    groups = hidden_groups(found.means[task], resolution)
    if not groups:
        return "none"
    shown = [", ".join(g) if len(g) <= 8 else f"the {len(g)} from {g[0]} down to {g[-1]}" for g in groups[:most]]
    rest = f"; and {len(groups) - most} more (tables/pairs.csv)" if len(groups) > most else ""
    return "; ".join(shown) + rest


def unseparated(found: Analysis, task: str, most: int = 15) -> str:
    """The pairs that the test on one task does not separate."""
    p_values = found.task_p_values.get(task)
    if p_values is None or not found.tested:
        return "not tested"
    order = [n for n in found.order if n in p_values.index]
    pairs = [f"{a} – {b}" for i, a in enumerate(order) for b in order[i + 1 :] if not p_values.loc[a, b] < ALPHA]
    if not pairs:
        return "none"
    rest = f"; and {len(pairs) - most} more (tables/pairs.csv)" if len(pairs) > most else ""
    return "; ".join(pairs[:most]) + rest
