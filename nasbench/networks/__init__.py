"""A cell as a network: its graph, its exact counts, and (importing torch on first use) its torch module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .counts import count_flops, count_parameters
from .graph import (
    CELL_EDGES,
    OPERATIONS,
    Cell,
    Edge,
    Graph,
    Node,
    Skeleton,
    build_graph,
    initial_parameters,
    is_constant,
    prune,
)

if TYPE_CHECKING:
    from .module import CellNetwork, build_network

__all__ = [
    "CELL_EDGES",
    "OPERATIONS",
    "Cell",
    "CellNetwork",
    "Edge",
    "Graph",
    "Node",
    "Skeleton",
    "build_graph",
    "build_network",
    "count_flops",
    "count_parameters",
    "initial_parameters",
    "is_constant",
    "prune",
]


def __getattr__(name: str) -> Any:
    if name in ("CellNetwork", "build_network"):
        from . import module

        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
