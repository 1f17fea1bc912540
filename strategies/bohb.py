"""BOHB: Hyperband whose brackets begin with cells that a density model prefers, instead of random ones.

Falkner, Klein and Hutter, "BOHB: Robust and Efficient Hyperparameter Optimization at Scale", ICML 2018
(arXiv:1807.01774), with the defaults of its code (HpBandSter): on the most epochs that have enough results, a kernel
density of the best 15 % and one of the rest, and of 64 draws around the best the one with the highest ratio. Decisions
are categories, so kernels are Aitchison and Aitken's. A bandwidth is cut where it makes a kernel uniform, which the
code does not do. Charges trainings only, from where a cell's last one ended if the benchmark resumes them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasbench.errors import NasbenchError
from nasbench.records import Cell, Outcome, Status, Trial
from nasbench.runs.strategy import Problem

from .rungs import Brackets, check_eta, choose_rungs, hyperband_plans


@dataclass(frozen=True)
class Settings:
    """How brackets begin.

    Attributes:
        eta: one cell in so many goes on to the next rung.
        random_share: probability of a uniform draw in place of the model's.
        top_share: share of the results that counts as good; at least one more than the space has decisions do.
        draws: cells drawn around the good ones, of which the best by the model is trained.
        min_bandwidth: least bandwidth of a kernel, so that a decision on which all good cells agree may change.
    """

    eta: int = 3
    random_share: float = 1 / 3
    top_share: float = 0.15
    draws: int = 64
    min_bandwidth: float = 1e-3

    def __post_init__(self) -> None:
        check_eta(self.eta)
        if not (0 <= self.random_share <= 1 and 0 < self.top_share < 1 and self.draws >= 1 and self.min_bandwidth > 0):
            raise NasbenchError(f"bohb needs shares from 0 to 1, 1 draw or more and a bandwidth above 0, not {self}.")


class Bohb:
    """Hyperband's brackets, filled by the model; a failed training counts as a bad one."""

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        self._space, self._rng, self._settings = problem.space, rng, settings
        rungs = choose_rungs(problem, settings.eta, "bohb")
        self._brackets = Brackets(hyperband_plans(rungs, settings.eta))
        self._sizes = np.array(problem.space.choices)
        self._results: dict[int, list[tuple[float, Cell]]] = {epochs: [] for epochs in reversed(rungs)}

    def ask(self) -> Trial | None:
        return self._brackets.ask(self._draw)

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        value = outcome.val_acc if outcome.status is Status.OK else -np.inf
        self._results[trial.epochs].append((value, trial.cell))
        self._brackets.tell(trial, outcome)

    def _draw(self, epochs: int) -> Cell | None:
        """The model's cell of those that were not asked at so many epochs, or a uniform one."""
        taken, least = self._brackets.taken(epochs), len(self._sizes) + 1
        results = next((found for found in self._results.values() if len(found) >= 2 * least), None)
        if results is not None and self._rng.random() >= self._settings.random_share:
            ranked = [cell for _, cell in sorted(results, key=lambda result: -result[0])]
            split = max(least, int(self._settings.top_share * len(ranked)))
            for cell in self._propose(ranked[:split], ranked[split:]):
                if cell is not None and cell not in taken:
                    return cell
        return self._space.sample_except(taken, self._rng)

    def _propose(self, good: list[Cell], bad: list[Cell]) -> list[Cell | None]:
        """Cells drawn from the density of `good`, in descending order of its ratio to that of `bad`."""
        above, below = (np.array([self._space.to_choices(cell) for cell in cells]) for cells in (good, bad))
        width = self._bandwidth(above)
        centre = above[(self._rng.random(self._settings.draws) * len(above)).astype(int)]
        other = (self._rng.random(centre.shape) * self._sizes).astype(int)
        drawn = np.where(self._rng.random(centre.shape) < width, other, centre)
        ratio = self._density(drawn, above, width) / self._density(drawn, below, self._bandwidth(below))
        return [self._space.from_choices(drawn[i].tolist()) for i in np.argsort(-ratio, kind="stable")]

    def _bandwidth(self, points: np.ndarray) -> np.ndarray:
        """The normal reference rule for decisions [n, d] as statsmodels applies it, between its two bounds."""
        rule = 1.06 * points.std(axis=0) * len(points) ** (-1 / (4 + points.shape[1]))
        return np.clip(
            rule, self._settings.min_bandwidth, np.maximum(1 - 1 / self._sizes, self._settings.min_bandwidth)
        )

    def _density(self, at: np.ndarray, points: np.ndarray, width: np.ndarray) -> np.ndarray:
        """Mean over the points of the product of their kernels, for decisions [m, d]."""
        same = at[:, None, :] == points[None, :, :]
        return np.where(same, 1 - width, width / np.maximum(self._sizes - 1, 1)).prod(axis=2).mean(axis=1)
