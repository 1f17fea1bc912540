"""Cell spaces by name: `open_space("nasbench201")`. A new space is one class and one line in SPACES."""

from __future__ import annotations

import functools
from collections.abc import Callable

from ..errors import unknown
from .base import Space
from .cells import NAS_BENCH_201_SEED, CellSpace

__all__ = ["SPACES", "CellSpace", "Space", "open_space"]

_OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3")


def _nasbench101() -> Space:
    from .nasbench101 import NASBench101

    return NASBench101()


def _nasbench_graph() -> Space:
    from .nasbench_graph import NASBenchGraph

    return NASBenchGraph()


SPACES: dict[str, Callable[[], Space]] = {
    "nasbench201": lambda: CellSpace("nasbench201", (*_OPERATIONS, "avg_pool_3x3"), NAS_BENCH_201_SEED),
    "transnasbench101_micro": lambda: CellSpace("transnasbench101_micro", _OPERATIONS, digits=True),
    "nasbench101": _nasbench101,
    "nasbench_graph": _nasbench_graph,
}


def open_space(name: str | Space) -> Space:
    """The space called `name`, built once per process, or the one that is given; NasbenchError if there is none."""
    return name if isinstance(name, Space) else _opened(name)


@functools.cache
def _opened(name: str) -> Space:
    if name not in SPACES:
        raise unknown("space", name, SPACES)
    return SPACES[name]()
