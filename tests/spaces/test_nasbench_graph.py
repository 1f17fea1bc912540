"""NAS-Bench-Graph's space: published hashes, what is merged, notation, moves, encodings."""

from __future__ import annotations

import itertools
import pickle
from collections import Counter

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from nasbench.errors import NasbenchError
from nasbench.spaces import open_space
from nasbench.spaces.nasbench_graph import SKIP, NASBenchGraph
from nasbench.spaces.trees import SHAPES, arrangements, reduced

SPACE = open_space("nasbench_graph")
assert isinstance(SPACE, NASBenchGraph)
cells = st.integers(0, len(SPACE) - 1).map(SPACE.cell)
codes = st.tuples(*[st.integers(0, 8)] * 4)
seeds = st.integers(0, 2**32 - 1)
HASHES = {
    ("0000", "gat gat gat gat"): 0,
    ("0121", "gcn gin fc cheb"): 61237,
    ("0112", "gcn cheb gin fc"): 61327,
    ("0102", "sage skip gcn arma"): 68415,
    ("0000", "gcn skip gat skip"): 78801,
    ("0123", "gcn skip gat skip"): 88810,
    ("0011", "cheb gcn skip fc"): 23178,
    ("0111", "cheb skip skip fc"): 53788,
}
"""What the published package's `Arch(links, operations).valid_hash()` says (nas-bench-graph 1.4.0)."""


def links(text: str) -> list[int]:
    return [int(digit) for digit in text]


@pytest.mark.parametrize(("text", "names"), HASHES)
def test_published_hashes(text, names):
    cell = SPACE.from_links(links(text), names.split())
    assert SPACE.hashes[SPACE.index(cell)] == HASHES[text, names]
    assert int("".join(map(str, cell))) == HASHES[text, names]


def test_numbering():
    assert len(SPACE) == len(SPACE.cells) == len(SPACE.hashes) == 26_206
    assert (np.diff(SPACE.hashes) > 0).all()
    assert SPACE.cell(0) == (0, 0, 0, 0, 0)
    proteins = np.isin(SPACE.cells[:, 1:], [1, 4, 5, 7, 8]).all(axis=1)
    assert proteins.sum() == 2021, "as many as the release has results for on ogbn-proteins"


@given(cells)
def test_round_trips(cell):
    assert SPACE.cell(SPACE.index(cell)) == cell
    assert SPACE.from_string(SPACE.to_string(cell)) == cell
    assert SPACE.from_choices(SPACE.to_choices(cell)) == cell
    assert tuple(SPACE.cells[SPACE.index(cell)].tolist()) == cell
    for rule in ("none", "published", "exact"):
        assert SPACE.canonical(cell, rule) == cell
    assert np.array_equal(SPACE.classes(), np.arange(26_206))


@given(cells, st.permutations(range(4)))
def test_order_changes_nothing(cell, order):
    shape = SHAPES[cell[0]]
    place = {0: 0} | {old + 1: new + 1 for new, old in enumerate(order)}
    moved = [place[shape[old]] for old in order]
    assert SPACE.from_links(moved, [SPACE.operations[cell[1 + old]] for old in order]) == cell


def computed(graph: nx.DiGraph) -> str:
    """What reaches the output, written as the sorted terms of each way's end, skip connections dissolved."""

    def term(node: int) -> str:
        before = next(iter(graph.predecessors(node)), None)
        if before is None:
            return "x"
        name = graph.nodes[node]["operation"]
        return term(before) if name == "skip" else f"{name}({term(before)})"

    ends = sorted(term(node) for node in graph.predecessors(5))
    return "+".join(end for end in ends if end != "x")


@given(codes)
def test_merged_cells_compute_the_same(operations):
    for shape in range(len(SHAPES)):
        if operations != (SKIP,) * 4:
            written = (shape, *operations)
            assert computed(SPACE.graph(written)) == computed(SPACE.graph(SPACE.canonical(written)))


