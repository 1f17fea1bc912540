"""The four-node cell spaces: numbering, notation, moves, equivalence, encodings."""

from __future__ import annotations

import itertools
import pickle

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench.errors import NasbenchError
from nasbench.spaces import CellSpace, open_space

SPACE = open_space("nasbench201")
assert isinstance(SPACE, CellSpace)
cells = st.tuples(*[st.integers(0, 4)] * 6)
seeds = st.integers(0, 2**32 - 1)


@given(cells)
def test_index_and_string_round_trip(cell):
    assert SPACE.cell(SPACE.index(cell)) == cell
    assert SPACE.from_string(SPACE.to_string(cell)) == cell
    assert SPACE.from_choices(SPACE.to_choices(cell)) == cell


@given(cells, seeds)
def test_moves_stay_in_the_space_and_are_symmetric(cell, seed):
    neighbours = SPACE.neighbours(cell)
    assert len(set(neighbours)) == len(neighbours) == 24
    assert cell not in neighbours
    assert all(cell in SPACE.neighbours(other) for other in neighbours[::5])
    rng = np.random.default_rng(seed)
    assert SPACE.mutate(cell, rng) in neighbours
    other = SPACE.sample(rng)
    child = SPACE.crossover(cell, other, rng)
    assert all(c in (a, b) for c, a, b in zip(child, cell, other, strict=True))


@given(cells)
def test_swapping_the_two_inner_nodes_does_not_change_the_class(cell):
    first, second, _, output, third, fourth = cell
    without = (first, second, 0, output, third, fourth)  # nodes 1 and 2 can trade places if 1 does not feed 2
    swapped = (second, first, 0, output, fourth, third)
    assert SPACE.canonical(without) == SPACE.canonical(swapped)  # the published rule misses some of these


@pytest.mark.parametrize("rule", ["published", "exact"])
def test_rules_only_merge_what_a_stricter_rule_could_merge(rule):
    assert len(SPACE.representatives("none")) == 15_625
    constant = SPACE.canonical((0,) * 6, rule)
    assert SPACE.canonical((3, 3, 3, 0, 0, 0), rule) == constant


def test_published_cells_in_published_order_and_classes(published):
    assert np.array_equal(SPACE.cells, published["ops"])
    assert SPACE.to_string(SPACE.cell(0)) == published["arch_str"][0]
    groups = published["iso_group"]
    ours = SPACE.classes("published")
    assert len(set(ours.tolist())) == len(set(zip(ours.tolist(), groups.tolist(), strict=True))) == 6466


def test_exact_classes_hold_networks_of_one_size():
    """Cells that a class merges need the same weights: their live convolutions agree in number and kind."""
    classes = SPACE.classes("exact")
    assert len(set(classes.tolist())) == 5260
    counts = SPACE.encode(SPACE.cells, "counts")
    for operation in (2, 3):
        for number in range(7):
            having = counts[:, operation] == number
            assert not set(classes[having].tolist()) & set(classes[~having].tolist())


def test_exact_rule_tells_a_shared_convolution_from_two():
    shared = SPACE.canonical((3, 0, 1, 0, 2, 1), "exact")  # node 2 is node 1; both feed the output
    apart = SPACE.canonical((3, 3, 0, 0, 2, 1), "exact")  # the output gets the same expressions, own weights
    assert shared != apart


def test_sampling_is_uniform_over_cells_or_classes():
    rng = np.random.default_rng(0)
    drawn = [SPACE.index(SPACE.sample(rng, "exact")) for _ in range(2000)]
    assert set(drawn) <= set(SPACE.representatives("exact").tolist())
    first_edge = [SPACE.sample(rng)[0] for _ in range(5000)]
    assert np.abs(np.bincount(first_edge, minlength=5) - 1000).max() < 150


def test_encodings_against_a_slow_walk_over_paths():
    rng = np.random.default_rng(1)
    some = [SPACE.sample(rng) for _ in range(200)]
    counts, paths = SPACE.encode(some, "counts"), SPACE.encode(some, "path")
    for cell, count, path in zip(some, counts, paths, strict=True):
        graph = SPACE.graph(cell)
        words, live = set(), set()
        for nodes in nx.all_simple_paths(graph, 0, 3):
            edges = list(itertools.pairwise(nodes))
            live |= set(edges)
            words.add(tuple(graph.edges[e]["operation"] for e in edges))
        assert path.sum() == len(words)
        names = [graph.edges[e]["operation"] for e in live]
        assert count.tolist() == [6 - len(live), *(names.count(o) for o in SPACE.operations[1:])]


