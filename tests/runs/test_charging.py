"""The charging rules, each with a test that fails if it is broken."""

from __future__ import annotations

import contextlib
import functools
import math
import time

import numpy as np
import pytest

import reports
from nasbench.benchmarks import TabularBenchmark
from nasbench.errors import NasbenchError
from nasbench.records import Cost, Outcome, Status, Trial
from nasbench.runs import Budget, Kind, Suite, compare, run
from nasbench.spaces import CellSpace
from nasbench.tables import Curves, Table
from nasbench.tables.source_tasks import read_sources
from strategies import CATALOGUE
from strategies.random_search import RandomSearch


class Script:
    """A strategy that asks for given trials one by one and remembers what it is told."""

    def __init__(self, *trials):
        self.trials, self.told = list(trials), []

    def __call__(self, problem, rng):
        self.problem = problem
        return self

    def ask(self):
        return self.trials.pop(0) if self.trials else None

    def tell(self, trial, outcome):
        self.told.append((trial, outcome))


@pytest.fixture
def toy(tiny_table):
    return TabularBenchmark(tiny_table, "toy")


A, B, C = (0,) * 6, (0, 0, 0, 0, 0, 1), (0, 0, 0, 0, 1, 0)


def test_1_every_expense_is_an_entry_in_all_currencies(toy):
    result = run(Script(Trial(A, 3), Trial(B, 1)), toy, Budget(10, "evals"))
    assert [entry.kind for entry in result.ledger.entries] == [Kind.TRAINING] * 2
    total = result.ledger.total()
    assert total.seconds == 40
    assert total.epochs == 4
    assert total.evaluations == pytest.approx(4 / 3)
    assert total.flops == 3 * 5.0 * 100 * 4  # forward and backward, 100 examples, 4 epochs
    assert result.ledger.spent == total.evaluations


@pytest.mark.parametrize(("budget", "trainings"), [("65s", 2), ("7epochs", 2), ("2.5evals", 2), ("9000flops", 2)])
def test_2_a_budget_is_an_amount_of_one_currency(toy, budget, trainings):
    result = run(Script(*[Trial(c, 3) for c in (A, B, C)]), toy, Budget.parse(budget))
    assert len(result.steps) == trainings
    assert result.status == "budget"


def test_3_a_repeat_is_free_counted_and_answered_the_same(toy):
    script = Script(Trial(A, 3), Trial(A, 3), Trial(B, 3))
    result = run(script, toy, Budget(2, "evals"))
    assert len(result.steps) == 2
    assert result.repeats == 1
    assert script.told[0] == script.told[1]


def test_3_a_run_that_only_repeats_stalls(toy):
    result = run(Script(*[Trial(A, 3)] * 5000), toy, Budget(10, "evals"))
    assert (result.status, result.repeats, len(result.steps)) == ("stalled", 1000, 1)


def test_4_cells_are_charged_one_by_one_where_each_was_trained(nb201, shipped):
    one, other = (3, 3, 0, 0, 2, 1), (3, 3, 0, 0, 1, 2)
    assert nb201.canonical(one) == nb201.canonical(other)
    result = run(Script(Trial(one, 200), Trial(other, 200)), TabularBenchmark(shipped, "cifar10"), Budget(9, "evals"))
    assert (len(result.steps), result.repeats) == (2, 0)


def test_4_one_training_answers_for_a_class(nb201):
    rows = nb201.representatives()
    table = Table.from_arrays(nb201, [Curves("t", (1,), {"val_acc": rows / 200})], rows="classes", cells=rows)
    script = Script(Trial((3, 3, 0, 0, 2, 1), 1), Trial((3, 3, 0, 0, 1, 2), 1))
    result = run(script, TabularBenchmark(table, "t"), Budget(9, "evals"))
    assert (len(result.steps), result.repeats) == (1, 1)
    assert script.told[0][1] == script.told[1][1]


