"""What one-shot strategies share: one supernet, trained inside the first `ask`, then full trainings of what it says.

The training images are halved: weights learn on the first half; what chooses operations learns, or is scored, on the
second. The validation images, which trials are judged on, are not looked at. Every epoch, and every cell scored with
shared weights, is charged as `supernet`: seconds as measured, FLOPs of all that is executed, epochs as images passed
through the network over training images, and evaluations as epochs over those of full training. An epoch of all
operations at once costs some 4 times the FLOPs of a mean cell's, so compare in FLOPs or seconds as well.
Every gradient pass counts three forward passes, one of the architecture parameters alone too. Runs on the CPU, on one
thread, without augmentation; given the seed, only the measured seconds differ, and with them how far a budget in
seconds reaches.

Step sizes for the choice are the papers'. On digits (seeds 1000 to 1002, 12 evals) 10 and 100 times larger ones led to
a worse first cell with DARTS, GDAS and ENAS and a better one with DrNAS; three seeds do not settle it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nasbench.errors import NasbenchError
from nasbench.networks.graph import CELL_EDGES, OPERATIONS, Cell
from nasbench.networks.supernet import Supernet
from nasbench.records import BACKWARD_FACTOR, Cost, Outcome, Trial
from nasbench.runs.budget import Kind
from nasbench.runs.strategy import Problem
from surrogates.neural.ensemble import one_thread

Batch = tuple[Tensor, Tensor]
"""Images (n, channels, height, width), float32, and labels (n,)."""
EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Settings:
    """The supernet's training: SGD with a cosine learning rate and all else as in DARTS, which took 50 epochs; the
    others took 100 to 310.

    Attributes:
        epochs: at most so many passes over the weights' half of the training images.
        share: of the budget at which the search leaves off; the rest is for full trainings.
        learning_rate, final_rate: at the first and the last step.
        clip: largest norm of the weights' gradient.
    """

    epochs: int = 50
    share: float = 0.5
    batch_size: int = 64
    learning_rate: float = 0.025
    final_rate: float = 0.001
    momentum: float = 0.9
    weight_decay: float = 3e-4
    clip: float = 5.0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2:
            raise NasbenchError(
                f"a supernet trains for at least 1 epoch in batches of at least 2, not epochs={self.epochs}, "
                f"batch_size={self.batch_size}."
            )
        if not 0 < self.share <= 1:
            raise NasbenchError(f"the search takes a share of the budget between 0 and 1, not share={self.share}.")


class OneShot:
    """The loop; a subclass says what a step is and which cells it leads to.

    Attributes:
        history: the derived cell after every epoch, where there is a distribution to derive one from: what shows
            whether a search collapses, e.g. to cells of skip connections.
    """

    name = "a one-shot strategy"
    settings: Settings

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings) -> None:
        problem.require("images", self.name)
        if problem.images is None or problem.space.operations != OPERATIONS:
            raise NasbenchError(f"{self.name} has a supernet of the space nasbench201 only, not {problem.space.name}.")
        images = problem.images()
        if len(images.arrays.y_train) < 4:
            raise NasbenchError(f"{self.name} halves the training images and needs at least 4 of them.")
        self.problem, self.rng, self.settings = problem, rng, settings
        self.history: list[Cell] = []
        self._arrays = images.arrays
        self._skeleton = images.protocol.skeleton(images.arrays.classes, images.arrays.image_shape)
        self._images, self._flops, self._progress = 0, 0, 0.0
        self._cells: Iterator[Cell] | None = None

    def ask(self) -> Trial | None:
        with one_thread():
            if self._cells is None:
                self._cells = self._derived_cells()
                self._search()
            cell = next(self._cells, None)
        return None if cell is None else Trial(cell, self.problem.full)

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """The search is over when the first outcome comes."""

    def _begin(self) -> None:
        """Make what chooses operations."""

    def _step(self, batch: Batch, held: Batch) -> None:
        """Learn from one batch of the weights' half and one of the other."""
        raise NotImplementedError

    def _derive(self) -> Cell | None:
        """The most probable cell now; None where there is no distribution."""

    def _derived_cells(self) -> Iterator[Cell]:
        """After the search: cells to train in full, the most promising first."""
        raise NotImplementedError

    def _search(self, limit: float | None = None) -> None:
        """Train until the epochs, or the share `limit` of the budget, are used up."""
        settings, spent = self.settings, self.problem.spent
        self.generator = torch.Generator().manual_seed(int(self.rng.integers(2**62)))
        self.network = Supernet(self._skeleton, self.generator)
        cast(Any, self.network).to(memory_format=torch.channels_last)
        self.parameters = list(self.network.parameters())
        self.optimizer = torch.optim.SGD(
            self.parameters, settings.learning_rate, settings.momentum, weight_decay=settings.weight_decay
        )
        half = len(self._arrays.y_train) // 2
        x = torch.from_numpy(self._arrays.x_train).permute(0, 3, 1, 2)  # channels last as it lies
        y = torch.from_numpy(self._arrays.y_train).long()
        first, self.held = (x[:half], y[:half]), (x[half : 2 * half], y[half : 2 * half])
        self._begin()
        limit, before = settings.share if limit is None else limit, spent()
        last = 0.0
        for epoch in range(settings.epochs):
            if epoch and spent() + last > limit:
                break
            began, start = time.perf_counter(), spent()
            self._progress = min(1.0, max(epoch / settings.epochs, (start - before) / limit))
            self._epoch(first, self.held)
            cell = self._derive()
            self.history += [] if cell is None else [cell]
            self._settle(began)
            last = spent() - start

    def _epoch(self, first: Batch, held: Batch) -> None:
        size = min(self.settings.batch_size, len(first[1]))
        orders = [torch.from_numpy(self.rng.permutation(len(first[1]))) for _ in range(2)]
        for which, other in zip(*(order.split(size) for order in orders), strict=True):
            if len(which) == size:
                self._step((first[0][which], first[1][which]), (held[0][other], held[1][other]))

    def rate(self) -> float:
        """The weights' learning rate now: a cosine over the search, constant within an epoch, as in DARTS."""
        settings = self.settings
        cosine = (1 + math.cos(math.pi * self._progress)) / 2
        return settings.final_rate + (settings.learning_rate - settings.final_rate) * cosine

    def _update(self, loss: Tensor) -> None:
        """One step of the weights. Those that the loss does not depend on stay as they are."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.clip)
        self.optimizer.param_groups[0]["lr"] = self.rate()
        self.optimizer.step()

    def _loss(self, batch: Batch, weights: Tensor | None = None, cell: Cell | None = None) -> Tensor:
        """Cross entropy of a batch; a forward and a backward pass are counted."""
        self._count(len(batch[1]), BACKWARD_FACTOR * self.network.forward_flops(cell))
        return functional.cross_entropy(self.network(batch[0], weights, cell), batch[1])

    def accuracy(self, cell: Cell, batch: Batch) -> float:
        """Share of a batch that the cell predicts right with the shared weights; forward passes are counted."""
        self._count(len(batch[1]), self.network.forward_flops(cell))
        with torch.no_grad():
            number = math.ceil(len(batch[1]) / EVALUATION_BATCH)  # of equal parts: the statistics are a batch's own
            parts = zip(batch[0].tensor_split(number), batch[1].tensor_split(number), strict=True)
            right = sum(int((self.network(x, None, cell).argmax(1) == y).sum()) for x, y in parts)
        return right / len(batch[1])

    def _count(self, images: int, flops: int) -> None:
        """Note so many images, each at so many FLOPs, for the next charge."""
        self._images += images
        self._flops += images * flops

    def _settle(self, began: float) -> None:
        """Charge what was done since `began`."""
        epochs = self._images / len(self._arrays.y_train)
        cost = Cost(time.perf_counter() - began, epochs, float(self._flops), epochs / self.problem.full)
        self._images = self._flops = 0
        self.problem.charge(Kind.SUPERNET, cost, measured=True)


@dataclass(frozen=True)
class DifferentiableSettings(Settings):
    """architecture_rate, architecture_decay: Adam's on the architecture parameters, with betas (.5, .999)."""

    architecture_rate: float = 3e-4
    architecture_decay: float = 1e-3


