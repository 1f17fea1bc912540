"""A recurrent controller: an LSTM that makes a space's decisions one after another, each seeing those before.

Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation 1997, with forget gates, in numpy: at some tens
of units and a few decisions that is many times as fast as torch, which spends its time on calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np


class _Step(NamedTuple):
    """One layer at one decision, for m rows and u units."""

    inputs: np.ndarray  # [m, 2 u]: what comes from below, and the former output
    gates: np.ndarray  # [m, 4 u]: forget, write, show, new
    before: np.ndarray  # [m, u]: the former memory
    shown: np.ndarray  # [m, u]: tanh of the memory


class Controller:
    """Stacked LSTM layers between an embedding of the last decision and a softmax over the next.

    Args:
        sizes: values of each decision.
        bound: weights are first drawn uniformly from [-bound, bound].

    Attributes:
        weights: all of them, flat [w].
    """

    def __init__(self, sizes: Sequence[int], units: int, layers: int, bound: float, rng: np.random.Generator) -> None:
        self._sizes, self._units = tuple(sizes), units
        self._shapes = [(max(sizes) + 1, units), (units, max(sizes)), *[(2 * units, 4 * units), (4 * units,)] * layers]
        self.weights = rng.uniform(-bound, bound, sum(int(np.prod(shape)) for shape in self._shapes))

    def _views(self, flat: np.ndarray) -> list[np.ndarray]:
        """Embedding, head, and each layer's matrix and bias, as views of a flat array."""
        ends = np.cumsum([np.prod(shape) for shape in self._shapes])
        parts = np.split(flat, ends[:-1].astype(int))
        return [part.reshape(shape) for part, shape in zip(parts, self._shapes, strict=True)]

    def draw(self, uniform: np.ndarray) -> np.ndarray:
        """Decisions [m, d] drawn by uniform numbers [m, d]."""
        chosen: list[np.ndarray] = []
        self._run(len(uniform), lambda i, chances: _pick(chances, uniform[:, i]), chosen)
        return np.stack(chosen, axis=1)

    def gradient(self, decisions: Sequence[int]) -> np.ndarray:
        """Gradient [w] of the logarithm of the decisions' chance."""
        chosen: list[np.ndarray] = []
        steps, tops, chances = self._run(1, lambda i, _: np.array([decisions[i]]), chosen)
        flat = np.zeros(len(self.weights))
        embedding, head, *layers = self._views(flat)
        _, top_weights, *weights = self._views(self.weights)
        count, units = len(layers) // 2, self._units
        to_output, to_memory = [np.zeros(units)] * count, [np.zeros(units)] * count
        for i in range(len(self._sizes) - 1, -1, -1):
            error = -chances[i][0]
            error[decisions[i]] += 1
            head[:, : len(error)] += np.outer(tops[i][0], error)
            down = top_weights[:, : len(error)] @ error
            for layer in range(count - 1, -1, -1):
                step = steps[i][layer]
                forget, write, show, new = (gate[0] for gate in _quarters(step.gates))
                output, shown = down + to_output[layer], step.shown[0]
                memory = output * show * (1 - shown**2) + to_memory[layer]
                slope = np.concatenate([forget * (1 - forget), write * (1 - write), show * (1 - show), 1 - new**2])
                error = slope * np.concatenate([memory * step.before[0], memory * new, output * shown, memory * write])
                layers[2 * layer] += np.outer(step.inputs[0], error)
                layers[2 * layer + 1] += error
                both = weights[2 * layer] @ error
                down, to_output[layer] = both[:units], both[units:]
                to_memory[layer] = memory * forget
            embedding[decisions[i - 1] if i else -1] += down
        return flat

    def _run(
        self, rows: int, choose: Callable[[int, np.ndarray], np.ndarray], chosen: list[np.ndarray]
    ) -> tuple[list[list[_Step]], list[np.ndarray], list[np.ndarray]]:
        """Make the decisions of m rows and append each [m] to `chosen`.

        Returns for each decision what every layer did, the last layer's output [m, u] and the chances [m, size].
        """
        embedding, head, *layers = self._views(self.weights)
        units, count = self._units, len(layers) // 2
        outputs, memories = [np.zeros((rows, units))] * count, [np.zeros((rows, units))] * count
        last = np.full(rows, len(embedding) - 1)
        steps: list[list[_Step]] = []
        tops: list[np.ndarray] = []
        chances: list[np.ndarray] = []
        for i, size in enumerate(self._sizes):
            signal, row = embedding[last], []
            for layer in range(count):
                inputs = np.concatenate([signal, outputs[layer]], axis=1)
                gates = inputs @ layers[2 * layer] + layers[2 * layer + 1]
                gates[:, : 3 * units] = 1 / (1 + np.exp(-gates[:, : 3 * units]))
                gates[:, 3 * units :] = np.tanh(gates[:, 3 * units :])
                before = memories[layer]
                forget, write, show, new = _quarters(gates)
                memories[layer] = forget * before + write * new
                shown = np.tanh(memories[layer])
                signal = outputs[layer] = show * shown
                row.append(_Step(inputs, gates, before, shown))
            logits = signal @ head[:, :size]
            shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
            steps.append(row)
            tops.append(signal)
            chances.append(shifted / shifted.sum(axis=1, keepdims=True))
            last = choose(i, chances[-1])
            chosen.append(last)
        return steps, tops, chances


def _quarters(gates: np.ndarray) -> list[np.ndarray]:
    units = gates.shape[1] // 4
    return [gates[:, i * units : (i + 1) * units] for i in range(4)]


def _pick(chances: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    return (uniform[:, None] >= chances.cumsum(axis=1)[:, :-1]).sum(axis=1)