def test_5_resuming_pays_the_difference(toy):
    script = Script(Trial(A, 1), Trial(A, 3), Trial(A, 2))
    result = run(script, toy, Budget(10, "epochs"))
    assert [entry.cost.epochs for entry in result.ledger.entries] == [1, 2]
    assert [entry.cost.seconds for entry in result.ledger.entries] == [10, 20]
    assert result.repeats == 1  # two epochs lie on a curve that is paid for
    assert script.told[2][1].val_acc == pytest.approx(2.05)


def test_5_workers_pay_a_curve_once_whatever_the_order(tiny_table):
    benchmark = TabularBenchmark(tiny_table, "toy")
    for epochs in ((1, 2, 3), (3, 2, 1), (2, 1, 3)):
        result = run(Script(*[Trial(A, e) for e in epochs]), benchmark, Budget(10, "epochs"), workers=3)
        assert result.ledger.total().epochs == 3
        assert result.steps[-1].clock <= 30
    script = Script(Trial(A, 3), Trial(A, 1), Trial(B, 1))
    run(script, benchmark, Budget(10, "epochs"), workers=3)
    assert [t for t, _ in script.told] == [Trial(B, 1), Trial(A, 3), Trial(A, 1)]


def test_4_a_class_is_observed_with_one_seed(nb201):
    rows = nb201.representatives()
    values = np.random.default_rng(0).random((len(rows), 3)) * 100
    table = Table.from_arrays(nb201, [Curves("t", (1,), {"val_acc": values})], rows="classes", cells=rows)
    for seed in range(8):
        script = Script(Trial((3, 3, 0, 0, 2, 1), 1), Trial((3, 3, 0, 0, 1, 2), 1))
        result = run(script, TabularBenchmark(table, "t"), Budget(9, "evals"), seed, observe="seed")
        assert (len(result.steps), result.repeats) == (1, 1)


def test_7_a_trial_of_unknown_cost_is_not_started():
    space = CellSpace("tiny", ("none", "skip_connect"))
    seconds = np.full(64, 10.0)
    seconds[0] = np.nan
    curves = Curves("toy", (1,), {"val_acc": np.arange(64.0), "train_seconds": seconds})
    script = Script(Trial(A, 1), Trial(B, 1))
    result = run(script, TabularBenchmark(Table.from_arrays(space, [curves]), "toy"), Budget(25, "s"))
    assert (result.missing, len(result.steps), result.status) == (1, 1, "finished")
    assert script.told[0][1].status is Status.MISSING


class Worker(Script):
    """Spends `costs` on work of its own, one before each of its trials."""

    def __init__(self, costs, *trials):
        super().__init__(*trials)
        self.costs = list(costs)

    def ask(self):
        if self.costs:
            self.problem.charge(Kind.PROXY, self.costs.pop(0))
        return super().ask()


def test_8_own_work_is_charged_with_its_kind_and_takes_time(toy):
    result = run(Worker([Cost(4.0, 0.5, 7.0, 0.25)], Trial(A, 3), Trial(B, 3)), toy, Budget(10, "evals"))
    assert [entry.kind for entry in result.ledger.entries] == [Kind.PROXY, Kind.TRAINING, Kind.TRAINING]
    assert result.ledger.total(Kind.PROXY) == Cost(4.0, 0.5, 7.0, 0.25)
    assert [step.spent for step in result.steps] == [1.25, 2.25]
    assert [step.clock for step in result.steps] == [34.0, 64.0]


