"""REINFORCE with a recurrent controller, which makes the decisions one after another, each seeing those before.

Zoph and Le, "Neural Architecture Search with Reinforcement Learning", ICLR 2017 (arXiv:1611.01578): two layers of 35
units, weights from [-0.08, 0.08], Adam at a rate of 0.0006, and a moving mean of the rewards as baseline (its momentum
is not in the paper). The paper trains 12,800 cells; after 200 the controller has hardly moved, and rates of 0.003, 0.01
and 0.02 were no better on digits (seeds 1000-1011). Charges trainings only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasbench.records import Cell, Outcome, Status, Trial
from nasbench.runs.strategy import Problem

from .controller import Controller
from .policy import Adam

BATCH, BATCHES = 8, 8
"""Draws from the controller at a time, and times, for a cell that is valid and new, before a uniform one is taken."""


@dataclass(frozen=True)
class Settings:
    """units: of each layer; layers; learning_rate: Adam's; momentum: of the baseline; start: bound of first weights."""

    units: int = 35
    layers: int = 2
    learning_rate: float = 0.0006
    momentum: float = 0.9
    start: float = 0.08


class ReinforceLstm:
    """Rewards are accuracies as fractions; a failed training is rewarded with 0, a known cell is drawn again."""

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        self._space, self._full, self._rng, self._settings = problem.space, problem.full, rng, settings
        self._decisions = len(problem.space.choices)
        self._controller = Controller(problem.space.choices, settings.units, settings.layers, settings.start, rng)
        self._adam = Adam(settings.learning_rate)
        self._updates, self._rewards = 0, 0.0
        self._asked: set[Cell] = set()
        self._drawn: dict[Cell, list[int]] = {}

    def ask(self) -> Trial:
        cell = self._draw() if len(self._asked) < len(self._space) else None
        if cell is None:
            cell = self._space.sample(self._rng)
        self._asked.add(cell)
        return Trial(cell, self._full)

    def _draw(self) -> Cell | None:
        for _ in range(BATCHES):
            for decisions in self._controller.draw(self._rng.random((BATCH, self._decisions))).tolist():
                cell = self._space.from_choices(decisions)
                if cell is not None and cell not in self._asked:
                    self._drawn[cell] = decisions
                    return cell
        return None

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        if trial.cell not in self._drawn:
            return  # not drawn from the controller, so no estimate of its gradient
        momentum = self._settings.momentum
        reward = outcome.val_acc / 100 if outcome.status is Status.OK else 0.0
        self._updates += 1
        self._rewards = momentum * self._rewards + (1 - momentum) * reward
        advantage = reward - self._rewards / (1 - momentum**self._updates)
        gradient = self._controller.gradient(self._drawn[trial.cell])
        self._controller.weights = self._adam.step(self._controller.weights, -advantage * gradient)
