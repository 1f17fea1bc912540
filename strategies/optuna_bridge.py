"""Any sampler of Optuna on the decisions of a cell space; `tpe` is its tree-structured Parzen estimator.

Akiba et al., "Optuna", KDD 2019 (arXiv:1907.10902); Bergstra et al., "Algorithms for Hyper-Parameter Optimization",
NeurIPS 2011. Needs the extra `optuna`. Decisions that describe no cell are told as failed and asked again; 4 ms a
trial. Charges trainings only.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nasbench.errors import NasbenchError, unknown
from nasbench.records import Cell, Outcome, Status, Trial
from nasbench.runs.strategy import Problem

if TYPE_CHECKING:
    import optuna

DRAWS = 200
"""Draws for decisions that describe a cell."""


@dataclass(frozen=True)
class Settings:
    """sampler: the name of a class in optuna.samplers that can be seeded."""

    sampler: str = "TPESampler"


class OptunaSearch:
    """Optuna's ask and tell; a cell that comes again is answered from memory by the runner, at no cost."""

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        try:
            import optuna
        except ImportError:
            raise NasbenchError("this strategy needs the package optuna: pip install 'nasbench[optuna]'.") from None
        self._space, self._full, self._rng = problem.space, problem.full, rng
        samplers = {name for name in dir(optuna.samplers) if name.endswith("Sampler")}
        if settings.sampler not in samplers:
            raise unknown("sampler of Optuna", settings.sampler, samplers)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = getattr(optuna.samplers, settings.sampler)(seed=int(rng.integers(2**31)))
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._distributions: dict[str, optuna.distributions.BaseDistribution] = {
            f"{i}": optuna.distributions.CategoricalDistribution(range(n)) for i, n in enumerate(self._space.choices)
        }
        self._flying: dict[Cell, list[optuna.trial.Trial]] = {}

    def ask(self) -> Trial:
        from optuna.trial import TrialState

        for _ in range(DRAWS):
            asked = self._study.ask(self._distributions)
            cell = self._space.from_choices([int(asked.params[name]) for name in self._distributions])
            if cell is not None:
                self._flying.setdefault(cell, []).append(asked)
                return Trial(cell, self._full)
            self._study.tell(asked, state=TrialState.FAIL)
        return Trial(self._space.sample(self._rng), self._full)

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        from optuna.trial import TrialState

        flying = self._flying.get(trial.cell)
        if not flying:
            return  # a uniform draw, which the sampler knows nothing of
        if outcome.status is Status.OK:
            self._study.tell(flying.pop(), outcome.val_acc)
        else:
            self._study.tell(flying.pop(), state=TrialState.FAIL)