@pytest.mark.parametrize("where", ["__call__", "tell"])
def test_8_own_work_takes_time_wherever_it_is_charged(toy, where):
    class Early(Script):
        def __call__(self, problem, rng):
            super().__call__(problem, rng)
            if where == "__call__":
                problem.charge(Kind.PROXY, Cost(4.0, 0.0, 0.0, 0.0))
            return self

        def tell(self, trial, outcome):
            if where == "tell" and not self.told:
                self.problem.charge(Kind.PROXY, Cost(4.0, 0.0, 0.0, 0.0))
            super().tell(trial, outcome)

    result = run(Early(Trial(A, 3), Trial(B, 3)), toy, Budget(100, "s"))
    assert [step.clock for step in result.steps] == ([34.0, 64.0] if where == "__call__" else [30.0, 64.0])
    assert result.ledger.spent == 64.0


class Thinker(Script):
    """Takes a twentieth of a second to ask."""

    def ask(self):
        time.sleep(0.05)
        return super().ask()


@pytest.mark.parametrize(
    ("kind", "cost", "sentence"),
    [
        ("warmup", Cost(1.0, 0.0, 0.0, 0.0), "unknown kind of expense 'warmup'"),
        (None, Cost(1.0, 0.0, 0.0, 0.0), "unknown kind of expense None"),
        ("training", Cost(1.0, 0.0, 0.0, 0.0), "trainings are charged by the runner"),
        ("proxy", (1.0, 0.0), r"an expense is a Cost of seconds, epochs, flops and evaluations, not \(1.0, 0.0\)"),
        ("proxy", 3.0, r"an expense is a Cost of .*, not 3.0"),
        ("proxy", Cost("a", 0, 0, 0), r"an expense is a Cost of .*, not Cost\(seconds='a'"),
    ],
)
def test_8_an_expense_is_of_a_known_kind_and_in_all_currencies(toy, kind, cost, sentence):
    class Odd(Script):
        def ask(self):
            self.problem.charge(kind, cost)
            return super().ask()

    with pytest.raises(NasbenchError, match=sentence):
        run(Odd(Trial(A, 3)), toy, Budget(10, "evals"))


def test_8_kinds_may_be_given_by_name(toy):
    class Named(Script):
        def ask(self):
            self.problem.charge("proxy", Cost(1.0, 0.0, 0.0, 0.5))
            return super().ask()

    result = run(Named(Trial(A, 3)), toy, Budget(10, "evals"))
    assert result.ledger.entries[0].kind is Kind.PROXY
    assert result.ledger.total(Kind.PROXY).seconds == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_8_work_in_tell_that_does_not_fit_ends_the_run(toy, workers):
    class Late(Script):
        def tell(self, trial, outcome):
            super().tell(trial, outcome)
            self.problem.charge(Kind.PROXY, Cost(0.0, 0.0, 0.0, 2.0))

    script = Late(Trial(A, 3), Trial(B, 3), Trial(C, 3))
    result = run(script, toy, Budget(4, "evals"), workers=workers)
    assert result.status == "budget"
    assert result.ledger.spent == 4
    assert len(script.told) == len(result.steps) == 2


def test_8_prices_that_nobody_spent_here_leave_the_overhead(toy):
    """Thinking is not free for who looks prices up; what was really spent on the device is no thinking."""

    class Sleeper(Script):
        measured = False

        def ask(self):
            began = time.perf_counter()
            time.sleep(0.05)
            price = time.perf_counter() - began if self.measured else 30.0
            self.problem.charge(Kind.PROXY, Cost(price, 0.0, 0.0, 0.0), measured=self.measured)
            return super().ask()

    class Measured(Sleeper):
        measured = True

    declared, real = (run(one(Trial(A, 3), Trial(B, 3)), toy, Budget(10, "evals")) for one in (Sleeper, Measured))
    assert declared.overhead_seconds >= 0.15
    assert real.overhead_seconds < declared.overhead_seconds / 2
    charged = run(Sleeper(Trial(A, 3), Trial(B, 3)), toy, Budget(500, "s"), charge_overhead=True)
    assert charged.ledger.total(Kind.OVERHEAD).seconds >= 0.15


