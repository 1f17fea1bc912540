"""Whether this machine's GPU trains populations right, and how fast.

    python -m nasbench.training.population_cuda.check

First correctness: gradients of both engines on the device against float64 on the CPU, and bits in company against bits
alone. Then the card's own ceilings and the rates. A few minutes, no arguments; nothing is written but the tables.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import NasbenchError
from ...networks.graph import build_graph, initial_parameters
from ..protocol import Protocol
from ..result import Arrays
from .plan import Plan
from .stacked import StackedEngine

CELLS = ((3, 1, 2, 4, 1, 3), (0, 3, 2, 1, 0, 4), (4, 4, 1, 4, 2, 1), (0,) * 6)
"""All operations, a dead edge, the constant cell."""
SHAPE, CLASSES = (8, 8, 3), 10
SEEDS = (7, 18, 21)
"""Of weights and images of which no input of a ReLU is closer to 0 than 5e-6: one whose sign rounding changes moves a
gradient a thousand times more than rounding does. What is told is the median of the three, nan if one is."""


def fused_error(device: str, reduction: str = "plain", storage: str = "float32", precision: str = "ieee") -> float:
    """Largest error of the fused kernels' gradients over the largest gradient of the network, of all CELLS."""
    return _errors(device, reduction, storage, precision)[1]


def _errors(device: str, reduction: str, storage: str, precision: str) -> tuple[float, float]:
    """Of stacked torch in float32 and of the fused kernels, against stacked torch in float64 on the CPU."""
    first, second = np.median([_errors_of(seed, device, reduction, storage, precision) for seed in SEEDS], axis=0)
    return float(first), float(second)


def _errors_of(seed: int, device: str, reduction: str, storage: str, precision: str) -> NDArray[np.float64]:
    from .fused import FusedEngine, Tuning

    protocol = Protocol(channels=8, batch_size=32, reduction=reduction)
    skeleton = protocol.skeleton(CLASSES, SHAPE)
    plan = Plan.of(CELLS, skeleton)
    rng = np.random.default_rng(seed)
    vectors = [initial_parameters(build_graph(cell, skeleton), rng) for cell in CELLS]
    for vector in vectors:
        vector += rng.normal(0, 0.05, len(vector)).astype(np.float32)  # scales and shifts other than 1 and 0
    x = torch.from_numpy(rng.standard_normal((len(CELLS), 32, *SHAPE)).astype(np.float32))
    y = torch.from_numpy(rng.integers(0, CLASSES, (len(CELLS), 32)))
    exact = StackedEngine(plan, vectors, protocol, "cpu", torch.float64)
    stacked, fused = (
        StackedEngine(plan, vectors, protocol, device),
        FusedEngine(plan, vectors, protocol, device, storage, Tuning(precision)),
    )
    fused.maps.fill_(float("nan"))  # what is read before it is written shows
    _, _, gradients = exact.gradients(x, y)
    _, _, found = stacked.gradients(x.to(device), y.to(device))
    fused.gradients(x.to(device), y.to(device))
    errors = []
    for member in range(len(CELLS)):
        reference = exact.flat(gradients, member)
        both = stacked.flat(found, member), fused.vector(fused.gradient, member)
        errors.append([np.abs(one - reference).max() / np.abs(reference).max() for one in both])
    return np.max(errors, axis=0)  # nan, where there is one


def noise(images: int = 5000, held_out: int = 500, shape: tuple[int, ...] = (16, 16, 3)) -> Arrays:
    """Random images and labels of ten classes."""
    rng = np.random.default_rng(0)

    def part(count: int) -> tuple[np.ndarray, np.ndarray]:
        x = rng.standard_normal((count, *shape)).astype(np.float32)
        return x, rng.integers(0, 10, count).astype(np.int32)

    return Arrays(*part(images), *part(held_out), *part(held_out), 10)


def same_bits(device: str, cells: Sequence[tuple[int, ...]] = CELLS) -> bool:
    """Whether two epochs in company give the bits of two epochs alone."""
    from .trainer import train_together

    protocol, arrays = Protocol(epochs=2, batch_size=32), noise(128, 64, SHAPE)
    together = train_together([(cell, 0) for cell in cells], arrays, protocol, device)
    alone = (train_together([(cell, 0)], arrays, protocol, device)[0] for cell in cells)
    return all(one.same_results(other) for one, other in zip(together, alone, strict=True))


def main() -> None:
    """Check and measure the first CUDA device."""
    from ...terminal import show
    from .engines import PRECISIONS, engine_name
    from .measure import ceilings, rates

    if not torch.cuda.is_available():
        raise NasbenchError("this check needs a CUDA device, and torch finds none here.")
    lines = []
    for reduction in ("plain", "residual"):
        errors = [fused_error("cuda", reduction, precision=precision) for precision in PRECISIONS]
        stacked, half = _errors("cuda", reduction, "bfloat16", PRECISIONS[0])
        lines.append([reduction, *(f"{error:.1e}" for error in (stacked, *errors, half))])
    title = f"{torch.cuda.get_device_name()}, torch {torch.__version__}: largest gradient error, relative"
    show(title, ["reductions", "stacked", *(f"fused, {one}" for one in PRECISIONS), "fused, bfloat16 maps"], lines)
    show("populations", ["engine", "same bits in company"], [[engine_name("cuda"), str(same_bits("cuda"))]])
    show("ceilings, measured", ["what", "value"], [[name, f"{value:.1f}"] for name, value in ceilings("cuda").items()])
    print("training, 5,000 images of 16 x 16")
    for channels in (8, 16):
        for one in rates("cuda", channels):
            print(one, flush=True)


if __name__ == "__main__":
    try:
        main()
    except NasbenchError as error:
        sys.exit(str(error))
