"""DARTS: a softmax over the operations of every edge, learned by gradient descent on images held out from the weights.

Liu, Simonyan and Yang, "DARTS: Differentiable Architecture Search", ICLR 2019 (arXiv:1806.09055). First order by
default; the second order looks one step of the weights ahead, its Hessian-vector product by the paper's finite
difference, for five gradient passes a step in place of two. As in NAS-Bench-201 the softmax includes `none` and the
derived cell takes each edge's most probable operation. Charges `supernet` (everything executed) and trainings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nasbench.networks.graph import Cell
from nasbench.runs.strategy import Problem

from .one_shot import Batch, Differentiable, DifferentiableSettings


@dataclass(frozen=True)
class Settings(DifferentiableSettings):
    """second_order: the architecture's gradient through one step of the weights; the rest as in one_shot."""

    second_order: bool = False


class Darts(Differentiable):
    """Mixed operations; the architecture's step comes first, as in the paper's algorithm."""

    name = "DARTS"
    settings: Settings

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        super().__init__(problem, rng, settings)

    def _choice(self) -> tuple[Tensor, Cell | None]:
        return self.alphas.softmax(1), None

    def _architecture_gradient(self, batch: Batch, held: Batch) -> Tensor:
        if not self.settings.second_order:
            return super()._architecture_gradient(batch, held)
        state = self.optimizer.state
        momenta = [state[p].get("momentum_buffer") for p in self.parameters]
        return second_order_gradient(
            lambda: self._loss(batch, *self._choice()), lambda: self._loss(held, *self._choice()), self.alphas,
            self.parameters, self.rate(), self.settings.weight_decay,
            [None if m is None else self.settings.momentum * m for m in momenta],
        )  # fmt: skip


def second_order_gradient(
    train: Callable[[], Tensor],
    held: Callable[[], Tensor],
    alphas: Tensor,
    weights: Sequence[Tensor],
    rate: float,
    decay: float,
    momenta: Sequence[Tensor | None],
    reach: float = 0.01,
) -> Tensor:
    """Gradient by alphas of `held` at the weights after one step on `train`: the paper's equations 6 to 8.

    Args:
        train, held: the losses at the present alphas and weights.
        rate, decay, momenta: of the step: weights - rate * (momentum + gradient + decay * weights).
        reach: how far the weights move, as a vector, for the finite difference; the paper's. Over that distance ReLUs
            switch, so that it is a smoothed and in small networks a noisy derivative.
    """
    before = [w.detach().clone() for w in weights]
    gradients = torch.autograd.grad(train(), weights)
    with torch.no_grad():
        for w, gradient, momentum in zip(weights, gradients, momenta, strict=True):
            w.sub_(rate * (gradient + decay * w + (0 if momentum is None else momentum)))
    direct, *ahead = torch.autograd.grad(held(), [alphas, *weights])
    length = torch.sqrt(sum((v.square().sum() for v in ahead), torch.zeros(()))).item()
    radius = reach / max(length, 1e-12)  # gradients of exactly zero have no direction to look into

    def beside(sign: int) -> Tensor:
        with torch.no_grad():
            for w, start, v in zip(weights, before, ahead, strict=True):
                w.copy_(start + sign * radius * v)
        return torch.autograd.grad(train(), [alphas])[0]

    implicit = (beside(1) - beside(-1)) / (2 * radius)
    with torch.no_grad():
        for w, start in zip(weights, before, strict=True):
            w.copy_(start)
    return direct - rate * implicit