def test_8_overhead_never_exceeds_the_budget(tiny_table):
    curves = tiny_table.curves("toy")
    arrays = {"val_acc": curves.full("val_acc"), "train_seconds": np.full(64, 0.03)}
    table = Table.from_arrays(tiny_table.space, [Curves("toy", (1, 2, 3), arrays, (7, 8))])
    cells = [Trial(table.space.cell(i), 3) for i in range(20)]
    for workers in (1, 3):
        result = run(
            Thinker(*cells), TabularBenchmark(table, "toy"), Budget(0.2, "s"), workers=workers, charge_overhead=True
        )
        assert result.ledger.spent <= 0.2 * (1 + 1e-9)
        assert len(result.steps) <= 3
        clocks = [step.clock for step in result.steps]
        assert clocks == sorted(clocks)
        assert all(clock >= 0.05 for clock in clocks)


def test_8_own_work_that_does_not_fit_ends_the_run(toy):
    work = [Cost(0.0, 0.0, 0.0, 0.5), Cost(0.0, 0.0, 0.0, 3.0)]
    script = Worker(work, Trial(A, 3), Trial(B, 3))
    result = run(script, toy, Budget(2, "evals"))
    assert (len(result.steps), result.ledger.spent, result.status) == (1, 1.5, "budget")


def test_7_a_refused_expense_ends_the_run_even_if_its_error_is_caught(toy):
    class Catcher(Worker):
        def ask(self):
            with contextlib.suppress(NasbenchError):
                super().ask()
            return Trial(A, 3)

    result = run(Catcher([Cost(0.0, 0.0, 0.0, 3.0)], Trial(A, 3)), toy, Budget(2, "evals"))
    assert (result.steps, result.ledger.entries, result.status) == ([], [], "budget")


@pytest.mark.parametrize("cost", [Cost(0.0, 0.0, 0.0, -1.0), Cost(-2.0, 0.0, 0.0, 0.0), Cost(math.inf, 0.0, 0.0, 0.0)])
def test_8_nothing_is_earned(toy, cost):
    with pytest.raises(NasbenchError, match="an expense is at least 0"):
        run(Worker([cost], Trial(A, 3)), toy, Budget(2, "evals"))


def test_8_a_strategy_cannot_pass_its_work_off_as_training(toy):
    script = Script()
    run(script, toy, Budget(2, "evals"))
    with pytest.raises(NasbenchError, match="trainings are charged by the runner"):
        script.problem.charge(Kind.TRAINING, Cost(0.0, 0.0, 0.0, 0.0))


def test_a_strategy_sees_how_much_is_spent(toy):
    script = Script(Trial(A, 3))
    run(script, toy, Budget(4, "evals"))
    assert script.problem.spent() == 0.25


def test_strategies_draw_from_the_cells_that_have_results(tiny_table):
    kept = np.arange(0, 64, 7)
    arrays = {"val_acc": kept.astype(float)}
    table = Table.from_arrays(tiny_table.space, [Curves("toy", (3,), arrays)], cells=kept)
    result = run(RandomSearch, TabularBenchmark(table, "toy"), Budget(50, "evals"))
    assert len(result.steps) == len(kept)
    assert result.missing == 0


def test_a_run_without_results_says_so(tiny_table):
    table = Table.from_arrays(tiny_table.space, [Curves("toy", (3,), {"val_acc": np.ones(1)})], cells=np.array([0]))
    script = Script(*[Trial(tiny_table.space.cell(1), 3)] * 1000)
    result = run(script, TabularBenchmark(table, "toy"), Budget(10, "evals"))
    assert result.status == "missing"
    assert result.missing >= 900


def test_5_another_seed_is_another_curve(toy):
    result = run(Script(Trial(A, 1, 7), Trial(A, 3, 8)), toy, Budget(10, "epochs"))
    assert [entry.cost.epochs for entry in result.ledger.entries] == [1, 3]


