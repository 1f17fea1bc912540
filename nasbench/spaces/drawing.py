"""Small drawings of cells, left to right, one colour per operation, legible from about 2.2 x 1.6 inches up.

Operations sit on the vertices (node attribute `operation`) or on the edges (edge attribute `operation`).
Vertices are placed layer by layer, and an edge that skips a layer keeps a place of its own there (Sugiyama et
al., "Methods for visual understanding of hierarchical system structures", 1981), so that no edge runs through
a vertex.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import networkx as nx
    from matplotlib.axes import Axes

_BLUE, _ORANGE, _GREEN, _GREY, _PALE, _SLATE, _OTHER = (
    "#2868b0",
    "#d9770a",
    "#23916a",
    "#7b8794",
    "#d3d9e0",
    "#3c4654",
    "#7d5ba6",
)

OPERATION_COLOURS = {
    "none": _PALE,
    "skip_connect": _GREY,
    "nor_conv_1x1": _ORANGE,
    "nor_conv_3x3": _BLUE,
    "avg_pool_3x3": _GREEN,
    "conv1x1-bn-relu": _ORANGE,
    "conv3x3-bn-relu": _BLUE,
    "maxpool3x3": _GREEN,
    "gat": _OTHER,
    "gcn": _BLUE,
    "cheb": _BLUE,
    "arma": _BLUE,
    "gin": _GREEN,
    "sage": _GREEN,
    "graph": _GREEN,
    "fc": _ORANGE,
    "skip": _GREY,
    "input": _SLATE,
    "output": _SLATE,
}
"""The colour of every operation under its published name: like operations of different spaces share one.

