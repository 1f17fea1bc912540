"""A generator of cells for a task, g: T -> A: how likely each cell is the one to train, given the task's descriptor.

The generator of MetaD2A (Lee et al., "Rapid Neural Architecture Search by Learning to Generate Graphs from Datasets",
ICLR 2021): it learns to make the best cells of every source from that source's descriptor, and so makes some for a new
one. A cell is made decision by decision, each given those before. `improve` moves it by REINFORCE towards cells that an
evaluator of the target likes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nasbench.tables.source_tasks import Sources

from ..neural.ensemble import one_thread
from .conditioned import descriptors
from .neural import Weights, evaluate, flat, perceptron
from .standings import standings

BATCH = 128


class CellGenerator:
    """Learned on the sources when built; `copy` one for every run, as `improve` changes it.

    Args:
        components: of the descriptors that it sees, at most.
        width: units in each of two hidden layers.
        share: of the space's cells, by where they stand on a source, that it learns to make.
        steps, rate: of gradient descent (Adam) on 128 of these cells.
        random_state: seed.
    """

    def __init__(
        self,
        sources: Sources,
        components: int = 4,
        width: int = 64,
        share: float = 0.02,
        steps: int = 600,
        rate: float = 3e-3,
        random_state: int = 0,
    ) -> None:
        space = sources.space.whole
        self._sizes = tuple(space.choices)
        known, target = descriptors(sources, components)
        self._target = torch.as_tensor(target, dtype=torch.float32)
        generator = torch.Generator().manual_seed(random_state)
        inputs = sum(self._sizes) + len(self._sizes) + len(target)
        self.weights = perceptron((inputs, width, width, max(self._sizes)), generator)
        most = max(1, round(share * len(space)))
        best = np.argsort(-standings(sources), axis=0, kind="stable")[:most].T
        cells = torch.as_tensor(np.asarray(space.cells, np.int64)[best])  # [s, most, d]
        tasks = torch.as_tensor(known, dtype=torch.float32)
        optimizer = torch.optim.Adam(flat(self.weights), lr=rate)
        with one_thread():
            for _ in range(steps):
                task = torch.randint(len(known), (BATCH,), generator=generator)
                cell = cells[task, torch.randint(most, (BATCH,), generator=generator)]
                optimizer.zero_grad()
                (-self._log_chance(self.weights, cell, tasks[task]).mean()).backward()
                optimizer.step()
        self.weights = {name: tensor.detach() for name, tensor in self.weights.items()}

    def copy(self) -> CellGenerator:
        """One that learns apart from this one."""
        made = object.__new__(CellGenerator)
        made.__dict__ = {**self.__dict__, "weights": dict(self.weights)}
        return made

    def _log_chance(self, weights: Weights, cells: Tensor, tasks: Tensor) -> Tensor:
        """Logarithms [m] of the chances of cells [m, d] for descriptors [m, k]."""
        known = torch.cat(
            [torch.nn.functional.one_hot(cells[:, i], size) for i, size in enumerate(self._sizes)], dim=1
        ).to(torch.float32)
        ends = np.cumsum([0, *self._sizes])
        total = torch.zeros(len(cells))
        for i, size in enumerate(self._sizes):
            before = torch.cat([known[:, : ends[i]], torch.zeros(len(cells), int(ends[-1] - ends[i]))], dim=1)
            place = torch.zeros(len(cells), len(self._sizes))
            place[:, i] = 1
            logits = evaluate(weights, torch.cat([before, place, tasks], dim=1))[:, :size]
            total = total + torch.log_softmax(logits, dim=1).gather(1, cells[:, i : i + 1]).squeeze(1)
        return total

    def log_chances(self, cells: np.ndarray) -> np.ndarray:
        """Logarithms [m] of the chances with which it makes cells [m, d] for the target."""
        with one_thread(), torch.no_grad():
            chosen = torch.as_tensor(cells)
            found: np.ndarray = self._log_chance(self.weights, chosen, self._target.expand(len(cells), -1)).numpy()
        return found

    def improve(self, cells: np.ndarray, rewards: np.ndarray, rate: float) -> None:
        """One step of REINFORCE (Williams 1992) on cells [m, d] that it drew, with their mean reward as baseline."""
        weights = {name: tensor.clone() for name, tensor in self.weights.items()}
        leaves = flat(weights)
        advantage = torch.as_tensor((rewards - rewards.mean()) / (rewards.std() + 1e-9), dtype=torch.float32)
        with one_thread():
            chances = self._log_chance(weights, torch.as_tensor(cells), self._target.expand(len(cells), -1))
            slopes = torch.autograd.grad(-(advantage * chances).mean(), leaves)
        self.weights = {
            name: leaf.detach() - rate * slope for name, leaf, slope in zip(weights, leaves, slopes, strict=True)
        }  # fmt: skip
