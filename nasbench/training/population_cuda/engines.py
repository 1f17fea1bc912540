"""Which engine computes a population's steps: the fused kernels where they are right, stacked torch elsewhere.

Before their first use on a device the kernels have to agree with float64 there, which takes seconds; a minute or two
the first time, until Triton's cache has them compiled. Where they cannot be compiled or do not agree, one line says so
and stacked torch takes their place. NASBENCH_NO_KERNELS=1 in the environment turns them off.
"""

from __future__ import annotations

import logging
import os
from functools import cache
from importlib.metadata import version
from typing import Protocol as Shape

import torch
from torch import Tensor

from ...errors import NasbenchError, first_line
from ..protocol import Protocol
from . import stacked
from .plan import Plan, Vectors

logger = logging.getLogger(__name__)

TOLERANCE = 1e-4
"""Largest error of a gradient, over the largest gradient, that counts as agreement."""


class Engine(Shape):
    """The networks of a plan on a device; `state` is what a step changes."""

    state: list[Tensor]

    def step(self, x: Tensor, y: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
        """Train every network on its batch; images (P, batch, height, width, channels), labels (P, batch), the
        learning rate (). Returns the losses before the step and the right predictions, (P,)."""
        ...

    def evaluate(self, x: Tensor, y: Tensor) -> Tensor:
        """How many of the images (batch, height, width, channels) each network gets right with its running
        statistics, (P,); labels of -1 do not count."""
        ...


def use_fused(device: str) -> bool:
    """Whether the fused kernels compute here."""
    if os.environ.get("NASBENCH_NO_KERNELS") or torch.device(device).type != "cuda" or not torch.cuda.is_available():
        return False
    return _fused_agrees(device)


@cache
def _fused_agrees(device: str) -> bool:
    try:
        from .check import fused_error

        error = fused_error(device)
        problem = "" if error < TOLERANCE else f"their gradients are {error:.1e} away from float64's"
    except Exception as found:  # whatever a compiler or a driver raises
        problem = first_line(found)
    if problem:
        logger.warning("The fused kernels are not used on %s (%s): stacked torch trains.", device, problem)
    return not problem


def engine_name(device: str) -> str:
    """Which engine `open_engine` takes on this device, with the version of what compiles it."""
    return f"fused triton {version('triton')}" if use_fused(device) else "stacked"


def open_engine(plan: Plan, vectors: Vectors, protocol: Protocol, device: str, storage: str = "float32") -> Engine:
    """The engine for a plan; NasbenchError for a storage that it has not."""
    if use_fused(device):
        from .fused import FusedEngine

        return FusedEngine(plan, vectors, protocol, device, storage)
    if storage != "float32":
        raise NasbenchError(f"storage = {storage!r} needs the fused kernels, which do not run here: use float32.")
    return stacked.StackedEngine(plan, vectors, protocol, device)


def member_bytes(plan: Plan, batch: int, device: str, storage: str = "float32") -> int:
    """Device memory that one network takes, about."""
    if use_fused(device):
        from . import fused

        return fused.member_bytes(plan, batch, storage)
    return stacked.member_bytes(plan, batch)
