"""One run: a strategy against a benchmark until the budget is gone, on an event-driven clock.

Whatever is random comes from generators derived from (seed, task, strategy's name), and nothing that is measured in
real time enters the trace, so that the same seed gives the same trace byte for byte.
"""

from __future__ import annotations

import heapq
import math
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isnan
from typing import Any, NamedTuple

import numpy as np

from ..benchmarks import Benchmark
from ..errors import NasbenchError, unknown
from ..processes import one_blas_thread
from ..records import Cell, Cost, Outcome, Score, Status, Trial
from ..tables.source_tasks import Sources, working_clock
from .budget import Budget, Kind, Ledger
from .strategy import Factory, Problem, Strategy

OBSERVE = ("mean", "seed")
UNKNOWN = Outcome(math.nan, Cost(0.0, 0.0, 0.0, 0.0), Status.MISSING)
"""The answer to a trial without a result, or whose cost in the budget's currency is unknown."""
STALL = 1000
"""A run that asks this many known trials in a row ends as `stalled` (charging rule 3)."""


class BudgetSpent(NasbenchError):
    """A strategy's own work no longer fits into the budget: raised by `Problem.charge`, and ends the run."""


class Step(NamedTuple):
    """One finished training."""

    trial: Trial
    seed: int | None
    """Training seed that was observed; None for the mean over seeds."""
    outcome: Outcome
    spent: float
    """Budget used up when it finished, everything in flight included."""
    clock: float
    """Simulated time at which it finished: seconds, or epochs where the benchmark has no seconds."""


class Incumbent(NamedTuple):
    """A cell that was the best so far, from its step on."""

    step: int
    cell: Cell
    score: Score


@dataclass
class Run:
    """What one run did.

    Attributes:
        status: `budget` (spent), `finished` (the strategy had nothing left to ask), `stalled` (1,000 known trials in a
            row) or `missing` (the same, most of them without results).
        repeats: trials that were answered from memory at no cost.
        missing: trials that the benchmark has no result or no price for; they cost nothing.
        overhead_seconds: measured time in the strategy, from when it is built; not part of the trace. What it found
            learned already by an earlier run of the same process counts as if it had learned it.
    """

    budget: Budget
    status: str = "budget"
    steps: list[Step] = field(default_factory=list)
    incumbents: list[Incumbent] = field(default_factory=list)
    ledger: Ledger = field(init=False)
    repeats: int = 0
    missing: int = 0
    overhead_seconds: float = 0.0

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.budget)


def generator(seed: int, *names: str) -> np.random.Generator:
    """The random generator that belongs to a seed and any names, independent of all others.

    NasbenchError for a seed that is not a whole number of at least 0.
    """
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise NasbenchError(f"a run's seed is a whole number of at least 0, not {seed!r}.")
    return np.random.default_rng([int(seed), *(zlib.crc32(name.encode()) for name in names)])


def check_budget(benchmark: Benchmark, budget: Budget) -> None:
    """NasbenchError if the benchmark does not know the budget's currency."""
    for currency, has in (("seconds", "has_seconds"), ("flops", "has_flops")):
        if budget.currency == currency and not getattr(benchmark, has, True):
            raise NasbenchError(
                f"{benchmark.task!r} has no training {currency}, so {str(budget)!r} cannot be charged; "
                "use evals or epochs."
            )


