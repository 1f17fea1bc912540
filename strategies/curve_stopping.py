"""Regularised evolution that gives up trainings whose learning curve will not reach the best.

Domhan, Springenberg and Hutter, "Speeding Up Automatic Hyperparameter Optimization of Deep Neural Networks by
Extrapolation of Learning Curves", IJCAI 2015: after a part of the epochs the curve is extrapolated, and the training
goes on only if it may still beat the best so far. Extrapolations are corrected by what those of finished trainings were
off.
Charges the epochs that were trained, as far as the benchmark can resume trainings; a cell that is given up joins the
population with its forecast. The thresholds are not checked against the paper.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from nasbench.errors import NasbenchError
from nasbench.records import Cell, Outcome, Status, Trial
from nasbench.runs.strategy import Problem
from surrogates.curves import PowerLaw

from .regularized_evolution import RegularizedEvolution
from .regularized_evolution import Settings as EvolutionSettings


@dataclass(frozen=True)
class Settings:
    """share: of the epochs after which a training may be given up; finished: trainings that are never given up, from
    which the extrapolation learns how far it is off; chance: of beating the best, below which one is given up."""

    share: float = 0.4
    finished: int = 10
    chance: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.share < 1 or not 0 < self.chance < 1 or self.finished < 2:
            raise NasbenchError(
                f"share and chance lie between 0 and 1, and at least 2 trainings are finished; not {self}."
            )


class CurveStopping(RegularizedEvolution):
    """Every cell is asked for at its first epochs one by one, and then to the end or not at all."""

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        problem.require("curves", "early stopping")
        super().__init__(problem, rng, EvolutionSettings())
        self._stopping = settings
        last = max(1, min(len(problem.epochs) - 1, round(settings.share * len(problem.epochs))))
        self._early = problem.epochs[:last]
        self._curves: dict[Cell, list[float]] = {}
        self._ends: dict[Cell, float] = {}
        self._queue: list[Trial] = []

    def ask(self) -> Trial:
        return self._queue.pop(0) if self._queue else Trial(super().ask().cell, self._early[0])

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        if outcome.status is not Status.OK or trial.epochs == self._full:
            if outcome.status is Status.OK:
                self._ends[trial.cell] = outcome.val_acc
            super().tell(trial, outcome)
            return
        curve = self._curves.setdefault(trial.cell, [])
        step = self._early.index(trial.epochs)
        if step == len(curve):
            curve.append(outcome.val_acc)
        if step + 1 < len(self._early):
            self._queue.append(Trial(trial.cell, self._early[step + 1]))
        elif (forecast := self._hopeless(trial.cell)) is None:
            self._queue.append(Trial(trial.cell, self._full))
        else:
            super().tell(trial, outcome._replace(val_acc=forecast))

    def _hopeless(self, cell: Cell) -> float | None:
        """The forecast for a cell whose training is given up; None for one that goes on."""
        known = [other for other in self._ends if len(self._curves.get(other, ())) == len(self._early)]
        if cell in self._ends or len(known) < self._stopping.finished:
            return None
        rows = np.array([self._curves[other] for other in [*known, cell]])
        rows = np.hstack([rows, np.zeros_like(rows)])  # the losses, which a benchmark does not show
        law = PowerLaw(self._full).fit(rows[:-1], np.array([self._ends[other] for other in known]))
        mean, spread = law.predict(rows[-1:], return_std=True)
        hope = 1 - ndtr((max(self._ends.values()) - mean[0]) / max(spread[0], 1e-9))
        return float(mean[0]) if hope < self._stopping.chance else None
