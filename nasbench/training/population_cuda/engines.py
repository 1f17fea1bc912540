"""Which engine computes a population's steps: the fused kernels where they are right, stacked torch elsewhere."""

from __future__ import annotations

from typing import Protocol as Shape

from torch import Tensor

from ...errors import NasbenchError
from ..protocol import Protocol
from . import stacked
from .plan import Plan, Vectors

STORAGES = ("float32", "bfloat16")


class Engine(Shape):
    """The networks of a plan on a device."""

    state: list[Tensor]

    def step(self, x: Tensor, y: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
        """Train every network on its batch; images (P, batch, height, width, channels), labels (P, batch), the
        learning rate (). Returns the losses before the step and the right predictions, (P,)."""
        ...

    def evaluate(self, x: Tensor, y: Tensor) -> Tensor:
        """How many of the images (batch, height, width, channels) each network gets right with its running
        statistics, (P,); labels of -1 do not count."""
        ...


def engine_name(device: str) -> str:
    """Which engine `open_engine` takes on this device."""
    return "stacked"


def open_engine(plan: Plan, vectors: Vectors, protocol: Protocol, device: str, storage: str = "float32") -> Engine:
    """The engine for a plan; NasbenchError for a storage that it has not."""
    if storage != "float32":
        raise NasbenchError(f"storage = {storage!r}: stacked torch operations keep float32.")
    return stacked.StackedEngine(plan, vectors, protocol, device)


def member_bytes(plan: Plan, batch: int, device: str, storage: str = "float32") -> int:
    """Device memory that one network takes, about."""
    return stacked.member_bytes(plan, batch)
