"""Statistics against hand-computed values, scipy and scikit-posthocs."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from nasbench.tables import open_table
from reports import statistics


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
    mean, low, high = statistics.band(curves[:1])
    assert mean == pytest.approx(curves[0])
    assert np.isnan([low, high]).all()


def test_ranks_within_tasks_are_of_all_runs_together():
    final = final_of({"t": {"a": [0.0, 1.0, np.nan], "b": [3.0, np.inf, 2.0]}, "u": {"a": [1.0], "b": [np.nan]}})
    found = statistics.within_task_ranks(final)
    assert found.index.tolist() == [("t", 0), ("t", 1), ("t", 2)]
    expected = np.array([[0.5, 3.5], [1.5, 4.5], [np.nan, 2.5]]) / 5
    assert found.to_numpy() == pytest.approx(expected, nan_ok=True)


def test_one_search_scored_on_several_tasks_counts_once():
    final = final_of({"t": {"a": [0.0, 1.0], "b": [2.0, 3.0]}, "u": {"a": [30.0, 10.0], "b": [20.0, np.nan]}})
    found = statistics.within_task_ranks(final, together=True)
    assert found.index.tolist() == [0, 1]
    assert found.loc[0].tolist() == pytest.approx([(0.5 / 4 + 2.5 / 3) / 2, (2.5 / 4 + 1.5 / 3) / 2])
    assert np.isnan(found.loc[1, "b"])


def test_verdicts_do_not_depend_on_the_labels_of_seeds():
    final = random_final(2)
    mixed = final.copy()
    mixed["b"] = mixed.groupby(level="task")["b"].transform(lambda x: x.to_numpy()[::-1])
    first, second = statistics.within_task_ranks(final), statistics.within_task_ranks(mixed)
    assert statistics.kruskal(first) == pytest.approx(statistics.kruskal(second))
    ours, theirs = statistics.mann_whitney_holm(first), statistics.mann_whitney_holm(second)
    assert ours.to_numpy() == pytest.approx(theirs.to_numpy())


def test_mean_rank_is_half_and_strategies_times_the_mean_within_task_rank():
    final = random_final(8)
    samples = [[final.loc[t, s].to_numpy() for s in "abc"] for t in ("easy", "hard")]
    found = statistics.probability_of_improvement(samples).ranks
    expected = 0.5 + 3 * statistics.within_task_ranks(final).mean()
    assert [r.value for r in found] == pytest.approx(expected.tolist())
    assert all(r.low < r.value < r.high for r in found)


def test_mean_ranks_share_ties_and_reach_one():
    found = statistics.probability_of_improvement([[np.array([0.0, 0.0]), np.array([0.0, 5.0])]]).ranks
    assert [r.value for r in found] == [1.25, 1.75]
    found = statistics.probability_of_improvement([[np.array([0.0, 1.0]), np.array([2.0, 5.0])]]).ranks
    assert [r.value for r in found] == [1.0, 2.0]


def test_kruskal_agrees_with_scipy():
    places = statistics.within_task_ranks(random_final(2))
    expected = stats.kruskal(*places.to_numpy().T)
    assert statistics.kruskal(places) == pytest.approx((expected.statistic, expected.pvalue))
    alone = random_final(2).loc[["hard"]]
    expected = stats.kruskal(*alone.to_numpy().T)
    assert statistics.kruskal(statistics.within_task_ranks(alone)) == pytest.approx(
        (expected.statistic, expected.pvalue)
    )


def test_mann_whitney_agrees_with_scipy_and_holm_by_hand():
    table = statistics.within_task_ranks(random_final(3))
    found = statistics.mann_whitney_holm(table)
    raw = {pair: stats.mannwhitneyu(table[pair[0]], table[pair[1]]).pvalue for pair in itertools.combinations("abc", 2)}
    running = 0.0
    for k, (pair, p) in enumerate(sorted(raw.items(), key=lambda item: item[1])):
        running = max(running, min(1.0, p * (3 - k)))
        assert found.loc[pair] == pytest.approx(running)
        assert found.loc[pair[::-1]] == pytest.approx(running)


def test_nothing_that_is_equal_is_separated():
    same = statistics.within_task_ranks(final_of({"t": {s: [0.0] * 8 for s in "abc"}}))
    assert statistics.mann_whitney_holm(same).loc["a", "b"] == 1.0
    assert statistics.kruskal(same) == (0.0, 1.0)


@pytest.mark.parametrize(("runs", "least", "most"), [(3, 0.55, 0.85), (5, 0.7, 0.93), (20, 0.88, 0.99)])
def test_intervals_over_few_runs_are_as_much_too_narrow_as_pages_say(runs, least, most):
    accuracy = open_table("nasbench201").curves("cifar10").mean("val_acc")
    rng = np.random.default_rng(0)
    regrets = accuracy.max() - rng.choice(accuracy, (5000, 25)).max(axis=1)  # random search, 25 evaluations
    middle = float(statistics.interquartile_mean(regrets))
    samples = [statistics.estimate(rng.choice(regrets, runs), 300) for _ in range(300)]
    assert least < np.mean([found.low <= middle <= found.high for found in samples]) < most


def test_so_few_runs_that_nothing_could_be_separated_are_not_tested():
    apart = {s: [10.0 * k + seed for seed in range(5)] for k, s in enumerate("abcdef")}
    five = statistics.within_task_ranks(final_of({"t": {s: apart[s] for s in "abcd"}}))  # 6 pairs
    assert statistics.mann_whitney_holm(five).loc["a", "b"] == pytest.approx(6 * 2 / 252)
    more = statistics.within_task_ranks(final_of({"t": apart}))  # 15 pairs
    assert np.isnan(statistics.mann_whitney_holm(more).to_numpy()).all()
    three = {s: np.array(apart[s][:3]) for s in "abc"}
    assert np.isnan(list(statistics.leader_p_values(three, "a").values())).all()


def test_ties_do_not_make_the_test_weaker():
    """Runs often end with the same cell; of those that do not overlap, p is as small as without ties."""
    apart = final_of({"t": {s: [10.0 * k + end for end in (0, 0, 1, 2, 3)] for k, s in enumerate("abcd")}})
    assert statistics.mann_whitney_holm(apart).loc["a", "b"] == pytest.approx(6 * 2 / 252)
    rng = np.random.default_rng(0)
    for _ in range(5):
        x, y = rng.integers(0, 5, 6).astype(float), rng.integers(1, 7, 7).astype(float)
        y[0] = np.inf  # a run without a result

        def apart_by(a: np.ndarray, b: np.ndarray) -> float:
            ranks = stats.rankdata(np.concatenate([a, b]))
            return abs(ranks[: len(a)].sum() - len(a) * (len(ranks) + 1) / 2)

        every = stats.permutation_test((x, y), apart_by, alternative="greater", n_resamples=np.inf)
        assert statistics.leader_p_values({"x": x, "y": y}, "x")["y"] == pytest.approx(every.pvalue)


def test_a_ninth_run_does_not_make_the_test_weaker():
    apart = final_of({"t": {"a": list(range(9)), "b": list(range(10, 19))}})
    assert statistics.mann_whitney_holm(apart).loc["a", "b"] == pytest.approx(2 / 48620)


def test_tests_need_two_strategies_and_two_runs_of_each():
    one = statistics.within_task_ranks(final_of({"t": {"a": [1.0, 2.0]}}))
    assert np.isnan(statistics.mann_whitney_holm(one).to_numpy()).all()
    assert np.isnan(statistics.kruskal(one)).all()
    assert statistics.indifferent(statistics.mann_whitney_holm(one), "a") == ["a"]
    few = statistics.within_task_ranks(final_of({"t": {"a": [1.0, 2.0], "b": [1.0, np.nan]}}))
    assert np.isnan(statistics.mann_whitney_holm(few).to_numpy()).all()


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


def test_table_noise_of_single_cells_and_of_many():
    ends = {"a": np.array([7]), "b": np.array([9]), "many": np.arange(100), "same": np.array([7, 7]), "none": []}
    found = statistics.table_noise({n: np.array(v, dtype=int) for n, v in ends.items()}, 0.3, 3)
    assert found.loc["a", "b"] == pytest.approx(1.96 * 0.3 * np.sqrt(2 / 3))  # the resolution of two cells
    assert found.loc["a", "same"] == 0
    assert found.loc["a", "many"] == pytest.approx(1.96 * 0.3 * np.sqrt((0.99**2 + 99 * 0.01**2) / 3))
    assert np.isnan(found.loc["a", "none"])
    assert np.isnan(statistics.table_noise({"a": np.array([1])}, np.nan, np.nan).to_numpy()).all()


def test_table_noise_is_the_spread_of_simulated_differences():
    rng = np.random.default_rng(9)
    ends = {"a": rng.integers(0, 5, 40), "b": rng.integers(2, 9, 30)}
    errors = rng.normal(0, 0.5 / np.sqrt(3), (20000, 9))
    differences = errors[:, ends["a"]].mean(axis=1) - errors[:, ends["b"]].mean(axis=1)
    assert statistics.table_noise(ends, 0.5, 3).loc["a", "b"] == pytest.approx(1.96 * differences.std(), rel=0.03)


def test_ordered_pairs_put_the_better_first():
    means = {"a": 90.0, "b": 91.0, "e": float("nan")}
    assert statistics.ordered_pairs(means) == [("b", "a", 1.0)]
