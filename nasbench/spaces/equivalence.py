"""When are two four-node cells the same? Three rules, from the plainest to the most exact.

`none`: never. `published`: NAS-Bench-201's own string rule (6,466 classes). `exact`: the two cells are the same
function with the same free weights (5,260 classes): a node without input is absent, an operation on an absent
node is absent, skip connections dissolve, inside sums too; and a convolution that two ways share is not the same as
two convolutions. Were sharing ignored, 4,930 classes would remain, some of them with networks of different size. An
average over a sum is not taken apart: that it equals the sum of averages up to rounding would leave 5,044.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Hashable, Sequence

_INCOMING = {1: ((0, 0),), 2: ((1, 0), (2, 1)), 3: ((3, 0), (4, 1), (5, 2))}
"""Node -> its incoming edges as (position in the cell, source node)."""

Term = tuple
"""One summand of a node: () is the cell's input, (operation, edge, summands of the source) an operation."""


def every_cell(cell: Sequence[int], operations: Sequence[str], weightless: frozenset[int]) -> Hashable:
    """Each cell is a class of its own."""
    return tuple(cell)


def published(cell: Sequence[int], operations: Sequence[str], weightless: frozenset[int]) -> str:
    """The expression by which NAS-Bench-201 counts its 6,466 unique cells (arXiv:2001.00326, section 2.1).

    A zero is kept as a summand of its own and sums inside sums are not flattened, so that some cells which compute
    the same function stay apart.
    """
    values = ["0"]
    for node in (1, 2, 3):
        terms = []
        for edge, source in _INCOMING[node]:
            code, value = cell[edge], values[source]
            if code == 0 or value == "#":
                terms.append("#")
            else:
                terms.append(value if code == 1 else f"({value})@{operations[code]}")
        values.append("+".join(sorted(terms)))
    return values[3]


def exact(cell: Sequence[int], operations: Sequence[str], weightless: frozenset[int]) -> str:
    """The cell's output written as a flattened sum, shared convolutions marked; "" for a constant cell."""
    values: list[tuple[Term, ...]] = [((),)]
    for node in (1, 2, 3):
        terms: list[Term] = []
        for edge, source in _INCOMING[node]:
            code, value = cell[edge], values[source]
            if code == 0 or not value:
                continue
            terms.extend(value if code == 1 else [(code, edge, value)])
        values.append(tuple(terms))
    uses: Counter[int] = Counter()
    _count(values[3], weightless, uses)
    shared = [edge for edge, times in uses.items() if times > 1]
    return min(
        _write(values[3], dict(zip(shared, names, strict=True))) for names in itertools.permutations(range(len(shared)))
    )


def _count(value: tuple[Term, ...], weightless: frozenset[int], uses: Counter[int]) -> None:
    for term in value:
        if term:
            code, edge, source = term
            if code not in weightless:
                uses[edge] += 1
            _count(source, weightless, uses)


def _write(value: tuple[Term, ...], names: dict[int, int]) -> str:
    return "+".join(sorted(f"{t[0]}{_mark(t[1], names)}({_write(t[2], names)})" if t else "x" for t in value))


def _mark(edge: int, names: dict[int, int]) -> str:
    return f"#{names[edge]}" if edge in names else ""


RULES: dict[str, Callable[[Sequence[int], Sequence[str], frozenset[int]], Hashable]] = {
    "none": every_cell,
    "published": published,
    "exact": exact,
}
