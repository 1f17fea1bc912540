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

    def _choice(self, weights: Weights, cells: Tensor, tasks: Tensor, i: int) -> Tensor:
        """Logarithms [m, c] of the chances of the c choices of decision i, after those before it in cells [m, d]."""
        before = [torch.nn.functional.one_hot(cells[:, k], size) for k, size in enumerate(self._sizes[:i])]
        later = torch.zeros(len(cells), sum(self._sizes[i:]), dtype=torch.int64)
        place = torch.zeros(len(cells), len(self._sizes))
        place[:, i] = 1
        known = torch.cat([*before, later], dim=1).to(torch.float32)
        logits = evaluate(weights, torch.cat([known, place, tasks], dim=1))[:, : self._sizes[i]]
        return torch.log_softmax(logits, dim=1)

    def _log_chance(self, weights: Weights, cells: Tensor, tasks: Tensor) -> Tensor:
        """Logarithms [m] of the chances of cells [m, d] for descriptors [m, k]."""
        total = torch.zeros(len(cells))
        for i in range(len(self._sizes)):
            total = total + self._choice(weights, cells, tasks, i).gather(1, cells[:, i : i + 1]).squeeze(1)
        return total

    def log_chances(self, cells: np.ndarray) -> np.ndarray:
        """Logarithms [m] of the chances with which it makes cells [m, d] for the target.

        The network is asked once for each of the ways in which cells begin.
        """
        total, first, which = np.zeros(len(cells), np.float32), np.zeros(1, np.int64), np.zeros(len(cells), np.int64)
        with one_thread(), torch.no_grad():
            for i, size in enumerate(self._sizes):
                beginnings = torch.as_tensor(cells[first])
                chances = self._choice(self.weights, beginnings, self._target.expand(len(first), -1), i).numpy()
                total += chances[which, cells[:, i]]
                _, first, which = np.unique(which * size + cells[:, i], return_index=True, return_inverse=True)
        return total

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
