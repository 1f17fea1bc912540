"""Train one network with the compiled step: the same protocol, initial weights and batches as the plain
trainer.

One thread, and the interpreter's lock is released meanwhile. Results are the same bits whoever else is
trained; they differ from plain torch's by rounding, which training then amplifies.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import NasbenchError
from ...networks.graph import Graph, build_graph, initial_parameters
from ..protocol import Protocol, draw_order, generators
from ..result import Arrays, History, history_from_rows
from .compiler import load_library

OPERATION_CODES = {"conv": 0, "skip": 1, "pool3": 2, "pool2": 3, "norm": 4}


def supports(protocol: Protocol) -> bool:
    """Whether the compiled step is here and takes this protocol: channels in fours, batches of whole
    registers."""
    library = load_library()
    if library is None or protocol.channels % 4:
        return False
    return protocol.batch_size % int(library.nasbench_lanes()) == 0


def _pointer(array: NDArray[Any] | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if array is None else array.ctypes.data)


def _call(
    graph: Graph,
    theta: NDArray[np.float32],
    arrays: Arrays,
    protocol: Protocol,
    order: NDArray[np.int32],
    changes: NDArray[np.int8] | None,
    gradient: NDArray[np.float32] | None,
) -> tuple[int, NDArray[np.float64]]:
    library = load_library()
    if library is None or not supports(protocol):
        raise NasbenchError("The native step cannot train this protocol here: use the plain trainer.")
    epochs, steps, batch = order.shape
    nodes = np.array([(n.channels, n.height, n.width) for n in graph.nodes], np.int32)
    edges = np.array(
        [(e.source, e.target, OPERATION_CODES[e.operation], e.kernel, e.stride, e.relu, e.norm) for e in graph.edges],
        np.int32,
    )
    held_out = (len(arrays.y_val), len(arrays.y_test))
    dims = np.array([batch, graph.classes, len(nodes), len(edges), epochs, steps, protocol.crop, *held_out], np.int32)
    # Running means 0 and variances 1 of every edge that normalises, one after the other.
    widths = [graph.nodes[edge.target].channels for edge in graph.edges if edge.norm]
    running = np.concatenate([np.repeat(np.array([0, 1], np.float32), width) for width in widths])
    rates = protocol.learning_rates(steps)
    rows = np.full((epochs, 6), math.nan)
    done = library.nasbench_train(
        *map(_pointer, (dims, nodes, edges, theta, running)),
        *map(_pointer, (arrays.x_train, arrays.y_train, order, changes, rates)),
        ctypes.c_float(protocol.momentum),
        ctypes.c_float(protocol.weight_decay),
        *map(_pointer, (arrays.x_val, arrays.y_val, arrays.x_test, arrays.y_test, rows, gradient)),
    )
    if done < 0:
        raise MemoryError("The native step could not allocate a network's feature maps.")
    return int(done), rows


def train_native(
    cell: Sequence[int], seed: int, arrays: Arrays, protocol: Protocol, until: int | None = None
) -> History:
    """Train one cell, for the protocol's epochs or its first `until`, and return its curves.

    NasbenchError where `supports(protocol)` is False.
    """
    graph = build_graph(cell, protocol.skeleton(arrays.classes, arrays.image_shape))
    for_weights, for_order = generators(cell, seed)
    order, changes = draw_order(protocol, len(arrays.y_train), for_order)
    order = order[:until]
    theta = initial_parameters(graph, for_weights)
    steps, rows = _call(graph, theta, arrays, protocol, order, changes, None)
    return history_from_rows(rows, steps, order.shape[0] * order.shape[1])


def gradient_native(
    graph: Graph,
    theta: NDArray[np.float32],
    arrays: Arrays,
    protocol: Protocol,
    order: NDArray[np.int32],
    changes: NDArray[np.int8] | None = None,
) -> tuple[float, NDArray[np.float32]]:
    """Loss and gradient (in the order of `theta`) of the first batch of order (epochs, steps, batch); for
    tests."""
    gradient = np.zeros_like(theta)
    _, rows = _call(graph, theta.copy(), arrays, protocol, order, changes, gradient)
    return float(rows[0, 0]), gradient
