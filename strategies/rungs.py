"""Rungs and brackets: what the multi-fidelity strategies share.

A rung is a number of epochs, a bracket one run of successive halving: so many cells on its first rung, the best of
them on the next, up to full training. Sizes as in Li et al., "Hyperband", JMLR 2018 (arXiv:1603.06560).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from nasbench.errors import NasbenchError
from nasbench.records import Cell, Outcome, Status, Trial
from nasbench.runs.strategy import Problem

Draw = Callable[[int], Cell | None]
"""A cell that was not asked for at so many epochs before, or None if there is none left."""


class Plan(NamedTuple):
    """A bracket to be opened: the epochs of its rungs, ascending, and how many cells each holds."""

    epochs: tuple[int, ...]
    sizes: tuple[int, ...]


def check_eta(eta: int) -> None:
    """NasbenchError unless a rung can keep one in `eta` cells."""
    if eta < 2:
        raise NasbenchError(f"eta is the ratio between two rungs, a whole number of at least 2, not {eta}.")


def choose_rungs(problem: Problem, eta: int, who: str) -> tuple[int, ...]:
    """Full training and downwards in steps of `eta`, each the nearest (on a log scale) of the epochs on offer.

    NasbenchError where the benchmark has no learning curves; `who` is the strategy that needs them.
    """
    problem.require("curves", who)
    rungs, aim = {problem.full}, problem.full / eta
    while aim >= problem.epochs[0]:
        rungs.add(min(problem.epochs, key=lambda epochs: abs(math.log(epochs / aim))))
        aim /= eta
    return tuple(sorted(rungs if len(rungs) > 1 else {*rungs, problem.epochs[0]}))


def hyperband_plans(rungs: Sequence[int], eta: int) -> list[Plan]:
    """One bracket for every first rung, lowest first; n = ceil(k / (s + 1) * eta^s) cells for k rungs, s of them above.

    That is line 3 of the paper's Algorithm 1, with rungs as powers of eta.
    """
    plans = []
    for above in range(len(rungs) - 1, -1, -1):
        cells = math.ceil(len(rungs) * eta**above / (above + 1))
        plans.append(Plan(tuple(rungs[-above - 1 :]), tuple(cells // eta**i for i in range(above + 1))))
    return plans


class Brackets:
    """Brackets opened one after another, as their plans come round; a new one also where all others wait."""

    def __init__(self, plans: Sequence[Plan]) -> None:
        self._plans = plans
        self._open: list[_Bracket] = []
        self._opened = 0
        self._owners: dict[Trial, list[_Bracket]] = {}
        self._taken: dict[int, set[Cell]] = {epochs: set() for plan in plans for epochs in plan.epochs}

    def taken(self, epochs: int) -> set[Cell]:
        """Cells that were asked for at so many epochs."""
        return self._taken[epochs]

    def ask(self, draw: Draw) -> Trial | None:
        """The next trial, its cell drawn where a bracket begins; None if there is nothing to ask now."""
        self._open = [bracket for bracket in self._open if not bracket.done]
        for bracket in self._open:
            trial = bracket.ask(draw)
            if trial is not None:
                return self._note(trial, bracket)
        for _ in self._plans:
            bracket = _Bracket(self._plans[self._opened % len(self._plans)])
            self._opened += 1
            trial = bracket.ask(draw)
            if trial is not None:
                self._open.append(bracket)
                return self._note(trial, bracket)
        return None

    def _note(self, trial: Trial, bracket: _Bracket) -> Trial:
        self._owners.setdefault(trial, []).append(bracket)
        self._taken[trial.epochs].add(trial.cell)
        return trial

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Hand the outcome to the bracket that asked."""
        value = outcome.val_acc if outcome.status is Status.OK else -math.inf
        self._owners[trial].pop(0).tell(trial.cell, value)


class _Bracket:
    """One run of successive halving; a failed training is never promoted."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._level, self._left, self._flying = 0, plan.sizes[0], 0
        self._queue: list[Cell] = []
        self._results: list[tuple[float, Cell]] = []

    @property
    def done(self) -> bool:
        return self._level == len(self._plan.sizes)

    def ask(self, draw: Draw) -> Trial | None:
        cell = None
        if self._left:
            self._left -= 1
            cell = draw(self._plan.epochs[0])
            if cell is None:
                self._left = 0
                self._climb()
        if cell is None:
            if not self._queue:
                return None
            cell = self._queue.pop(0)
        self._flying += 1
        return Trial(cell, self._plan.epochs[self._level])

    def tell(self, cell: Cell, value: float) -> None:
        self._flying -= 1
        self._results.append((value, cell))
        self._climb()

    def _climb(self) -> None:
        """Open the next rung once this one is complete."""
        if self._left or self._queue or self._flying:
            return
        ranked = sorted(self._results, key=lambda result: -result[0])
        self._level, self._results = self._level + 1, []
        if not self.done:
            best = [cell for value, cell in ranked if value > -math.inf]
            self._queue = best[: self._plan.sizes[self._level]]
            if not self._queue:
                self._level = len(self._plan.sizes)
