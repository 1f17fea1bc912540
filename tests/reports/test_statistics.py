"""Statistics against hand-computed values, scipy and scikit-posthocs."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
from scipy import stats

from reports import statistics
from reports.findings import hidden_groups


def final_of(values: dict[str, dict[str, list[float]]]) -> pd.DataFrame:
    """Final regrets as Study.final has them, from task -> strategy -> values by seed."""
    frames = {task: pd.DataFrame(columns) for task, columns in values.items()}
    return pd.concat(frames, names=["task", "seed"])


def random_final(seed: int, seeds: int = 12) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    scale = {"easy": 0.1, "hard": 10.0}
    return final_of(
        {t: {s: list(scale[t] * rng.exponential(k + 1, seeds)) for k, s in enumerate("abc")} for t in scale}
    )


def test_interquartile_mean_drops_a_quarter_at_either_end():
    assert statistics.interquartile_mean(np.array([100.0, 1, 2, 3, 4, 5, 6, -50])) == 3.5


def test_estimate_brackets_the_interquartile_mean_and_repeats():
    values = np.random.default_rng(0).normal(5, 1, 60)
    first, second = statistics.estimate(values), statistics.estimate(values)
    assert first == second
    assert first.low < first.value < first.high
    assert first.high - first.low == pytest.approx(4 * 1.1 / np.sqrt(60), rel=0.4)


@pytest.mark.parametrize(
    ("values", "low"),
    [([], np.nan), ([2.0], np.nan), ([3.0, 3.0, 3.0], 3.0)],
    ids=["none", "one", "constant"],
)
def test_estimate_of_degenerate_samples(values, low):
    found = statistics.estimate(np.array(values))
    assert found.low == pytest.approx(low, nan_ok=True)
    assert np.isnan(found.value) == (not values)


def test_band_has_the_width_of_a_standard_error():
    curves = np.random.default_rng(1).normal(0, 2, (200, 3))
    mean, low, high = statistics.band(curves)
    assert mean == pytest.approx(curves.mean(axis=0))
    assert high - low == pytest.approx(2 * 1.96 * curves.std(axis=0) / np.sqrt(200), rel=0.12)


def test_blocks_rank_within_tasks_and_leave_out_incomplete_ones():
    final = final_of({"t": {"a": [0.0, 1.0, np.nan], "b": [3.0, np.inf, 2.0]}})
    found = statistics.blocks(final)
    assert found.index.tolist() == [("t", 0), ("t", 1)]
    assert found.to_numpy() == pytest.approx(np.array([[0, 3], [1, 4]]) / 4)


def test_blocks_of_one_search_scored_on_several_tasks_are_seeds():
    final = final_of({"t": {"a": [0.0, 1.0], "b": [2.0, 3.0]}, "u": {"a": [30.0, 10.0], "b": [20.0, 0.0]}})
    found = statistics.blocks(final, together=True)
    assert found.index.tolist() == [0, 1]
    assert found.loc[0].tolist() == pytest.approx([(0 + 1) / 2, (2 / 3 + 2 / 3) / 2])


def test_mean_ranks_share_ties():
    found = statistics.mean_ranks(statistics.blocks(final_of({"t": {"a": [0.0, 0.0], "b": [0.0, 5.0]}})))
    assert found["value"].tolist() == [1.25, 1.75]
    assert (found["low"] <= found["value"]).all()


def test_friedman_agrees_with_scipy_on_the_regrets_themselves():
    final = random_final(2)
    expected = stats.friedmanchisquare(*final.to_numpy().T)
    found = statistics.friedman(statistics.blocks(final))
    assert found == pytest.approx((expected.statistic, expected.pvalue))


def test_wilcoxon_holm_agrees_with_scipy_and_holm_by_hand():
    table = statistics.blocks(random_final(3))
    found = statistics.wilcoxon_holm(table)
    raw = {
        pair: stats.wilcoxon(table[pair[0]], table[pair[1]], zero_method="zsplit").pvalue
        for pair in itertools.combinations("abc", 2)
    }
    running = 0.0
    for k, (pair, p) in enumerate(sorted(raw.items(), key=lambda item: item[1])):
        running = max(running, min(1.0, p * (3 - k)))
        assert found.loc[pair] == pytest.approx(running)
        assert found.loc[pair[::-1]] == pytest.approx(running)


def test_wilcoxon_holm_separates_nothing_that_is_equal():
    same = statistics.blocks(final_of({"t": {"a": [0.0] * 8, "b": [0.0] * 8}}))
    assert statistics.wilcoxon_holm(same).loc["a", "b"] == 1.0


def test_tests_need_two_strategies_and_two_blocks():
    one = statistics.blocks(final_of({"t": {"a": [1.0, 2.0]}}))
    assert np.isnan(statistics.wilcoxon_holm(one).to_numpy()).all()
    assert np.isnan(statistics.friedman(one)).all()
    assert statistics.indifferent(statistics.wilcoxon_holm(one), "a") == ["a"]


def test_probability_of_improvement_is_mann_whitney():
    rng = np.random.default_rng(4)
    samples = [[rng.integers(0, 6, 15).astype(float), rng.integers(1, 7, 11).astype(float)] for _ in range(2)]
    found = statistics.probability_of_improvement(samples)
    shares = [stats.mannwhitneyu(b, a).statistic / (len(a) * len(b)) for a, b in samples]
    assert found.value[0, 1] == pytest.approx(np.mean(shares))
    assert found.value + found.value.T == pytest.approx(np.ones((2, 2)))
    assert found.low[0, 1] < found.value[0, 1] < found.high[0, 1]


def test_probability_of_improvement_counts_missing_results_as_worst():
    found = statistics.probability_of_improvement([[np.array([1.0, np.inf]), np.array([np.inf, np.inf])]])
    assert found.value[0, 1] == 0.5 * 1 + 0.5 * 0.5


def test_probability_of_improvement_has_the_interval_of_its_variance():
    rng = np.random.default_rng(5)
    samples = [[rng.normal(0, 1, 80), rng.normal(0.3, 1, 80)]]
    found = statistics.probability_of_improvement(samples)
    deviation = np.sqrt((80 + 80 + 1) / (12 * 80 * 80))
    assert found.high[0, 1] - found.low[0, 1] == pytest.approx(2 * 1.96 * deviation, rel=0.2)


def test_searches_scored_on_several_tasks_are_resampled_together():
    rng = np.random.default_rng(6)
    task = [rng.normal(0, 1, 40), rng.normal(0, 1, 40)]
    once = statistics.probability_of_improvement([task])
    twice = statistics.probability_of_improvement([task, task], together=True)
    apart = statistics.probability_of_improvement([task, task])
    width = [float(p.high[0, 1] - p.low[0, 1]) for p in (once, twice, apart)]
    assert width[1] == pytest.approx(width[0])
    assert width[2] < 0.85 * width[0]


def test_hidden_pairs_and_groups():
    means = {"a": 90.0, "b": 91.0, "c": 91.4, "d": 89.2, "e": float("nan")}
    pairs = [(a, b) for a, b, _ in statistics.hidden_pairs(means, 1.2)]
    assert pairs == [("c", "b"), ("b", "a"), ("a", "d")]
    assert hidden_groups(means, 1.2) == [["c", "b"], ["b", "a"], ["a", "d"]]
    assert hidden_groups(means, 1.5) == [["c", "b", "a"], ["a", "d"]]
    assert hidden_groups(means, 0.1) == []


def test_nemenyi_of_the_library_agrees_that_far_apart_is_far_apart():
    table = statistics.blocks(random_final(7, seeds=60))
    ours, theirs = statistics.wilcoxon_holm(table), scikit_posthocs.posthoc_nemenyi_friedman(table.to_numpy())
    assert ours.loc["a", "c"] < 0.001
    assert theirs.iloc[0, 2] < 0.001
