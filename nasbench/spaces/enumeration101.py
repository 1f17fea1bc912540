"""Every cell of NAS-Bench-101, as 32-bit codes in the order of the published hash.

A code holds the vertex count, the upper-triangular adjacency and the operations. Of all relabellings of the
interior vertices that keep every edge pointing upwards a graph takes the one with the smallest code, so that
isomorphic cells share one code and different cells never do. The list of all codes is made within a second,
its order by hash (Ying et al., "NAS-Bench-101", ICML 2019, arXiv:1902.09635) in about 20 more; it is then
kept in a file of 1.7 MB in the user's cache directory.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import logging
import math
import os
import time
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np

from ..errors import NasbenchError
from ..files import replacing

MAX_VERTICES, MAX_EDGES, KINDS = 7, 9, 3
SIZE = 423_624
"""Number of cells, as published."""

CHECKSUM = "bcaa50e6257c99489f4ac15e0eccf41953dff1b1de6ee58303c6481fd43b73ed"
"""SHA-256 of the codes in hash order, little-endian: tells a damaged file from a good one."""

CACHE_NAME = "nasbench101-cells-v1.npy"
_LABEL_BITS, _VERTICES_SHIFT = 8, 29
_REVERSED = 1 << 40
"""Weight of an edge that points downwards: more than any code."""

_log = logging.getLogger(__name__)


def slots(vertices: int) -> list[tuple[int, int]]:
    """The places of an upper-triangular matrix, row by row; edge k is bit k of a wiring mask."""
    return list(itertools.combinations(range(vertices), 2))


def edits(
    vertices: int, edges: set[tuple[int, int]], operations: list[int]
) -> Iterable[tuple[int, set[tuple[int, int]], list[int]]]:
    """What one edit makes of a graph; some results are no pruned acyclic graphs."""
    for v, old in enumerate(operations):
        for code in range(KINDS):
            if code != old:
                yield vertices, edges, [*operations[:v], code, *operations[v + 1 :]]
    pairs = [(i, j) for i in range(vertices - 1) for j in range(1, vertices) if i != j]
    for pair in pairs:
        if pair in edges or len(edges) < MAX_EDGES:
            yield vertices, edges ^ {pair}, operations
    for v in range(1, vertices - 1):
        around = {edge for edge in edges if v in edge}
        if len(around) == 2:
            rest = {(i - (i > v), j - (j > v)) for i, j in edges - around}
            yield vertices - 1, rest, operations[: v - 1] + operations[v:]
    if vertices < MAX_VERTICES and len(edges) + 2 <= MAX_EDGES:
        new, last = vertices - 1, vertices
        moved = {(i, last if j == new else j) for i, j in edges}
        for i, j in pairs:
            way = {(i, new), (new, last if j == vertices - 1 else j)}
            for code in range(KINDS):
                yield vertices + 1, moved | way, [*operations, code]


def prune(
    vertices: int, edges: Iterable[tuple[int, int]], operations: Sequence[int]
) -> tuple[int, list[tuple[int, int]], list[int]] | None:
    """Vertex count, edges and operations of what lies between input and output; None if nothing does."""
    edges = sorted(edges)
    reached, useful = {0}, {vertices - 1}
    for i, j in edges:
        if i in reached:
            reached.add(j)
    for i, j in reversed(edges):
        if j in useful:
            useful.add(i)
    kept = sorted(reached & useful)
    if vertices - 1 not in reached:
        return None
    number = {v: k for k, v in enumerate(kept)}
    inner = [(number[i], number[j]) for i, j in edges if i in number and j in number]
    return len(kept), inner, [operations[v - 1] for v in kept[1:-1]]


@functools.cache
def _relabellings(vertices: int) -> tuple[np.ndarray, np.ndarray]:
    """What an edge and an operation add to the code under each of the (n-2)! relabellings.

    Edge weights [p, n * n], column i * n + j for the edge from i to j; operation weights [p, n - 2].
    """
    place = {edge: k for k, edge in enumerate(slots(vertices))}
    edges, labels = [], []
    for order in itertools.permutations(range(1, vertices - 1)):
        to = (0, *order, vertices - 1)
        pairs = itertools.product(to, to)
        edges.append([1 << (place[e] + _LABEL_BITS) if e in place else _REVERSED for e in pairs])
        labels.append([KINDS ** (vertices - 2 - v) for v in order])
    return np.array(edges, dtype=np.int64), np.array(labels, dtype=np.int64).reshape(len(edges), vertices - 2)


def canonical_code(vertices: int, edges: Collection[tuple[int, int]], operations: Sequence[int]) -> int | None:
    """The code of a graph whose interior edges may point either way; None if it is cyclic or not pruned.

    An acyclic graph is pruned if all vertices but the output have successors, all but the input predecessors.
    """
    if not len({i for i, _ in edges}) == len({j for _, j in edges}) == vertices - 1:
        return None
    edge_weights, label_weights = _relabellings(vertices)
    keys = edge_weights[:, [i * vertices + j for i, j in edges]].sum(axis=1)
    if vertices > 2:
        keys = keys + label_weights @ np.array(operations)
    smallest = int(keys.min())
    return None if smallest >= _REVERSED else smallest | vertices << _VERTICES_SHIFT


def decode(code: int) -> tuple[tuple[tuple[int, int], ...], tuple[int, ...]]:
    """Edges and operation codes of a code, in the labelling that the code stands for."""
    vertices = code >> _VERTICES_SHIFT
    labels, mask = code & ((1 << _LABEL_BITS) - 1), (code & ((1 << _VERTICES_SHIFT) - 1)) >> _LABEL_BITS
    edges = tuple(edge for k, edge in enumerate(slots(vertices)) if mask >> k & 1)
    digits = (labels // KINDS ** (vertices - 3 - v) % KINDS for v in range(vertices - 2))
    return edges, tuple(digits)


def decode_many(codes: np.ndarray, vertices: int) -> tuple[np.ndarray, np.ndarray]:
    """Edges [m, n (n-1) / 2], bool, and operations [m, n - 2], int8, of codes that all have n vertices."""
    codes = codes.astype(np.int64)
    edges = codes[:, None] >> (_LABEL_BITS + np.arange(math.comb(vertices, 2))) & 1
    powers = KINDS ** np.arange(vertices - 3, -1, -1, dtype=np.int64)
    digits = (codes[:, None] & ((1 << _LABEL_BITS) - 1)) // powers % KINDS
    return edges.astype(bool), digits.astype(np.int8)


def every_code(vertices: int) -> np.ndarray:
    """The codes of all pruned cells with this many vertices, ascending, uint32."""
    places = slots(vertices)
    masks = np.arange(1 << len(places), dtype=np.uint32)
    count, rows, columns = np.zeros((3, len(masks)), dtype=np.uint8)
    for k, (i, j) in enumerate(places):
        bit = (masks >> np.uint32(k) & np.uint32(1)).astype(np.uint8)
        count += bit
        rows |= bit << i
        columns |= bit << (j - 1)
    whole = (1 << (vertices - 1)) - 1
    masks = masks[(count <= MAX_EDGES) & (rows == whole) & (columns == whole)]

    edge_weights, label_weights = _relabellings(vertices)
    upper = edge_weights[:, [i * vertices + j for i, j in places]].astype(np.float64)
    labels = np.array(list(itertools.product(range(KINDS), repeat=vertices - 2)), dtype=np.int64)
    found = []
    for part in np.array_split(masks, len(masks) // 8192 + 1):
        bits = (part[:, None] >> np.arange(len(places), dtype=np.uint32) & 1).astype(np.float64)
        keys = bits @ upper.T
        own = part.astype(np.float64) * (1 << _LABEL_BITS)
        for row in np.flatnonzero(keys.min(axis=1) == own):
            same = label_weights[keys[row] == own[row]]
            words = (labels @ same.T).min(axis=1) if vertices > 2 else np.zeros(1, dtype=np.int64)
            smallest = words == np.arange(len(labels))
            found.append(int(own[row]) + np.flatnonzero(smallest))
    return np.sort(np.concatenate(found) | vertices << _VERTICES_SHIFT).astype(np.uint32)


def module_hash(vertices: int, edges: Iterable[tuple[int, int]], operations: Sequence[int]) -> str:
    """The published hash of a labelled graph, 32 hexadecimal digits.

    Each vertex's digest starts from its degrees and label and takes in its neighbours' digests, as many times
    as there are vertices; the hash is that of all digests, sorted.
    """
    before: list[list[int]] = [[] for _ in range(vertices)]
    after: list[list[int]] = [[] for _ in range(vertices)]
    for i, j in edges:
        after[i].append(j)
        before[j].append(i)
    labels = (-1, *operations, -2)
    digests = [_md5(str((len(after[v]), len(before[v]), labels[v]))) for v in range(vertices)]
    for _ in range(vertices):
        digests = [
            _md5("|".join((_joined(digests, before[v]), _joined(digests, after[v]), digests[v])))
            for v in range(vertices)
        ]
    return _md5(str(sorted(digests)))


def _joined(digests: list[str], neighbours: list[int]) -> str:
    return "".join(sorted([digests[v] for v in neighbours]))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def vertex_counts(codes: np.ndarray) -> np.ndarray:
    """The number of vertices [m] of codes [m]."""
    return codes >> np.uint32(_VERTICES_SHIFT)


def module_hashes(codes: np.ndarray) -> np.ndarray:
    """`module_hash` of many codes [m] as digests [m, 16], uint8, at about 25,000 a second and core."""
    codes = np.asarray(codes, dtype=np.uint32)
    digests = np.empty((len(codes), 16), dtype=np.uint8)
    for vertices in range(2, MAX_VERTICES + 1):
        rows = np.flatnonzero(vertex_counts(codes) == vertices)
        for start in range(0, len(rows), 8192):
            part = rows[start : start + 8192]
            digests[part] = _hash_part(codes[part], vertices)
    return digests


def _hash_part(codes: np.ndarray, vertices: int) -> np.ndarray:
    edges, operations = decode_many(codes, vertices)
    adjacency = np.zeros((len(codes), vertices, vertices), dtype=bool)
    adjacency[(slice(None), *np.triu_indices(vertices, 1))] = edges
    labels = np.concatenate([np.full((len(codes), 1), -1), operations, np.full((len(codes), 1), -2)], axis=1)
    outs, ins = adjacency.sum(axis=2), adjacency.sum(axis=1)
    digests = _first_digests()[outs, ins, labels + 2]
    groups = _degree_groups(adjacency, ins, outs)
    for _ in range(vertices):
        updated = np.empty_like(digests)
        names, order = _hexadecimal(digests), _prefix(digests)
        for degree, rows, vertex, members in groups:
            message = np.full((len(rows), 32 * degree + 34), ord("|"), dtype=np.uint8)
            for part, before, after in members:
                middle = 32 * before.shape[1]
                message[part, :middle] = _sorted_names(names, order, rows[part], before)
                message[part, middle + 1 : -33] = _sorted_names(names, order, rows[part], after)
            message[:, -32:] = names[rows, vertex]
            updated[rows, vertex] = md5_many(message)
        digests = updated
    everyone = np.broadcast_to(np.arange(vertices), (len(codes), vertices))
    names = _sorted_names(_hexadecimal(digests), _prefix(digests), np.arange(len(codes)), everyone)
    written = np.frombuffer(str(["-" * 32] * vertices).encode(), dtype=np.uint8)
    message = np.tile(written, (len(codes), 1))
    message[:, written == ord("-")] = names
    return md5_many(message)


@functools.cache
def _first_digests() -> np.ndarray:
    """Digests [7, 7, 5, 16] by out-degree, in-degree and label + 2."""
    states = itertools.product(range(MAX_VERTICES), range(MAX_VERTICES), range(-2, KINDS))
    raw = b"".join(bytes.fromhex(_md5(str(state))) for state in states)
    return np.frombuffer(raw, dtype=np.uint8).reshape(MAX_VERTICES, MAX_VERTICES, KINDS + 2, 16)


def _degree_groups(
    adjacency: np.ndarray, ins: np.ndarray, outs: np.ndarray
) -> list[tuple[int, np.ndarray, np.ndarray, list[tuple[slice, np.ndarray, np.ndarray]]]]:
    """Vertices by degree, whose messages have one length: (degree, rows [g], vertices [g], parts).

    A part is a slice of them with equal in-degree, their predecessors [s, in] and successors [s, out].
    """
    groups = []
    for degree in np.unique(ins + outs):
        rows, vertices = np.nonzero(ins + outs == degree)
        by_ins = np.argsort(ins[rows, vertices], kind="stable")
        rows, vertices = rows[by_ins], vertices[by_ins]
        bounds = np.searchsorted(ins[rows, vertices], np.arange(degree + 2))
        parts = []
        for start, stop in itertools.pairwise(bounds):
            if start < stop:
                row, vertex = rows[start:stop], vertices[start:stop]
                before = np.nonzero(adjacency[row, :, vertex])[1].reshape(stop - start, -1)
                after = np.nonzero(adjacency[row, vertex])[1].reshape(stop - start, -1)
                parts.append((slice(start, stop), before, after))
        groups.append((int(degree), rows, vertices, parts))
    return groups


def _hexadecimal(digests: np.ndarray) -> np.ndarray:
    digits = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
    return np.stack([digits[digests >> 4], digits[digests & 15]], axis=-1).reshape(*digests.shape[:-1], 32)


def _prefix(digests: np.ndarray) -> np.ndarray:
    """The first 64 bits, enough to sort by: digests that share them are equal."""
    return np.ascontiguousarray(digests).view(">u8")[..., 0].astype(np.uint64)


def _sorted_names(names: np.ndarray, order: np.ndarray, rows: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    rows = rows[:, None]
    if vertices.shape[1] > 1:
        vertices = np.take_along_axis(vertices, np.argsort(order[rows, vertices], axis=1), axis=1)
    return names[rows, vertices].reshape(len(rows), -1)


_SINES = [np.uint32(int(abs(math.sin(i + 1)) * 2**32)) for i in range(64)]
_LEFT = np.array([(7, 12, 17, 22), (5, 9, 14, 20), (4, 11, 16, 23), (6, 10, 15, 21)], dtype=np.uint32)
_RIGHT = 32 - _LEFT


def md5_many(messages: np.ndarray) -> np.ndarray:
    """MD5 (RFC 1321) of m messages of one length: bytes [m, length], uint8, to digests [m, 16], uint8."""
    count, length = messages.shape
    padded = np.zeros((count, (length + 72) // 64 * 64), dtype=np.uint8)
    padded[:, :length] = messages
    padded[:, length] = 0x80
    padded[:, -8:] = np.frombuffer((8 * length).to_bytes(8, "little"), dtype=np.uint8)
    words = np.ascontiguousarray(padded.view("<u4").T)
    state = [np.full(count, start, dtype=np.uint32) for start in (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)]
    mixed, spare = np.empty((2, count), dtype=np.uint32)
    for block in words.reshape(-1, 16, count):
        a, b, c, d = (part.copy() for part in state)
        for i in range(64):
            if i < 16:
                word = i
                np.bitwise_xor(c, d, out=mixed)
                mixed &= b
                mixed ^= d
            elif i < 32:
                word = (5 * i + 1) % 16
                np.bitwise_xor(b, c, out=mixed)
                mixed &= d
                mixed ^= c
            elif i < 48:
                word = (3 * i + 5) % 16
                np.bitwise_xor(b, c, out=mixed)
                mixed ^= d
            else:
                word = 7 * i % 16
                np.invert(d, out=mixed)
                mixed |= b
                mixed ^= c
            mixed += a
            mixed += _SINES[i]
            mixed += block[word]
            np.right_shift(mixed, _RIGHT[i // 16][i % 4], out=spare)
            mixed <<= _LEFT[i // 16][i % 4]
            mixed |= spare
            np.add(mixed, b, out=a)
            a, b, c, d = d, a, b, c
        for total, part in zip(state, (a, b, c, d), strict=True):
            total += part
    return np.stack(state, axis=1).astype("<u4").view(np.uint8)


def enumerate_cells() -> np.ndarray:
    """The codes of all 423,624 cells [SIZE] by ascending hash, uint32."""
    codes = np.concatenate([every_code(vertices) for vertices in range(2, MAX_VERTICES + 1)])
    return codes[np.argsort(_prefix(module_hashes(codes)), kind="stable")]


def cache_file() -> Path:
    """Where the enumeration is kept: `nasbench` in XDG_CACHE_HOME or, where that is unset, in ~/.cache."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "nasbench" / CACHE_NAME


def load_cells() -> np.ndarray:
    """What `enumerate_cells` gives, read-only; from the cache file, which is made if missing or damaged."""
    path = cache_file()
    codes = _read(path)
    if codes is None:
        start = time.perf_counter()
        codes = enumerate_cells()
        kept = _write(path, codes)
        _log.info(
            "enumerated the %d cells of nasbench101 in %.0f s; %s %s",
            *(len(codes), time.perf_counter() - start, "kept in" if kept else "could not write", path),
        )
    codes.flags.writeable = False
    return codes


def _read(path: Path) -> np.ndarray | None:
    try:
        codes = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    whole = isinstance(codes, np.ndarray) and hashlib.sha256(codes.tobytes()).hexdigest() == CHECKSUM
    return codes.astype(np.uint32) if whole else None


def _write(path: Path, codes: np.ndarray) -> bool:
    """Keep the codes for the next time; False where the cache cannot be written."""
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.save(file, codes.astype("<u4"), allow_pickle=False)
    except NasbenchError:
        return False
    return True