def run(
    factory: Factory,
    benchmark: Benchmark,
    budget: Budget | str,
    seed: int = 0,
    name: str = "",
    observe: str = "mean",
    workers: int = 1,
    charge_overhead: bool = False,
) -> Run:
    """Let one strategy search one benchmark.

    Args:
        factory: builds the strategy; `name` tells its random stream from other strategies' under the same seed.
        budget: or its text, such as "30evals".
        observe: what a trial without a seed shows: "mean" over the training seeds that exist, or one named "seed",
            drawn once per cell and the same for all strategies under the same run seed.
        workers: simulated workers, each training one trial at a time; the budget is their common purse.
        charge_overhead: add the strategy's measured seconds to the ledger; the run is then not reproducible.
    """
    if not callable(factory):
        raise NasbenchError(f"a strategy is given by its class, such as CATALOGUE['local_search'], not as {factory!r}.")
    budget = Budget.parse(budget) if isinstance(budget, str) else budget
    check_budget(benchmark, budget)
    if charge_overhead and budget.unit != "s":
        raise NasbenchError(
            f"overhead is measured in seconds and can be charged to a budget in s only, not to {budget}."
        )
    if observe not in OBSERVE:
        raise unknown("way to observe", observe, OBSERVE)
    if workers < 1:
        raise NasbenchError(f"a run needs at least one worker, not {workers}.")
    started = Run(budget)
    timer = time.perf_counter if getattr(benchmark, "sources", None) is None else working_clock
    began = timer()
    strategy = factory(make_problem(benchmark, budget, started.ledger), generator(seed, benchmark.task, name))
    started.overhead_seconds = max(0.0, timer() - began - started.ledger.measured)
    draw = _seed_of_cell(benchmark, seed) if observe == "seed" else None
    with one_blas_thread():
        return _Runner(strategy, benchmark, started, draw).loop(workers, charge_overhead, timer)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def make_problem(benchmark: Benchmark, budget: Budget, ledger: Ledger) -> Problem:
    """What a strategy is told; its own expenses go into the ledger."""

    def charge(kind: Kind | str, cost: Cost, measured: bool = False) -> None:
        try:
            kind = Kind(kind)
        except ValueError:
            raise unknown("kind of expense", kind, map(str, Kind)) from None
        if not isinstance(cost, tuple) or len(cost) != len(Cost._fields) or not all(map(_is_number, cost)):
            raise NasbenchError(f"an expense is a Cost of seconds, epochs, flops and evaluations, not {cost!r:.80}.")
        cost = Cost(*cost)
        if kind is Kind.TRAINING:
            raise NasbenchError("trainings are charged by the runner; a strategy charges its own work only.")
        if any(value < 0 or value == math.inf for value in cost):
            raise NasbenchError(f"an expense is at least 0 in every currency and finite, not {cost}.")
        if not ledger.fits(cost):
            ledger.closed = True
            raise BudgetSpent("a strategy's own work no longer fits into the budget.")
        ledger.charge(kind, cost)
        if measured and not isnan(cost.seconds):
            ledger.measured += cost.seconds

    def spent() -> float:
        return ledger.spent / budget.amount if budget.amount else 1.0

    offered: Callable[[], Sources] | None = getattr(benchmark, "sources", None)
    noted: list[Sources] = []

    def sources() -> Sources:
        assert offered is not None
        if not noted:
            noted.append(offered())
            ledger.sources = {task.name: task.cost for task in noted[0]}
        return noted[0]

    return Problem(
        getattr(benchmark, "search_space", benchmark.space), benchmark.epochs, budget, benchmark.resumable,
        benchmark.task, benchmark.descriptor, benchmark.identity, getattr(benchmark, "measures", {}),
        getattr(benchmark, "images", None), getattr(benchmark, "probing", None),
        None if offered is None else sources, charge, spent,
    )  # fmt: skip


def _seed_of_cell(benchmark: Benchmark, seed: int) -> Callable[[Cell, int], int | None]:
    """Draws a training seed per cell, of those that it has with so many epochs; two strategies under one run seed see
    the same noise."""
    uniform = generator(seed, benchmark.task, "observed seed").random(len(benchmark.space))
    number: Callable[[Cell], Any] = benchmark.identity or benchmark.space.index

    def draw(cell: Cell, epochs: int) -> int | None:
        labels = benchmark.seeds(cell, epochs)
        return labels[int(uniform[number(cell)] * len(labels))] if labels else None

    return draw


