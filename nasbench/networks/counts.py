"""Exact parameter and FLOP counts of a network, without building it; microseconds a cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .graph import Skeleton, build_graph


def count_parameters(cell: Sequence[int], skeleton: Skeleton | None = None, pruned: bool = False) -> int:
    """Trainable parameters of the cell's network.

    By default every edge counts, dead or not, as in NAS-Bench-201's published numbers (which the default
    skeleton, C=16, N=5, 10 classes, reproduces exactly); pruned=True counts what our own trainings really
    train.
    """
    graph = build_graph(cell, skeleton or Skeleton(), pruned)
    return sum(int(np.prod(shape)) for shape in graph.parameter_shapes())


def count_flops(cell: Sequence[int], skeleton: Skeleton | None = None, pruned: bool = True) -> int:
    """FLOPs of one image's forward pass: convolutions and the classifier, a multiply-accumulate counting as
    2.

    The convention of torch.utils.flop_counter: borders count as if they were pixels; pooling, normalisation,
    ReLU and sums are free. Training costs about three times as much per image (the stem alone needs no input
    gradient).
    """
    graph = build_graph(cell, skeleton or Skeleton(), pruned)
    total = 2 * graph.classes * graph.nodes[-1].channels
    for edge in graph.edges:
        if edge.operation == "conv":
            target = graph.nodes[edge.target]
            total += 2 * int(np.prod(graph.weight_shape(edge))) * target.height * target.width
    return total
