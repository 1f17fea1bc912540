"""An action on a device, recorded once as a CUDA graph and replayed: one launch for the hundreds it is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

WARM_UP = 2
"""Runs before the recording, which compile kernels and let libraries choose their algorithms."""


def record(action: Callable[[], None], state: Sequence[Tensor], device: str) -> Callable[[], None]:
    """What to call for `action`: its CUDA graph, or on a CPU the action itself.

    The action reads and writes tensors that stay where they are; `state` is what it changes, and is as before when
    this returns.
    """
    if torch.device(device).type != "cuda":
        return action
    before = [tensor.detach().clone() for tensor in state]
    with torch.cuda.device(device):
        stream, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(stream)
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                action()
        stream.wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=aside):
                action()
        finally:
            torch.cuda.set_stream(stream)  # which a failed recording leaves set
        with torch.no_grad():
            for tensor, value in zip(state, before, strict=True):
                tensor.copy_(value)
    return graph.replay