class _Runner:
    """The loop of one run and what it remembers.

    `known` holds outcomes by what was trained, `landing` when each training in flight will finish, `paid` up to which
    epoch each resumable curve was paid for, at which cost, and when that training finishes.
    """

    def __init__(
        self, strategy: Strategy, benchmark: Benchmark, run: Run, draw: Callable[[Cell, int], int | None] | None
    ) -> None:
        self.strategy, self.benchmark, self.run, self.draw = strategy, benchmark, run, draw
        self.simple = benchmark.identity is None and draw is None
        self.known: dict[tuple, Outcome] = {}
        self.landing: dict[tuple, float] = {}
        self.paid: dict[tuple, tuple[int, Cost, float]] = {}
        self.best: tuple[int, float] = (0, -math.inf)
        self.flying: list[tuple[float, int, Trial, tuple, Outcome]] = []

    def loop(self, workers: int, charge_overhead: bool, timer: Callable[[], float]) -> Run:
        """While a worker is free and budget is left, ask; otherwise let the earliest training finish."""
        run, ledger, known, flying, landing = self.run, self.run.ledger, self.known, self.flying, self.landing
        ask, tell, evaluate = self.strategy.ask, self.strategy.tell, self.benchmark.evaluate
        resumable, simple = self.benchmark.resumable, self.simple
        currency, entries = run.budget.column, ledger.entries
        unit = 0 if getattr(self.benchmark, "has_seconds", True) else 1
        thinking = run.overhead_seconds
        booked, charged, worked = len(entries), 0.0, ledger.measured
        clock = sum(entry.cost[unit] for entry in entries if not isnan(entry.cost[unit]))
        order = in_a_row = 0
        asking = ledger.affordable
        while True:
            if asking and len(flying) < workers:
                began = timer()
                try:
                    trial = ask()
                except BudgetSpent:
                    trial = None
                thinking += timer() - began
                if len(entries) > booked:
                    own = entries[booked:]
                    booked = len(entries)
                    clock += sum(entry.cost[unit] for entry in own if not isnan(entry.cost[unit]))
                    # what was really done on the training device is no overhead
                    thinking -= min(thinking - charged, ledger.measured - worked)
                    worked = ledger.measured
                if ledger.closed:
                    asking = False
                    continue
                if charge_overhead:
                    thought = thinking - charged
                    fits = ledger.fits(Cost(thought, 0.0, 0.0, 0.0))
                    thought = thought if fits else run.budget.amount - ledger.spent
                    ledger.charge(Kind.OVERHEAD, Cost(thought, 0.0, 0.0, 0.0))
                    clock, charged, booked = clock + thought, thinking, len(entries)
                    if not fits:  # the budget was used up by thinking, and this trial came too late
                        asking = False
                        continue
                if trial is not None:
                    if not isinstance(trial, Trial):
                        raise NasbenchError(f"its ask returned {trial!r:.60}, which is neither a Trial nor None")
                    key = trial if simple else self.key(trial)
                    outcome = known.get(key)
                    if outcome is None:
                        (outcome,) = evaluate((trial if simple else trial._replace(seed=key[2]),))
                        cost, start, ready = outcome.cost, clock, landing.get(key)
                        if resumable and ready is None:
                            cost, start, ready = self.resume(key, cost, clock)
                        order += 1
                        if ready is not None and ready > clock:  # trained by another worker: wait for that one
                            heapq.heappush(flying, (ready, order, trial, (), outcome))
                            run.repeats += 1
                            continue
                        if ready is None and outcome.status is not Status.MISSING and not isnan(cost[currency]):
                            if not ledger.fits(cost):
                                asking = False  # charging rule 7; what is in flight may still finish
                                continue
                            ledger.charge(Kind.TRAINING, cost)
                            booked = len(entries)
                            in_a_row = 0
                            asking = ledger.affordable
                            finish = start + (0.0 if isnan(cost[unit]) else cost[unit])
                            if resumable:
                                self.paid[key[0], key[2]] = (key[1], outcome.cost, finish)
                            if workers > 1:
                                landing[key] = finish
                                heapq.heappush(flying, (finish, order, trial, key, outcome))
                                continue
                            clock = finish
                            self.record(trial, key, outcome, clock)
                            began = timer()
                            try:
                                tell(trial, outcome)
                            except BudgetSpent:
                                asking = False
                            thinking += timer() - began
                            continue
                        known[key] = outcome = outcome if ready is not None else UNKNOWN
                    if outcome.status is Status.MISSING:
                        run.missing += 1
                    else:
                        run.repeats += 1
                    in_a_row += 1
                    asking = in_a_row < STALL
                    began = timer()
                    try:
                        tell(trial, outcome)
                    except BudgetSpent:
                        asking = False
                    thinking += timer() - began
                    continue
                if not flying:
                    run.status = "finished"
                    break
            if not flying:
                if in_a_row >= STALL:
                    run.status = "missing" if run.missing > run.repeats else "stalled"
                break
            finish, _, trial, key, outcome = heapq.heappop(flying)
            clock = max(clock, finish)  # the strategy may have worked on while this was trained
            if key:
                del landing[key]
                self.record(trial, key, outcome, clock)
            began = timer()
            try:
                tell(trial, outcome)
            except BudgetSpent:
                asking = False
            thinking += timer() - began
        run.overhead_seconds = thinking - min(thinking - charged, ledger.measured - worked)
        return run

    def record(self, trial: Trial, key: tuple, outcome: Outcome, clock: float) -> None:
        """Enter a finished training into the memory and the trace, and see whether it is the new incumbent."""
        run = self.run
        self.known[key] = outcome
        run.steps.append(Step(trial, key[2], outcome, run.ledger.spent, clock))
        found = trial.epochs, outcome.val_acc
        if outcome.status is Status.OK and found > self.best and not isnan(outcome.val_acc):
            self.best = found
            run.incumbents.append(Incumbent(len(run.steps) - 1, trial.cell, self.benchmark.score(trial.cell)))

    def key(self, trial: Trial) -> tuple:
        """What is trained, for how long and with which seed: (cell or class, epochs, seed)."""
        identity = self.benchmark.identity
        seed = self.draw(trial.cell, trial.epochs) if self.draw is not None and trial.seed is None else trial.seed
        return (trial.cell if identity is None else identity(trial.cell), trial.epochs, seed)

    def resume(self, key: tuple, cost: Cost, clock: float) -> tuple[Cost, float, float | None]:
        """What more epochs of a curve cost, when they can start, and when they are there if they are paid already.

        A trial on a curve that was paid for to a later epoch is free (charging rule 5) and known once that training
        has finished; a longer one costs the difference and starts where the former ends.
        """
        if (key[0], key[2]) not in self.paid:
            return cost, clock, None
        epochs, before, finish = self.paid[key[0], key[2]]
        if epochs >= key[1]:
            return cost, clock, finish
        rest = Cost(*(max(0.0, a - b) for a, b in zip(cost, before, strict=True)))
        return rest, max(clock, finish), None
