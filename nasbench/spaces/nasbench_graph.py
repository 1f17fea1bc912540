"""NAS-Bench-Graph: graph neural networks of four operations, each fed by the network's input or by one other operation.

What feeds no other operation feeds the output, so that a cell is one of nine trees with nine possible operations at
each place. Cells that differ in symmetries only are the same, as are those in which a skip connection that changes
nothing stands elsewhere (see nasbench.spaces.trees): 26,206 are left (Qin, Zhang, Wang, Zhang and Zhu,
"NAS-Bench-Graph: Benchmarking Graph Neural Architecture Search", NeurIPS 2022 Datasets and Benchmarks,
arXiv:2206.09166). They are numbered by ascending published hash: the digits of a cell, which is its tree's position in
`SHAPES` and its four operations' in `operations`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import NasbenchError, unknown
from .base import Space
from .equivalence import RULES
from .trees import PLACES, SHAPES, arrangements, moves, reduced
from .ways import summarise

if TYPE_CHECKING:
    import networkx as nx

Cell = tuple[int, int, int, int, int]

KINDS = 9
FULLY_CONNECTED, SKIP = 7, 8
SIZE = 26_206
SEQUENCE = 3
"""Longest sequences of operations that `path` and `path_counts` look at."""
_DIGITS = 10 ** np.arange(PLACES, -1, -1)
_RAW = KINDS ** np.arange(PLACES, -1, -1)
"""Weights of the decisions in the published hash, and in a number of all 59,049 combinations of them."""


class NASBenchGraph(Space):
    """The space of NAS-Bench-Graph; a cell is a tuple of a tree's position in SHAPES and four operation codes."""

    name = "nasbench_graph"
    operations = ("gat", "gcn", "gin", "cheb", "sage", "arma", "graph", "fc", "skip")
    choices = (len(SHAPES),) + (KINDS,) * PLACES
    encodings = ("one_hot", "path", "counts", "path_counts", "summary")

    def __repr__(self) -> str:
        return f"NASBenchGraph({len(self)} cells)"

    def __reduce__(self) -> tuple:
        from . import open_space

        return open_space, (self.name,)

    def __len__(self) -> int:
        return SIZE

    @functools.cached_property
    def _raw_hashes(self) -> np.ndarray:
        """The published hash [59049] of each combination of decisions, -1 for skip connections only."""
        return _published_hashes()

    @functools.cached_property
    def hashes(self) -> np.ndarray:
        """The published hash [len] of every cell, ascending; the tables call it `Arch.valid_hash`."""
        return np.unique(self._raw_hashes[self._raw_hashes >= 0])

    @functools.cached_property
    def _indices(self) -> np.ndarray:
        """The index [59049] of each combination of decisions, -1 for skip connections only."""
        return np.where(self._raw_hashes >= 0, np.searchsorted(self.hashes, self._raw_hashes), -1)

    @functools.cached_property
    def _written(self) -> tuple[np.ndarray, np.ndarray]:
        """Combinations of decisions grouped by cell, and where the group of each cell starts [len + 1]."""
        order = np.argsort(self._indices, kind="stable")
        return order, np.searchsorted(self._indices[order], np.arange(SIZE + 1))

    @functools.cached_property
    def cells(self) -> np.ndarray:
        """Decisions [len, 5] of every cell in index order, uint8, read-only."""
        table = (self.hashes[:, None] // _DIGITS % 10).astype(np.uint8)
        table.flags.writeable = False
        return table

    @functools.cached_property
    def _cells(self) -> list[Cell]:
        return list(map(tuple, self.cells.tolist()))

    def cell(self, index: int) -> Cell:
        return self._cells[self._numbered(index)]

    def index(self, cell: Cell) -> int:
        """The index of the cell, in whichever of its arrangements it is given."""
        index = self._find(cell) if isinstance(cell, tuple) else -1
        if index < 0:
            raise NasbenchError(
                f"{cell!r} is not a cell of {self.name}: a cell is a tuple of a tree's number and four operation "
                f"codes from 0 to {KINDS - 1}, not all of them skip connections."
            )
        return index

    def _find(self, values: Sequence[int]) -> int:
        """The index of the cell with these decisions; -1 if there is none."""
        number = 0
        for value in values:
            if value not in range(KINDS):
                return -1
            number = number * KINDS + int(value)
        return int(self._indices[number]) if len(values) == len(self.choices) else -1

    def from_links(self, links: Sequence[int], operations: Sequence[str]) -> Cell:
        """The cell as the published package describes it: what feeds each operation, and the operations' names.

        Links are 0 for the input and i for the i-th operation, in any order that makes a tree. NasbenchError if they
        do not, or the operations are unknown, or all skip connections.
        """
        written = arrangements(tuple(links)) if len(links) == PLACES else ()
        if not written:
            raise NasbenchError(
                f"links {list(links)} make no tree of {self.name}: they say for each of four operations what feeds it, "
                "0 for the input or an operation from 1 to 4, as in [0, 0, 1, 2]."
            )
        if len(operations) != PLACES:
            raise NasbenchError(f"a cell of {self.name} has {PLACES} operations, not {len(operations)}.")
        for name in operations:
            if name not in self.operations:
                raise unknown(f"operation in {self.name}", name, self.operations)
        shape, order = written[0]
        cell = self.from_choices([shape, *(self.operations.index(operations[old]) for old in order)])
        if cell is None:
            raise NasbenchError(f"{self.name} has no cell of skip connections only.")
        return cell

    def to_string(self, cell: Cell) -> str:
        """Links as digits, then the operations, each after a `|`: `0012|gcn|gat|fc|skip`."""
        self.index(cell)
        return "|".join(["".join(map(str, SHAPES[cell[0]])), *(self.operations[code] for code in cell[1:])])

    def from_string(self, text: str) -> Cell:
        """The inverse of `to_string`; links of the same tree in another order are understood too."""
        links, *names = self._text(text).split("|")
        if len(links) != PLACES or not (links.isascii() and links.isdecimal()) or len(names) != PLACES:
            raise NasbenchError(
                f"{text!r} is not a cell of {self.name}; a cell is written like '0012|gcn|gat|fc|skip'."
            )
        return self.from_links([int(link) for link in links], names)

    def to_choices(self, cell: Cell) -> tuple[int, ...]:
        return cell

    def from_choices(self, values: Sequence[int]) -> Cell | None:
        """None if all operations are skip connections; NasbenchError if the values are no decisions."""
        index = self._find(values)
        if index >= 0:
            return self._cells[index]
        if len(values) == len(self.choices) and all(value in range(KINDS) for value in values):
            return None
        raise NasbenchError(f"{values!r} are not five decisions from 0 to {KINDS - 1}, as {self.name} has them.")

    def neighbours(self, cell: Cell) -> list[Cell]:
        """Every cell with another operation at one place, or with one operation and all that it feeds hung elsewhere.

        All arrangements of the cell are edited, so the relation is symmetric; in index order.
        """
        own, (written, starts) = self.index(cell), self._written
        numbers = written[starts[own] : starts[own + 1]]
        values = numbers[:, None] // _RAW % KINDS
        edited = {number + (code - line[place]) * _RAW[place]
                  for number, line in zip(numbers, values, strict=True)
                  for place in range(1, PLACES + 1) for code in range(KINDS)}  # fmt: skip
        for shape, *codes in values.tolist():
            edited |= {np.dot(_RAW, [to, *(codes[old] for old in order)]) for to, order in moves(shape)}
        found = np.unique(self._indices[list(edited)])
        return [self._cells[i] for i in found.tolist() if i not in (-1, own)]

    def mutate(self, cell: Cell, rng: np.random.Generator) -> Cell:
        """One of the edits of `neighbours` to the cell as it is written, each as likely, until it makes another."""
        cell = self._cells[self.index(cell)]
        hung = moves(cell[0])
        edits = PLACES * (KINDS - 1)
        while True:
            edit = int(rng.random() * (edits + len(hung)))
            if edit < edits:
                place, step = divmod(edit, KINDS - 1)
                values = [*cell]
                values[place + 1] = (cell[place + 1] + 1 + step) % KINDS
            else:
                shape, order = hung[edit - edits]
                values = [shape, *(cell[old + 1] for old in order)]
            index = self._find(values)
            if index >= 0 and self._cells[index] != cell:
                return self._cells[index]

    def crossover(self, first: Cell, second: Cell, rng: np.random.Generator) -> Cell:
        """Tree and operations each from either parent with probability 1/2, until they make a cell."""
        while True:
            mask = int(rng.random() * (1 << len(self.choices)))
            child = self.from_choices([pair[mask >> i & 1] for i, pair in enumerate(zip(first, second, strict=True))])
            if child is not None:
                return child

    def canonical(self, cell: Cell, rule: str = "exact") -> Cell:
        """The cell itself under every rule: it stands for all that the published hash merges."""
        self._check_rule(rule)
        return self._cells[self.index(cell)]

    def classes(self, rule: str = "exact") -> np.ndarray:
        self._check_rule(rule)
        return np.arange(SIZE, dtype=np.int32)

    @staticmethod
    def _check_rule(rule: str) -> None:
        if rule not in RULES:
            raise unknown("equivalence rule", rule, RULES)

    def graph(self, cell: Cell) -> nx.DiGraph:
        """Node 0 is the input, 1 to 4 the operations, 5 the output, named by the attribute `operation`."""
        import networkx as nx

        graph = nx.DiGraph(name=self.to_string(cell))
        for node, name in enumerate(["input", *(self.operations[code] for code in cell[1:]), "output"]):
            graph.add_node(node, operation=name)
        graph.add_edges_from(_edges(cell[0]))
        return graph

    def _decisions(self, cells: Sequence[Cell] | np.ndarray) -> np.ndarray:
        """Decisions [m, 5] of cells in whichever arrangement, in the space's own."""
        values = np.asarray(cells).reshape(-1, len(self.choices))
        if values.size and not np.isin(values, range(KINDS)).all():
            raise NasbenchError(f"decisions of {self.name} run from 0 to {KINDS - 1}.")
        index = self._indices[values.astype(np.int64) @ _RAW]
        if (index < 0).any():
            raise NasbenchError(f"{self.name} has no cell of skip connections only.")
        return self.cells[index].astype(np.int64)

    def encode(self, cells: Sequence[Cell] | np.ndarray, encoding: str = "one_hot") -> np.ndarray:
        """Features [m, d], float32, the same for every arrangement of a cell.

        `one_hot`: the tree and the operation at each place, d = 45. `counts`: how often each operation occurs, d = 9.
        `path_counts`: how often each sequence of one to three operations occurs of which one feeds the next, skip
        connections left out, d = 8 + 64 + 512; `path`: whether it does. `summary`: `counts`, the number of ways from
        input to output, and for each operation but skip connections, for those that look at a node's neighbours and
        for all of them together the most, the least and the mean along a way, d = 40.
        """
        values = self._decisions(cells)
        if encoding in ("path", "path_counts"):
            sequences = _sequences(values)
            return sequences if encoding == "path_counts" else np.minimum(sequences, 1)
        codes = np.eye(KINDS, dtype=np.float32)[values]
        if encoding == "one_hot":
            return codes.reshape(len(values), len(self.choices) * KINDS)
        if encoding in ("counts", "summary"):
            counts = codes[:, 1:].sum(axis=1)
            if encoding == "counts":
                return counts
            return np.concatenate([counts, summarise(_words(values), _MEASURES)], axis=1)
        raise unknown("encoding", encoding, self.encodings)

    def graph_arrays(self, cells: Sequence[Cell] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Adjacency [m, 6, 6] and features [m, 6, 11], float32, of `graph`: nine operations, input, output, one-hot.

        Entry [i, j] is 1 where i feeds j.
        """
        values = self._decisions(cells)
        wiring = np.zeros((len(SHAPES), PLACES + 2, PLACES + 2), dtype=np.float32)
        for shape in range(len(SHAPES)):
            for edge in _edges(shape):
                wiring[(shape, *edge)] = 1
        features = np.zeros((len(values), PLACES + 2, KINDS + 2), dtype=np.float32)
        features[:, 0, KINDS] = features[:, -1, KINDS + 1] = 1
        features[:, 1:-1, :KINDS] = np.eye(KINDS, dtype=np.float32)[values[:, 1:]]
        return wiring[values[:, 0]], features


_MEASURES = np.vstack([np.eye(SKIP), np.arange(SKIP) != FULLY_CONNECTED, np.ones(SKIP)])
"""Weights of the operations but skip connections in `summary`."""


def _edges(shape: int) -> list[tuple[int, int]]:
    """Edges of `NASBenchGraph.graph`."""
    links, output = SHAPES[shape], PLACES + 1
    leaves = [node for node in range(1, output) if node not in links]
    return [(link, node) for node, link in enumerate(links, start=1)] + [(leaf, output) for leaf in leaves]


def _published_hashes() -> np.ndarray:
    """The published hash [59049] of every combination of decisions, -1 where all operations are skip connections.

    Of a cell's arrangements without a skip connection to move, the one with the smallest digits is published.
    """
    hashes = np.full((len(SHAPES), KINDS**PLACES), -1)
    codes = np.arange(KINDS**PLACES)[:, None] // _RAW[1:] % KINDS
    for skips in itertools.product((False, True), repeat=PLACES):
        rows = np.flatnonzero(((codes == SKIP) == skips).all(axis=1))
        for shape, links in enumerate(SHAPES):
            if not all(skips):
                written = arrangements(reduced(links, skips))
                found = [to * _DIGITS[0] + codes[rows][:, order] @ _DIGITS[1:] for to, order in written]
                hashes[shape, rows] = np.min(found, axis=0)
    return hashes.ravel()


def _words(values: np.ndarray) -> np.ndarray:
    """Operations [m, 4, 4] along each way from input to output, as `ways` takes them."""
    letters = np.where(values[:, 1:] == SKIP, -1, values[:, 1:])
    words = np.full((len(values), PLACES, PLACES), -1)
    words[:, :, 0] = -2
    for shape, links in enumerate(SHAPES):
        rows = np.flatnonzero(values[:, 0] == shape)
        leaves = [place for place in range(PLACES) if place + 1 not in links]
        for way, place in enumerate(leaves):
            places = [place]
            while links[places[0]]:
                places.insert(0, links[places[0]] - 1)
            words[rows[:, None], way, np.arange(len(places))] = letters[rows][:, places]
    return words


def _sequences(values: np.ndarray) -> np.ndarray:
    """How often each sequence of 1 to SEQUENCE operations occurs, float32, shorter ones first."""
    start = np.cumsum([0, *(SKIP**length for length in range(1, SEQUENCE + 1))])
    features = np.zeros((len(values), start[-1]), dtype=np.float32)
    for shape, links in enumerate(SHAPES):
        rows = np.flatnonzero(values[:, 0] == shape)
        for place in range(PLACES):
            word, acts, last = np.zeros(len(rows), dtype=np.int64), np.ones(len(rows), dtype=bool), place + 1
            for length in range(SEQUENCE):
                if last == 0:
                    break
                letters = values[rows, last]
                acts &= letters != SKIP
                word += letters * SKIP**length
                features[rows[acts], start[length] + word[acts]] += 1
                last = links[last - 1]
    return features
