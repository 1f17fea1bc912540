"""GDAS: one operation an edge is sampled with Gumbel noise, executed alone, and its softmax weight learned by gradient.

Dong and Yang, "Searching for a Robust Neural Architecture in Four GPU Hours", CVPR 2019 (arXiv:1910.04465). The sample
is hard with a straight-through gradient, and its temperature falls linearly over the search. Dead edges of a sampled
cell are not executed and get no gradient. Charges `supernet` (the cells sampled) and trainings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from nasbench.networks.graph import Cell
from nasbench.runs.strategy import Problem

from .one_shot import Differentiable, DifferentiableSettings


@dataclass(frozen=True)
class Settings(DifferentiableSettings):
    """temperature, final_temperature: of the Gumbel softmax, at the start and nearly at the end; the rest as in
    one_shot."""

    temperature: float = 10.0
    final_temperature: float = 0.1


class Gdas(Differentiable):
    """One cell is sampled for every step of the architecture and of the weights."""

    name = "GDAS"
    settings: Settings

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        super().__init__(problem, rng, settings)

    def _choice(self) -> tuple[Tensor, Cell | None]:
        first, last = self.settings.temperature, self.settings.final_temperature
        temperature = first + (last - first) * self._progress
        gumbel = -torch.empty_like(self.alphas).exponential_(generator=self.generator).log()
        soft = ((self.alphas.log_softmax(1) + gumbel) / temperature).softmax(1)
        codes = soft.argmax(1)
        return one_hot(codes, soft.shape[1]) - soft.detach() + soft, tuple(codes.tolist())