def test_5_separate_schedules_are_charged_in_full(published_table):
    benchmark = TabularBenchmark(published_table, "cifar10", schedule="ends")
    assert benchmark.epochs == (12, 200)
    result = run(Script(Trial(A, 12), Trial(A, 200)), benchmark, Budget(1000, "epochs"))
    assert result.ledger.total().epochs == 212


def test_6_a_failed_training_costs_what_it_used_and_is_a_status(tiny_table):
    arrays = dict(tiny_table.curves("toy").arrays)
    arrays["val_acc"] = arrays["val_acc"].copy()
    arrays["val_acc"][0] = np.nan
    arrays["status"] = np.zeros((64, 2), dtype=np.int8)
    arrays["status"][0] = 1
    table = Table.from_arrays(tiny_table.space, [Curves("toy", (1, 2, 3), arrays, (7, 8), {"train_size": 100})])
    script = Script(Trial(A, 3), Trial(B, 3))
    result = run(script, TabularBenchmark(table, "toy"), Budget(10, "evals"))
    assert script.told[0][1].status is Status.DIVERGED
    assert math.isnan(script.told[0][1].val_acc)
    assert result.ledger.total().seconds == 60
    assert [i.cell for i in result.incumbents] == [B]


def test_6_a_cell_that_was_never_trained_is_a_status_and_free(tiny_table):
    table = Table.from_arrays(tiny_table.space, [Curves("toy", (3,), {"val_acc": np.ones(1)})], cells=np.array([0]))
    script = Script(Trial(B, 3), Trial(A, 3))
    result = run(script, TabularBenchmark(table, "toy"), Budget(10, "evals"))
    assert script.told[0][1].status is Status.MISSING
    assert result.ledger.spent == 1


def test_7_a_trial_that_does_not_fit_is_not_started(toy):
    script = Script(Trial(A, 3), Trial(B, 3), Trial(C, 1))
    result = run(script, toy, Budget(50, "s"))
    assert result.ledger.spent == 30
    assert (len(script.told), result.status) == (1, "budget")


def test_7_rounding_does_not_cost_the_last_trial(tiny_table):
    curves = Curves("toy", (1,), {"val_acc": np.arange(64.0), "train_seconds": np.full(64, 0.1)})
    benchmark = TabularBenchmark(Table.from_arrays(tiny_table.space, [curves]), "toy")
    assert len(run(RandomSearch, benchmark, Budget(0.3, "s")).steps) == 3


def test_8_overhead_is_measured_beside_and_charged_on_request(toy):
    plain = run(RandomSearch, toy, Budget(20, "evals"))
    assert plain.overhead_seconds > 0
    assert {entry.kind for entry in plain.ledger.entries} == {Kind.TRAINING}
    charged = run(RandomSearch, toy, Budget(900, "s"), charge_overhead=True)
    assert 0 < charged.ledger.total(Kind.OVERHEAD).seconds < charged.ledger.total(Kind.TRAINING).seconds
    assert charged.ledger.spent <= 900 + charged.overhead_seconds


def test_8_building_a_strategy_is_overhead_too(toy):
    class Builder(Script):
        def __call__(self, problem, rng):
            time.sleep(0.05)
            return super().__call__(problem, rng)

    assert run(Builder(Trial(A, 3)), toy, Budget(20, "evals")).overhead_seconds >= 0.05
    charged = run(Builder(Trial(A, 3)), toy, Budget(100, "s"), charge_overhead=True)
    assert charged.ledger.total(Kind.OVERHEAD).seconds >= 0.05


def test_8_what_an_earlier_run_has_learned_is_not_free(toys):
    class Learner(Script):
        def ask(self):
            self.problem.sources().remember("lesson", functools.partial(time.sleep, 0.05))
            return super().ask()

    sources = functools.cache(lambda: read_sources((toys,), "toy1", ["toy0", "toy2"]))
    benchmark = TabularBenchmark(toys, "toy1", sources=sources)
    for _ in range(3):
        assert run(Learner(), benchmark, Budget(10, "evals")).overhead_seconds >= 0.05