def test_encodings_of_ways_against_a_slow_walk():
    rng = np.random.default_rng(2)
    some = [*(SPACE.sample(rng) for _ in range(200)), (0,) * 6]
    acting = SPACE.operations[2:]
    spelled, summary = SPACE.encode(some, "path_counts"), SPACE.encode(some, "summary")
    assert spelled.shape == (201, 1 + 3 + 9 + 27)
    assert summary.shape == (201, 5 + 1 + 3 * 5)
    assert np.array_equal(summary[:, :5], SPACE.encode(some, "counts"))
    for cell, words, numbers in zip(some, spelled, summary, strict=True):
        graph = SPACE.graph(cell)
        ways = [
            [acting.index(name) for e in itertools.pairwise(nodes) if (name := graph.edges[e]["operation"]) in acting]
            for nodes in nx.all_simple_paths(graph, 0, 3)
        ]
        expected = np.zeros(40)
        for way in ways:
            expected[(0, 1, 4, 13)[len(way)] + sum(3**i * letter for i, letter in enumerate(reversed(way)))] += 1
        assert words.tolist() == expected.tolist()
        assert numbers[5] == len(ways)
        measured = ([way.count(0) for way in ways], [way.count(1) for way in ways], [way.count(2) for way in ways],
                    [sum(letter < 2 for letter in way) for way in ways], [len(way) for way in ways])  # fmt: skip
        for i, values in enumerate(measured):
            most_least_mean = [max(values), min(values), np.mean(values)] if ways else [-1, -1, -1]
            np.testing.assert_allclose(numbers[6 + 3 * i : 9 + 3 * i], most_least_mean, rtol=1e-6)


def test_encodings_of_the_whole_space_have_the_documented_shapes():
    assert SPACE.encode(SPACE.cells, "one_hot").shape == (15_625, 30)
    assert SPACE.encode(SPACE.cells, "path").shape == (15_625, 4 + 16 + 64)
    adjacency, features = SPACE.graph_arrays(SPACE.cells)
    assert adjacency.shape == (15_625, 8, 8)
    assert features.shape == (15_625, 8, 7)
    assert not adjacency[SPACE.index((0,) * 6)].any()
    full = adjacency[SPACE.index((3,) * 6)]
    assert np.array_equal(full, np.triu(full, 1))
    assert full.sum() == 3 + 3 + 4  # input to its edges, edges to the output, edge to edge


def test_transnas_micro_is_the_same_class_with_four_operations():
    micro = open_space("transnasbench101_micro")
    assert len(micro) == 4096
    assert micro.cell(0) == (0,) * 6
    assert micro.from_string(micro.to_string((1, 2, 3, 0, 1, 2))) == (1, 2, 3, 0, 1, 2)


def test_spaces_travel_between_processes():
    assert pickle.loads(pickle.dumps(SPACE)) is SPACE
    own = CellSpace("own", ("none", "skip_connect"))
    assert pickle.loads(pickle.dumps(own)).cells.tolist() == own.cells.tolist()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("|nor_conv_3x3~0|", "is not a cell of nasbench201"),
        ("", "is not a cell"),
        ("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~3|", "is not a cell"),
        ("|nor_conv_5x5~0|+|none~0|none~1|+|none~0|none~1|none~2|", "did you mean 'nor_conv_3x3'"),
    ],
)
def test_malformed_strings_are_refused_in_one_sentence(text, says):
    with pytest.raises(NasbenchError, match=says):
        SPACE.from_string(text)


@pytest.mark.parametrize("cell", [(0, 0, 0, 0, 0, 5), (0, 0), "nonsense", [0] * 6])
def test_cells_outside_the_space_are_refused(cell):
    with pytest.raises(NasbenchError, match="not a cell of nasbench201"):
        SPACE.index(cell)
    with pytest.raises(NasbenchError, match="there is no cell"):
        SPACE.cell(15_625)


def test_drawing_except_what_is_taken_is_uniform_over_the_rest():
    space, rng = CellSpace("tiny", ("none", "skip_connect")), np.random.default_rng(0)
    left = {space.cell(0), space.cell(9)}
    taken = {space.cell(i) for i in range(64)} - left
    drawn = [space.sample_except(taken, rng) for _ in range(200)]
    assert set(drawn) == left
    assert 60 < drawn.count(space.cell(9)) < 140
    assert space.sample_except(taken | left, rng) is None


@pytest.mark.parametrize("name", ["nasbench201", "transnasbench101_micro", "nasbench_graph"])
def test_no_cells_have_as_many_features_as_one(name):
    space = open_space(name)
    for encoding in space.encodings:
        assert space.encode([], encoding).shape == (0, space.encode([space.cell(5)], encoding).shape[1])


@pytest.mark.parametrize(
    "what",
    [
        lambda space: space.cell("a"),
        lambda space: space.cell(1.0),
        lambda space: space.cell(-1),
        lambda space: space.from_string(3),
        lambda space: space.from_string(""),
        lambda space: space.from_choices([9] * 7),
        lambda space: space.neighbours((9,) * 6),
        lambda space: space.mutate((9,) * 6, np.random.default_rng(0)),
        lambda space: space.canonical((9,) * 6),
        lambda space: space.encode([(0.5,) * len(space.choices)], "one_hot"),
    ],
)
@pytest.mark.parametrize("name", ["nasbench201", "nasbench_graph"])
def test_what_is_no_cell_is_one_sentence(name, what):
    with pytest.raises(NasbenchError, match=r"cell|code|decision"):
        what(open_space(name))


def test_published_names_of_transnasbench101_are_understood():
    space = open_space("transnasbench101_micro")
    assert space.from_string("64-41414-3_21_103") == space.from_string("3_21_103") == (3, 2, 1, 1, 0, 3)
    with pytest.raises(NasbenchError, match="is not a cell of transnasbench101_micro"):
        space.from_string("64-41414-4_21_103")
    with pytest.raises(NasbenchError, match="is not a cell of nasbench201; a cell is written like"):
        SPACE.from_string("3_21_103")