Convolutions on graphs: blue for filters of the graph's spectrum, green for sums over neighbours, purple for attention.
"""

OPERATION_LABELS = {
    "skip_connect": "skip",
    "nor_conv_1x1": "1×1",
    "nor_conv_3x3": "3×3",
    "avg_pool_3x3": "pool",
    "conv1x1-bn-relu": "1×1",
    "conv3x3-bn-relu": "3×3",
    "maxpool3x3": "pool",
    "input": "in",
    "output": "out",
}
"""The word that stands for an operation in a drawing; other names are drawn as they are, cut to 6 letters."""

_WIRE = "#6b7785"
_FITS = 3.7
"""Letters that fit into a box or disc at the full size of its word."""

_FOUR_NODES = np.array([(0.07, 0.37), (0.39, 0.60), (0.61, 0.14), (0.93, 0.37)])
_FOUR_NODE_EDGES = {
    (0, 1): None,
    (0, 2): ((0.11, 0.14), (0.32, 0.03)),
    (1, 2): None,
    (0, 3): ((0.06, 1.12), (0.94, 1.12)),
    (1, 3): ((0.68, 0.71), (0.89, 0.60)),
    (2, 3): None,
}
"""Bezier control points of the six edges, as shares of the axes; None for a straight line."""


def draw_graph(graph: nx.DiGraph, ax: Axes | None = None) -> Axes:
    """Draw a cell's graph and return its axes; new ones, 2.2 x 1.6 inches, if none are given.

    Sizes follow the axes' size at the time of the call. In cells of four nodes with operations on the edges,
    absent edges are drawn faintly, so that cells can be compared edge by edge.
    """
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.figure(figsize=(2.2, 1.6)).add_axes((0, 0, 1, 1))
    extent = ax.get_window_extent()
    size = np.array([extent.width, extent.height]) * 72 / ax.figure.dpi
    ax.set(xlim=(0, size[0]), ylim=(0, size[1]))
    ax.set_axis_off()
    if all("operation" in data for _, data in graph.nodes(data=True)):
        _draw_vertex_operations(ax, graph, size)
    elif sorted(graph) == [0, 1, 2, 3]:
        _draw_four_nodes(ax, graph, size)
    else:
        _draw_edge_operations(ax, graph, size)
    return ax


def _draw_vertex_operations(ax: Axes, graph: nx.DiGraph, size: np.ndarray) -> None:
    places, ways, step = _layout(graph, size)
    width = float(min(0.68 * step[0], 0.15 * size[0], 34))
    height = float(min(0.62 * width + 2, 0.66 * step[1]))
    for way in ways.values():
        tip = way[-1] - [width / 2, 0]
        level = min(4.0, 0.4 * (step[0] - width))
        bends = [way[0] + [width / 2, 0], *_widened(way, width / 4), tip - [level, 0]]
        _wire(ax, np.array([*_smooth(np.array(bends)), tip]), _WIRE)
    for vertex, operation in graph.nodes(data="operation"):
        _box(ax, places[vertex], (width, height), operation)


def _widened(way: np.ndarray, half: float) -> list[np.ndarray]:
    """The inner way points; turning points become short level stretches, to keep clear of the boxes."""
    found, aside = [], np.array([half, 0])
    for before, point, after in zip(way, way[1:], way[2:], strict=False):
        turns = (point[1] - before[1]) * (after[1] - point[1]) <= 0
        found += [point - aside, point + aside] if turns else [point]
    return found


def _draw_four_nodes(ax: Axes, graph: nx.DiGraph, size: np.ndarray) -> None:
    places, radius = _FOUR_NODES * size, _radius(size)
    drawn = []
    for edge, control in _FOUR_NODE_EDGES.items():
        start, stop = places[edge[0]], places[edge[1]]
        b, c = np.array(control) * size if control else np.linspace(start, stop, 4)[1:3]
        drawn.append((graph.edges.get(edge, {}).get("operation", "none"), _bezier(start, b, c, stop)))
    for operation, points in sorted(drawn, key=lambda one: one[0] != "none"):
        _edge_operation(ax, points, operation, radius)
    for vertex, label in enumerate(("in", "1", "2", "out")):
        _disc(ax, places[vertex], radius, label)


def _draw_edge_operations(ax: Axes, graph: nx.DiGraph, size: np.ndarray) -> None:
    places, ways, _ = _layout(graph, size)
    radius = _radius(size)
    for edge, way in ways.items():
        _edge_operation(ax, _smooth(way), graph.edges[edge].get("operation", "none"), radius)
    for vertex in graph:
        _disc(ax, places[vertex], radius, str(vertex))


def _layout(graph: nx.DiGraph, size: np.ndarray) -> tuple[dict, dict, np.ndarray]:
    """Places of vertices, way points of edges, and the distance of layers and rows, in points."""
    layer: dict[Any, int] = {}
    order = _topological(graph)
    for vertex in order:
        layer[vertex] = 1 + max((layer[p] for p in graph.predecessors(vertex)), default=-1)
    chains = {}
    rows: list[list[Any]] = [[] for _ in range(max(layer.values(), default=0) + 1)]
    for vertex in order:
        rows[layer[vertex]].append(vertex)
    for a, b in graph.edges:
        bends = [(a, b, k) for k in range(layer[a] + 1, layer[b])]
        for bend in bends:
            rows[bend[2]].append(bend)
        chains[a, b] = [a, *bends, b]
    links = [pair for chain in chains.values() for pair in itertools.pairwise(chain)]
    rows = _untangle(rows, links)
    heights = _straighten(rows, links)
    reach = max(1.0, max(heights.values()) - min(heights.values()))
    margin = np.array([min(0.095, 0.02 + 0.33 / len(rows)), 0.12]) * size
    step = (size - 2 * margin) / np.array([max(1, len(rows) - 1), reach])
    step[1] = min(step[1], 1.3 * step[0], 0.3 * size[1])
    middle = (max(heights.values()) + min(heights.values())) / 2
    point = {
        one: np.array([margin[0] + k * step[0], size[1] / 2 + (heights[one] - middle) * step[1]])
        for k, row in enumerate(rows)
        for one in row
    }
    ways = {edge: np.array([point[one] for one in chain]) for edge, chain in chains.items()}
    return point, ways, step


def _topological(graph: nx.DiGraph) -> list[Any]:
    import networkx as nx

    return list(nx.lexicographical_topological_sort(graph))


def _heights(rows: Sequence[Sequence[Any]]) -> dict[Any, float]:
    return {one: k - (len(row) - 1) / 2 for row in rows for k, one in enumerate(row)}


def _straighten(rows: Sequence[Sequence[Any]], links: Sequence[tuple[Any, Any]]) -> dict[Any, float]:
    """Heights near the mean of what each one is linked to, in the given order and at least one row apart."""
    heights = _heights(rows)
    linked: dict[Any, list[Any]] = {one: [] for row in rows for one in row}
    for a, b in links:
        linked[a].append(b)
        linked[b].append(a)
    for _ in range(30):
        for row in rows:
            for k, one in enumerate(row):
                low = heights[row[k - 1]] + 1 if k else -np.inf
                high = heights[row[k + 1]] - 1 if k + 1 < len(row) else np.inf
                mean = sum(heights[other] for other in linked[one]) / max(1, len(linked[one]))
                heights[one] = float(min(max(mean, low), high))
    return heights


def _untangle(rows: list[list[Any]], links: Sequence[tuple[Any, Any]]) -> list[list[Any]]:
    """Each layer in the order that makes few crossings and then level edges: the best of several descents."""
    starts = [[row[turn % len(row) :] + row[: turn % len(row)] for row in rows] for turn in range(3)]
    starts += [[row[::-1] if k % 2 else row for k, row in enumerate(rows)]]
    return min((_descend(start, links) for start in starts), key=lambda found: found[0])[1]


def _descend(rows: list[list[Any]], links: Sequence[tuple[Any, Any]]) -> tuple[float, list[list[Any]]]:
    """Reorder one layer after the other until nothing improves; the cost and the orders."""
    layer = {one: k for k, row in enumerate(rows) for one in row}
    side_by_side = [(*p, *q) for p, q in itertools.combinations(links, 2) if layer[p[0]] == layer[q[0]]]

    def cost() -> float:
        height = _heights(rows)
        crossings = sum((height[a] - height[c]) * (height[b] - height[d]) < 0 for a, b, c, d in side_by_side)
        return 10 * crossings + sum((height[a] - height[b]) ** 2 for a, b in links)

    best, before = cost(), np.inf
    while best < before:
        before = best
        for k, keep in enumerate(rows):
            for trial in itertools.permutations(keep) if len(keep) <= 4 else _swaps(keep):
                rows[k] = list(trial)
                value = cost()
                if value < best - 1e-9:
                    best, keep = value, rows[k]
            rows[k] = keep
    return best, rows


def _swaps(row: Sequence[Any]) -> list[list[Any]]:
    return [[*row[:k], row[k + 1], row[k], *row[k + 2 :]] for k in range(len(row) - 1)]


def _bezier(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    t = np.linspace(0, 1, 40)[:, None]
    return (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d


def _smooth(way: np.ndarray) -> np.ndarray:
    """A curve through the way points that never overshoots, level at its ends and its turning points."""
    slopes = np.zeros(len(way))
    rises = np.diff(way[:, 1]) / np.diff(way[:, 0])
    level = rises[:-1] * rises[1:] <= 0
    slopes[1:-1] = np.where(level, 0, 2 / (1 / np.where(level, 1, rises[:-1]) + 1 / np.where(level, 1, rises[1:])))
    pieces = []
    for k, (a, b) in enumerate(itertools.pairwise(way)):
        run = 0.42 * (b[0] - a[0])
        leave, arrive = np.array([run, run * slopes[k]]), np.array([run, run * slopes[k + 1]])
        pieces.append(_bezier(a, a + leave, b - arrive, b))
    return np.concatenate(pieces)


def _edge_operation(ax: Axes, points: np.ndarray, operation: str, radius: float) -> None:
    away = np.minimum(*(np.hypot(*(points - end).T) for end in (points[0], points[-1])))
    colour = OPERATION_COLOURS.get(operation, _OTHER)
    if operation == "none":
        _wire(ax, points[away > radius], colour, width=0.7, style=(0, (2, 2)), head=False)
        return
    _wire(ax, points[away > radius + 0.5], colour, width=1.3)
    ax.text(
        points[len(points) // 2, 0],
        points[len(points) // 2, 1],
        _label(operation),
        color=colour,
        fontsize=0.8 * radius,
        fontweight="bold",
        ha="center",
        va="center",
        bbox={"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": "none"},
        zorder=3,
    )


def _wire(ax: Axes, points: np.ndarray, colour: str, width: float = 1.0, style: Any = "-", head: bool = True) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    arrow = FancyArrowPatch(
        path=Path(points),
        arrowstyle="-|>,head_length=0.45,head_width=0.22" if head else "-",
        mutation_scale=8,
        linewidth=width,
        linestyle=style,
        color=colour,
        capstyle="butt",
        joinstyle="miter",
        zorder=2 if head else 1,
    )
    arrow.set_fill(head)
    ax.add_patch(arrow)


def _box(ax: Axes, centre: np.ndarray, size: tuple[float, float], operation: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    width, height = size
    ax.add_patch(
        FancyBboxPatch(
            (centre[0] - width / 2, centre[1] - height / 2),
            width,
            height,
            boxstyle=f"round,pad=0,rounding_size={0.28 * height}",
            facecolor=OPERATION_COLOURS.get(operation, _OTHER),
            edgecolor="none",
            zorder=4,
        )
    )
    _word(ax, centre, _label(operation), 0.36 * width)


def _disc(ax: Axes, centre: np.ndarray, radius: float, label: str) -> None:
    from matplotlib.patches import Ellipse

    ax.add_patch(Ellipse((centre[0], centre[1]), 2 * radius, 2 * radius, facecolor=_SLATE, edgecolor="none", zorder=4))
    _word(ax, centre, label, 0.75 * radius)


def _word(ax: Axes, centre: np.ndarray, text: str, points: float) -> None:
    ax.text(
        centre[0],
        centre[1],
        text,
        color="white",
        fontsize=points * min(1, _FITS / len(text)),
        fontweight="bold",
        ha="center",
        va="center_baseline",
        zorder=5,
    )


def _label(operation: str) -> str:
    return OPERATION_LABELS.get(operation, operation[:6])


def _radius(size: np.ndarray) -> float:
    return float(min(0.055 * size[0], 0.075 * size[1], 14))
