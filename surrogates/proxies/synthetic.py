"""Proxies that feed the network made-up images, and so need no data but its size."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from nasbench.networks import CellNetwork
from nasbench.networks.module import EdgeModule

from .probe import Probe, layer_weights

ZEN_STEP = 0.01
"""Length of the disturbance: Zen-NAS's mixup gamma."""


def synflow(probe: Probe) -> float:
    """log of the sum of |w dR/dw|, R = sum of the logits for an image of ones (Tanaka et al., SynFlow, NeurIPS 2020).

    The network is linear for this: no normalisation and the absolute values of all parameters, in double precision.
    The logarithm, which keeps the order, is NAS-Bench-Suite-Zero's.
    """
    network = probe.new_network().double()
    for module in network.edges:
        if isinstance(module, EdgeModule):
            module.bn = None
    skeleton = probe.skeleton
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    ones = torch.ones(1, skeleton.image_channels, skeleton.height, skeleton.width, dtype=torch.float64)
    weights = layer_weights(network)
    gradients = torch.autograd.grad(network(ones).sum(), weights)
    products = zip(weights, gradients, strict=True)
    return float(torch.stack([(weight.detach() * gradient).abs().sum() for weight, gradient in products]).sum().log())


def _features(network: CellNetwork, images: torch.Tensor) -> torch.Tensor:
    """What the global pooling sees."""
    seen: list[torch.Tensor] = []
    handle = network.edges[-1].register_forward_hook(lambda *args: seen.append(args[2]))
    network(images)
    handle.remove()
    return functional.relu(seen[0])


def zen(probe: Probe) -> float:
    """log of the mean of ||f(x) - f(x + 0.01 z)||_1, plus the sum over batch norms of log sqrt(mean variance).

    x and z are Gaussian noise, as are the weights; f stops before the global pooling (Lin et al., Zen-NAS, ICCV 2021).
    The variances are the running ones after the two passes, and one draw is made, as in NAS-Bench-Suite-Zero.
    """
    generator = probe.noise()
    network = probe.new_network()
    skeleton = probe.skeleton
    shape = (len(probe.batches[0].labels), skeleton.image_channels, skeleton.height, skeleton.width)
    with torch.no_grad():
        for weight in layer_weights(network):
            weight.normal_(generator=generator)
        images = torch.randn(shape, generator=generator)
        disturbed = images + ZEN_STEP * torch.randn(shape, generator=generator)
        change = _features(network, images) - _features(network, disturbed)
        score = change.double().abs().sum((1, 2, 3)).mean().log()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d) and module.running_var is not None:
                score = score + module.running_var.double().mean().log() / 2
    return float(score)
