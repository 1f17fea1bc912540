"""NAS-Bench-101: published hashes and numbering, pruning, notation, moves, encodings, the cached enumeration.

On a machine that has no enumeration in its cache yet, the tests make it first (about 20 seconds).
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench.errors import NasbenchError
from nasbench.spaces import enumeration101 as enumeration
from nasbench.spaces import open_space
from nasbench.spaces.nasbench101 import SLOTS, Cell101, NASBench101

SPACE = open_space("nasbench101")
assert isinstance(SPACE, NASBench101)
CONV3, CONV1, POOL = SPACE.operations
cells = st.integers(0, enumeration.SIZE - 1).map(SPACE.cell)
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def sample() -> dict[str, np.ndarray]:
    """30,001 published cells in two runs of consecutive hashes."""
    path = Path(os.environ.get("NASBENCH_DATA", "")) / "published" / "nasbench101_sample.npz"
    if "NASBENCH_DATA" not in os.environ or not path.exists():
        pytest.skip("needs NASBENCH_DATA to point at a folder with published/nasbench101_sample.npz")
    with np.load(path) as file:
        return {name: file[name] for name in ("module_hash", "n_vertices", "adjacency", "ops")}


@pytest.fixture(scope="module", autouse=True)
def enumerated() -> None:
    """Make or read the enumeration before any test, so that none is timed with it."""
    assert len(SPACE.cells) == len(SPACE)


def published_cell(sample: dict[str, np.ndarray], row: int) -> Cell101:
    n = int(sample["n_vertices"][row])
    matrix = np.array([int(bit) for bit in str(sample["adjacency"][row])]).reshape(n, n)
    return SPACE.from_matrix(matrix, [int(code) for code in str(sample["ops"][row])])


def matrix_of(cell: Cell101) -> np.ndarray:
    matrix = np.zeros((len(cell.operations) + 2,) * 2, dtype=int)
    matrix[tuple(zip(*cell.edges, strict=True))] = 1
    return matrix


def test_published_hashes_and_numbering(sample):
    found = [published_cell(sample, row) for row in range(len(sample["module_hash"]))]
    for row in range(0, len(found), 10):
        assert SPACE.module_hash(found[row]) == sample["module_hash"][row]
    index = np.array([SPACE.index(cell) for cell in found])
    digests = enumeration.module_hashes(enumeration.load_cells()[index])
    assert [digest.tobytes().hex() for digest in digests] == sample["module_hash"].tolist()
    assert index[0] == 0
    assert (np.diff(index) == 1).sum() == len(index) - 2, "consecutive but for one gap"


def test_enumeration_holds_every_class_once_in_hash_order():
    codes = enumeration.load_cells()
    made = [enumeration.every_code(vertices) for vertices in range(2, 8)]
    assert [len(part) for part in made] == [1, 6, 84, 2441, 62010, 359082]
    assert len(SPACE) == len(codes) == sum(map(len, made)) == 423_624
    assert np.array_equal(np.sort(codes), np.concatenate(made))
    some = codes[::97]
    digests = [digest.tobytes() for digest in enumeration.module_hashes(some)]
    assert all(a < b for a, b in itertools.pairwise(digests))
    for code, digest in list(zip(some.tolist(), digests, strict=True))[::10]:
        edges, operations = enumeration.decode(code)
        assert enumeration.module_hash(len(operations) + 2, edges, operations) == digest.hex()


@given(cells)
def test_round_trips(cell):
    assert SPACE.cell(SPACE.index(cell)) == cell
    assert SPACE.from_string(SPACE.to_string(cell)) == cell
    assert SPACE.from_choices(SPACE.to_choices(cell)) == cell
    assert SPACE.from_matrix(matrix_of(cell), cell.operations) == cell
    names = ["input", *(SPACE.operations[code] for code in cell.operations), "output"]
    assert SPACE.from_matrix(matrix_of(cell), names) == cell


@given(cells, st.permutations(range(1, 6)))
def test_labelling_changes_nothing(cell, priority):
    order = list(nx.lexicographical_topological_sort(SPACE.graph(cell), key=[0, *priority, 6].__getitem__))
    order.remove(len(cell.operations) + 1)
    order.append(len(cell.operations) + 1)
    to = {old: new for new, old in enumerate(order)}
    edges = tuple(sorted((to[i], to[j]) for i, j in cell.edges))
    relabelled = Cell101(edges, tuple(cell.operations[old - 1] for old in order[1:-1]))
    assert SPACE.from_matrix(matrix_of(relabelled), relabelled.operations) == cell
    assert SPACE.index(relabelled) == SPACE.index(cell)
    assert enumeration.module_hash(len(order), edges, relabelled.operations) == SPACE.module_hash(cell)


@given(st.lists(st.booleans(), min_size=21, max_size=21), st.lists(st.integers(0, 2), min_size=5, max_size=5))
def test_pruning_keeps_what_lies_between_input_and_output(bits, operations):
    graph = nx.DiGraph([edge for edge, bit in zip(SLOTS, bits, strict=True) if bit])
    graph.add_nodes_from(range(7), operation="")
    for v in range(7):
        graph.nodes[v]["operation"] = ["input", *(SPACE.operations[c] for c in operations), "output"][v]
    kept = graph.subgraph(({0} | nx.descendants(graph, 0)) & ({6} | nx.ancestors(graph, 6)))
    cell = SPACE.from_choices([*bits, *operations])
    if 6 not in kept or kept.number_of_edges() > 9:
        assert cell is None
    else:
        assert nx.is_isomorphic(kept, SPACE.graph(cell), lambda a, b: a["operation"] == b["operation"])


@settings(max_examples=25, deadline=None)
@given(cells)
def test_neighbours_are_symmetric(cell):
    neighbours = SPACE.neighbours(cell)
    hashes = [SPACE.module_hash(other) for other in neighbours]
    assert len({*hashes, SPACE.module_hash(cell)}) == len(neighbours) + 1
    for other in neighbours:
        assert SPACE.cell(SPACE.index(other)) == other
        assert cell in SPACE.neighbours(other)


def test_neighbours_of_a_small_cell():
    cell = SPACE.from_string("0-1+0-2+1-2|maxpool3x3")
    found = {SPACE.to_string(other) for other in SPACE.neighbours(cell)}
    assert {f"0-1+0-2+1-2|{CONV3}", f"0-1+0-2+1-2|{CONV1}", f"0-1+1-2|{POOL}", "0-1"} <= found
    assert {len(other.operations) for other in SPACE.neighbours(cell)} == {0, 1, 2}


def test_neighbours_add_edges_against_the_labelling():
    parallel = SPACE.from_string(f"0-1+0-2+1-3+2-3|{CONV3}|{POOL}")
    joined = [c.operations for c in SPACE.neighbours(parallel) if len(c.operations) == 2 and (1, 2) in c.edges]
    assert sorted(joined) == [(0, 2), (2, 0)], "either operation may come to feed the other"


@given(cells, seeds)
def test_mutation_gives_another_cell(cell, seed):
    child = SPACE.mutate(cell, np.random.default_rng(seed))
    assert child != cell
    assert SPACE.cell(SPACE.index(child)) == child
    assert child == SPACE.mutate(cell, np.random.default_rng(seed))


def test_mutation_rates_are_the_published_ones():
    chain = SPACE.from_string("0-1+1-2+2-3+3-4+4-5+5-6" + f"|{CONV3}" * 5)
    rng = np.random.default_rng(0)
    children = [SPACE.mutate(chain, rng) for _ in range(4000)]
    same_shape = [c for c in children if c.edges == chain.edges]
    changed = np.mean([sum(code != 0 for code in c.operations) for c in same_shape])
    assert changed == pytest.approx(1 / (1 - 0.8**5), abs=0.15), "mean of a binomial (5, 1/5) that is not 0"


@given(cells, cells, seeds)
def test_crossover(first, second, seed):
    child = SPACE.crossover(first, second, np.random.default_rng(seed))
    assert SPACE.cell(SPACE.index(child)) == child
    assert len(child.edges) <= len(first.edges) + len(second.edges)
    assert SPACE.crossover(first, first, np.random.default_rng(seed)) == first


def test_sampling_is_uniform_over_the_numbering():
    rng = np.random.default_rng(1)
    index = np.array([SPACE.index(SPACE.sample(rng)) for _ in range(3000)])
    counts = np.bincount(index * 10 // len(SPACE), minlength=10)
    assert ((counts - 300) ** 2 / 300).sum() < 27.9, "chi-square with 9 degrees of freedom, p = 0.001"


@given(cells)
def test_encodings_say_what_the_graph_says(cell):
    graph = SPACE.graph(cell)
    names = [SPACE.operations.index(graph.nodes[v]["operation"]) for v in range(1, len(cell.operations) + 1)]
    offset = np.cumsum([0, 1, 3, 9, 27, 81])
    expected = Counter()
    ways = list(nx.all_simple_paths(graph, 0, len(cell.operations) + 1))
    for way in ways:
        word = 0
        for v in way[1:-1]:
            word = word * 3 + names[v - 1]
        expected[int(offset[len(way) - 2] + word)] += 1
    path = SPACE.encode([cell], "path")
    assert path.shape == (1, 364)
    assert set(np.flatnonzero(path[0])) == set(expected)
    spelled = SPACE.encode([cell], "path_counts")[0]
    assert {i: spelled[i] for i in np.flatnonzero(spelled)} == expected
    counts = [*(cell.operations.count(code) for code in range(3)), len(cell.edges)]
    assert SPACE.encode([cell], "counts").tolist() == [counts]
    summary = SPACE.encode([cell], "summary")[0].tolist()
    lengths = [len(way) - 2 for way in ways]
    assert summary[:5] == [*counts, len(ways)]
    assert summary[-3:] == pytest.approx([max(lengths), min(lengths), np.mean(lengths)])
    one_hot = SPACE.encode([cell], "one_hot")
    assert one_hot.shape == (1, 36)
    assert one_hot[0, :21].tolist() == list(SPACE.to_choices(cell)[:21])
    assert one_hot[0, 21:].sum() == len(cell.operations)
    row = SPACE.cells[SPACE.index(cell)][None]
    for encoding in SPACE.encodings:
        assert np.array_equal(SPACE.encode(row, encoding), SPACE.encode([cell], encoding))


@given(cells)
def test_graph_arrays(cell):
    adjacency, features = SPACE.graph_arrays([cell])
    assert adjacency.shape == (1, 7, 7)
    assert features.shape == (1, 7, 5)
    present = features[0].any(axis=1)
    assert present.sum() == len(cell.operations) + 2
    assert np.array_equal(adjacency[0][np.ix_(present, present)], matrix_of(cell))
    assert adjacency.sum() == len(cell.edges)


def test_rules():
    cell = SPACE.cell(7)
    assert SPACE.canonical(cell) == SPACE.canonical(cell, "published") == SPACE.module_hash(cell)
    assert SPACE.canonical(cell, "none") == cell
    assert np.array_equal(SPACE.representatives("exact"), np.arange(len(SPACE)))
    with pytest.raises(NasbenchError, match="exact"):
        SPACE.canonical(cell, "exactly")


@pytest.mark.parametrize(
    ("matrix", "operations", "message"),
    [
        ([[0, 1]], [], "square"),
        ([[0, 2], [0, 0]], [], "only 0 and 1"),
        ([[0, 1], [1, 0]], [], "upper triangular"),
        ([[0, 0], [0, 0]], [], "no path"),
        ([[0, 1], [0, 0]], [CONV3], "0 interior operations"),
        (np.eye(3, k=1), ["conv3x3"], "did you mean 'conv3x3-bn-relu'"),
        (np.eye(3, k=1), [3], "unknown operation"),
        (np.triu(np.ones((5, 5)), 1), [CONV3] * 3, "at most 7 vertices and 9 edges"),
        (np.eye(8, k=1), [POOL] * 6, "this one has 8 and 7"),
    ],
)
def test_graphs_that_are_no_cells(matrix, operations, message):
    with pytest.raises(NasbenchError, match=message):
        SPACE.from_matrix(matrix, operations)


@pytest.mark.parametrize("text", ["", "0-1|", "0-1+0-3", "0-1,1-2|maxpool3x3", "0-1+1-2|pool", "nonsense"])
def test_malformed_text(text):
    with pytest.raises(NasbenchError):
        SPACE.from_string(text)


@pytest.mark.parametrize(
    "cell",
    [
        None,
        "0-1",
        (1, 2, 3),
        Cell101((), ()),
        Cell101(((0, 1),), (0,)),
        Cell101(((0, 1), (1, 2)), (3,)),
        Cell101(((0, 2), (0, 1), (1, 2)), (0,)),
        Cell101(((0, 1), (1, 0)), ()),
    ],
)
def test_values_that_are_no_cells(cell):
    with pytest.raises(NasbenchError, match="is not a cell of nasbench101"):
        SPACE.index(cell)


def test_index_out_of_range_and_wrong_decisions():
    for index in (-1, len(SPACE)):
        with pytest.raises(NasbenchError, match=f"no cell {index}"):
            SPACE.cell(index)
    with pytest.raises(NasbenchError, match="21 edges"):
        SPACE.from_choices((1,) * 25)
    with pytest.raises(NasbenchError, match="21 edges"):
        SPACE.encode(np.full((1, 26), 2))
    with pytest.raises(NasbenchError, match="one_hot"):
        SPACE.encode([SPACE.cell(0)], "onehot")


def test_pickles_as_the_singleton():
    assert pickle.loads(pickle.dumps(SPACE)) is SPACE


def test_opening_is_light_and_enumerates_nothing(tmp_path):
    code = (
        "import sys; from nasbench.spaces import open_space; space = open_space('nasbench101'); len(space)\n"
        "space.neighbours(space.from_string('0-1')), space.encode([space.from_string('0-1')])\n"
        "assert not {'networkx', 'matplotlib', 'pandas', 'torch'} & set(sys.modules)"
    )
    root = Path(__file__).parents[2]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def counted(tmp_path, monkeypatch):
    """An empty cache folder, and how often the enumeration was made anew."""
    codes, made = enumeration.load_cells(), []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(enumeration, "enumerate_cells", lambda: made.append(1) or codes.copy())
    return made


def test_cache_is_written_once_and_read_after(counted, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    first, second = enumeration.load_cells(), enumeration.load_cells()
    assert np.array_equal(first, second)
    assert len(counted) == len(caplog.records) == 1
    assert [path.name for path in (tmp_path / "nasbench").iterdir()] == [enumeration.CACHE_NAME]
    assert enumeration.cache_file().stat().st_size < 2_000_000


@pytest.mark.parametrize("damage", ["empty", "truncated", "flipped", "other array", "no array"])
def test_damaged_cache_is_noticed_and_rebuilt(counted, damage):
    good = enumeration.load_cells()
    path = enumeration.cache_file()
    content = bytearray(path.read_bytes())
    content[1_000_000] ^= 1
    if damage == "other array":
        np.save(path, np.arange(5))
    else:
        half = path.read_bytes()[:700_000]
        path.write_bytes({"empty": b"", "truncated": half, "flipped": content, "no array": b"hello"}[damage])
    assert np.array_equal(enumeration.load_cells(), good)
    assert np.array_equal(enumeration.load_cells(), good)
    assert len(counted) == 2


def test_cache_folder_that_cannot_be_written(counted, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(enumeration.load_cells()) == len(SPACE)


@given(st.binary(max_size=300))
def test_vectorised_md5(message):
    array = np.frombuffer(message, dtype=np.uint8).reshape(1, -1)
    assert enumeration.md5_many(array).tobytes() == hashlib.md5(message).digest()


def test_published_hashes_name_their_cells():
    for index in (0, 1, 2_000, 423_623):
        cell = SPACE.cell(index)
        assert SPACE.from_string(SPACE.module_hash(cell)) == cell
    for text in ("f" * 32, "0" * 32):
        with pytest.raises(NasbenchError, match=f"has no cell with the hash {text}"):
            SPACE.from_string(text)
