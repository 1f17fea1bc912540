"""The reference trainer: one cell, plain torch, on a CPU or CUDA; short enough to be read as the protocol's
definition.

About 0.05 seconds a digits epoch on one core. On CUDA the results are torch's own: close to the CPU's, not
equal.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..errors import NasbenchError
from ..networks.graph import build_graph, initial_parameters
from ..networks.module import CellNetwork
from .protocol import Protocol, draw_order, generators
from .result import Arrays, History, history_from_rows

EVALUATION_BATCH = 256


def check_device(device: str) -> None:
    """NasbenchError where torch has no such device here."""
    try:
        kind = torch.device(device).type
    except RuntimeError:
        kind = ""
    if kind not in ("cpu", "cuda"):
        raise NasbenchError(f"device = {device!r}: use 'cpu' or 'cuda'.")
    if kind == "cuda" and not torch.cuda.is_available():
        raise NasbenchError(f"device = {device!r}, but torch finds no CUDA device here: use device='cpu'.")


def change(images: Tensor, changes: NDArray[np.int8], crop: int) -> Tensor:
    """Images (n, channels, height, width) shifted and flipped as `draw_order` drew it."""
    height, width = images.shape[2:]
    padded = functional.pad(images, (crop, crop, crop, crop))
    drawn = torch.from_numpy(changes.astype(np.int64)).to(images.device)
    flip, top, left = drawn.unbind(1)
    columns = torch.arange(width, device=images.device)
    columns = torch.where(flip[:, None] == 1, columns.flip(0), columns) + left[:, None]
    rows = torch.arange(height, device=images.device) + top[:, None]
    which = torch.arange(len(images), device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def accuracy(network: CellNetwork, images: Tensor, labels: Tensor) -> float:
    """Share of the images (n, channels, height, width) predicted right, in evaluation mode; NaN for no
    images."""
    if not len(labels):
        return math.nan
    network.eval()
    with torch.inference_mode():
        right = 0
        for start in range(0, len(labels), EVALUATION_BATCH):
            batch = slice(start, start + EVALUATION_BATCH)
            right += int((network(images[batch]).argmax(1) == labels[batch]).sum())
    return right / len(labels)


def train_plain(
    cell: Sequence[int], seed: int, arrays: Arrays, protocol: Protocol, device: str = "cpu", until: int | None = None
) -> History:
    """Train one cell, for the protocol's epochs or its first `until`, and return its curves (see History).

    NasbenchError where `device` is not there.
    """
    check_device(device)
    graph = build_graph(cell, protocol.skeleton(arrays.classes, arrays.image_shape))
    for_weights, for_order = generators(cell, seed)
    order, changes = draw_order(protocol, len(arrays.y_train), for_order)
    order = order[:until]
    epochs, steps = order.shape[:2]
    rates = protocol.learning_rates(steps)

    def move(images: NDArray[np.float32], labels: NDArray[np.int32]) -> tuple[Tensor, Tensor]:
        moved = torch.from_numpy(images).to(device).permute(0, 3, 1, 2)
        return moved.contiguous(memory_format=torch.channels_last), torch.from_numpy(labels).to(device).long()

    x_train, y_train = move(arrays.x_train, arrays.y_train)
    held_out = [move(arrays.x_val, arrays.y_val), move(arrays.x_test, arrays.y_test)]
    network = CellNetwork(graph)
    network.load_flat(initial_parameters(graph, for_weights))
    network = cast(Any, network).to(device=device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        network.parameters(), protocol.lr, protocol.momentum, weight_decay=protocol.weight_decay,
        nesterov=protocol.momentum > 0,
    )  # fmt: skip
    rows = np.full((epochs, 6), math.nan)
    for epoch in range(epochs):
        network.train()
        start, losses, right = time.perf_counter(), 0.0, 0
        for step in range(steps):
            which = torch.from_numpy(order[epoch, step]).to(device).long()
            x, y = x_train[which], y_train[which]
            if changes is not None:
                x = change(x, changes[epoch, step], protocol.crop)
            logits = network(x)
            loss = functional.cross_entropy(logits, y)
            if not math.isfinite(loss.item()):
                rows[epoch, 4] = time.perf_counter() - start
                return history_from_rows(rows, epoch * steps + step, epochs * steps)
            losses += loss.item()
            right += int((logits.argmax(1) == y).sum())
            for group in optimizer.param_groups:
                group["lr"] = float(rates[epoch * steps + step])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        middle = time.perf_counter()
        values = [
            losses / steps,
            right / (steps * protocol.batch_size),
            *(accuracy(network, x, y) for x, y in held_out),
        ]
        rows[epoch] = [*values, middle - start, time.perf_counter() - middle]
    return history_from_rows(rows, epochs * steps, epochs * steps)
