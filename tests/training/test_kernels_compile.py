"""The fused kernels compile for GPUs that are not here, and need no more shared memory than those have.

Triton compiles for a device without having one; the interpreter accepts more than the compiler does. Run this file for
a table of what every kernel needs: `python tests/training/test_kernels_compile.py 90 float32 plain`.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys

import pytest

SHARED = 99 * 1024
"""Bytes of shared memory that a program can have on any card from 2020 on."""


def needs(capability: int, storage: str, reduction: str) -> list[dict[str, object]]:
    """What every kernel of a training step and an evaluation needs, compiled for a compute capability (90: Hopper)."""
    import numpy as np
    import torch
    from triton.backends.compiler import GPUTarget
    from triton.runtime import driver
    from triton.runtime.jit import JITFunction

    from nasbench.networks import build_graph, initial_parameters
    from nasbench.training import Protocol
    from nasbench.training.population_cuda.fused import FusedEngine, Tuning
    from nasbench.training.population_cuda.plan import Plan

    class Absent:
        """Stands for the driver of a GPU that is not here."""

        def get_current_target(self) -> GPUTarget:
            return GPUTarget("cuda", capability, 32)

        def get_current_device(self) -> int:
            return 0

        def get_current_stream(self, device: int = 0) -> int:
            return 0

    driver.set_active(Absent())
    found: dict[int, dict[str, object]] = {}
    launch = JITFunction.run

    def compile_only(self, *args, grid, warmup, **options):
        if "PRODUCT" in options:  # as on a device, though the tensors are on the CPU
            options["PRODUCT"] = options["OPERAND"]
        compiled = launch(self, *args, grid=grid, warmup=True, **options)
        assert compiled.asm["cubin"]
        sizes = {name: value for name, value in options.items() if isinstance(value, int)}
        found.setdefault(id(compiled), {"kernel": self.__name__, "shared": compiled.metadata.shared, "sizes": sizes})
        return compiled

    JITFunction.run = compile_only
    protocol, shape, cells = Protocol(channels=8, reduction=reduction), (16, 16, 3), [(3, 1, 2, 4, 1, 3)]
    skeleton = protocol.skeleton(10, shape)
    vectors = [initial_parameters(build_graph(cell, skeleton), np.random.default_rng(0)) for cell in cells]
    engine = FusedEngine(Plan.of(cells, skeleton), vectors, protocol, "cpu", storage, Tuning("tf32x3"))
    batch = protocol.batch_size
    engine.step(torch.zeros(1, batch, *shape), torch.zeros(1, batch, dtype=torch.int64), torch.zeros(()))
    engine.evaluate(torch.zeros(batch, *shape), torch.zeros(batch, dtype=torch.int64))
    return list(found.values())


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="Triton brings its assembler for Linux on x86-64"
)
@pytest.mark.parametrize(
    ("capability", "storage", "reduction"), [(90, "float32", "plain"), (80, "bfloat16", "residual")]
)
def test_every_kernel_compiles(capability, storage, reduction, tmp_path):
    pytest.importorskip("triton", reason="needs triton, the extra `kernels`")
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, __file__, str(capability), storage, reduction],
        env=environment | {"TRITON_CACHE_DIR": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    kernels = [json.loads(line) for line in done.stdout.splitlines()]
    assert {one["kernel"] for one in kernels} == {
        "convolve", "gather", "classify", "normalisation_sums", "map_gradient", "weight_gradient",
        "add_shares", "update",
    }  # fmt: skip
    assert max(one["shared"] for one in kernels) <= SHARED


if __name__ == "__main__":
    for line in needs(int(sys.argv[1]), *sys.argv[2:]):
        print(json.dumps(line))
