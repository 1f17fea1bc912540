"""Reports of many strategies: looks by family, the best for every budget, costs, currencies, two objectives."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import reports
import strategies
from nasbench.runs import Budget, Suite, compare
from reports import amounts, choices, costs, crowds, currencies, pareto, sources, statistics, style
from reports.study import Study

SEVERAL = ("random_search", "local_search", "zero_cost", "nsga2", "random_pareto")


@pytest.fixture(scope="module")
def several(tmp_path_factory) -> Path:
    """A comparison whose strategies differ in family and in what they spend on."""
    folder = tmp_path_factory.mktemp("several") / "results"
    fields = {"name": "several", "tasks": ["cifar10", "cifar100"], "strategies": SEVERAL, "seeds": 3,
              "budget": "20evals"}  # fmt: skip
    compare(Suite.from_fields(fields), strategies.CATALOGUE, folder, jobs=1)
    reports.write(folder)
    return folder


def read(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / "report" / "tables" / f"{name}.csv")


def lab(colour: str, blindness: np.ndarray) -> np.ndarray:
    """CIELAB of a colour as someone with this matrix of Machado et al. sees it."""
    light = np.array([style._to_light(int(colour[i : i + 2], 16) / 255) for i in (1, 3, 5)])
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ np.clip(blindness @ light, 0, 1) / (0.9505, 1, 1.089)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize(
    "blindness",
    [
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    ],
    ids=["none", "red", "green"],
)
def test_families_can_be_told_apart(blindness):
    seen = [lab(hue, np.array(blindness)) for hue, _ in style.FAMILIES.values()]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 18
    assert len({marker for _, marker in style.FAMILIES.values()}) == len(style.FAMILIES)


def test_every_strategy_of_the_catalogue_has_a_look_of_its_own():
    families = {name: entry.family for name, entry in strategies.CATALOGUE.items()}
    found = style.looks(families | {"Mine": "own", "Odd": "something else"})
    assert len({(look.colour, look.dashes) for look in found.values()}) == len(found)
    assert {
        families[a] == families[b] for a, b in itertools.combinations(families, 2) if found[a].hue == found[b].hue
    } == {True}
    assert set(families.values()) <= set(style.FAMILIES)


def test_labels_do_not_cover_each_other():
    rng = np.random.default_rng(0)
    for _ in range(50):
        wanted = sorted(rng.random(8) ** 3, reverse=True)
        found = crowds.spread(wanted, 0.1)
        assert (-np.diff(found) > 0.1 - 1e-9).all()
        assert found[-1] >= -1e-9
    assert crowds.spread([0.9, 0.5], 0.1) == [0.9, 0.5]


def test_ladder_of_budgets():
    assert choices.ladder(60, True) == [1, 3, 7, 15, 30, 60]
    assert choices.ladder(3, True) == [1, 3]
    assert choices.ladder(64.0, False, 3) == [16, 32, 64]


def test_choice_is_the_lowest_mean_and_what_cannot_be_told_from_it():
    rng = np.random.default_rng(0)
    regrets = {"good": rng.random(20), "level": rng.random(20) + 0.05, "bad": rng.random(20) + 2}
    regrets["late"] = np.append(np.zeros(19), np.inf)
    cells = {name: np.arange(20) for name in regrets}
    found = choices.choose(regrets, cells, np.nan, np.nan)
    assert found is not None
    assert (found.strategy, found.tied, found.compared, found.of) == ("good", ["level"], 3, 4)
    near = choices.choose(regrets, {name: np.full(20, k) for k, name in enumerate(regrets)}, 3.0, 1)
    assert near is not None
    assert near.tied == ["level", "bad"]  # whatever the runs say, the table's seeds do not resolve 2 points
    assert choices.choose({"late": regrets["late"]}, {"late": cells["late"]}, np.nan, np.nan) is None


def test_matrix_agrees_with_the_runs(several):
    table = read(several, "choice_val")
    assert table["budget"].tolist() == [1, 2, 5, 10, 20]
    runs = pd.read_csv(several / "runs.csv")
    for task in ("cifar10", "cifar100"):
        means = runs[runs["task"] == task].groupby("strategy")["val_regret"].mean()
        last = table.iloc[-1]
        assert last[f"{task}_mean_regret"] == pytest.approx(means.min())
        assert means[last[f"{task}_strategy"]] == pytest.approx(means.min())
    page = (several / "report" / "index.html").read_text(encoding="utf-8")
    assert "Which strategy for which budget" in page


def test_positions_in_the_ledger_with_one_worker_and_with_several():
    kinds = ["proxy", "training", "proxy", "training"]
    assert amounts.positions(kinds, np.array([1.0, 2, 0, 3]), np.array([3.0, 6])).tolist() == [1, 3]
    kinds = ["training"] * 3  # the first ends when the second has begun
    assert amounts.positions(kinds, np.array([2.0, 2, 2]), np.array([4.0, 6, 6])).tolist() == [1, 2, 2]


def test_regret_after_an_amount(several):
    found, document = amounts.Amounts(Study(several)), None
    document = json.loads((several / "runs" / "cifar10" / "local_search" / "00000.json").read_text())
    seconds = np.cumsum(document["ledger"]["seconds"])
    best = document["best"]["val_acc"]
    for step, accuracy in zip(document["incumbents"]["step"], document["incumbents"]["val_acc"], strict=True):
        regrets, _ = found.after("val", "cifar10", "local_search", "seconds", float(seconds[step]))
        assert regrets[0] == pytest.approx(best - accuracy)
    regrets, cells = found.after("val", "cifar10", "local_search", "seconds", float(seconds[0]) / 2)
    assert (regrets[0], cells[0]) == (np.inf, -1)


def test_costs_by_kind_are_the_ledgers():
    ledger = {"kind": ["supernet", "training", "training"], "seconds": [50.0, 10.0, 20.0], "epochs": [5.0, 1.0, 2.0],
              "flops": [None, 1e9, 2e9], "evaluations": [3.0, 0.5, 1.0]}  # fmt: skip
    empty = {name: [] for name in ledger}
    documents = {("t", "one_shot"): [{"ledger": ledger}, {"ledger": empty}], ("t", "plain"): [{"ledger": empty}]}
    results = SimpleNamespace(documents=[d for found in documents.values() for d in found])
    study = SimpleNamespace(strategies=["one_shot", "plain"], tasks=["t"], documents=documents, results=results)
    found = costs.by_kind(study)
    assert found.loc["one_shot", ("evaluations", "supernet")] == 1.5
    assert found.loc["one_shot", ("seconds", "training")] == 15
    assert np.isnan(found.loc["one_shot", ("flops", "supernet")])
    assert found.loc["one_shot", ("flops", "training")] == 1.5e9
    assert found.loc["plain", ("evaluations", "training")] == 0
    assert {kind for _, kind in found.columns} == {"supernet", "training"}


def test_costs_on_the_page(several):
    table = read(several, "costs").set_index("strategy")
    runs = pd.read_csv(several / "runs.csv")
    assert table["evaluations_on_training"].to_numpy() == pytest.approx(20)
    assert table["measured_overhead_seconds"].notna().all()
    assert set(table.index) == set(runs["strategy"])


def test_agreement_of_rankings():
    rng = np.random.default_rng(0)
    task = [rng.normal(k, 0.01, 10) for k in range(6)]
    other = [10 - values for values in task]
    found, chance = statistics.rank_agreement({"a": [task], "b": [other], "c": [task]})
    assert found["a", "b"].value == pytest.approx(-1)
    assert found["a", "c"] == pytest.approx((1, 1, 1))
    assert chance == pytest.approx((1, 1, 1))  # nothing here is near enough to change places
    level = [rng.normal(0, 1, 10) for _ in range(6)]
    _, chance = statistics.rank_agreement({"a": [level], "b": [level]})
    assert chance.low < chance.value < 0.8


def fake(curves: dict[str, list[tuple[list[float], list[float], float]]]) -> SimpleNamespace:
    """A study of one task under 10 evaluations; of every strategy its runs: when it found what, and what it spent."""
    documents = {}
    for name, runs in curves.items():
        documents["t", name] = [
            {
                "spent": total, "status": "budget", "strategy": name,
                "steps": {"cell": list(range(len(when))), "spent": when},
                "incumbents": {"step": list(range(len(when))), "val_acc": what, "test_acc": [None] * len(when)},
                "ledger": {
                    "kind": ["training"] * (len(when) + 1),
                    **{c: [*np.diff([0, *when]), total - (when[-1] if when else 0)]
                       for c in ("seconds", "epochs", "flops", "evaluations")},
                },
            }
            for when, what, total in runs
        ]  # fmt: skip
    return SimpleNamespace(
        strategies=list(curves), tasks=["t"], documents=documents, references={("t", "val"): 100.0},
        budget=Budget.parse("10evals"), identity=int,
    )  # fmt: skip


def test_who_stops_early_does_not_set_the_amount():
    study = fake({
        "quits": [([1.0], [70.0], 1.0)] * 3,
        "a": [([2.0, 9.0], [60.0, 90.0], 10.0)] * 3,
        "b": [([2.0, 8.0], [60.0, 80.0], 9.0)] * 3,
        "broken": [([], [], 0.0)] * 3,
    })  # fmt: skip
    found = currencies.compare_currencies(amounts.Amounts(study), "val")
    assert found.held["evaluations", "t"] == (9, "b")
    assert found.idle == ["quits", "broken"]
    assert found.means["evaluations"]["t"].tolist() == [30, 10, 20, np.inf]
    assert found.places["evaluations"].tolist() == [3, 1, 2, 4]
    assert "quits and broken stop before half of the budget and set no amount." in currencies.in_words(found)
    alone = currencies.compare_currencies(amounts.Amounts(fake({name: [([], [], 0.0)] * 3 for name in "ab"})), "val")
    assert currencies.in_words(alone)[-1].endswith("there is nothing to rank.")


def test_places_and_their_agreement_are_by_one_rule():
    """Runs without a result come last in both, by their share."""
    good, bad = ([2.0], [90.0], 10.0), ([], [], 10.0)
    study = fake({"a": [good, good, bad], "b": [good, bad, bad], "c": [([2.0], [50.0], 10.0)] * 3})
    found = currencies.compare_currencies(amounts.Amounts(study), "val")
    assert found.places["evaluations"].tolist() == [2, 3, 1]
    assert all(agreement.value == 1 for agreement in found.agreement.values())


def test_saved_is_what_the_other_spent_more_for_the_same():
    """Not the rest of the budget, which the other did not need either."""
    study = fake({
        "learned": [([1.0, 3.0], [70.0, 90.0], 10.0)] * 2,
        "scratch": [([2.0, 7.0], [60.0, 90.0], 7.0)] * 2,
        "slow": [([2.0, 9.0], [60.0, 90.0], 10.0)] * 2,
        "worse": [([2.0], [60.0], 10.0)] * 2,
    })  # fmt: skip
    found = amounts.Amounts(study)
    assert sources.saved(study, found, "val", "learned", "scratch") == [4]
    assert sources.saved(study, found, "val", "slow", "scratch") == [0]
    assert np.isnan(sources.saved(study, found, "val", "worse", "scratch")).all()


def test_equal_seconds_are_what_the_cheapest_strategy_spent(several):
    study = Study(several)
    found = currencies.compare_currencies(amounts.Amounts(study), "val")
    assert found.currencies == ["evaluations", "seconds"]
    assert found.unknown == {"flops": ["cifar10", "cifar100"]}
    assert currencies.in_words(found)[0].startswith("FLOPs are left out: not every expense on cifar10 and cifar100")
    ledger = study.results.ledger
    totals = ledger.groupby(["task", "strategy", "seed"], observed=True)["seconds"].sum()
    medians = totals.groupby(level=["task", "strategy"], observed=True).median()
    for task in study.tasks:
        assert found.held["seconds", task].amount == pytest.approx(medians[task].min())
        assert found.held["seconds", task].cheapest == medians[task].idxmin()
        assert found.held["evaluations", task] == (20, "")
        finals = study.runs[study.runs["task"] == task].groupby("strategy")["val_regret"].mean()
        assert found.means["evaluations"][task].to_dict() == pytest.approx(finals.to_dict())
        assert (found.means["seconds"][task] >= found.means["evaluations"][task] - 1e-9).all()
    table = read(several, "currencies_val")
    assert table["evaluations_place"].is_monotonic_increasing
    taus = read(several, "currency_taus_val")
    assert taus["kendall_tau"].item() == pytest.approx(table["evaluations_mean_rank"].corr(
        table["seconds_mean_rank"], method="kendall"))  # fmt: skip


def test_fronts_by_hand():
    pytest.importorskip("moocore")
    scale = pareto.Scale(worst_accuracy=50.0, best_accuracy=90.0, least=1.0, most=5.0)
    points = scale(np.array([90.0, 70.0, 60.0, 40.0]), np.array([3.0, 2.0, 4.0, 1.0]))
    assert points.tolist() == [[0, 0.5], [0.5, 0.25], [0.75, 0.75], [1.25, 0]]
    found = pareto.front(points)
    assert found.tolist() == [[0, 0.5], [0.5, 0.25], [1.25, 0]]
    assert pareto.hypervolume(found) == pytest.approx(0.5 * 1 + 0.25 * 0.5)  # the last is beyond the reference point
    assert pareto.hypervolume(np.empty((0, 2))) == 0
    assert pareto.igd_plus(found, found) == 0
    missed = np.array([[0.5, 0.5]])  # of three points: by 0.5 in accuracy, by 0.25, by 0.5 in the objective
    assert pareto.igd_plus(missed, found) == pytest.approx((0.5 + 0.25 + 0.5) / 3)
    assert pareto.igd_plus(np.empty((0, 2)), found) == pytest.approx(np.sqrt(2))
    accuracy, objective = scale.back(found)
    assert (accuracy[1], objective[1]) == (70, 2)


def test_cells_that_look_equal_all_belong_to_a_runs_front():
    """Two cells of the same size showed the same accuracy; the second is truly better."""
    pytest.importorskip("moocore")
    steps = {"cell": [0, 1, 2], "epochs": [5, 5, 5], "val_acc": [80.0, 80.0, 70.0]}
    scale = pareto.Scale(worst_accuracy=50.0, best_accuracy=90.0, least=0.0, most=4.0)
    accuracy, second = np.array([70.0, 90.0, 80.0]), np.array([2.0, 2.0, 3.0])
    for order in ([0, 1, 2], [1, 0, 2]):
        shown = {name: [values[k] for k in order] for name, values in steps.items()}
        found = pareto._trained(shown, 5, np.arange(3), accuracy, second, scale)
        assert found.tolist() == [[0.0, 0.5]]


def test_median_attainment_by_hand():
    pytest.importorskip("moocore")
    runs = [np.array([[0.0, 0.5]]), np.array([[0.5, 0.25]]), np.array([[0.25, 0.75]])]
    found = pareto.attained(runs)  # at least two of three
    assert found.tolist() == [[0.25, 0.75], [0.5, 0.5]]
    assert pareto.attained([runs[0], np.empty((0, 2))]).tolist() == [[0.0, 0.5]]
    assert pareto.attained([np.empty((0, 2))] * 2).tolist() == [[1.0, 1.0]]


def test_hypervolume_of_a_run_is_that_of_its_cells(several):
    pytest.importorskip("moocore")
    study = Study(several)
    assert pareto.objectives(study) == ["latency_seconds"]
    found = pareto.fronts(study, "cifar100", "latency_seconds")
    assert found is not None
    truth = study.table.curves("cifar100")
    accuracy, latency = truth.mean("val_acc"), truth.mean("latency_seconds")
    low = np.quantile(accuracy, 0.1)

    def area(cells) -> float:
        """Of the union of rectangles, swept by latency."""
        total, best, last = 0.0, low, None
        for second, height in sorted(zip(latency[cells], accuracy[cells], strict=True)):
            total += 0 if last is None else (second - last) * (best - low)
            best, last = max(best, height), second
        return total + (latency.max() - last) * (best - low)

    document = study.documents["cifar100", "nsga2"][0]
    expected = area(np.array(document["steps"]["cell"])) / area(np.arange(len(accuracy)))
    assert found.indicators["nsga2"].hypervolume[0] == pytest.approx(expected)
    table = read(several, "fronts_latency_seconds_cifar100").set_index("strategy")
    assert table.loc["nsga2", "hypervolume_mean"] == pytest.approx(found.indicators["nsga2"].hypervolume.mean())
    assert set(table.index) == set(SEVERAL)


def test_fronts_without_moocore_are_one_sentence(several, tmp_path, monkeypatch):
    monkeypatch.setattr(pareto, "available", lambda: False)
    page = reports.write(several, tmp_path / "report").read_text(encoding="utf-8")
    assert "need the package moocore, which is not installed" in page
    assert not (tmp_path / "report" / "figures" / "fronts.png").exists()