def test_what_skip_connections_are_moved():
    skips = [False, True, False, False]
    assert reduced((0, 1, 2, 2), skips) == (2, 0, 1, 1), "one that feeds others goes right behind the input"
    assert reduced((0, 1, 0, 0), skips) == (2, 0, 2, 2), "as does one that is all that its place feeds"
    assert reduced((0, 0, 0, 0), skips) == (2, 0, 2, 2), "and one from the input to the output"
    assert reduced((0, 1, 1, 0), skips) == (0, 1, 1, 0), "but not one beside others further in"


def test_every_tree_is_a_shape():
    written = [arrangements((0, *rest)) for rest in itertools.product(range(2), range(3), range(4))]
    assert all(written)
    assert {found[0][0] for found in written} == set(range(9))
    assert arrangements((1, 0, 0, 0)) == arrangements((2, 1, 0, 0)) == ()
    assert len(arrangements((0, 0, 0, 0))) == 24


@given(cells)
def test_neighbours_are_symmetric(cell):
    neighbours = SPACE.neighbours(cell)
    assert len(set(neighbours)) == len(neighbours) > 0
    assert cell not in neighbours
    for other in neighbours[::7]:
        assert SPACE.canonical(other) == other
        assert cell in SPACE.neighbours(other)


def test_neighbours_of_four_equal_operations():
    found = {SPACE.to_string(cell) for cell in SPACE.neighbours((0, 0, 0, 0, 0))}
    others = {f"0000|gat|gat|gat|{name}" for name in SPACE.operations[1:8]}
    assert found == others | {"0111|skip|gat|gat|gat", "0001|gat|gat|gat|gat"}


@given(cells, cells, seeds)
def test_moves(cell, other, seed):
    child = SPACE.mutate(cell, np.random.default_rng(seed))
    assert child in SPACE.neighbours(cell)
    assert child == SPACE.mutate(cell, np.random.default_rng(seed))
    crossed = SPACE.crossover(cell, other, np.random.default_rng(seed))
    assert SPACE.canonical(crossed) == crossed
    assert SPACE.crossover(cell, cell, np.random.default_rng(seed)) == cell


def test_sampling_is_uniform():
    rng = np.random.default_rng(0)
    index = np.array([SPACE.index(SPACE.sample(rng)) for _ in range(3000)])
    counts = np.bincount(index * 10 // len(SPACE), minlength=10)
    assert ((counts - 300) ** 2 / 300).sum() < 27.9, "chi-square with 9 degrees of freedom, p = 0.001"


@given(cells)
def test_encodings_say_what_the_graph_says(cell):
    graph, names = SPACE.graph(cell), [SPACE.operations[code] for code in cell[1:]]
    assert nx.is_directed_acyclic_graph(graph)
    counts = SPACE.encode([cell], "counts")[0]
    assert counts.tolist() == [names.count(name) for name in SPACE.operations]
    ways = [[names[node - 1] for node in way[1:-1]] for way in nx.all_simple_paths(graph, 0, 5)]
    acting = [[name for name in way if name != "skip"] for way in ways]
    summary = SPACE.encode([cell], "summary")[0]
    assert summary[:9].tolist() == counts.tolist()
    assert summary[9] == len(ways)
    lengths = [len(way) for way in acting]
    looking = [sum(name != "fc" for name in way) for way in acting]
    assert summary[-3:] == pytest.approx([max(lengths), min(lengths), np.mean(lengths)])
    assert summary[-6:-3] == pytest.approx([max(looking), min(looking), np.mean(looking)])
    expected: Counter[tuple[int, ...]] = Counter()
    for node in range(1, 5):
        word: tuple[int, ...] = ()
        while node and cell[node] != SKIP and len(word) < 3:
            word, node = (cell[node], *word), SHAPES[cell[0]][node - 1]
            expected[word] += 1
    start = {1: 0, 2: 8, 3: 72}
    spelled = SPACE.encode([cell], "path_counts")[0]
    assert spelled.shape == (584,)
    place = {word: start[len(word)] + sum(code * 8**i for i, code in enumerate(reversed(word))) for word in expected}
    assert {i: spelled[i] for i in np.flatnonzero(spelled)} == {place[word]: n for word, n in expected.items()}
    assert np.array_equal(SPACE.encode([cell], "path")[0], np.minimum(spelled, 1))
    assert np.flatnonzero(SPACE.encode([cell], "one_hot")[0]).tolist() == [9 * i + c for i, c in enumerate(cell)]


@given(cells)
def test_graph_arrays_are_the_graph(cell):
    adjacency, features = SPACE.graph_arrays([cell])
    graph = SPACE.graph(cell)
    assert np.array_equal(adjacency[0], nx.to_numpy_array(graph, nodelist=range(6)))
    names = [*SPACE.operations, "input", "output"]
    assert [names[i] for i in features[0].argmax(axis=1)] == [graph.nodes[node]["operation"] for node in range(6)]


@given(codes)
def test_encodings_are_the_same_for_every_way_of_writing(operations):
    if operations != (SKIP,) * 4:
        written = (3, *operations)
        for encoding in SPACE.encodings:
            once, again = SPACE.encode([written], encoding), SPACE.encode([SPACE.canonical(written)], encoding)
            assert np.array_equal(once, again)


@pytest.mark.parametrize("encoding", ["one_hot", "path", "counts", "path_counts", "summary"])
def test_the_whole_space_is_encoded(encoding):
    features = SPACE.encode(SPACE.cells, encoding)
    assert features.dtype == np.float32
    assert len(features) == 26_206
    if encoding == "one_hot":
        assert len(np.unique(features, axis=0)) == 26_206


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not a cell of nasbench_graph"),
        ("0012|gcn|gat|fc", "is not a cell"),
        ("0x12|gcn|gat|fc|skip", "is not a cell"),
        ("0412|gcn|gat|fc|skip", "make no tree"),
        ("1012|gcn|gat|fc|skip", "make no tree"),
        ("0012|gcn|gat|fc|skp", "did you mean 'skip'"),
        ("0012|skip|skip|skip|skip", "no cell of skip connections only"),
    ],
)
def test_malformed_text_is_refused_in_one_sentence(text, says):
    with pytest.raises(NasbenchError, match=says):
        SPACE.from_string(text)


