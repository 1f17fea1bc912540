"""Who leads, in words: what the test can say of the runs, and no more."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from reports import choices, findings, predictors
from reports.analysis import Analysis
from reports.comparisons import pairwise
from reports.statistics import Pairs


def analysis(separated: str, names: str = "abc", p: float = 0.001, tested: bool = True) -> Analysis:
    """Strategies in this order, of which the test separates the pairs `separated`, such as "ab bc"."""
    p_values = pd.DataFrame(1.0 if tested else np.nan, list(names), list(names))
    for a, b in separated.split():
        p_values.loc[a, b] = p_values.loc[b, a] = 0.01
    ranks = pd.DataFrame(1.0, list(names), ["value", "low", "high"])
    return Analysis("val", list(names), 30, ranks, (9.0, p), p_values, {}, {}, {}, None, {}, {}, {})


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (analysis("", tested=False), "a has the best mean rank, but there are too few runs for a test"),
        (analysis("ab ac"), "a leads: the test separates it from every other strategy"),
        (analysis("ac bc"), "a and b lead and cannot be told apart"),
        (analysis("bc"), "a leads; the test does not separate it from any other"),
        (analysis("bc ad", "abcd"), "a leads; the test does not separate it from b and c"),
        (analysis("", p=0.3), "the 3 strategies cannot be told apart"),
        (
            analysis("", p=0.001),
            "the 3 strategies cannot be told apart two by two, though they are not all equal (Kruskal and "
            "Wallis's test, p = 0.0010)",
        ),
    ],
)
def test_who_leads(found, words):
    assert findings.lead(found) == words


def test_strategies_with_runs_without_a_result_take_no_part_in_a_choice():
    regrets = {"a": np.arange(1.0, 21), "b": np.append(np.zeros(19), np.inf)}
    cells = {name: np.arange(20) for name in regrets}
    found = choices.choose(regrets, cells, np.nan, np.nan)
    assert (found.strategy, found.tied, found.compared, found.of) == ("a", [], 1, 2)


def test_a_choice_among_too_few_runs_is_not_called_a_tie():
    regrets = {name: np.arange(3.0) + 10 * k for k, name in enumerate("abc")}
    found = choices.choose(regrets, {name: np.arange(3) for name in regrets}, np.nan, np.nan)
    assert (found.tied, found.tested, found.alone) == ([], False, False)
    assert "too few runs for a test" in choices.in_words({(1.0, "t"): found})


def test_one_strategy_with_a_single_run_leaves_the_tests_of_the_others():
    regrets = {"a": np.arange(30.0), "b": np.arange(100.0, 130), "c": np.array([50.0])}
    found = choices.choose(regrets, {name: np.arange(len(v)) for name, v in regrets.items()}, np.nan, np.nan)
    assert (found.tested, found.tied) == (True, ["c"])


def test_pairs_are_bold_where_the_test_separates_them():
    value = np.array([[0.5, 0.8, 0.8], [0.2, 0.5, 0.6], [0.2, 0.4, 0.5]])
    pairs = Pairs(value, value - 0.1, value + 0.1, [])
    texts = [t for t in pairwise(pairs, analysis("ac").p_values).axes[0].texts if len(t.get_text()) == 4]
    bold = [t.get_text() for t in texts if t.get_fontweight() == "bold"]
    assert bold == ["0.80", "0.20"]  # a and c; that a and b are as far apart does not make them bold


def test_predictors_that_draws_do_not_tell_apart():
    assert predictors.headline(study_of({"x": [0.5, 0.6, 0.7], "y": [0.51, 0.58, 0.69]}))[1].startswith(
        "On these draws y (0.593) cannot be told apart"
    )
    assert len(predictors.headline(study_of({"x": [0.5, 0.6, 0.7], "y": [0.4, 0.5, 0.6]}))) == 1
    assert len(predictors.headline(study_of({"x": [0.9], "y": [0.1]}))) == 1, "one draw says nothing"


def study_of(taus: dict[str, list[float]]) -> predictors.PredictorStudy:
    study = object.__new__(predictors.PredictorStudy)
    rows = [(n, 50, k, metric, v) for n in taus for k, tau in enumerate(taus[n])
            for metric, v in (("kendall", tau), ("fit_seconds", 1.0))]  # fmt: skip
    study.scores = pd.DataFrame(rows, columns=["predictor", "n", "seed", "metric", "value"])
    study.facts, study.sizes, study.names = {"ceiling": None, "seeds": 3}, [50], list(taus)
    return study
