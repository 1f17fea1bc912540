"""The fused kernels, through Triton's interpreter where there is no GPU: every phase against float64 torch.

The interpreter takes about four seconds a network and step, so the populations are tiny.
"""

from __future__ import annotations

import dataclasses
import os

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nasbench.networks import build_graph, initial_parameters
from nasbench.training import Arrays, Protocol
from nasbench.training.population_cuda import trainer
from nasbench.training.population_cuda.engines import PRECISIONS
from nasbench.training.population_cuda.plan import Plan
from nasbench.training.population_cuda.stacked import StackedEngine

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported
pytest.importorskip("triton", reason="needs triton, the extra `kernels`")
fused = pytest.importorskip("nasbench.training.population_cuda.fused")
torch.set_num_threads(1)

BATCH, CLASSES = 16, 5
# All operations; a dead edge, since nothing reaches node 1; the constant cell.
CELLS = [(3, 1, 2, 4, 1, 3), (0, 3, 2, 1, 0, 4), (0,) * 6]

TUNING = fused.Tuning(tile=1 << 15, parts=2) if DEVICE == "cpu" else fused.DEFAULT
"""Large tiles, which the interpreter takes faster."""
BOTH = pytest.mark.parametrize("precision", PRECISIONS)


@pytest.fixture(autouse=True)
def _tensor_cores(monkeypatch):
    """Products in tf32 that see 10 bits behind the point alone, as a device's do; the interpreter's see all."""
    if DEVICE == "cpu":
        from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

        original = InterpreterBuilder.create_dot

        def cut(handle: TensorHandle) -> TensorHandle:
            bits = np.ascontiguousarray(handle.data).view(np.int32) & -0x2000
            return TensorHandle(bits.view(np.float32), handle.dtype)

        def create_dot(self, a, b, d, precision, most):
            if precision.name == "TF32":
                a, b = cut(a), cut(b)
            return original(self, a, b, d, precision, most)

        monkeypatch.setattr(InterpreterBuilder, "create_dot", create_dot)


class Case:
    """A population with the same weights in the fused engine and in stacked float64, and a batch."""

    def __init__(self, cells, shape, storage="float32", tuning=TUNING, **values):
        self.protocol = Protocol(**{"batch_size": BATCH, **values})
        skeleton = self.protocol.skeleton(CLASSES, shape)
        self.plan = Plan.of(cells, skeleton)
        rng = np.random.default_rng(0)
        self.vectors = [initial_parameters(build_graph(cell, skeleton), rng) for cell in cells]
        for vector in self.vectors:
            vector += rng.normal(0, 0.05, len(vector)).astype(np.float32)  # scales and shifts other than 1 and 0
        batch = len(cells), self.protocol.batch_size
        self.x = torch.from_numpy(rng.standard_normal((*batch, *shape)).astype(np.float32))
        self.y = torch.from_numpy(rng.integers(0, CLASSES, batch))
        self.exact = StackedEngine(self.plan, self.vectors, self.protocol, dtype=torch.float64)
        self.fused = fused.FusedEngine(self.plan, self.vectors, self.protocol, DEVICE, storage, tuning)
        self.fused.maps.fill_(float("nan"))  # what is read before it is written shows

    def largest_error(self) -> float:
        """Of all members' gradients, each relative to its largest."""
        losses, right, gradients = self.exact.gradients(self.x, self.y)
        self.fused.gradients(self.x.to(DEVICE), self.y.to(DEVICE))
        np.testing.assert_allclose(self.fused.losses.cpu(), losses, atol=1e-6)
        assert self.fused.right.tolist() == right.tolist()
        errors = []
        for member in range(len(self.vectors)):
            reference = self.exact.flat(gradients, member)
            found = self.fused.vector(self.fused.gradient, member)
            errors.append(np.abs(found - reference).max() / np.abs(reference).max())
        return float(np.max(errors))


@BOTH
def test_gradients_equal_float64_and_company_changes_nothing(precision):
    tuning = dataclasses.replace(TUNING, precision=precision)
    case = Case(CELLS, (8, 8, 3), tuning=tuning, channels=8)
    assert case.largest_error() < 1e-5
    plan = Plan.of(CELLS[1:2], case.protocol.skeleton(CLASSES, (8, 8, 3)))
    engine = fused.FusedEngine(plan, case.vectors[1:2], case.protocol, DEVICE, tuning=tuning)
    engine.gradients(case.x[1:2].to(DEVICE), case.y[1:2].to(DEVICE))
    np.testing.assert_array_equal(engine.vector(engine.gradient, 0), case.fused.vector(case.fused.gradient, 1))


@BOTH
def test_gradients_with_residual_reductions_and_odd_widths(precision):
    tuning = dataclasses.replace(TUNING, precision=precision)
    case = Case([(2, 0, 4, 0, 3, 1)], (4, 8, 2), tuning=tuning, channels=3, reduction="residual")
    assert case.largest_error() < 1e-5


