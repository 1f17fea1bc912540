"""Networks: the published counts, torch's own FLOP counter, and what dead edges may and may not change."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from nasbench.errors import NasbenchError
from nasbench.networks import (
    Skeleton,
    build_graph,
    build_network,
    count_flops,
    count_parameters,
    initial_parameters,
    is_constant,
    prune,
)

cells = st.tuples(*[st.integers(0, 4)] * 6)


def published() -> dict[str, np.ndarray]:
    path = Path(os.environ.get("NASBENCH_DATA", "")) / "published" / "nasbench201.npz"
    if not os.environ.get("NASBENCH_DATA") or not path.is_file():
        pytest.skip("needs published/nasbench201.npz in the folder that NASBENCH_DATA names")
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in ("ops", "params_M")}


def test_parameters_equal_the_published_ones():
    """Exactly, for 1,000 random cells, but for a flaw of the release: 150 of its 15,625 rows (e.g. 327) hold
    the count of an isomorphic cell, one convolution more or less than their own; 6 of them are among these
    1,000."""
    table = published()
    rows = np.random.default_rng(0).choice(len(table["ops"]), 1000, replace=False)
    counted = np.array([count_parameters(cell) for cell in table["ops"][rows]])
    expected = np.rint(table["params_M"][rows, 0] * 1e6).astype(int)
    difference = np.abs(counted - expected)
    assert (difference > 0).sum() == 6
    one_convolution = [5 * sum(k * k * c * c + 2 * c for c in (16, 32, 64)) for k in (1, 3)]
    assert set(difference) == {0, *one_convolution}
    hundred = [count_parameters(cell, Skeleton(classes=100)) for cell in table["ops"][:200]]
    assert hundred == list(np.rint(table["params_M"][:200, 1] * 1e6).astype(int))


@pytest.mark.parametrize("reduction", ["residual", "plain"])
@pytest.mark.parametrize("cell", [(3, 2, 4, 1, 3, 2), (0, 0, 0, 4, 0, 0), (3, 0, 2, 0, 0, 3), (0,) * 6])
def test_counts_equal_torch(cell, reduction):
    skeleton = Skeleton(8, 2, reduction, 7, 12, 8, 2)
    for pruned in (True, False):
        network = build_network(cell, skeleton, pruned)
        with FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, 2, 12, 8))
        assert counter.get_total_flops() == count_flops(cell, skeleton, pruned)
        parameters = sum(parameter.numel() for parameter in network.parameters())
        assert parameters == count_parameters(cell, skeleton, pruned)


@settings(max_examples=25, deadline=None)
@given(cells)
def test_dead_edges_change_nothing(cell):
    """The full network and the pruned one, with the same weights on live edges, are one function."""
    skeleton = Skeleton(4, 1, "plain", 3, 4, 4, 1)
    torch.manual_seed(0)
    full = build_network(cell, skeleton, pruned=False).eval()
    small = build_network(cell, skeleton).eval()
    assert len(small.edges) <= len(full.edges)
    # Edges of both in order; a live edge of the full graph is the next one of the pruned graph.
    position = 0
    live = [code > 0 for code in prune(cell)]
    edge_of_cell = [code > 0 for code in cell]
    kept = []
    order = [0, 1, 2, 3, 4, 5]
    in_cell = [live[i] for i in order if edge_of_cell[i]]
    for edge in full.graph.edges:
        inside = edge.operation in ("skip", "pool3") or (edge.operation == "conv" and edge.relu and edge.stride == 1)
        if inside:
            kept.append(in_cell[position % len(in_cell)])
            position += 1
        else:
            kept.append(True)
    matching = [module for module, keep in zip(full.edges, kept, strict=True) if keep]
    for mine, theirs in zip(small.edges, matching, strict=True):
        mine.load_state_dict(theirs.state_dict())
    small.classifier.load_state_dict(full.classifier.state_dict())
    x = torch.randn(2, 1, 4, 4)
    torch.testing.assert_close(small(x), full(x))


@given(cells)
def test_prune_is_stable_and_removes_only(cell):
    once = prune(cell)
    assert prune(once) == once
    assert all(new in (0, old) for new, old in zip(once, cell, strict=True))
    assert is_constant(cell) == (not any(once))


def test_initial_parameters_fill_the_module():
    graph = build_graph((3, 1, 2, 4, 3, 2), Skeleton(8, 1, "plain", 10, 8, 8, 1))
    vector = initial_parameters(graph, np.random.default_rng(0))
    network = build_network((3, 1, 2, 4, 3, 2), Skeleton(8, 1, "plain", 10, 8, 8, 1))
    assert len(vector) == sum(parameter.numel() for parameter in network.parameters())
    network.load_flat(vector)
    weight = network.edges[0].conv.weight
    np.testing.assert_array_equal(weight.detach().numpy()[5, 0], vector[: 9 * 8].reshape(3, 3, 8)[:, :, 5])


@pytest.mark.parametrize(
    "values",
    [
        {"channels": 0},
        {"cells": 0},
        {"classes": 1},
        {"reduction": "none"},
        {"height": 10},
        {"image_channels": 0},
    ],
)
def test_impossible_skeletons(values):
    with pytest.raises(NasbenchError) as caught:
        Skeleton(**values)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("cell", [(1, 2, 3), (1, 2, 3, 4, 5, 0), (-1, 0, 0, 0, 0, 0)])
def test_impossible_cells(cell):
    with pytest.raises(NasbenchError, match="not a cell"):
        count_parameters(cell)
