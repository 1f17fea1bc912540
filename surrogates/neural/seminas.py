"""Learning from cells that nobody trained: Luo et al., "Semi-Supervised Neural Architecture Search", NeurIPS 2020
(arXiv:2002.10389).

A recurrent encoder reads a cell as a sequence of decisions; from its code one head predicts the accuracy and another
rebuilds the sequence, the latter on cells without accuracies as well, which cost nothing. As in the paper the
predictor then labels such cells itself and learns from them too. The paper's long short-term memory is a gated
recurrent unit here, and its decoder with attention one layer.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nasbench.errors import NasbenchError
from nasbench.spaces import Space, open_space

from ..encoder import check_cells
from .cells import live_decisions
from .ensemble import Loss, NeuralRegressor, Weights, apply, dense, held_out, steps_an_epoch


class SemiNAS(NeuralRegressor):
    """An encoder of decision sequences with a head for the accuracy and one for the sequence.

    Cells are drawn by the space, which on NAS-Bench-101 takes 20 seconds the first time.

    Args:
        space: name of the cell space; rows of X are `space.to_choices` of its cells.
        members: networks in the ensemble; the spread is 0 with one member.
        unlabelled: cells drawn from the space to be rebuilt.
        reconstruction: weight of rebuilding beside the squared error of the accuracy.
        own_labels: weight of the squared error on the drawn cells, from half the training on, against what all
            members together then predict for them; 0 for none, which leaves the members less alike.
        width: units of the recurrent layer and of the accuracy's hidden layer.
        epochs: of the training, or several lengths to choose from, as for graph networks.
        batch_size, learning_rate, weight_decay: of AdamW; the rate falls along a cosine.
        targets: "rank" learns normal quantiles of the ranks, "standard" standardised accuracies.
        random_state: seed of first weights, batches and the cells drawn.
    """

    def __init__(
        self,
        space: str | Space = "nasbench201",
        members: int = 5,
        unlabelled: int = 1000,
        reconstruction: float = 0.1,
        own_labels: float = 0.5,
        width: int = 32,
        epochs: int | tuple[int, ...] = 80,
        batch_size: int = 32,
        learning_rate: float = 3e-3,
        weight_decay: float = 1.0,
        targets: str = "rank",
        random_state: int = 0,
    ) -> None:
        self.space = space
        self.members = members
        self.unlabelled = unlabelled
        self.reconstruction = reconstruction
        self.own_labels = own_labels
        self.width = width
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.targets = targets
        self.random_state = random_state

    def _inputs(self, X: np.ndarray) -> tuple[np.ndarray, ...]:
        """One-hot decisions [n, t, c], zero beyond the choices that a decision has."""
        space = open_space(self.space)
        values = live_decisions(space, check_cells(X, space))
        return (np.eye(max(space.choices), dtype=np.float32)[values],)

    def _initial(self, inputs: tuple[np.ndarray, ...], generator: torch.Generator) -> Weights:
        _, steps, kinds = inputs[0].shape
        k, w = self.members, self.width
        return {
            "embedding": dense(k, kinds, w, generator, gain=1.0),
            "places": torch.randn(k, steps, w, generator=generator) * 0.3,
            "gates": dense(k, 2 * w, 2 * w, generator, gain=1.0),
            "candidate": dense(k, 2 * w, w, generator, gain=1.0),
            "hidden": dense(k, w, w, generator),
            "output": dense(k, w, 1, generator, gain=1.0),
            "rebuild": dense(k, w, steps * kinds, generator, gain=1.0),
        }

    def _codes(self, weights: Weights, x: Tensor) -> Tensor:
        """The mean state [k, b, width] of the recurrent unit over sequences [k, b, t, c]."""
        words = apply(weights["embedding"], x) + weights["places"][:, None]
        state = total = torch.zeros_like(words[:, :, 0])
        for word in words.unbind(dim=2):
            update, reset = torch.sigmoid(apply(weights["gates"], torch.cat([word, state], dim=-1))).chunk(2, dim=-1)
            new = torch.tanh(apply(weights["candidate"], torch.cat([word, reset * state], dim=-1)))
            state = update * state + (1 - update) * new
            total = total + state
        return total / words.shape[2]

    def _read_out(self, weights: Weights, codes: Tensor) -> Tensor:
        return apply(weights["output"], torch.relu(apply(weights["hidden"], codes))).squeeze(-1)

    def _scores(self, weights: Weights, *inputs: Tensor) -> Tensor:
        return self._read_out(weights, self._codes(weights, inputs[0]))

    def _objective(self, inputs: list[Tensor], z: Tensor, generator: torch.Generator, epochs: int) -> Loss:
        if self.unlabelled < 1:
            raise NasbenchError(f"SemiNAS needs unlabelled cells, at least 1; unlabelled is {self.unlabelled}.")
        space, rng = open_space(self.space), np.random.default_rng(self.random_state)
        sample = np.array([space.to_choices(space.sample(rng)) for _ in range(self.unlabelled)])
        pool = torch.as_tensor(self._inputs(sample)[0])
        half = epochs * steps_an_epoch(len(z) - held_out(self.members, len(z)), self.batch_size) // 2
        step, guesses = 0, torch.zeros(len(pool))

        def joint_error(weights: Weights, batch: Tensor) -> Tensor:
            nonlocal step, guesses
            if step == half and self.own_labels:
                with torch.no_grad():
                    guesses = self._scores(weights, pool.expand(self.members, *pool.shape)).mean(dim=0)
            drawn = torch.randint(len(pool), batch.shape, generator=generator)
            x = torch.cat([inputs[0][batch], pool[drawn]], dim=1)
            codes = self._codes(weights, x)
            labelled, unlabelled = self._read_out(weights, codes).split(batch.shape[1], dim=1)
            error = ((labelled - z[batch]) ** 2).mean(dim=1)
            if step >= half and self.own_labels:
                error = error + self.own_labels * ((unlabelled - guesses[drawn]) ** 2).mean(dim=1)
            step += 1
            rebuilt = apply(weights["rebuild"], codes).view_as(x).log_softmax(dim=-1)
            return error - self.reconstruction * (rebuilt * x).sum(dim=-1).mean(dim=(1, 2))

        return joint_error


def seminas(space: str | Space) -> SemiNAS:
    """`SemiNAS` with its defaults."""
    return SemiNAS(space)
