"""Which engine computes a population's steps: the fused kernels where they are right, stacked torch elsewhere.

Before their first use on a device the kernels have to agree with float64 there, which takes seconds; a minute or two
the first time, until Triton's cache has them compiled. Where they cannot be compiled or do not agree, one line says so
and stacked torch takes their place. NASBENCH_NO_KERNELS=1 in the environment turns them off.
"""

from __future__ import annotations

import logging
import math
import os
from functools import cache
from importlib.metadata import version
from typing import Protocol as Shape

import torch
from torch import Tensor

from ...errors import NasbenchError, first_line
from ..protocol import Protocol
from ..result import is_out_of_memory
from . import stacked
from .plan import Plan, Vectors

logger = logging.getLogger(__name__)

PRECISIONS = ("tf32x3", "ieee")
"""How the kernels may multiply float32, see `fused.Tuning`; the first that is right on a device is used there."""
TOLERANCE = 1e-5
"""Largest error of a gradient, over the largest gradient, that counts as right."""


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


def fused_precision(device: str) -> str | None:
    """How the fused kernels multiply float32 here; None where they do not compute."""
    if os.environ.get("NASBENCH_NO_KERNELS") or torch.device(device).type != "cuda" or not torch.cuda.is_available():
        return None
    return _precision(device)


@cache
def _precision(device: str) -> str | None:
    problems: list[str] = []
    tensor_cores = torch.cuda.get_device_capability(device) >= (8, 0)  # older ones know no tf32
    for precision in PRECISIONS if tensor_cores else PRECISIONS[1:]:
        try:
            from .check import fused_error

            with torch.cuda.device(device):  # Triton's kernels go to the current one
                error = fused_error(device, precision=precision)
            problem = f"{precision}: gradients are {error:.1e} away from float64's"
        except Exception as found:  # whatever a compiler or a driver raises
            if is_out_of_memory(found):
                raise NasbenchError(f"the memory of {device} is full: {first_line(found)}") from found
            _alive(device, found)
            error, problem = math.nan, f"{precision}: {first_line(found)}"
        if error < TOLERANCE:
            if problems:
                logger.warning("The fused kernels multiply float32 as %s on %s (%s).", precision, device, problems[0])
            return precision
        problems.append(problem)
    logger.warning("The fused kernels are not used on %s (%s): stacked torch trains.", device, "; ".join(problems))
    return None


def _alive(device: str, error: Exception) -> None:
    """NasbenchError where the error has left the device unusable for this process, as wrong addresses do."""
    try:
        torch.cuda.synchronize(device)
    except Exception as found:
        raise NasbenchError(
            f"the fused kernels failed on {device}, which this process cannot use any more ({first_line(error)}): "
            "NASBENCH_NO_KERNELS=1 in the environment trains without them."
        ) from found


def engine_name(device: str) -> str:
    """Which engine `open_engine` takes on this device, with the version of what compiles it."""
    precision = fused_precision(device)
    return f"fused triton {version('triton')} {precision}" if precision else "stacked"


def open_engine(plan: Plan, vectors: Vectors, protocol: Protocol, device: str, storage: str = "float32") -> Engine:
    """The engine for a plan; NasbenchError for a storage that it has not."""
    if precision := fused_precision(device):
        from .fused import FusedEngine, Tuning

        return FusedEngine(plan, vectors, protocol, device, storage, Tuning(precision))
    if storage != "float32":
        raise NasbenchError(f"storage = {storage!r} needs the fused kernels, which do not run here: use float32.")
    return stacked.StackedEngine(plan, vectors, protocol, device)


def member_bytes(plan: Plan, batch: int, device: str, storage: str = "float32") -> int:
    """Device memory that one network takes, about."""
    if fused_precision(device):
        from . import fused

        return fused.member_bytes(plan, batch, storage)
    return stacked.member_bytes(plan, batch)
