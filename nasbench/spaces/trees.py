"""The nine shapes in which four operations can hang from an input, each fed by the input or by one other operation.

A shape is written as links: for each of its four places what feeds it, 0 for the input and i for the i-th place; a
place comes after what feeds it. What no place is fed by is the output's. An arrangement is an order of four operations:
`order[k]` says which of them stands at place k of a shape.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

PLACES = 4
SHAPES = (
    (0, 0, 0, 0),
    (0, 0, 0, 1),
    (0, 0, 1, 1),
    (0, 0, 1, 2),
    (0, 0, 1, 3),
    (0, 1, 1, 1),
    (0, 1, 1, 2),
    (0, 1, 2, 2),
    (0, 1, 2, 3),
)
"""In the published order, by which cells are numbered: every rooted tree of five nodes once."""

Arrangement = tuple[int, tuple[int, ...]]
"""A shape's position in SHAPES, and an order."""


@functools.cache
def arrangements(links: tuple[int, ...]) -> tuple[Arrangement, ...]:
    """Every way to write the tree as a shape, several where it is symmetric; () if the links make no such tree.

    `links` may name any place or the input, so places may come before what feeds them.
    """
    found = []
    for order in itertools.permutations(range(PLACES)):
        place = {0: 0} | {old + 1: new + 1 for new, old in enumerate(order)}
        moved = tuple(place.get(links[old], -1) for old in order)
        if moved in SHAPES:
            found.append((SHAPES.index(moved), order))
    return tuple(found)


def reduced(links: Sequence[int], skips: Sequence[bool]) -> tuple[int, ...]:
    """Links of the same four operations with each skip connection that changes nothing moved to the input.

    A skip connection that feeds others, or is all that is fed by its place, only passes on what it gets; one from the
    input to the output is left out of the published networks, as features of the input's width fit nowhere there. Both
    become links of a chain right after the input. What is left are skip connections from inside to the output.
    """
    feeds: dict[int, int] = {place + 1: link for place, link in enumerate(links)}
    moved: list[int] = []
    while True:
        idle = next((place for place in feeds if skips[place - 1] and _changes_nothing(place, feeds)), None)
        if idle is None:
            break
        above = feeds.pop(idle)
        feeds = {place: above if link == idle else link for place, link in feeds.items()}
        moved.append(idle)
    chain = dict(zip(moved, [0, *moved], strict=False))
    last = moved[-1] if moved else 0
    feeds = {place: link or last for place, link in feeds.items()} | chain
    return tuple(feeds[place] for place in range(1, PLACES + 1))


def _changes_nothing(place: int, feeds: dict[int, int]) -> bool:
    alone = sum(link == feeds[place] for link in feeds.values()) == 1
    return place in feeds.values() or alone or feeds[place] == 0


@functools.cache
def moves(shape: int) -> tuple[Arrangement, ...]:
    """What comes of hanging one operation, with all that it feeds, elsewhere: each result in one arrangement."""
    links, found = SHAPES[shape], []
    for place, target in itertools.product(range(PLACES), range(PLACES + 1)):
        changed = (*links[:place], target, *links[place + 1 :])
        if target != links[place] and (written := arrangements(changed)):
            found.append(written[0])
    return tuple(found)
