"""The sentences of a report, computed from the data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from nasbench.runs.budget import CURRENCIES, ROUNDING

from .analysis import Analysis
from .statistics import ALPHA, ordered_pairs
from .study import METRICS, Study
from .tables import amount, number, p_value

FEW = 8
"""Runs below which a page says that bootstrap intervals over them are too narrow."""
MANY = 6
"""Tasks up to which a sentence names each; of more it gives the mean and the range."""


def listed(names: Sequence[str]) -> str:
    """a, b and c."""
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)


def about_intervals(runs: int, word: str = "runs") -> str:
    """That so few runs make intervals too narrow; "" of many, or of one, which has none."""
    if not 1 < runs < FEW:
        return ""
    return (
        f"With {runs} {word} intervals are too narrow: for random and local search on NAS-Bench-201, 95 % intervals "
        "over 3 runs held the value they stand for in 60 to 80 % of cases, over 5 runs in 75 to 90 %."
    )


def _some_tasks(tasks: Sequence[str]) -> str:
    return listed(tasks) if len(tasks) <= MANY else f"{len(tasks)} tasks"


def budget_in_words(study: Study) -> str:
    words = {
        "evals": "evaluations",
        "epochs": "training epochs",
        "s": "training seconds",
        "flops": "training FLOPs",
    }
    return f"{amount(study.budget.amount)} {words[study.budget.unit]}"


def _regrets(study: Study, found: Analysis, name: str) -> str:
    """As in `on_tasks`, of those with a result."""
    values = {task: found.middles[task, name].value for task in study.tasks}
    return on_tasks({task: value for task, value in values.items() if math.isfinite(value)})


def on_tasks(values: Mapping[str, float], unit: str = "") -> str:
    """As in `0.10 on a and 0.20 on b`; of many `0.15 in the mean over 9 tasks (0.00 to 0.40)`; of none nothing."""
    if len(values) <= MANY:
        return listed([f"{number(value)}{unit} on {task}" for task, value in values.items()])
    least, mean, most = (number(float(f(list(values.values())))) for f in (np.min, np.mean, np.max))
    return f"{mean}{unit} in the mean over {len(values)} tasks ({least} to {most})"


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
    sentences.append(f"{after}, {lead(found)}.")
    other = "random_search" if "random_search" in found.order and best != "random_search" else found.order[-1]
    regrets = "; ".join(f"{name} {_regrets(study, found, name) or 'has no result'}" for name in (best, other))
    sentences.append(f"{distance}: {regrets}.")
    if len(analyses) > 1 and analyses[1].tested and found.tested:
        test = analyses[1]
        same = len(test.leaders) > 1 and set(test.leaders) == set(found.leaders)
        level = test.leaders_level and found.leaders_level
        who = f"the same cannot be told apart, {test.order[0]} first" if same and level else lead(test)
        sentences.append(f"On test accuracy {who}.")
    return sentences


def lead(found: Analysis) -> str:
    """Who leads, and from whom the test does not separate it."""
    best, *rest = found.leaders
    if not found.tested:
        return f"{best} has the best mean rank, but there are too few runs for a test"
    if not rest:
        return f"{best} leads: the test separates it from every other strategy"
    everyone = len(rest) == len(found.order) - 1
    if not found.leaders_level:
        return f"{best} leads; the test does not separate it from {'any other' if everyone else listed(rest)}"
    if not everyone:
        return f"{listed(found.leaders)} lead and cannot be told apart"
    p = found.kruskal[1]
    differ = (
        f" two by two, though they are not all equal (Kruskal and Wallis's test, p {_equals(p)})" if p < ALPHA else ""
    )
    return f"the {len(found.order)} strategies cannot be told apart{differ}"


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
    for status, reason in (
        ("stalled", "Stalled with budget left, after a thousand requests in a row that cost nothing"),
        ("missing", "Ended with budget left, after a thousand requests in a row most of which had no result"),
        ("finished", "Finished with budget left, for want of anything more to ask"),
    ):
        ended = {
            name: sum(
                d["status"] == status and (status != "finished" or d["spent"] < study.budget.amount * (1 - ROUNDING))
                for t in study.tasks
                for d in study.documents.get((t, name), [])
            )
            for name in study.strategies
        }
        ended = {name: count for name, count in ended.items() if count}
        if ended:
            sentences.append(f"{reason}: {listed([f'{count:,} of {name}' for name, count in ended.items()])}.")
    idle = [d["strategy"] for d in documents if d["status"] == "budget" and not d["ledger"]["kind"]]
    if idle:
        sentences.append(
            "Bought nothing, as already the first training, or the first work of their own, did not fit or had no "
            f"known price: {listed([f'{idle.count(name):,} of {name}' for name in dict.fromkeys(idle)])}."
        )
    return sentences


def gaps(study: Study) -> list[str]:
    """What is missing from the comparison."""
    sentences = []
    if leaking := study.results.leaks:
        sentences.append(
            "These results leak: targets were allowed among their sources, and what was found on "
            f"{_some_tasks(leaking)} was learned from the same images. It shows what leaking is worth, and says "
            "nothing about new tasks."
        )
    if study.found_best:
        sentences.append(
            "Results were trained afresh, so the best cell of the space is not known: "
            "regret is measured from the best that any of these runs found."
        )
    if surrogate := study.manifest["table"].get("attributes", {}).get("surrogate"):
        sentences.append(
            f"Every result is a prediction, by {surrogate['predictor']} from {surrogate['n']} trainings of the table "
            f"{surrogate['table']}: what is found is true of the surrogate, and of trainings as far as it is right."
        )
    missing = study.expected - len(study.runs)
    if missing:
        sentences.append(
            f"The comparison is unfinished: {missing:,} of {study.expected:,} runs are missing. "
            "Tests and ranks use all runs on the tasks that every strategy has begun."
        )
    absent = [name for name in study.suite.strategies if name not in study.strategies]
    if absent:
        sentences.append(f"Without any run: {listed(absent)} (a strategy that raises an error leaves none).")
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
    h, p = found.kruskal
    first = f"Kruskal and Wallis's test: H = {h:,.1f}, p {_equals(p)}. " if math.isfinite(h) else ""
    if not found.tested:
        return (
            f"There are too few runs ({found.compared}) to test pairs: a strategy has a single one, or even two of the "
            f"{len(found.order)} strategies whose runs do not overlap would not be separated. {first}"
        ).strip()
    what, note = "runs", ""
    if study.together:
        what, note = "searches", " All tasks score the same searches: a search counts once, with its mean over tasks."
    if study.suite.observe == "seed":
        note += (
            " Runs of one seed see the same noise whatever their strategy, which the tests leave aside: "
            "strategies may differ where these do not separate them."
        )
    return (
        f"On every task all runs of all strategies are ranked together; tests compare these ranks, of "
        f"{found.compared:,} {what}, unpaired.{note} {first}"
        "Pairs by Mann and Whitney's test, Holm-adjusted; "
        f"a bar joins strategies that it does not separate at α = {ALPHA}. "
        "The axis shows the mean rank that a run takes among one run of every strategy, ties shared. "
        "All this speaks of these tasks, not of tasks in general."
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
    seeds = {t: study.noise(t, "val")["seeds"] for t in apart}
    same = len({number(count, 1) for count in seeds.values()}) == 1
    averaged = (
        f"{number(next(iter(seeds.values())), 1)} such trainings a cell"
        if same
        else (f"such trainings a cell ({on_tasks(seeds)})")
    )
    return [
        "Train one of the table's best cells twice, with nothing changed but the random seed, and the two "
        f"validation accuracies typically differ by {on_tasks(apart, ' points')}.",
        f"The table averages {averaged}, so that two single cells that differ by less "
        "than the resolution below, which figures shade, may just as well be equally good. Means over runs that end "
        "with many different cells are known better than that.",
    ]


def about_share(study: Study) -> str:
    """On which part of the space the comparison took place; "" where it was the whole."""
    shares = {task: f"{share:.1%}" for task, share in study.shares.items() if share < 1}
    if not shares:
        return ""
    part = []
    for share in dict.fromkeys(shares.values()):
        tasks = [task for task in shares if shares[task] == share]
        part.append(f"{share} of the cells on {_some_tasks(tasks)}")
    return (
        f"The table has results for a part of the space only: {listed(part)}. Strategies draw from that part, and "
        "regret is measured from its best cell; both would be different on the whole space."
    )


def hidden(found: Analysis, task: str, most: int = 15) -> str:
    """The pairs whose mean true accuracies differ by no more than the table's seed noise."""
    noise = found.noise[task]
    pairs = [f"{a} – {b}" for a, b, apart in ordered_pairs(found.means[task]) if apart <= noise.loc[a, b]]
    return _some(pairs, most)


def _some(pairs: Sequence[str], most: int) -> str:
    if not pairs:
        return "none"
    rest = f"; and {len(pairs) - most} more (tables/pairs.csv)" if len(pairs) > most else ""
    return "; ".join(pairs[:most]) + rest


def unseparated(found: Analysis, task: str, most: int = 15) -> str:
    """The pairs that the test on one task does not separate."""
    p_values = found.task_p_values.get(task)
    if p_values is None or not np.isfinite(p_values.to_numpy()).all():
        return "not tested"
    order = [n for n in found.order if n in p_values.index]
    pairs = [f"{a} – {b}" for i, a in enumerate(order) for b in order[i + 1 :] if not p_values.loc[a, b] < ALPHA]
    return _some(pairs, most)


def task_test(found: Analysis, task: str) -> str:
    """Kruskal and Wallis's test on one task; "" if there is none."""
    h, p = found.task_kruskal.get(task, (math.nan, math.nan))
    return f"Kruskal–Wallis H = {h:,.1f}, p {_equals(p)}; " if math.isfinite(h) else ""
