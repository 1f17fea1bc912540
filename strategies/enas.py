"""ENAS: an LSTM controller samples cells, which train shared weights and reward it with their accuracy.

Pham et al., "Efficient Neural Architecture Search via Parameter Sharing", ICML 2018 (arXiv:1802.03268). REINFORCE with
a moving baseline and an entropy bonus, on batches of the half that the weights do not see; afterwards the best of some
sampled cells, by accuracy with the shared weights on that half, are trained in full. Charges `supernet` (cells trained
and scored, and the controller) and trainings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from nasbench.networks.graph import CELL_EDGES, OPERATIONS, Cell
from nasbench.records import BACKWARD_FACTOR
from nasbench.runs.strategy import Problem

from . import random_sharing
from .one_shot import Batch
from .random_sharing import RandomSharing


@dataclass(frozen=True)
class Settings(random_sharing.Settings):
    """The controller's; the rest as in random_sharing. The paper alternates whole epochs, here it learns every step.

    Attributes:
        controller_rate: Adam's step size.
        hidden: width of the LSTM and of its embedding.
        temperature, tanh: logits are tanh * tanh(logits / temperature).
        entropy: weight of the entropy in the reward.
        baseline: momentum of the moving average of rewards.
    """

    controller_rate: float = 3.5e-4
    hidden: int = 64
    temperature: float = 5.0
    tanh: float = 2.5
    entropy: float = 1e-4
    baseline: float = 0.99


class Enas(RandomSharing):
    """Each step trains the weights on one sampled cell and the controller on another."""

    name = "ENAS"
    settings: Settings

    def __init__(self, problem: Problem, rng: np.random.Generator, settings: Settings = Settings()) -> None:
        super().__init__(problem, rng, settings)

    def _begin(self) -> None:
        hidden = self.settings.hidden
        self.controller = nn.ModuleDict(
            {
                "embed": skip_init(nn.Embedding, len(OPERATIONS) + 1, hidden),  # the last one starts a cell
                "lstm": skip_init(nn.LSTMCell, hidden, hidden),
                "decide": skip_init(nn.Linear, hidden, len(OPERATIONS)),
            }
        )
        for parameter in self.controller.parameters():
            nn.init.uniform_(parameter, -0.1, 0.1, generator=self.generator)
        self._adam = torch.optim.Adam(self.controller.parameters(), self.settings.controller_rate)
        self._baseline: float | None = None

    def _decide(self, passes: int = 1, greedy: bool = False) -> tuple[Cell, Tensor, Tensor]:
        """A cell, its log probability and the entropy of the decisions; `passes` are counted."""
        settings, controller = self.settings, self.controller
        width = settings.hidden
        self._flops += passes * len(CELL_EDGES) * 2 * width * (8 * width + len(OPERATIONS))
        state = (torch.zeros(1, width), torch.zeros(1, width))
        before, codes = len(OPERATIONS), []
        logarithm, entropy = torch.zeros(()), torch.zeros(())
        for _ in CELL_EDGES:
            state = controller["lstm"](controller["embed"](torch.tensor([before])), state)
            logits = settings.tanh * torch.tanh(controller["decide"](state[0])[0] / settings.temperature)
            logs = logits.log_softmax(0)
            probabilities = logs.exp()
            drawn = logs.argmax() if greedy else torch.multinomial(probabilities, 1, generator=self.generator)
            before = int(drawn)
            codes.append(before)
            logarithm = logarithm + logs[before]
            entropy = entropy - (probabilities * logs).sum()
        return tuple(codes), logarithm, entropy

    def _draw(self) -> Cell:
        with torch.no_grad():
            return self._decide()[0]

    def _derive(self) -> Cell:
        with torch.no_grad():
            return self._decide(greedy=True)[0]

    def _step(self, batch: Batch, held: Batch) -> None:
        super()._step(batch, held)
        cell, logarithm, entropy = self._decide(BACKWARD_FACTOR)
        reward = self.accuracy(cell, held) + self.settings.entropy * entropy.item()
        momentum = self.settings.baseline
        self._baseline = reward if self._baseline is None else momentum * self._baseline + (1 - momentum) * reward
        self._adam.zero_grad()
        (-logarithm * (reward - self._baseline)).backward()
        self._adam.step()