def test_10_the_same_seed_gives_the_same_trace(toy):
    first, second, other = (run(RandomSearch, toy, Budget(30, "evals"), seed) for seed in (4, 4, 5))
    assert first.steps == second.steps
    assert first.incumbents == second.incumbents
    assert first.steps != other.steps


def test_strategies_are_never_told_a_test_accuracy(toy):
    script = Script(Trial(A, 3))
    run(script, toy, Budget(1, "evals"))
    assert set(Outcome._fields) == {"val_acc", "cost", "status"}
    reachable = repr(vars(script.problem)) + repr(script.told)
    assert "test_acc" not in reachable
    assert not any(isinstance(value, (Table, TabularBenchmark)) for value in vars(script.problem).values())


def test_observing_one_seed_is_noisy_named_and_shared_by_strategies(shipped):
    benchmark = TabularBenchmark(shipped, "cifar10")
    everything = [Trial(shipped.space.cell(i), 200) for i in range(200)]
    first, second = (run(Script(*everything), benchmark, Budget(200, "evals"), 3, n, "seed") for n in ("a", "b"))
    assert first.steps == second.steps
    assert {step.seed for step in first.steps} == {0, 1, 2}
    step = first.steps[17]
    assert step.outcome.val_acc == shipped.query(step.trial.cell, "cifar10", seed=step.seed).val_acc
    other = run(Script(*everything), benchmark, Budget(200, "evals"), 4, "a", "seed")
    assert [s.seed for s in other.steps] != [s.seed for s in first.steps]


def test_one_seed_is_of_those_that_a_schedule_has(nb201):
    """As in NATS-Bench, whose short and long trainings have other labels."""
    short, full = (np.full((len(nb201), n), 50.0) for n in (1, 3))
    curves = [Curves("t", (12,), {"val_acc": short}, (111,)), Curves("t", (200,), {"val_acc": full}, (777, 888, 999))]
    benchmark = TabularBenchmark(Table.from_arrays(nb201, curves), "t", schedule="ends")
    trials = [Trial(nb201.cell(i), epochs) for i in range(20) for epochs in (12, 200)]
    result = run(Script(*trials), benchmark, Budget(40, "evals"), observe="seed")
    assert result.missing == 0
    assert {step.seed for step in result.steps if step.trial.epochs == 12} == {111}
    assert {step.seed for step in result.steps if step.trial.epochs == 200} == {777, 888, 999}


def test_workers_share_one_purse_and_finish_in_order_of_time(nb201, shipped):
    benchmark = TabularBenchmark(shipped, "cifar10")
    one, four = (run(RandomSearch, benchmark, Budget(40, "evals"), 0, "r", workers=w) for w in (1, 4))
    assert one.ledger.spent == four.ledger.spent == 40
    assert sorted(s.trial for s in one.steps) == sorted(s.trial for s in four.steps)
    clocks = [s.clock for s in four.steps]
    assert clocks == sorted(clocks)
    total = four.ledger.total().seconds
    assert total / 4 <= clocks[-1] < total / 3
    assert one.steps[-1].clock == pytest.approx(total)


def test_a_trial_in_flight_is_not_paid_twice_nor_told_early(toy):
    script = Script(Trial(A, 3), Trial(A, 3), Trial(B, 1))
    result = run(script, toy, Budget(10, "evals"), workers=3)
    assert result.ledger.total().epochs == 4
    assert [trial for trial, _ in script.told] == [Trial(B, 1), Trial(A, 3), Trial(A, 3)]


