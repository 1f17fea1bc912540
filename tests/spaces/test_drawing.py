"""Drawings show every operation in its colour, keep inside their axes, and no two boxes overlap."""

from __future__ import annotations

import itertools

import matplotlib
import networkx as nx
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from nasbench.spaces import open_space
from nasbench.spaces.drawing import OPERATION_COLOURS, OPERATION_LABELS, draw_graph

matplotlib.use("Agg")
NB101, NB201 = open_space("nasbench101"), open_space("nasbench201")
CONV3, CONV1, POOL = NB101.operations
EXAMPLES = [
    "0-1",
    f"0-1+0-2+1-2|{POOL}",
    "0-1+1-2+2-3+3-4+4-5+5-6+0-6+1-5+0-3" + f"|{CONV3}|{CONV1}|{POOL}|{POOL}|{CONV3}",
    "0-1+0-2+0-3+0-4+1-5+2-5+3-5+4-5" + f"|{CONV3}|{CONV1}|{POOL}|{CONV1}",
]


def axes(width: float = 2.2, height: float = 1.6):
    return Figure(figsize=(width, height)).add_axes((0, 0, 1, 1))


def words(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


@pytest.mark.parametrize("text", EXAMPLES)
def test_cells_with_operations_on_vertices(text):
    cell = NB101.from_string(text)
    ax = NB101.draw(cell, axes())
    boxes = [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    names = ["input", *(NB101.operations[code] for code in cell.operations), "output"]
    assert sorted(words(ax)) == sorted(OPERATION_LABELS[name] for name in names)
    assert sorted(to_hex(box.get_facecolor()) for box in boxes) == sorted(OPERATION_COLOURS[n] for n in names)
    assert sum(isinstance(patch, FancyArrowPatch) for patch in ax.patches) == len(cell.edges)
    for a, b in itertools.combinations(boxes, 2):
        gap = max(
            abs(a.get_x() - b.get_x()) - a.get_width(),
            abs(a.get_y() - b.get_y()) - a.get_height(),
        )
        assert gap > 0
    assert_inside(ax)


@pytest.mark.parametrize("text", EXAMPLES)
def test_wires_run_through_no_box(text):
    cell = NB101.from_string(text)
    ax = NB101.draw(cell, axes())
    boxes = [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    for wire in (patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)):
        points = wire._path_original.vertices
        for box in boxes:
            low = np.array([box.get_x(), box.get_y()]) + 1
            high = low - 2 + [box.get_width(), box.get_height()]
            assert not ((points > low) & (points < high)).all(axis=1).any()


@pytest.mark.parametrize("index", [0, 100, 5000, 15624])
def test_cells_with_operations_on_edges(index):
    cell = NB201.cell(index)
    ax = NB201.draw(cell, axes())
    live = [NB201.operations[code] for code in cell if code]
    assert sorted(words(ax)) == sorted(["in", "1", "2", "out", *(OPERATION_LABELS[name] for name in live)])
    assert sum(isinstance(patch, FancyArrowPatch) for patch in ax.patches) == 6, "absent edges are drawn faintly"
    assert_inside(ax)


def test_other_graphs_with_operations_on_edges():
    graph = nx.DiGraph()
    for a, b in itertools.combinations(range(5), 2):
        graph.add_edge(a, b, operation="something_new")
    ax = draw_graph(graph, axes(4, 3))
    assert words(ax).count("someth") == 10
    assert_inside(ax)


def test_like_operations_share_a_colour_and_new_axes_are_small():
    assert OPERATION_COLOURS["nor_conv_3x3"] == OPERATION_COLOURS["conv3x3-bn-relu"]
    for space in (NB101, NB201):
        assert set(space.operations) <= set(OPERATION_COLOURS)
    ax = NB101.draw(NB101.from_string("0-1"))
    assert ax.figure.get_size_inches().tolist() == [2.2, 1.6]
    matplotlib.pyplot.close(ax.figure)


def assert_inside(ax) -> None:
    ax.figure.canvas.draw()
    frame = ax.get_window_extent()
    for artist in (*ax.patches, *ax.texts):
        extent = artist.get_window_extent()
        assert extent.x0 >= frame.x0 - 1
        assert extent.x1 <= frame.x1 + 1
        assert extent.y0 >= frame.y0 - 1
        assert extent.y1 <= frame.y1 + 1