class Differentiable(OneShot):
    """Architecture parameters (6 edges, 5 operations) learned by gradient, in turns with the weights."""

    settings: DifferentiableSettings

    def _begin(self) -> None:
        shape = (len(CELL_EDGES), len(OPERATIONS))
        self.alphas = (1e-3 * torch.randn(shape, generator=self.generator)).requires_grad_()
        self._adam = torch.optim.Adam(
            [self.alphas], self.settings.architecture_rate, (0.5, 0.999),
            weight_decay=self.settings.architecture_decay,
        )  # fmt: skip

    def _choice(self) -> tuple[Tensor, Cell | None]:
        """Weights (6, 5) of the operations, and the cell where one only is executed; random ones are drawn anew."""
        raise NotImplementedError

    def _probabilities(self) -> Tensor:
        """What cells are derived from (6, 5)."""
        return self.alphas.softmax(1)

    def _step(self, batch: Batch, held: Batch) -> None:
        self.alphas.grad = self._architecture_gradient(batch, held)
        self._adam.step()
        with torch.no_grad():
            weights, cell = self._choice()
        self._update(self._loss(batch, weights if cell is None else None, cell))

    def _architecture_gradient(self, batch: Batch, held: Batch) -> Tensor:
        loss = self._loss(held, *self._choice())
        return torch.autograd.grad(loss, [self.alphas], materialize_grads=True)[0]

    def _derive(self) -> Cell:
        return tuple(self._probabilities().argmax(1).tolist())

    def _derived_cells(self) -> Iterator[Cell]:
        """All cells by descending probability, one of each class of equal functions."""
        space = self.problem.space
        cells = [space.cell(index) for index in range(len(space))]
        logarithms = self._probabilities().detach().double().log().numpy()
        scores = logarithms[np.arange(len(CELL_EDGES)), np.array(cells)].sum(axis=1)
        order = np.argsort(-scores, kind="stable")
        _, places = np.unique(space.classes()[order], return_index=True)
        for index in order[np.sort(places)].tolist():
            yield cells[index]
