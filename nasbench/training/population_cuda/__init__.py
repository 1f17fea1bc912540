"""The population trainer: hundreds of networks as one program on a GPU, without a Python loop over them.

Data, weights and every network's own order of batches stay on the device, and a training step is one CUDA graph. Two
engines compute it: fused Triton kernels, driven by a table of operation codes, and stacked torch operations, which
also run on a CPU, where tests compare them with the plain trainer. Importing this package needs neither torch nor
Triton. No figure of its speed has been measured yet.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


@cache
def source_hash() -> str:
    """Eight characters that change with the code of this package, and so with the bits of its results."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


__all__ = ["source_hash"]