@BOTH
def test_gradients_with_tiles_of_a_device_and_odd_maps(precision):
    """Maps of 6x10, 3x5 and 2x3: strides leave a last row and column."""
    case = Case([(3, 2, 0, 4, 0, 1)], (6, 10, 2), tuning=fused.Tuning(precision), channels=3)
    assert case.largest_error() < 1e-5


def test_gradients_whose_images_are_shared_unevenly(monkeypatch):
    """16 images as 6, 6 and 4 at 8x8, and as 8 and 8 at 4x4."""
    monkeypatch.setattr(fused, "SHARE", 128)
    case = Case(CELLS[:1], (8, 8, 3), tuning=dataclasses.replace(TUNING, shares=3), channels=4)
    assert case.fused.shares.shape[0] == 2
    assert case.largest_error() < 1e-5
    assert case.fused.shares.any(2).all()


def test_a_step_and_an_evaluation_equal_float64():
    case = Case([(0, 0, 0, 2, 0, 0)], (4, 4, 1), channels=4, lr=0.1)
    losses, _ = case.exact.step(case.x, case.y, torch.tensor(0.1))
    found, _ = case.fused.step(case.x.to(DEVICE), case.y.to(DEVICE), torch.tensor(0.1, device=DEVICE))
    np.testing.assert_allclose(found.cpu(), losses, atol=1e-6)
    np.testing.assert_allclose(
        case.fused.vector(case.fused.theta, 0), case.exact.flat(case.exact.parameters, 0), atol=1e-6
    )
    for slot, groups in enumerate(case.exact.slots):
        for group in groups:
            if group.running is not None:
                running = case.fused.running[0, slot, :, : len(group.running[0])].cpu()
                np.testing.assert_allclose(running, torch.stack(group.running), atol=1e-5)
    y = case.y[0].clone()
    y[-3:] = -1
    right = case.fused.evaluate(case.x[0].to(DEVICE), y.to(DEVICE))
    assert right.tolist() == case.exact.evaluate(case.x[0], y).tolist()


def test_the_trainer_drives_the_kernels(monkeypatch):
    rng = np.random.default_rng(0)

    def part(count: int) -> tuple[np.ndarray, np.ndarray]:
        return rng.random((count, 4, 4, 1), np.float32), rng.integers(0, 2, count).astype(np.int32)

    arrays = Arrays(*part(16), *part(5), *part(0), 2)
    protocol, jobs = Protocol(channels=4, epochs=1, batch_size=16), [((0, 0, 0, 1, 0, 0), 0)]
    (stacked,) = trainer.train_together(jobs, arrays, protocol, "cpu")
    monkeypatch.setattr(trainer, "open_engine", lambda *how: fused.FusedEngine(*how, tuning=TUNING))
    (found,) = trainer.train_together(jobs, arrays, protocol, DEVICE)
    np.testing.assert_allclose(found.train_loss, stacked.train_loss, rtol=1e-5)
    assert (found.train_acc, found.val_acc) == (stacked.train_acc, stacked.val_acc)
    assert np.isnan(found.test_acc[0])


@pytest.mark.parametrize("factor", [0.0, 0.9])
def test_the_update_is_torchs(factor):
    from nasbench.training.population_cuda.kernels_backward import update

    rng = np.random.default_rng(0)
    theta, gradient = (torch.from_numpy(rng.standard_normal(100).astype(np.float32)).to(DEVICE) for _ in range(2))
    momentum, rate = torch.zeros_like(theta), torch.tensor(0.1, device=DEVICE)
    parameter = torch.nn.Parameter(theta.clone())
    optimizer = torch.optim.SGD([parameter], 0.1, factor, weight_decay=5e-4, nesterov=factor > 0)
    for _ in range(3):
        parameter.grad = gradient.clone()
        optimizer.step()
        update[(2,)](theta, momentum, gradient, rate, 100, FACTOR=factor, DECAY=5e-4, BLOCK=64)
    torch.testing.assert_close(theta, parameter.data, rtol=1e-6, atol=1e-6)


class Stored(torch.autograd.Function):
    """Takes what the kernels stored for what float64 gives, there and back, and notes how far they are apart."""

    @staticmethod
    def forward(ctx, value: Tensor, stored: Tensor | None, gradient: Tensor | None, errors: list[float]) -> Tensor:
        ctx.gradient, ctx.errors = gradient, errors
        if stored is None:
            return value.clone()
        errors.append(apart(stored, value))
        return stored.clone()

    @staticmethod
    def backward(ctx, *gradients: Tensor):
        (gradient,) = gradients
        if ctx.gradient is not None:
            ctx.errors.append(apart(ctx.gradient, gradient))
            gradient = ctx.gradient
        return gradient, None, None, None


