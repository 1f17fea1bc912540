"""Cells of four nodes with one operation on each of the six edges: NAS-Bench-201, and TransNAS-Bench-101 micro.

Node j sums its incoming edges; the cell's output is node 3. A cell is a tuple of six operation codes in the
published edge order 0-1, 0-2, 1-2, 0-3, 1-3, 2-3. Papers: Dong and Yang, "NAS-Bench-201", ICLR 2020
(arXiv:2001.00326); Duan et al., "TransNAS-Bench-101", CVPR 2021 (arXiv:2105.11871).
"""

from __future__ import annotations

import functools
import itertools
import random
import re
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import NasbenchError, unknown
from .base import Space
from .equivalence import RULES
from .ways import measures, summarise, word_counts

if TYPE_CHECKING:
    import networkx as nx

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
PATHS = ((3,), (0, 4), (1, 5), (0, 2, 5))
"""Every way from node 0 to node 3, as positions in EDGES."""

NONE, SKIP = 0, 1
NAS_BENCH_201_SEED = 88
"""NAS-Bench-201 numbers its cells by the lexicographic order shuffled with Python's `random` under this seed
(its released generator script says so); the order is checked in the tests against the published one."""

OpCodes = tuple[int, ...]


class CellSpace(Space):
    """All assignments of `operations` to the six edges.

    Args:
        name: the space's name in tables.
        operations: published operation names; the first two must be `none` and `skip_connect`.
        shuffle_seed: seed of the published numbering; None numbers the cells lexicographically.
        digits: whether cells were published as codes by node behind what they are stacked in, as 64-41414-3_33_333.
        parameter_free: operations without weights of their own (`none` and `skip_connect` apart).
    """

    encodings = ("one_hot", "path", "counts", "path_counts", "summary")

    def __init__(
        self,
        name: str,
        operations: Sequence[str],
        shuffle_seed: int | None = None,
        parameter_free: Sequence[str] = ("avg_pool_3x3",),
        digits: bool = False,
    ) -> None:
        self._arguments = (name, tuple(operations), shuffle_seed, tuple(parameter_free), digits)
        self._digits = digits
        self.name = name
        self.operations = tuple(operations)
        self.choices = (len(self.operations),) * len(EDGES)
        self._weightless = frozenset(i for i, o in enumerate(self.operations) if o in parameter_free)
        cells = list(itertools.product(range(len(self.operations)), repeat=len(EDGES)))
        if shuffle_seed is not None:
            random.Random(shuffle_seed).shuffle(cells)
        self._cells = cells
        self._size = len(cells)
        self._edits = len(EDGES) * (len(self.operations) - 1)

    def __repr__(self) -> str:
        return f"CellSpace({self.name!r}, {len(self)} cells)"

    def __reduce__(self) -> tuple:
        from . import SPACES, open_space

        return (open_space, (self.name,)) if self.name in SPACES else (CellSpace, self._arguments)

    def __len__(self) -> int:
        return self._size

    @functools.cached_property
    def _index(self) -> dict[OpCodes, int]:
        return {cell: i for i, cell in enumerate(self._cells)}

    @functools.cached_property
    def cells(self) -> np.ndarray:
        """Operation codes [len, 6] of every cell in index order, read-only."""
        codes = np.array(self._cells, dtype=np.int8)
        codes.flags.writeable = False
        return codes

    def cell(self, index: int) -> OpCodes:
        return self._cells[self._numbered(index)]

    def index(self, cell: OpCodes) -> int:
        try:
            return self._index[cell]
        except (KeyError, TypeError):
            raise NasbenchError(
                f"{cell!r} is not a cell of {self.name}: a cell is a tuple of {len(EDGES)} operation codes "
                f"from 0 to {len(self.operations) - 1}."
            ) from None

    def to_string(self, cell: OpCodes) -> str:
        self.index(cell)
        nodes: list[str] = []
        for node in range(1, 4):
            terms = [f"{self.operations[c]}~{a}" for c, (a, b) in zip(cell, EDGES, strict=True) if b == node]
            nodes.append("|" + "|".join(terms) + "|")
        return "+".join(nodes)

    def from_string(self, text: str) -> OpCodes:
        example = f"'{self.to_string(self._cells[0])}'"
        text = self._text(text)
        published = re.fullmatch(r"(?:\d+-\d+-)?(\d)_(\d\d)_(\d\d\d)", text)
        if self._digits and published:
            cell = tuple(int(code) for codes in published.groups() for code in codes)
            self.index(cell)
            return cell
        terms = re.findall(r"([^|+~]+)~(\d)", text)
        shape = "+".join("|" + "|".join(f"{{}}~{a}" for a in range(node)) + "|" for node in range(1, 4))
        if len(terms) != len(EDGES) or shape.format(*(name for name, _ in terms)) != text:
            raise NasbenchError(f"{text!r} is not a cell of {self.name}; a cell is written like {example}.")
        for name, _ in terms:
            if name not in self.operations:
                raise unknown(f"operation in {self.name}", name, self.operations)
        return tuple(self.operations.index(name) for name, _ in terms)

    def to_choices(self, cell: OpCodes) -> tuple[int, ...]:
        return cell

    def from_choices(self, values: Sequence[int]) -> OpCodes | None:
        cell = tuple(values)
        self.index(cell)
        return cell

    def sample(self, rng: np.random.Generator, rule: str | None = None) -> OpCodes:
        if rule is None:
            return self._cells[int(rng.random() * self._size)]
        representatives = self.representatives(rule)
        return self._cells[int(representatives[int(rng.random() * len(representatives))])]

    def neighbours(self, cell: OpCodes) -> list[OpCodes]:
        self.index(cell)
        return [
            (*cell[:edge], code, *cell[edge + 1 :])
            for edge in range(len(EDGES))
            for code in range(len(self.operations))
            if code != cell[edge]
        ]

    def mutate(self, cell: OpCodes, rng: np.random.Generator) -> OpCodes:
        self.index(cell)
        kinds = len(self.operations)
        if kinds == 1:
            return cell
        edge, step = divmod(int(rng.random() * self._edits), kinds - 1)
        return (*cell[:edge], (cell[edge] + 1 + step) % kinds, *cell[edge + 1 :])

    def crossover(self, first: OpCodes, second: OpCodes, rng: np.random.Generator) -> OpCodes:
        mask = int(rng.random() * (1 << len(EDGES)))
        return tuple(b if mask >> i & 1 else a for i, (a, b) in enumerate(zip(first, second, strict=True)))

    def canonical(self, cell: OpCodes, rule: str = "exact") -> Hashable:
        if rule not in RULES:
            raise unknown("equivalence rule", rule, RULES)
        self.index(cell)
        return RULES[rule](cell, self.operations, self._weightless)

    @functools.lru_cache(maxsize=4)  # noqa: B019 - spaces are singletons and live as long as the process
    def classes(self, rule: str = "exact") -> np.ndarray:
        number: dict[Hashable, int] = {}
        found = [number.setdefault(self.canonical(cell, rule), len(number)) for cell in self._cells]
        classes = np.array(found, dtype=np.int32)
        classes.flags.writeable = False
        return classes

    def graph(self, cell: OpCodes) -> nx.DiGraph:
        import networkx as nx

        self.index(cell)
        graph = nx.DiGraph(name=self.to_string(cell))
        graph.add_nodes_from(range(4))
        for code, (a, b) in zip(cell, EDGES, strict=True):
            if code != NONE:
                graph.add_edge(a, b, operation=self.operations[code])
        return graph

    def _codes(self, cells: Sequence[OpCodes] | np.ndarray) -> np.ndarray:
        codes = np.asarray(cells).reshape(-1, len(EDGES))
        if codes.size and not np.isin(codes, range(len(self.operations))).all():
            raise NasbenchError(f"operation codes of {self.name} run from 0 to {len(self.operations) - 1}.")
        return codes.astype(np.int64)

    def encode(self, cells: Sequence[OpCodes] | np.ndarray, encoding: str = "one_hot") -> np.ndarray:
        """Features [m, d], float32.

        `one_hot`: the operation on each edge, d = 6 k for k operations. `path`: for every sequence of operations
        other than none along a way from input to output, whether the cell has it (White et al., BANANAS,
        arXiv:1910.11858), d = p + p^2 + p^3 for p = k - 1. `counts`: how often each operation stands on a live
        way from input to output, edges that are on none counted as `none`, d = k. `path_counts`: how many ways from
        input to output spell each sequence of operations other than none and skip connections, which are left out
        of it, d = 1 + q + q^2 + q^3 for q = k - 2. `summary`: `counts`, the number of ways, and for each operation of
        these, for all convolutions and for all of them together the most, the least and the mean along a way,
        d = k + 1 + 3 (q + 2). The last two and `counts` are the same for cells that differ in dead edges only.
        """
        codes = self._codes(cells)
        kinds = len(self.operations)
        if encoding == "one_hot":
            return np.eye(kinds, dtype=np.float32)[codes].reshape(len(codes), len(EDGES) * kinds)
        if encoding == "path":
            return self._paths(codes)
        if encoding == "path_counts":
            return word_counts(self._words(codes), kinds - 2)
        if encoding in ("counts", "summary"):
            live = np.where(self.live_edges(codes), codes, NONE)
            counts = (live[:, :, None] == np.arange(kinds)).sum(axis=1, dtype=np.float32)
            if encoding == "counts":
                return counts
            ways = summarise(self._words(codes), measures(self.operations[2:]))
            return np.concatenate([counts, ways], axis=1)
        raise unknown("encoding", encoding, self.encodings)

    @staticmethod
    def live_edges(codes: np.ndarray) -> np.ndarray:
        """Which edges [m, 6] lie on a way from input to output without a `none`."""
        live = np.zeros(codes.shape, dtype=bool)
        for path in PATHS:
            open_ = (codes[:, path] != NONE).all(axis=1)
            live[:, path] |= open_[:, None]
        return live

    def _paths(self, codes: np.ndarray) -> np.ndarray:
        kinds = len(self.operations) - 1
        offset = {1: 0, 2: kinds, 3: kinds + kinds**2}
        features = np.zeros((len(codes), kinds + kinds**2 + kinds**3), dtype=np.float32)
        for path in PATHS:
            along = codes[:, path]
            rows = np.flatnonzero((along != NONE).all(axis=1))
            word = np.zeros(len(rows), dtype=np.int64)
            for step in range(len(path)):
                word = word * kinds + along[rows, step] - 1
            features[rows, offset[len(path)] + word] = 1
        return features

    @staticmethod
    def _words(codes: np.ndarray) -> np.ndarray:
        """Operations [m, 4, 3] along each of PATHS for `ways`: codes less 2, -1 for skips, -2 first if closed."""
        words = np.full((len(codes), len(PATHS), 3), -1)
        for way, path in enumerate(PATHS):
            along = codes[:, path]
            words[:, way, : len(path)] = np.maximum(along - 2, -1)
            words[(along == NONE).any(axis=1), way, 0] = -2
        return words

    def graph_arrays(self, cells: Sequence[OpCodes] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Operations as nodes: adjacency [m, 8, 8] and one-hot features [m, 8, k + 2], float32.

        Node 0 is the input, nodes 1-6 the edges' operations in EDGES order, node 7 the output; entry [i, j] is 1
        where i feeds j. Operations `none` and what only they feed keep their features but lose their edges.
        """
        codes = self._codes(cells)
        kinds, size = len(self.operations), len(EDGES) + 2
        wiring = np.zeros((size, size), dtype=np.float32)
        for i, (a, b) in enumerate(EDGES, start=1):
            wiring[0, i] = a == 0
            wiring[i, size - 1] = b == 3
            for j, (c, _) in enumerate(EDGES, start=1):
                wiring[i, j] = b == c
        alive = np.ones((len(codes), size), dtype=np.float32)
        alive[:, 1:-1] = self.live_edges(codes)
        adjacency = wiring * alive[:, :, None] * alive[:, None, :]
        features = np.zeros((len(codes), size, kinds + 2), dtype=np.float32)
        features[:, 0, kinds] = features[:, -1, kinds + 1] = 1
        features[:, 1:-1, :kinds] = np.eye(kinds, dtype=np.float32)[codes]
        return adjacency, features
