"""One cell's network on a batch, untrained: the passes that several proxies share are made once.

A probe belongs to one (cell, seed): its weights come from them alone, and its images are those of every other
cell. Batch normalisation works in training mode, on the batch, as in the published scores. Cost on a CPU: a
forward and a backward pass are about a third and two thirds of a training step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from nasbench.networks import CellNetwork, Graph, Skeleton, build_graph, initial_parameters
from nasbench.networks.module import EdgeModule
from nasbench.training.protocol import generators


@dataclass(frozen=True)
class Batch:
    """Images float32 (batch, height, width, channels), as in Arrays, and labels int32 (batch,)."""

    images: NDArray[np.float32]
    labels: NDArray[np.int32]

    def tensors(self) -> tuple[Tensor, Tensor]:
        """(batch, channels, height, width) float32 and (batch,) int64."""
        images = torch.from_numpy(self.images).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        return images, torch.from_numpy(self.labels).long()


def layer_weights(network: CellNetwork) -> list[Tensor]:
    """Weights of all convolutions and of the classifier: the parameters that the pruning scores speak of."""
    return [parameter for parameter in network.flat_parameters() if parameter.dim() > 1]


class Probe:
    """A network with the shared stages `build`, `look`, `differentiate` and `attribute`, in this order.

    Attributes:
        network, weights: after `build`; weights as in layer_weights.
        outputs: after `look`: the convolutions' outputs, before normalisation, and the logits, in graph order.
        relu_inputs: after `look`: what each ReLU sees, one tensor (batch, channels, height, width) per ReLU.
        loss: after `look`: the mean cross entropy of the first batch.
        weight_gradients, output_gradients: after `differentiate`: of the loss by `weights` and by `outputs`.
        jacobian: after `attribute`: gradient of the sum of all logits by the images, (batch, pixels) float64.
    """

    network: CellNetwork
    weights: list[Tensor]
    outputs: list[Tensor]
    relu_inputs: list[Tensor]
    loss: Tensor
    weight_gradients: Sequence[Tensor]
    output_gradients: Sequence[Tensor]
    jacobian: NDArray[np.float64]

    def __init__(self, cell: Sequence[int], seed: int, skeleton: Skeleton, batches: Sequence[Batch]) -> None:
        self.cell, self.seed, self.skeleton = tuple(cell), seed, skeleton
        self.batches = batches
        self.graph: Graph = build_graph(self.cell, skeleton)

    def new_network(self) -> CellNetwork:
        """The network with its initial weights: the same for every call."""
        with torch.random.fork_rng(devices=[]):  # torch's own initialisation would draw from the caller's state
            network = CellNetwork(self.graph)
        network.load_flat(initial_parameters(self.graph, generators(self.cell, self.seed)[0]))
        return network

    def noise(self) -> torch.Generator:
        """A torch generator from (cell, seed), independent of the initial weights: the same for every call."""
        return torch.Generator().manual_seed(int(generators(self.cell, self.seed)[1].integers(2**63)))

    def build(self) -> None:
        self.network = self.new_network()
        self.weights = layer_weights(self.network)

    def look(self) -> None:
        images, labels = self.batches[0].tensors()
        self.images = images.requires_grad_()
        self.outputs, self.relu_inputs = [], []
        modules = [module for module in self.network.edges if isinstance(module, EdgeModule)]
        handles = [modules[-1].register_forward_hook(lambda *args: self.relu_inputs.append(args[2]))]
        for module in modules:
            if module.edge.relu:
                handles.append(module.register_forward_pre_hook(lambda _, args: self.relu_inputs.append(args[0])))
            if module.conv is not None:
                handles.append(module.conv.register_forward_hook(lambda *args: self.outputs.append(args[2])))
        self.logits = self.network(self.images)
        for handle in handles:
            handle.remove()
        self.outputs.append(self.logits)
        self.loss = functional.cross_entropy(self.logits, labels)

    def differentiate(self) -> None:
        found = torch.autograd.grad(self.loss, [*self.weights, *self.outputs], retain_graph=True)
        self.weight_gradients = found[: len(self.weights)]
        self.output_gradients = found[len(self.weights) :]

    def attribute(self) -> None:
        (found,) = torch.autograd.grad(self.logits.sum(), self.images, retain_graph=True)
        self.jacobian = found.reshape(len(found), -1).double().numpy()


def gradients(network: CellNetwork, batch: Batch) -> tuple[Tensor, ...]:
    """Gradients of the batch's mean cross entropy by layer_weights, in their order."""
    images, labels = batch.tensors()
    return torch.autograd.grad(functional.cross_entropy(network(images), labels), layer_weights(network))
