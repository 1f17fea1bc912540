"""A part of a space is a space: whatever a strategy draws or moves to is in it."""

from __future__ import annotations

import numpy as np
import pytest

from nasbench.errors import NasbenchError
from nasbench.spaces.partial import PartialSpace


@pytest.fixture
def part(nb201):
    return PartialSpace(nb201, np.random.default_rng(0).permutation(len(nb201))[:40])


def test_numbering_is_dense_and_in_the_wholes_order(part, nb201):
    cells = [part.cell(i) for i in range(len(part))]
    assert [part.index(cell) for cell in cells] == list(range(40))
    assert [nb201.index(cell) for cell in cells] == sorted(nb201.index(cell) for cell in cells)
    assert [tuple(line) for line in part.cells.tolist()] == [part.to_choices(cell) for cell in cells]


def test_draws_and_moves_stay_inside(part):
    rng = np.random.default_rng(1)
    for _ in range(200):
        first, second = part.sample(rng), part.sample(rng)
        assert all(cell in part for cell in (first, second, part.crossover(first, second, rng)))
        mutant = part.mutate(first, rng)
        assert mutant in part
        assert mutant != first


def test_a_move_out_ends_at_the_nearest_cell(nb201):
    part = PartialSpace(nb201, [nb201.index(c) for c in ((0,) * 6, (0, 0, 0, 0, 1, 1), (4,) * 6)])
    assert part.mutate((0,) * 6, np.random.default_rng(0)) == (0, 0, 0, 0, 1, 1)
    assert part.neighbours((0,) * 6) == []


def test_classes_are_the_wholes_numbered_anew(part, nb201):
    mine, whole = part.classes("exact"), nb201.classes("exact")[part.indices]
    assert mine.max() + 1 == len(np.unique(whole))
    assert ((mine[:, None] == mine) == (whole[:, None] == whole)).all()
    assert part.sample(np.random.default_rng(0), "exact") in part


def test_cells_outside_are_refused(part, nb201):
    outside = next(c for c in map(nb201.cell, range(len(nb201))) if c not in part)
    assert part.from_choices(outside) is None
    with pytest.raises(NasbenchError, match="outside the part of nasbench201 that has results"):
        part.index(outside)
    with pytest.raises(NasbenchError, match="at least one cell"):
        PartialSpace(nb201, [])