def apart(found: Tensor, expected: Tensor, least: float = 1e-30) -> float:
    """Largest error over the largest value, or over `least`; nan counts as infinitely far."""
    error = float((found - expected).abs().max() / expected.abs().max().clamp(min=least))
    return error if error == error else float("inf")


@pytest.fixture
def rounding(monkeypatch):
    """Casts to bfloat16 that round to the nearest, as a device's do: the interpreter's cut digits off, and when told
    to round (Triton 3.9) they lose the carry into the exponent."""
    if DEVICE == "cpu":
        import triton.language as tl
        from triton.runtime import interpreter

        original = interpreter._convert_float

        def convert(values, source, target, mode):
            if (source, target) != (tl.float32, tl.bfloat16):
                return original(values, source, target, mode)
            rounded = torch.from_numpy(np.ascontiguousarray(values)).bfloat16()
            return rounded.view(torch.int16).numpy().view(np.uint16)

        monkeypatch.setattr(interpreter, "_convert_float", convert)


def phases(case: Case) -> list[float]:
    """Errors of what each phase of the first member's gradients stores, against float64 from what the phases before it
    stored: a whole network amplifies rounding, since it moves what ReLU lets through."""
    engine, graph, batch = case.fused, case.plan.members[0], case.protocol.batch_size
    engine.gradients(case.x.to(DEVICE), case.y.to(DEVICE))
    maps, last = engine.maps.double().cpu(), len(graph.nodes) - 1

    def stored(offset: int, node: int) -> Tensor:
        shape = graph.nodes[node]
        size = batch * shape.height * shape.width * shape.channels
        return maps[offset : offset + size].view(batch, shape.height, shape.width, -1).permute(0, 3, 1, 2)

    named = {
        (slot, name): torch.from_numpy(case.vectors[0][where].reshape(shape)).double().requires_grad_()
        for slot, name, where, shape in case.plan.parts(0)
    }
    errors: list[float] = []
    values: list[Tensor] = [case.x[0].double().permute(0, 3, 1, 2)]
    for node in range(1, last + 1):
        total: Tensor | None = None
        for edge in graph.edges:
            if edge.target != node:
                continue
            slot = case.plan.slot(edge)
            offsets = engine.layout.slots[slot].tolist()
            x = values[edge.source]
            if edge.operation == "conv":
                x = functional.relu(x) if edge.relu else x
                weight = named[slot, "weight"].permute(3, 2, 0, 1)
                x = functional.conv2d(x, weight, None, edge.stride, edge.kernel // 2)
                x = Stored.apply(x, stored(offsets[1], node), None, errors)
            elif edge.operation == "pool3":
                x = functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
            if edge.norm:
                x = functional.batch_norm(x, None, None, named[slot, "scale"], named[slot, "shift"], True)
            total = x if total is None else total + x
        assert total is not None
        kept = None if node == last else stored(offsets[2], node)
        values.append(Stored.apply(total, kept, stored(offsets[4], node), errors))
    logits = functional.relu(values[-1]).mean((2, 3)) @ named[None, "weight"].T + named[None, "bias"]
    loss = functional.cross_entropy(logits, case.y[0])
    loss.backward()
    assert abs(loss.item() - engine.losses[0].item()) < 1e-5
    found = torch.from_numpy(engine.vector(engine.gradient, 0)).double()
    gradients = {at: parameter.grad for at, parameter in named.items()}
    largest = float(max(gradient.abs().max() for gradient in gradients.values()))
    for slot, name, where, shape in case.plan.parts(0):
        # A shift has none where another normalisation follows: then to rounding of the others.
        errors.append(apart(found[where].view(shape), gradients[slot, name], 1e-2 * largest))
    return errors


@pytest.mark.usefixtures("rounding")
def test_bfloat16_maps_are_right_phase_by_phase():
    errors = phases(Case([(3, 1, 2, 4, 1, 3)], (8, 8, 3), "bfloat16", channels=8))
    assert len(errors) > 60
    assert max(errors) < 1e-2


def test_one_product_in_tf32_would_not_do():
    """What the three of `add_product` are for."""
    case = Case([(3, 1, 2, 4, 1, 3)], (8, 8, 3), tuning=dataclasses.replace(TUNING, precision="tf32"), channels=8)
    assert max(phases(case)) > 1e-4


@pytest.mark.parametrize(
    ("channels", "storage", "precision", "bound"),
    [(8, "float32", "tf32x3", 1e-5), (8, "float32", "ieee", 1e-5), (16, "float32", "tf32x3", 1e-5),
     (8, "bfloat16", "ieee", 1e-2)],
)  # fmt: skip
@pytest.mark.usefixtures("rounding")
def test_every_phase_is_right_at_the_sizes_of_a_table(channels, storage, precision, bound):
    tuning = dataclasses.replace(TUNING, precision=precision)
    case = Case([(3, 1, 2, 4, 1, 3)], (16, 16, 3), storage, tuning, channels=channels, batch_size=64)
    assert max(phases(case)) < bound
