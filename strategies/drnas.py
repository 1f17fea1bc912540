"""DrNAS: DARTS with the weights of operations drawn from a learned Dirichlet distribution, which makes it explore.

Chen et al., "DrNAS: Dirichlet Neural Architecture Search", ICLR 2021 (arXiv:2006.10355): concentration elu(alpha) + 1,
gradients through the sample, and a pull towards concentration 1 by weight decay (from memory of the released code, as
is its strength); without the paper's partial channels and progressive pruning. Charges `supernet` and trainings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import elu

from nasbench.networks.graph import Cell
from nasbench.runs.strategy import Problem

from .one_shot import Differentiable, DifferentiableSettings


@dataclass(frozen=True)
class Settings(DifferentiableSettings):
    """As in one_shot."""


class DrNas(Differentiable):
    """Mixed operations whose weights are drawn anew for every step; cells are derived from their means."""

    name = "DrNAS"
    settings: Settings

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        super().__init__(problem, rng, settings)

    def _choice(self) -> tuple[Tensor, Cell | None]:
        return _Dirichlet.apply(elu(self.alphas) + 1, self.generator), None

    def _probabilities(self) -> Tensor:
        concentration = elu(self.alphas) + 1
        return concentration / concentration.sum(1, keepdim=True)


class _Dirichlet(torch.autograd.Function):
    """torch.distributions' differentiable Dirichlet sample, from a generator of one's own."""

    @staticmethod
    def forward(ctx: Any, concentration: Tensor, generator: torch.Generator) -> Tensor:
        sample = torch._sample_dirichlet(concentration, generator=generator)
        ctx.save_for_backward(sample, concentration)
        return sample

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        sample, concentration = ctx.saved_tensors
        total = concentration.sum(-1, True).expand_as(concentration)
        slope = torch._dirichlet_grad(sample, concentration, total)
        return slope * (gradient - (sample * gradient).sum(-1, True)), None
