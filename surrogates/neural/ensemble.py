"""What the neural predictors share: networks trained side by side as one batch, and the scale of their targets.

A predictor's k networks are stacked along the first axis of every weight, so that one batched matrix product
serves all of them; they differ in their first weights, in the order of their batches and in the fifth of the cells that
each is not trained on. The spread joins their disagreement (Lakshminarayanan et al., "Deep ensembles", NeurIPS 2017,
arXiv:1612.01474), which alone is far too narrow, and their error on the cells that they did not see, as in
cross-conformal prediction (Vovk, Annals of Mathematics and Artificial Intelligence 2015). Everything runs on one
thread, training in float32 and prediction in float64, so that a result depends on the seed alone and not on the number
of cores or on which other cells are predicted in the same call.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import assert_all_finite, check_consistent_length, check_is_fitted, column_or_1d
from torch import Tensor

from ..targets import Targets

Weights = dict[str, Tensor]
Loss = Callable[[Weights, Tensor], Tensor]
"""From weights and the sample indices [k, b] of a batch to one loss a member, [k]."""
FOLDS = 5
CHUNK = 1024
"""Cells predicted at a time; bounds the memory that a prediction takes."""


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread: sums then have one order, and small networks are not slower."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def dense(members: int, inputs: int, outputs: int, generator: torch.Generator, gain: float = 2.0) -> Tensor:
    """Weights [k, inputs + 1, outputs] of k layers, the bias last and zero; normal with variance gain / inputs."""
    weights = torch.randn(members, inputs + 1, outputs, generator=generator) * (gain / max(inputs, 1)) ** 0.5
    weights[:, -1] = 0
    return weights


def apply(weights: Tensor, x: Tensor) -> Tensor:
    """The layers [k, i + 1, o] on x [k, ..., i], one layer a member: [k, ..., o]."""
    flat = x.reshape(x.shape[0], -1, x.shape[-1])
    return torch.baddbmm(weights[:, -1:], flat, weights[:, :-1]).reshape(*x.shape[:-1], -1)


def held_out(members: int, samples: int) -> int:
    """How many samples each member is not trained on, so that it can tell how wrong it is: a fifth, or one fold of as
    many as there are members; none with one member or too few samples."""
    return 0 if members < 2 else samples // max(members, FOLDS)


def folds(members: int, samples: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Indices [k, n - h] of the samples that each member sees, and [k, h] of its own that it does not."""
    size, order = held_out(members, samples), torch.randperm(samples, generator=generator)
    unseen = order[: members * size].view(members, size)
    seen = [torch.cat([order[: i * size], order[(i + 1) * size :]]) for i in range(members)]
    return torch.stack(seen), unseen


def steps_an_epoch(samples: int, batch_size: int) -> int:
    """Batches, about `batch_size` large, of the samples that a member sees."""
    return max(1, round(samples / batch_size))


def train(
    weights: Weights,
    loss: Loss,
    seen: Tensor,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    generator: torch.Generator,
) -> None:
    """Minimise `loss` by AdamW under a cosine schedule, every member with its own order of its samples; in place.

    Args:
        seen: indices [k, m] of the samples of each member.
    """
    for tensor in weights.values():
        tensor.requires_grad_(True)
    optimizer = torch.optim.AdamW(weights.values(), lr=learning_rate, weight_decay=weight_decay, fused=True)
    steps = steps_an_epoch(seen.shape[1], batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, epochs * steps))
    for _ in range(epochs):
        order = torch.rand(seen.shape, generator=generator).argsort(dim=1)
        for batch in seen.gather(1, order).tensor_split(steps, dim=1):
            optimizer.zero_grad()
            loss(weights, batch).sum().backward()
            optimizer.step()
            schedule.step()


class Scaling:
    """Columns centred and brought to a range of 2, by what they are in the training data [n, d].

    Dividing by the standard deviation instead would make the most of paths that hardly any cell has. What lies beyond
    the training data counts as its end: networks go on in straight lines, and would take a cell without any operation,
    which few samples have, for the best of all.
    """

    def __init__(self, features: np.ndarray) -> None:
        self.low, self.high, self.centre = features.min(axis=0), features.max(axis=0), features.mean(axis=0)
        width = (self.high - self.low) / 2
        self.width = np.where(width > 1e-12 * np.abs(self.centre), width, 1.0)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        return (np.clip(features, self.low, self.high) - self.centre) / self.width


