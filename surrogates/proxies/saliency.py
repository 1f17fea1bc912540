"""Pruning scores, summed over a network: what its weights mean to the loss of one batch, before training.

Adapted to networks by Abdelfattah et al., Zero-Cost Proxies for Lightweight NAS, ICLR 2021. w_l are the weights of
convolution (or classifier) l, g_l the gradient of the mean cross entropy by them.

grad_norm is about 1.5 times the published one on 16-pixel images and nearer to it on the same images enlarged to 32
(three cells looked at); the order is the same.
"""

from __future__ import annotations

import numpy as np
import torch

from .probe import Probe, gradients


def grad_norm(probe: Probe) -> float:
    """Sum over layers of ||g_l||_2 (Abdelfattah et al., ICLR 2021)."""
    return float(sum(gradient.double().norm() for gradient in probe.weight_gradients))


def snip(probe: Probe) -> float:
    """Sum of |w g| over all weights (Lee et al., SNIP, ICLR 2019)."""
    pairs = zip(probe.weights, probe.weight_gradients, strict=True)
    return float(sum((weight.detach() * gradient).abs().double().sum() for weight, gradient in pairs))


def plain(probe: Probe) -> float:
    """Sum of w g over all weights, with its sign (Mozer and Smolensky, NeurIPS 1988; a baseline of Abdelfattah et
    al., ICLR 2021).

    A convolution followed by batch normalisation is scale-free, so that w_l . g_l = 0: what is left comes from the
    classifier and the shortcuts of residual reductions, and changes with their draw.
    """
    pairs = zip(probe.weights, probe.weight_gradients, strict=True)
    return float(sum((weight.detach().double() * gradient).sum() for weight, gradient in pairs))


def fisher(probe: Probe) -> float:
    """Fisher information of the channels (Theis et al., arXiv:1801.05787; Turner et al., BlockSwap, ICLR 2020).

    For channel c of a convolution's output a (before normalisation) or of the logits: half the mean over the images n
    of (sum over pixels of a_nc dL/da_nc)^2. As published, a channel counts once for each of its incoming weights.
    """
    total = 0.0
    for weight, output, gradient in zip(probe.weights, probe.outputs, probe.output_gradients, strict=True):
        product = output.detach() * gradient
        per_image = product.sum((2, 3)) if product.dim() == 4 else product
        total += float(weight[0].numel() * (per_image.double().square().mean(0) / 2).sum())
    return total


def grasp(probe: Probe) -> float:
    """-sum of w (H g), with H the Hessian of the loss by the weights (Wang et al., GraSP, ICLR 2020).

    The sign is that of Abdelfattah et al. Scale-free layers alone would give the sum of ||g_l||^2 > 0; classifier and
    shortcuts add terms of either sign, which seem to weigh more in larger images: of four cells with large gradients,
    two kept their sign at 32 pixels, and two changed it with the seed. |grasp| agrees with the published values at a
    rank correlation of 0.91. The dearest proxy here: a backward pass with its graph, and one through that.
    """
    first = torch.autograd.grad(probe.loss, probe.weights, create_graph=True)
    product = torch.stack([(gradient.detach() * gradient).sum() for gradient in first]).sum()
    second = torch.autograd.grad(product, probe.weights, retain_graph=True)
    pairs = zip(probe.weights, second, strict=True)
    return -float(sum((weight.detach().double() * change).sum() for weight, change in pairs))


def zico(probe: Probe) -> float:
    """Sum over layers of log(sum over weights of mean|g| / std g), mean and deviation over batches (Li et al., ZiCo,
    ICLR 2023). Weights whose gradient does not vary are left out, and so are layers of such weights."""
    others = [gradients(probe.network, batch) for batch in probe.batches[1:]]
    total = 0.0
    for layer in zip(probe.weight_gradients, *others, strict=True):
        stacked = torch.stack(layer).double()
        deviation = stacked.std(0, unbiased=False)
        varying = deviation > 0
        ratio = float((stacked.abs().mean(0)[varying] / deviation[varying]).sum())
        total += float(np.log(ratio)) if ratio > 0 else 0.0
    return total
