"""The proxies' definitions, against cases worked out by hand and finite differences in double precision."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional

from nasbench.networks import Skeleton
from surrogates.proxies import saliency, separation, sizes, synthetic
from surrogates.proxies.probe import Batch, Probe, layer_weights

SKELETON = Skeleton(channels=4, cells=1, reduction="plain", classes=3, height=8, width=8, image_channels=2)
CELL = (3, 2, 1, 4, 0, 2)


@pytest.fixture(scope="module")
def probe() -> Iterator[Probe]:
    generator = np.random.default_rng(0)
    batches = [
        Batch(generator.normal(size=(8, 8, 8, 2)).astype(np.float32), (np.arange(8) % 3).astype(np.int32))
        for _ in range(2)
    ]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    made = Probe(CELL, 3, SKELETON, batches)
    for stage in ("build", "look", "differentiate", "attribute"):
        getattr(made, stage)()
    yield made
    torch.set_num_threads(threads)


def loss(probe: Probe, change, batch: int = 0) -> float:
    """The loss in double precision after `change(weights)`, a function that returns new weights."""
    images, labels = probe.batches[batch].tensors()
    network = probe.new_network().double()
    with torch.no_grad():
        weights = layer_weights(network)
        for weight, new in zip(weights, change([w.clone() for w in weights]), strict=True):
            weight.copy_(new)
        return float(functional.cross_entropy(network(images.double()), labels))


def slope(function, step: float = 1e-6) -> float:
    return (function(step) - function(-step)) / (2 * step)


def test_plain_is_the_slope_of_scaling_all_weights(probe):
    expected = slope(lambda t: loss(probe, lambda weights: [(1 + t) * w for w in weights]))
    assert saliency.plain(probe) == pytest.approx(expected, abs=1e-5)


def test_snip_adds_what_each_weight_means(probe):
    """Compared for the classifier, weight by weight; and it bounds `plain`."""
    expected = 0.0
    last = probe.weights[-1]
    for row in range(last.shape[0]):
        for column in range(last.shape[1]):

            def scaled(t, row=row, column=column):
                def change(weights):
                    weights[-1][row, column] *= 1 + t
                    return weights

                return loss(probe, change)

            expected += abs(slope(scaled))
    alone = SimpleNamespace(weights=probe.weights[-1:], weight_gradients=probe.weight_gradients[-1:])
    assert saliency.snip(alone) == pytest.approx(expected, rel=1e-4)
    assert saliency.snip(probe) > abs(saliency.plain(probe))


def test_grad_norm_is_the_steepest_slope_of_each_layer(probe):
    expected = 0.0
    for layer, gradient in enumerate(probe.weight_gradients):
        direction = gradient.double() / gradient.double().norm()

        def moved(t, layer=layer, direction=direction):
            return loss(probe, lambda weights: shift(weights, layer, t * direction))

        expected += slope(moved)
    assert saliency.grad_norm(probe) == pytest.approx(expected, rel=1e-4)


def shift(weights, layer, change):
    weights[layer] += change
    return weights


def test_grasp_is_minus_weights_times_hessian_times_gradient(probe):
    """H g as the difference of the gradients at w + e g and w - e g."""
    images, labels = probe.batches[0].tensors()
    network = probe.new_network().double()
    weights = layer_weights(network)

    def gradients():
        return torch.autograd.grad(functional.cross_entropy(network(images.double()), labels), weights)

    start, step, ends = [weight.detach().clone() for weight in weights], 1e-7, []
    direction = gradients()
    for sign in (1, -1):
        with torch.no_grad():
            for weight, at, along in zip(weights, start, direction, strict=True):
                weight.copy_(at + sign * step * along)
        ends.append(gradients())
    changes = [(up - down) / (2 * step) for up, down in zip(*ends, strict=True)]
    expected = -float(sum((at * change).sum() for at, change in zip(start, changes, strict=True)))
    assert saliency.grasp(probe) == pytest.approx(expected, rel=1e-3)


def test_fisher_of_the_logits_and_of_a_convolution(probe):
    logits, labels = probe.logits.detach().double(), probe.batches[0].labels
    gradient = (logits.softmax(1) - functional.one_hot(torch.tensor(labels).long(), 3)) / 8
    expected = probe.weights[-1].shape[1] * float(((logits * gradient) ** 2).mean(0).sum()) / 2
    last = SimpleNamespace(
        weights=probe.weights[-1:], outputs=probe.outputs[-1:], output_gradients=probe.output_gradients[-1:]
    )
    assert saliency.fisher(last) == pytest.approx(expected, rel=1e-4)

    images, targets = probe.batches[0].tensors()
    network = probe.new_network().double()
    expected = 0.0
    for channel in range(4):
        squares = []
        for image in range(8):

            def scaled(t, image=image, channel=channel):
                def hook(_, __, output):
                    factor = torch.ones(8, 4, 1, 1, dtype=torch.float64)
                    factor[image, channel] += t
                    return output * factor

                handle = network.edges[0].conv.register_forward_hook(hook)
                with torch.no_grad():
                    value = float(functional.cross_entropy(network(images.double()), targets))
                handle.remove()
                return value

            squares.append(slope(scaled) ** 2)
        expected += 2 * 3 * 3 * np.mean(squares) / 2
    stem = SimpleNamespace(
        weights=probe.weights[:1], outputs=probe.outputs[:1], output_gradients=probe.output_gradients[:1]
    )
    assert saliency.fisher(stem) == pytest.approx(expected, rel=1e-3)


def test_zico_by_hand(monkeypatch):
    """Gradients 1 and 3 of one weight: mean 2 over deviation 1; -1 and 1: 1 over 1; equal ones are left out."""
    first = [torch.tensor([1.0, -1.0, 5.0]), torch.tensor([2.0])]
    second = (torch.tensor([3.0, 1.0, 5.0]), torch.tensor([2.0]))
    monkeypatch.setattr(saliency, "gradients", lambda network, batch: second)
    fake = SimpleNamespace(weight_gradients=first, network=None, batches=[None, None])
    assert saliency.zico(fake) == pytest.approx(np.log(2 + 1))


def test_l2_norm_by_hand():
    fake = SimpleNamespace(weights=[torch.tensor([3.0, 4.0]), torch.tensor([2.0])])
    assert sizes.l2_norm(fake) == 7


def test_jacob_cov_by_hand():
    k = separation.SMALL
    apart = np.array([[1.0, -1, 0, 0], [0, 0, 1, -1]])
    assert separation.jacob_cov(SimpleNamespace(jacobian=apart)) == pytest.approx(-2 * (np.log(1 + k) + 1 / (1 + k)))
    same = np.array([[1.0, -1, 0, 0], [2.0, -2, 0, 0]])
    expected = -(np.log(2 + k) + 1 / (2 + k) + np.log(k) + 1 / k)
    assert separation.jacob_cov(SimpleNamespace(jacobian=same)) == pytest.approx(expected, rel=1e-6)


def test_epe_nas_by_hand():
    """Two images of class 0 with correlation -1/2, one of class 1; with more than 100 classes, differences."""
    rows = np.array([[1.0, -1, 0], [0, 1, -1], [5, 0, 1]])
    labels = np.array([0, 0, 1], np.int32)
    k = separation.SMALL
    one = np.log(1 + k)
    pair = 2 * np.log(0.5 + k) + 2 * one

    def fake(classes):
        batch = SimpleNamespace(labels=labels)
        return SimpleNamespace(jacobian=rows, batches=[batch], skeleton=SimpleNamespace(classes=classes))

    assert separation.epe_nas(fake(10)) == pytest.approx(abs(pair) + one)
    assert separation.epe_nas(fake(101)) == pytest.approx(2 * abs(pair / 2 - one) / 2)


def test_nwot_counts_agreeing_units(probe):
    patterns = torch.tensor([[1.0, -1, 2, -1], [1.0, 1, -2, -1], [-1.0, 1, 1, -3]])
    agree = np.array([[4, 2, 2], [2, 4, 2], [2, 2, 4]])
    fake = SimpleNamespace(
        relu_inputs=[patterns[:, :1, None], patterns[:, 1:]], batches=[SimpleNamespace(labels="abc")]
    )
    assert separation.nwot(fake) == pytest.approx(np.log(np.linalg.det(agree)))
    relus = sum(edge.relu for edge in probe.graph.edges) + 1
    assert len(probe.relu_inputs) == relus


def test_the_jacobian_is_that_of_the_summed_logits(probe):
    network = probe.new_network().double()
    images, _ = probe.batches[0].tensors()

    def moved(t):
        changed = images.double().clone()
        changed[2, 1, 3, 4] += t
        with torch.no_grad():
            return float(network(changed).sum())

    where = np.ravel_multi_index((1, 3, 4), (2, 8, 8))
    assert probe.jacobian[2, where] == pytest.approx(slope(moved, 1e-5), rel=1e-3, abs=1e-5)


def test_synflow_of_a_chain_is_layers_times_flow():
    """In a chain of seven layers each adds the whole flow: the sum of the logits less the biases."""
    chain = Probe((0, 0, 0, 3, 0, 0), 0, SKELETON, [])
    x = torch.ones(1, 2, 8, 8, dtype=torch.float64)
    network = chain.new_network().double()
    for module in network.edges:
        if module.conv is not None:
            x = functional.conv2d(x, module.conv.weight.abs(), stride=module.conv.stride, padding=1)
    flow = float((network.classifier.weight.detach().abs() @ x.detach().mean((2, 3))[0]).sum())
    assert synthetic.synflow(chain) == pytest.approx(np.log(7 * flow))


def test_zen_adds_the_normalisations_variances(probe):
    """Recomputed from the variances that each normalisation saw, with torch's momentum of 0.1."""
    generator = probe.noise()
    network = probe.new_network()
    with torch.no_grad():
        for weight in layer_weights(network):
            weight.normal_(generator=generator)
        images = torch.randn(8, 2, 8, 8, generator=generator)
        disturbed = images + 0.01 * torch.randn(8, 2, 8, 8, generator=generator)
        variances: dict[int, list[float]] = {}
        seen = []
        for i, module in enumerate(network.edges):
            if module.bn is not None:
                module.bn.register_forward_hook(
                    lambda _, args, __, i=i: variances.setdefault(i, []).append(args[0].var((0, 2, 3)).mean().item())
                )
        network.edges[-1].register_forward_hook(lambda *args: seen.append(args[2].clamp(min=0)))
        network(images)
        network(disturbed)
        expected = float((seen[0] - seen[1]).abs().sum((1, 2, 3)).mean().log())
        expected += sum(0.5 * np.log(0.81 + 0.09 * first + 0.1 * second) for first, second in variances.values())
    assert synthetic.zen(probe) == pytest.approx(expected, rel=1e-5)
