"""Cells as the neural predictors see them: reduced to what the function that a cell computes depends on."""

from __future__ import annotations

import numpy as np

from nasbench.spaces import CellSpace, Space

CHUNK = 16_384
"""Graphs made at a time; bounds the memory that the float64 matrices in between take."""


def live_graphs(space: Space, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Adjacency [n, v, v] and node features [n, v, f] of `space.graph_arrays`, simplified without changing a cell.

    Nodes on no way from the input to the output lose edges and features, and skip connections are dissolved: what
    feeds one then feeds whatever it fed. Entries count ways, so [i, j] = 2 where j receives the sum of i twice.
    """
    parts = [_live_graphs(space, values[start : start + CHUNK]) for start in range(0, len(values), CHUNK)]
    adjacency, features = zip(*parts, strict=True)
    return np.concatenate(adjacency), np.concatenate(features)


def _live_graphs(space: Space, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    adjacency, features = space.graph_arrays(values)
    identity = np.eye(adjacency.shape[1])
    ways = np.linalg.inv(identity - adjacency)  # the sum of all powers: how many ways lead from i to j
    live = (ways[:, 0, :] > 0.5) & (ways[:, :, -1] > 0.5)
    live[:, [0, -1]] = True
    adjacency = adjacency * live[:, :, None] * live[:, None, :]
    if "skip_connect" in space.operations:
        skip = features[:, :, space.operations.index("skip_connect")] > 0
        adjacency = np.rint(np.linalg.inv(identity - adjacency * skip[:, None, :]) @ adjacency)
        live &= ~skip
        adjacency = adjacency * live[:, :, None] * live[:, None, :]
    return adjacency.astype(np.float32), features * live[:, :, None]


def live_decisions(space: Space, values: np.ndarray) -> np.ndarray:
    """Decisions [n, len(space.choices)] in which whatever is on no way from input to output is 0.

    Decisions that are neither operations on edges nor edges and operations of a graph are left as they are.
    """
    if isinstance(space, CellSpace):
        return np.where(space.live_edges(values), values, 0)
    adjacency, features = live_graphs(space, values)
    slots = np.triu_indices(adjacency.shape[1], 1)
    if values.shape[1] != len(slots[0]) + adjacency.shape[1] - 2:
        return values
    operations = values[:, len(slots[0]) :] * features[:, 1:-1].any(axis=2)
    return np.concatenate([adjacency[:, *slots].astype(np.int64), operations], axis=1)
