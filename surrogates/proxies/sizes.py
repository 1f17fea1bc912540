"""Proxies that look at the network alone: how large it is. The first two belong at the top of every comparison,
because few of the others order cells better than they do."""

from __future__ import annotations

from nasbench.networks import count_flops, count_parameters

from .probe import Probe


def params(probe: Probe) -> float:
    """Trainable parameters of the network without dead edges."""
    return float(count_parameters(probe.cell, probe.skeleton, pruned=True))


def flops(probe: Probe) -> float:
    """FLOPs of one image's forward pass through convolutions and classifier, without dead edges.

    NAS-Bench-Suite-Zero counts multiply-accumulates once, and normalisation, ReLU and sums as well: half of
    ours plus a little, in almost the same order.
    """
    return float(count_flops(probe.cell, probe.skeleton, pruned=True))


def l2_norm(probe: Probe) -> float:
    """Sum over layers l of ||w_l||_2 of the initial weights (Abdelfattah et al., ICLR 2021, as a baseline).

    With torch's initialisation ||w_l||^2 is close to (channels out) / 3 for every kernel size, so this counts the
    convolutions, weighted by the roots of their channels. Values agree with the published ones to 0.7 % (Pearson
    0.99998); cells with equally many convolutions differ by the draw of their weights alone, in ours and in theirs,
    which bounds the rank correlation of any two draws to about 0.92.
    """
    return float(sum(weight.detach().double().norm() for weight in probe.weights))