class NeuralRegressor(RegressorMixin, BaseEstimator):
    """An ensemble of networks as a scikit-learn estimator; a subclass says what the networks are.

    Subclasses have the constructor parameters members, epochs, batch_size, learning_rate, weight_decay, targets and
    random_state, and provide `_inputs`, `_initial`, `_scores` and, where it is not the squared error, `_objective`.
    """

    def _inputs(self, X: np.ndarray) -> tuple[np.ndarray, ...]:
        """What the networks see of the cells X: arrays with one row per cell; NasbenchError if X is no cells."""
        raise NotImplementedError

    def _checked(self, X: np.ndarray, y: np.ndarray) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        """`_inputs(X)`, and y as float64 [n]."""
        inputs, y = self._inputs(X), column_or_1d(y, dtype=np.float64)
        check_consistent_length(inputs[0], y)
        assert_all_finite(y, input_name="y")
        return inputs, y

    def _initial(self, inputs: tuple[np.ndarray, ...], generator: torch.Generator) -> Weights:
        """First weights of all members."""
        raise NotImplementedError

    def _scores(self, weights: Weights, *inputs: Tensor) -> Tensor:
        """Learned values [k, b] of inputs [k, b, ...]."""
        raise NotImplementedError

    def _objective(self, inputs: list[Tensor], z: Tensor, generator: torch.Generator, epochs: int) -> Loss:
        """The loss on training inputs [n, ...] whose learned values are z [n], for a training of so many epochs."""

        def squared_error(weights: Weights, batch: Tensor) -> Tensor:
            scores = self._scores(weights, *(tensor[batch] for tensor in inputs))
            return ((scores - z[batch]) ** 2).mean(dim=1)

        return squared_error

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Learn from cells X, one a row, and their accuracies y [n]; ValueError where one is missing."""
        inputs, y = self._checked(X, y)
        self.targets_, learned = Targets.of(y, self.targets)
        self.weights_: dict[str, np.ndarray] = {}
        self.error_ = 0.0
        if self.targets_.constant:
            return self
        lengths = tuple(np.atleast_1d(self.epochs).tolist())
        if not held_out(self.members, len(y)):
            lengths = lengths[-1:]  # nothing to choose by
        best = None
        for epochs in lengths:
            self._train(inputs, learned, epochs)
            if best is None or self.error_ < best[0]:
                best = self.error_, self.weights_, epochs
        assert best is not None
        self.error_, self.weights_, self.epochs_ = best
        return self

    def _train(self, inputs: tuple[np.ndarray, ...], learned: np.ndarray, epochs: int) -> None:
        """Set `weights_` and `error_` by one training."""
        with one_thread():
            generator = torch.Generator().manual_seed(self.random_state)
            tensors = [torch.as_tensor(array, dtype=torch.float32) for array in inputs]
            z = torch.as_tensor(learned, dtype=torch.float32)
            weights = self._initial(inputs, generator)
            seen, unseen = folds(self.members, len(z), generator)
            loss = self._objective(tensors, z, generator, epochs)
            train(weights, loss, seen, epochs, self.batch_size, self.learning_rate, self.weight_decay, generator)
        self.weights_ = {name: tensor.detach().numpy() for name, tensor in weights.items()}
        self._calibrate(inputs, learned, unseen.numpy())

    def _calibrate(self, inputs: tuple[np.ndarray, ...], learned: np.ndarray, unseen: np.ndarray) -> None:
        """Set `error_`, the root mean square error of a member on samples that it did not see; `unseen` is [k, h]."""
        residuals = np.take_along_axis(self._member_scores(inputs), unseen, axis=1) - learned[unseen]
        self.error_ = float(np.sqrt((residuals**2).mean())) if residuals.size else 0.0

    def predict(self, X: np.ndarray, return_std: bool = False) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Accuracies [n], float64: the members' mean, and with `return_std` the spread [n] as well.

        Both are taken on the learned scale; the spread is half the width of one deviation either way on that of the
        accuracies.
        """
        check_is_fitted(self, "targets_")
        inputs = self._inputs(X)
        if self.targets_.constant:
            mean = np.full(len(inputs[0]), self.targets_.values[0])
            return (mean, np.zeros(len(mean))) if return_std else mean
        scores = self._member_scores(inputs)
        centre = scores.mean(axis=0)
        mean = self.targets_.back(centre)
        if not return_std:
            return mean
        reach = np.sqrt(scores.var(axis=0) + self.error_**2)
        return mean, (self.targets_.back(centre + reach) - self.targets_.back(centre - reach)) / 2

    def _member_scores(self, inputs: tuple[np.ndarray, ...]) -> np.ndarray:
        """Learned values [k, n], the same for cells with the same inputs."""
        flat = np.concatenate([array.reshape(len(array), -1) for array in inputs], axis=1)
        _, first, inverse = np.unique(flat, axis=0, return_index=True, return_inverse=True)
        weights = {name: torch.as_tensor(array, dtype=torch.float64) for name, array in self.weights_.items()}
        found = []
        with one_thread(), torch.no_grad():
            for start in range(0, len(first), CHUNK):
                rows = first[start : start + CHUNK]
                chunk = (torch.as_tensor(array[rows], dtype=torch.float64) for array in inputs)
                found.append(self._scores(weights, *(part.expand(self.members, *part.shape) for part in chunk)))
        return torch.cat(found, dim=1).numpy().round(9)[:, inverse.ravel()]