@pytest.mark.parametrize(
    "cell", [None, "00000", (0, 0, 0, 0), (0, 0, 0, 0, 9), (-1, 0, 0, 0, 0), (8, 8, 8, 8, 8), [0] * 5]
)
def test_values_that_are_no_cells(cell):
    with pytest.raises(NasbenchError, match="is not a cell of nasbench_graph"):
        SPACE.index(cell)


def test_other_mistakes():
    for index in (-1, len(SPACE)):
        with pytest.raises(NasbenchError, match=f"no cell {index}"):
            SPACE.cell(index)
    with pytest.raises(NasbenchError, match="five decisions"):
        SPACE.from_choices((0, 0, 0, 0))
    assert SPACE.from_choices((4, 8, 8, 8, 8)) is None
    with pytest.raises(NasbenchError, match="skip connections only"):
        SPACE.encode([(4, 8, 8, 8, 8)])
    with pytest.raises(NasbenchError, match="run from 0 to 8"):
        SPACE.encode([(9, 0, 0, 0, 0)])
    with pytest.raises(NasbenchError, match="one_hot"):
        SPACE.encode([SPACE.cell(0)], "onehot")
    with pytest.raises(NasbenchError, match="has 4 operations, not 3"):
        SPACE.from_links([0, 0, 0, 0], ["gcn"] * 3)
    with pytest.raises(NasbenchError, match="exact"):
        SPACE.canonical(SPACE.cell(0), "exactly")


def test_pickles_as_the_singleton():
    assert pickle.loads(pickle.dumps(SPACE)) is SPACE


def test_drawing():
    ax = SPACE.draw(SPACE.from_string("0012|gcn|gat|fc|graph"), Figure(figsize=(2.2, 1.6)).add_axes((0, 0, 1, 1)))
    assert sorted(text.get_text() for text in ax.texts) == ["fc", "gat", "gcn", "graph", "in", "out"]
    assert len({patch.get_facecolor() for patch in ax.patches if isinstance(patch, FancyBboxPatch)}) == 5