def test_impossible_runs_are_refused(toy, shipped):
    with pytest.raises(NasbenchError, match="whole number of at least 0"):
        run(RandomSearch, toy, Budget(1, "evals"), seed=-1)
    with pytest.raises(NasbenchError, match="budget in s only"):
        run(RandomSearch, toy, Budget(1, "evals"), charge_overhead=True)
    with pytest.raises(NasbenchError, match="at least one worker"):
        run(RandomSearch, toy, Budget(1, "evals"), workers=0)
    with pytest.raises(NasbenchError, match="unknown way to observe"):
        run(RandomSearch, toy, Budget(1, "evals"), observe="median")
    with pytest.raises(NasbenchError, match="has no training flops"):
        run(RandomSearch, TabularBenchmark(shipped, "cifar10"), Budget(1e18, "flops"))
    with pytest.raises(NasbenchError, match="offers trainings of 1, 2, 3 epochs, not of 4"):
        run(Script(Trial(A, 4)), toy, Budget(9, "evals"))


def test_what_sources_cost_stands_beside_the_budget(toys):
    """Charging rule 9: on its own line, in no budget, and only where a run looked at the sources."""
    sources = functools.cache(lambda: read_sources((toys,), "toy1", ["toy0", "toy2"]))
    benchmark = TabularBenchmark(toys, "toy1", sources=sources)
    budget = Budget(10, "evals")
    found = {name: run(CATALOGUE[name], benchmark, budget, 0, name) for name in ("rank_transfer", "random_search")}
    assert found["random_search"].ledger.sources == {}
    for name, cost in found["rank_transfer"].ledger.sources.items():
        assert name in ("toy0", "toy2")
        assert cost == pytest.approx(Cost(729 * 2 * 2.0, 729 * 2 * 4.0, math.nan, 729 * 2.0), nan_ok=True)
    assert found["rank_transfer"].ledger.spent == found["random_search"].ledger.spent == 10
    assert {entry.kind for entry in found["rank_transfer"].ledger.entries} == {Kind.TRAINING}
    assert found["rank_transfer"].steps[-1].clock == 20.0  # ten trainings of two seconds, and none of the sources'


def test_a_run_that_learned_elsewhere_says_so_in_its_file(toys, tmp_path):
    suite = Suite("meta", ("toy1",), ("rank_transfer", "random_search"), 2, "5evals", sources=("toy0",))
    results = compare(suite, CATALOGUE, tmp_path / "out", toys, jobs=1)
    assert set(results.sources["strategy"]) == {"rank_transfer"}
    assert set(results.sources["source"]) == {"toy0"}
    assert (results.sources["evaluations"] == 729 * 2).all()
    assert (results.runs["spent"] == 5).all()


@pytest.mark.parametrize("sources", [("toy0",), ("toy0", "toy1")])
def test_a_page_says_that_results_leak_where_they_do(toys, tmp_path, sources):
    strategies = ("rank_transfer", "random_search")
    suite = Suite("leak", ("toy1",), strategies, 2, "5evals", sources=sources, target_among_sources=True)
    compare(suite, CATALOGUE, tmp_path / "out", toys, jobs=1)
    page = reports.write(tmp_path / "out").read_text()
    assert ("These results leak" in page) == ("toy1" in sources)
    assert "without the target" not in page


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sources": ("toy1",)}, "the source 'toy1' is the target"),
        ({"sources": ("elsewhere",)}, "unknown source task"),
        ({"leave_out": "nothing"}, "unknown way to leave sources out"),
        ({"target_among_sources": True}, "--sources names none"),
        ({"strategies": ("meta_bo-deep_kernel",), "sources": ("toy0",)}, "at least 2 source tasks, not 1"),
    ],
)
def test_a_comparison_with_wrong_sources_does_not_start(toys, tmp_path, changes, message):
    fields = {"name": "meta", "tasks": ("toy1",), "strategies": ("rank_transfer",), "seeds": 1, "budget": "5evals"}
    with pytest.raises(NasbenchError, match=message):
        compare(Suite(**{**fields, **changes}), CATALOGUE, tmp_path / "out", toys, jobs=1)
    assert not (tmp_path / "out").exists()
