"""NAS-Bench-101: acyclic graphs of at most 7 vertices and 9 edges, with operations on the interior vertices.

Vertex 0 is the cell's input, the last vertex its output, and the others carry a 3x3 convolution, a 1x1
convolution or a 3x3 max-pooling. Vertices on no way from input to output are pruned, and isomorphic graphs
are one cell: there are 423,624 (Ying et al., "NAS-Bench-101", ICML 2019, arXiv:1902.09635). Cells are
numbered by ascending published hash. The numbering is made once, in about 20 seconds, and kept in the user's
cache directory, when something first asks for an index, the cell at an index, a sample or `cells`; nothing
else needs it.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import NasbenchError, unknown
from . import enumeration101 as enumeration
from .base import Space
from .enumeration101 import KINDS, MAX_EDGES, MAX_VERTICES, SIZE
from .equivalence import RULES
from .ways import measures, summarise, word_counts

if TYPE_CHECKING:
    import networkx as nx

INTERIOR = MAX_VERTICES - 2
SLOTS = enumeration.slots(MAX_VERTICES)
"""The 21 possible edges of the 7-vertex frame, row by row; see `NASBench101.to_choices`."""

_SLOT = {edge: k for k, edge in enumerate(SLOTS)}


class Cell101(NamedTuple):
    """One cell: pruned, with n = len(operations) + 2 vertices, in the one labelling that the space uses.

    The space hands out isomorphic graphs as equal values, so cells can be compared and used as keys directly.
    """

    edges: tuple[tuple[int, int], ...]
    """Pairs (i, j), i < j, in ascending order; vertex 0 is the input and n - 1 the output."""
    operations: tuple[int, ...]
    """Codes into `NASBench101.operations` of vertices 1 .. n - 2."""


class NASBench101(Space):
    """The space of NAS-Bench-101; its cells are `Cell101` values."""

    name = "nasbench101"
    operations = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
    choices = (2,) * len(SLOTS) + (KINDS,) * INTERIOR
    encodings = ("one_hot", "path", "counts", "path_counts", "summary")

    def __repr__(self) -> str:
        return f"NASBench101({len(self)} cells)"

    def __reduce__(self) -> tuple:
        from . import open_space

        return open_space, (self.name,)

    def __len__(self) -> int:
        return SIZE

    @functools.cached_property
    def _codes(self) -> np.ndarray:
        return enumeration.load_cells()

    @functools.cached_property
    def _by_code(self) -> tuple[np.ndarray, np.ndarray]:
        """Codes in ascending order, and the index of each."""
        order = np.argsort(self._codes).astype(np.int32)
        return self._codes[order], order

    @functools.cached_property
    def cells(self) -> np.ndarray:
        """`to_choices` [len, 26] of every cell in index order, uint8, read-only; `encode` takes its rows."""
        table = np.zeros((SIZE, len(self.choices)), dtype=np.uint8)
        for vertices in range(2, MAX_VERTICES + 1):
            rows = np.flatnonzero(enumeration.vertex_counts(self._codes) == vertices)
            edges, operations = enumeration.decode_many(self._codes[rows], vertices)
            columns = np.array([_framed(edge, vertices) for edge in enumeration.slots(vertices)])
            table[rows[:, None], columns] = edges
            table[rows, len(SLOTS) : len(SLOTS) + vertices - 2] = operations
        table.flags.writeable = False
        return table

    def cell(self, index: int) -> Cell101:
        return _cell(int(self._codes[self._numbered(index)]))

    def index(self, cell: Cell101) -> int:
        codes, order = self._by_code
        return int(order[np.searchsorted(codes, np.uint32(_code(cell)))])

    def from_matrix(self, matrix: Any, operations: Sequence[str | int]) -> Cell101:
        """The cell of an adjacency matrix [v, v], pruned and in the space's own labelling.

        `operations` are names or codes of the v - 2 interior vertices; the published form with "input" and
        "output" at the two ends is understood too. As in the released benchmark, the limits of 7 vertices and
        9 edges count after pruning. NasbenchError if the graph is no cell.
        """
        array = np.asarray(matrix)
        if array.ndim != 2 or array.shape[0] != array.shape[1] or len(array) < 2:
            raise NasbenchError(f"an adjacency matrix is square, 2 x 2 or larger; this one is {array.shape}.")
        if not ((array == 0) | (array == 1)).all():
            raise NasbenchError("an adjacency matrix holds only 0 and 1; this one has other values.")
        if np.tril(array).any():
            raise NasbenchError("an adjacency matrix must be upper triangular: each edge points to a later vertex.")
        names = list(operations)
        if len(names) == len(array) and (names[0], names[-1]) == ("input", "output"):
            names = names[1:-1]
        if len(names) != len(array) - 2:
            raise NasbenchError(
                f"{len(array)} vertices need {len(array) - 2} interior operations; {len(names)} were given."
            )
        edges = [(i, j) for i, j in np.argwhere(array).tolist()]
        pruned = enumeration.prune(len(array), edges, [self._operation(name) for name in names])
        if pruned is None:
            raise NasbenchError("the graph has no path from its input, vertex 0, to its output, the last.")
        vertices, edges, codes = pruned
        if vertices > MAX_VERTICES or len(edges) > MAX_EDGES:
            raise NasbenchError(
                f"a cell has at most {MAX_VERTICES} vertices and {MAX_EDGES} edges after pruning; "
                f"this one has {vertices} and {len(edges)}."
            )
        return _canonical(vertices, edges, codes)

    def _operation(self, name: str | int) -> int:
        if name in self.operations:
            return self.operations.index(str(name))
        if isinstance(name, str) or name not in range(KINDS):
            raise unknown(f"operation in {self.name}", str(name), self.operations)
        return int(name)

    def to_string(self, cell: Cell101) -> str:
        """Edges joined by `+`, then the interior operations in vertex order, each after a `|`.

        For example `0-1+0-2+1-2|maxpool3x3` is a pooling between input 0 and output 2, with a way around it.
        """
        _code(cell)
        edges = "+".join(f"{i}-{j}" for i, j in cell.edges)
        return "|".join([edges, *(self.operations[code] for code in cell.operations)])

    def from_string(self, text: str) -> Cell101:
        """The inverse of `to_string`; a graph that is unpruned or labelled otherwise is brought into form.

        The published hash, 32 hexadecimal digits, is understood as well.
        """
        text = self._text(text)
        if re.fullmatch(r"[0-9a-f]{32}", text):
            return self._hashed(text)
        edges, *names = text.split("|")
        vertices = len(names) + 2
        pairs = [(int(i), int(j)) for i, j in re.findall(r"(\d)-(\d)", edges)]
        if not pairs or edges != "+".join(f"{i}-{j}" for i, j in pairs) or any(max(pair) >= vertices for pair in pairs):
            raise NasbenchError(
                f"{text!r} is not a cell of {self.name}; a cell is written like '0-1+0-2+1-2|maxpool3x3'."
            )
        matrix = np.zeros((vertices, vertices), dtype=np.int8)
        matrix[tuple(zip(*pairs, strict=True))] = 1
        return self.from_matrix(matrix, names)

    def _hashed(self, text: str) -> Cell101:
        """The cell of a published hash, in whose order cells are numbered."""
        index = bisect.bisect_left(range(SIZE), text, key=lambda i: _hash(int(self._codes[i])))
        if index == SIZE or self.module_hash(self.cell(index)) != text:
            raise NasbenchError(f"{self.name} has no cell with the hash {text}.")
        return self.cell(index)

    def to_choices(self, cell: Cell101) -> tuple[int, ...]:
        """26 decisions: whether each of the 21 edges in SLOTS is there, and the operation of vertices 1 .. 5.

        The cell lies in a frame of 7 vertices with its output at vertex 6; vertices that it lacks have no
        edges and operation 0.
        """
        _code(cell)
        vertices = len(cell.operations) + 2
        values = [0] * len(self.choices)
        for edge in cell.edges:
            values[_framed(edge, vertices)] = 1
        values[len(SLOTS) : len(SLOTS) + vertices - 2] = cell.operations
        return tuple(values)

    def from_choices(self, values: Sequence[int]) -> Cell101 | None:
        """The pruned cell; None if input and output are not connected or more than 9 edges remain."""
        if len(values) != len(self.choices) or not set(values[len(SLOTS) :]) <= set(range(KINDS)):
            raise NasbenchError(f"{values!r} is not 21 edges (0 or 1) and 5 operations (0 to 2).")
        edges = [edge for edge, present in zip(SLOTS, values, strict=False) if present]
        pruned = enumeration.prune(MAX_VERTICES, edges, [int(code) for code in values[len(SLOTS) :]])
        return None if pruned is None or len(pruned[1]) > MAX_EDGES else _canonical(*pruned)

    def neighbours(self, cell: Cell101) -> list[Cell101]:
        """Every cell that one of these edits makes, in the order in which they find it.

        Change one operation; add or remove one edge; add a vertex with one incoming and one outgoing edge, or
        remove such a vertex with its edges. An edit counts only where nothing is left to prune and the limits
        hold, and every pair of vertices is tried, whatever the labelling. Each edit's reverse is then an edit
        of the result, so the relation is symmetric; and it connects the whole space.
        """
        own, edges, operations = _code(cell), set(cell.edges), list(cell.operations)
        vertices = len(operations) + 2
        found: dict[int, None] = {}
        for edited in enumeration.edits(vertices, edges, operations):
            code = enumeration.canonical_code(*edited)
            if code is not None and code != own:
                found[code] = None
        return [_cell(code) for code in found]

    def mutate(self, cell: Cell101, rng: np.random.Generator) -> Cell101:
        """Independent edits of edges and operations, as in NAS-Bench-101's regularised evolution (rates from memory).

        Each of the 21 edges of the 7-vertex frame flips with probability 1/7 and each of the 5 operations
        changes to another one with probability 1/5, again until that makes another valid cell. Operations of
        vertices that the cell lacks are drawn uniformly first, since a pruned cell does not record them.
        """
        own = _cell(_code(cell))
        frame = self.to_choices(own)
        edges, first_free = frame[: len(SLOTS)], len(own.operations)
        while True:
            draws = rng.random(len(frame) + INTERIOR).tolist()
            values = [bit ^ (draw * MAX_VERTICES < 1) for bit, draw in zip(edges, draws, strict=False)]
            for v in range(INTERIOR):
                draw, extra = draws[len(SLOTS) + v], draws[len(frame) + v]
                if v >= first_free:
                    values.append(int(extra * KINDS))
                else:
                    step = 1 + int(extra * (KINDS - 1)) if draw * INTERIOR < 1 else 0
                    values.append((frame[len(SLOTS) + v] + step) % KINDS)
            child = self.from_choices(values)
            if child is not None and child != own:
                return child

    def crossover(self, first: Cell101, second: Cell101, rng: np.random.Generator) -> Cell101:
        """Each decision of `to_choices` from either parent with probability 1/2, until they make a cell."""
        pairs = list(zip(self.to_choices(first), self.to_choices(second), strict=True))
        while True:
            mask = int(rng.random() * (1 << len(pairs)))
            child = self.from_choices([pair[mask >> k & 1] for k, pair in enumerate(pairs)])
            if child is not None:
                return child

    def module_hash(self, cell: Cell101) -> str:
        """The published isomorphism-invariant hash, by which the benchmark's tables name their cells."""
        return _hash(_code(cell))

    def canonical(self, cell: Cell101, rule: str = "exact") -> Cell101 | str:
        """The published hash under `published` and `exact`, which agree; the cell itself under `none`."""
        self._check_rule(rule)
        return cell if rule == "none" else self.module_hash(cell)

    def classes(self, rule: str = "exact") -> np.ndarray:
        """The identity [len] under every rule: each index already stands for a whole isomorphism class."""
        self._check_rule(rule)
        return np.arange(SIZE, dtype=np.int32)

    @staticmethod
    def _check_rule(rule: str) -> None:
        if rule not in RULES:
            raise unknown("equivalence rule", rule, RULES)

    def graph(self, cell: Cell101) -> nx.DiGraph:
        """Vertices 0 .. n - 1 with the attribute `operation`, "input" and "output" at the ends."""
        import networkx as nx

        graph = nx.DiGraph(name=self.to_string(cell))
        for v, name in enumerate(["input", *(self.operations[code] for code in cell.operations), "output"]):
            graph.add_node(v, operation=name)
        graph.add_edges_from(cell.edges)
        return graph

    def _decisions(self, cells: Sequence[Cell101] | np.ndarray) -> np.ndarray:
        if not isinstance(cells, np.ndarray):
            cells = np.array([self.to_choices(cell) for cell in cells], dtype=np.uint8)
        values = cells.reshape(-1, len(self.choices))
        if values.size and not ((values >= 0) & (values < np.array(self.choices))).all():
            raise NasbenchError("rows of decisions hold 21 edges (0 or 1) and 5 operations (0 to 2).")
        return values

    def encode(self, cells: Sequence[Cell101] | np.ndarray, encoding: str = "one_hot") -> np.ndarray:
        """Features [m, d], float32, of cells or of rows of `cells`; rows take about 1 s for the whole space.

        `one_hot`: the 21 edges of the 7-vertex frame and the operation of vertices 1 .. 5, all zero where the
        cell has no such vertex, d = 36. `path`: for every sequence of operations along a way from input to
        output, shorter ones first, whether the cell has it, d = 1 + 3 + 9 + 27 + 81 + 243 = 364 (White et
        al., BANANAS, arXiv:1910.11858; the first 40 columns are the ways of at most 3 operations). `counts`:
        vertices with each operation, and edges, d = 4. `path_counts`: `path` with the number of ways. `summary`:
        `counts`, and how many ways there are and what is on them (see nasbench.spaces.ways.summarise), d = 20.
        """
        values = self._decisions(cells)
        if encoding in ("path", "path_counts"):
            paths = word_counts(_words(values), KINDS)
            return paths if encoding == "path_counts" else np.minimum(paths, 1)
        edges, features = values[:, : len(SLOTS)], self._operation_features(values)
        if encoding == "one_hot":
            flat = features.reshape(len(values), INTERIOR * KINDS)
            return np.concatenate([edges, flat], axis=1, dtype=np.float32)
        if encoding in ("counts", "summary"):
            parts = [features.sum(axis=1), edges.sum(axis=1, keepdims=True)]
            if encoding == "summary":
                parts.append(summarise(_words(values), measures(self.operations)))
            return np.concatenate(parts, axis=1, dtype=np.float32)
        raise unknown("encoding", encoding, self.encodings)

    @staticmethod
    def _operation_features(values: np.ndarray) -> np.ndarray:
        """One-hot operations [m, 5, 3] of vertices 1 .. 5, zero for vertices without edges."""
        leaving = np.array([[i == v + 1 for v in range(INTERIOR)] for i, _ in SLOTS], dtype=np.float32)
        present = values[:, : len(SLOTS)].astype(np.float32) @ leaving > 0
        return np.eye(KINDS, dtype=np.float32)[values[:, len(SLOTS) :]] * present[:, :, None]

    def graph_arrays(self, cells: Sequence[Cell101] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Adjacency [m, 7, 7] and features [m, 7, 5], float32: three operations, input, output, one-hot.

        Entry [i, j] is 1 where i feeds j; the output is node 6 and nodes that a cell lacks are all zero.
        """
        values = self._decisions(cells)
        adjacency = np.zeros((len(values), MAX_VERTICES, MAX_VERTICES), dtype=np.float32)
        adjacency[(slice(None), *np.array(SLOTS).T)] = values[:, : len(SLOTS)]
        features = np.zeros((len(values), MAX_VERTICES, KINDS + 2), dtype=np.float32)
        features[:, 0, KINDS] = features[:, -1, KINDS + 1] = 1
        features[:, 1:-1, :KINDS] = self._operation_features(values)
        return adjacency, features


def _words(values: np.ndarray) -> np.ndarray:
    """Operations [m, 32, 5] along every way through the frame, as `ways` takes them."""
    inner = [w for length in range(INTERIOR + 1) for w in itertools.combinations(range(1, MAX_VERTICES - 1), length)]
    words = np.full((len(values), len(inner), INTERIOR), -1, dtype=np.int8)
    for way, vertices in enumerate(inner):
        slots = [_SLOT[edge] for edge in itertools.pairwise((0, *vertices, MAX_VERTICES - 1))]
        words[:, way, : len(vertices)] = values[:, [len(SLOTS) + v - 1 for v in vertices]]
        words[~values[:, slots].all(axis=1), way, 0] = -2
    return words


def _framed(edge: tuple[int, int], vertices: int) -> int:
    """The slot of a cell's edge in the 7-vertex frame."""
    i, j = edge
    return _SLOT[i, MAX_VERTICES - 1 if j == vertices - 1 else j]


def _canonical(vertices: int, edges: Collection[tuple[int, int]], operations: Sequence[int]) -> Cell101:
    code = enumeration.canonical_code(vertices, edges, operations)
    assert code is not None, "what is left after pruning is a cell"
    return _cell(code)


@functools.lru_cache(maxsize=1 << 16)
def _cell(code: int) -> Cell101:
    return Cell101(*enumeration.decode(code))


@functools.lru_cache(maxsize=1 << 16)
def _hash(code: int) -> str:
    edges, operations = enumeration.decode(code)
    return enumeration.module_hash(len(operations) + 2, edges, operations)


def _code(cell: Cell101) -> int:
    """The code of a cell in any labelling; NasbenchError if it is none."""
    try:
        return _checked_code(cell)
    except (TypeError, ValueError, IndexError):
        raise NasbenchError(
            f"{cell!r} is not a cell of nasbench101; from_matrix and from_string make valid ones."
        ) from None


@functools.lru_cache(maxsize=1 << 16)
def _checked_code(cell: Cell101) -> int:
    edges, operations = cell
    vertices = len(operations) + 2
    if vertices > MAX_VERTICES or len(edges) > MAX_EDGES or not set(operations) <= set(range(KINDS)):
        raise ValueError
    if list(edges) != sorted(set(edges)) or not all(0 <= i < j < vertices for i, j in edges):
        raise ValueError
    code = enumeration.canonical_code(vertices, edges, operations)
    if code is None:
        raise ValueError
    return code
