"""One-shot strategies: the supernet is the cells' networks, charges are what is executed, gradients are right."""

from __future__ import annotations

import dataclasses
import math
import pickle

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nasbench.benchmarks import TabularBenchmark
from nasbench.errors import NasbenchError
from nasbench.networks import Skeleton, build_network, count_flops
from nasbench.networks.supernet import Supernet
from nasbench.records import BACKWARD_FACTOR
from nasbench.runs import Budget, Kind, Problem, run
from nasbench.tables import open_table
from strategies import CATALOGUE, darts, drnas, gdas, random_sharing
from strategies.darts import second_order_gradient

NAMES = [name for name, entry in CATALOGUE.items() if entry.family == "one-shot"]
CELL = (3, 2, 4, 1, 3, 2)


@pytest.fixture(scope="module")
def digits() -> TabularBenchmark:
    return TabularBenchmark(open_table("digits"), "digits")


def small(name, **settings):
    """The strategy with a search of seconds."""
    entry = CATALOGUE[name]
    quick = {"epochs": 2, **({"candidates": 3} if name in ("enas", "random_sharing") else {})}
    return dataclasses.replace(entry, settings={**entry.settings, **quick, **settings})


def build(factory, benchmark):
    """A strategy driven by hand, with the expenses it makes."""
    costs = []
    problem = Problem(
        benchmark.space, benchmark.epochs, Budget(100, "evals"), task=benchmark.task, images=benchmark.images,
        charge=lambda kind, cost, measured=False: costs.append((kind, cost)),
    )  # fmt: skip
    return factory(problem, np.random.default_rng(0)), costs


@pytest.fixture
def tiny_network():
    return Supernet(Skeleton(4, 1, "plain", 3, 4, 4, 1), torch.Generator().manual_seed(0))


@pytest.mark.parametrize("reduction", ["plain", "residual"])
@pytest.mark.parametrize("cell", [CELL, (3, 3, 0, 4, 2, 1), (0, 0, 1, 2, 0, 3), (0, 0, 0, 4, 0, 0), (0,) * 6])
def test_one_hot_weights_give_the_cells_own_network(cell, reduction):
    """In training mode the cell's batch normalisation has scale 1 and shift 0 at first, so both are one function."""
    supernet = Supernet(Skeleton(8, 2, reduction, 7, 12, 8, 2), torch.Generator().manual_seed(0))
    network = build_network(cell, supernet.skeleton, pruned=False).train()
    with torch.no_grad():
        for own, shared in zip(convolutions(network), executed(supernet, cell), strict=True):
            own.copy_(shared)
        network.classifier.weight.copy_(supernet.weight)
        network.classifier.bias.copy_(supernet.bias)
    x = torch.randn(16, 2, 12, 8, generator=torch.Generator().manual_seed(1))
    weights = torch.nn.functional.one_hot(torch.tensor(cell), 5).float()
    expected = network(x)
    for logits in (supernet(x, weights), supernet(x, None, cell), supernet(x, weights, cell)):
        torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


def convolutions(network):
    return [edge.conv.weight for edge in network.edges if edge.conv is not None]


def executed(supernet, cell):
    """The supernet's weights that the cell uses, in the order of its own network's edges (sorted by target)."""
    order = sorted(range(6), key=lambda edge: (0, 1, 1, 2, 2, 2)[edge])
    found = [supernet.stem.weight]
    for block in supernet.blocks:
        if hasattr(block, "ones"):
            found += [(block.ones if cell[e] == 2 else block.threes)[e].weight for e in order if cell[e] in (2, 3)]
        else:
            found += [part.weight for part in (block.first, block.second, block.shortcut) if part is not None]
    return found


@pytest.mark.parametrize("reduction", ["plain", "residual"])
@pytest.mark.parametrize("cell", [None, CELL, (3, 3, 0, 0, 2, 0), (0,) * 6])
def test_flops_are_those_that_torch_counts(cell, reduction):
    skeleton = Skeleton(8, 2, reduction, 7, 12, 8, 2)
    supernet = Supernet(skeleton, torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter:
        supernet(torch.zeros(3, 2, 12, 8), torch.ones(6, 5) if cell is None else None, cell)
    assert counter.get_total_flops() == 3 * supernet.forward_flops(cell)
    assert cell is None or supernet.forward_flops(cell) == count_flops(cell, skeleton)


def test_initial_weights_come_from_the_generator_alone():
    before = torch.get_rng_state()
    first, second, other = (
        Supernet(Skeleton(4, 1, "residual", 3, 8, 8), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(before, torch.get_rng_state())
    assert all(map(torch.equal, first.parameters(), second.parameters()))
    assert not torch.equal(first.stem.weight, other.stem.weight)


def test_second_order_gradient_is_that_of_the_loss_one_step_ahead(tiny_network):
    """Against central differences of the held-out loss after a real step, everything in float64, between
    the kinks of the ReLUs."""
    network, generator = tiny_network.double(), torch.Generator().manual_seed(2)
    weights = list(network.parameters())
    x, y = torch.randn(2, 12, 1, 4, 4, generator=generator).double(), torch.arange(24).reshape(2, 12) % 3
    alphas = torch.randn(6, 5, generator=generator).double().requires_grad_()
    momenta = [0.01 * torch.randn(w.shape, generator=generator).double() for w in weights]
    rate, decay = 0.1, 0.01

    def loss(part, alphas):
        return torch.nn.functional.cross_entropy(network(x[part], alphas.softmax(1)), y[part])

    start = [w.detach().clone() for w in weights]
    found = second_order_gradient(
        lambda: loss(0, alphas), lambda: loss(1, alphas), alphas, weights, rate, decay, momenta, 1e-5
    )
    assert all(map(torch.equal, weights, start))

    def ahead(alphas):
        gradients = torch.autograd.grad(loss(0, alphas), weights)
        with torch.no_grad():
            for w, gradient, momentum in zip(weights, gradients, momenta, strict=True):
                w -= rate * (gradient + momentum + decay * w)
            value = loss(1, alphas).item()
            for w, before in zip(weights, start, strict=True):
                w.copy_(before)
        return value

    expected = torch.zeros(6, 5, dtype=torch.float64)
    for edge in range(6):
        for code in range(5):
            nudge = torch.zeros(6, 5, dtype=torch.float64)
            nudge[edge, code] = 1e-5
            expected[edge, code] = (ahead(alphas.detach() + nudge) - ahead(alphas.detach() - nudge)) / 2e-5
    first_order = torch.autograd.grad(loss(1, alphas), alphas)[0]
    assert (found - expected).norm() < 1e-4 * expected.norm()
    assert (first_order - expected).norm() > 0.1 * expected.norm()


def test_hard_samples_follow_the_distribution_and_learn(digits):
    strategy, _ = build(lambda p, r: gdas.Gdas(p, r, gdas.Settings(epochs=1)), digits)
    strategy.ask()
    with torch.no_grad():
        strategy.alphas[:] = torch.tensor([0.5, 0.2, 0.15, 0.1, 0.05]).log()
    drawn = np.array([strategy._choice()[1] for _ in range(2000)])
    np.testing.assert_allclose([(drawn == code).mean() for code in range(5)], [0.5, 0.2, 0.15, 0.1, 0.05], atol=0.02)
    weights, cell = strategy._choice()
    np.testing.assert_allclose(weights.detach(), np.eye(5)[list(cell)], atol=1e-6)


def test_dirichlet_samples_are_torchs_own_with_their_gradient():
    concentration = torch.tensor([[0.7, 1.0, 2.0], [1.5, 0.4, 1.0]], dtype=torch.float64, requires_grad=True)
    towards = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    ours = drnas._Dirichlet.apply(concentration, torch.Generator().manual_seed(3))
    (gradient,) = torch.autograd.grad((ours * towards).sum(), concentration)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        theirs = torch.distributions.Dirichlet(concentration).rsample()
    (expected,) = torch.autograd.grad((theirs * towards).sum(), concentration)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize(("second_order", "passes"), [(False, 2), (True, 5)])
def test_an_epoch_of_darts_is_charged_as_executed(digits, second_order, passes):
    strategy, costs = build(lambda p, r: darts.Darts(p, r, darts.Settings(epochs=2, second_order=second_order)), digits)
    strategy.ask()
    flops = BACKWARD_FACTOR * passes * 128 * strategy.network.forward_flops()
    for kind, cost in costs:
        assert (kind, cost[1:]) == (Kind.SUPERNET, (passes / 2, flops, passes / 2 / 12))
        assert cost.seconds > 0
    assert len(costs) == len(strategy.history) == 2


def test_cells_that_are_trained_and_scored_are_charged_as_executed(digits, monkeypatch):
    cells = iter([CELL, (3, 0, 0, 0, 0, 3), (3,) * 6, (2,) * 6])
    monkeypatch.setattr(random_sharing.RandomSharing, "_draw", lambda self: next(cells))
    settings = random_sharing.Settings(epochs=1, candidates=2)
    strategy, costs = build(lambda p, r: random_sharing.RandomSharing(p, r, settings), digits)
    strategy.ask()
    a, b, c, d = (strategy.network.forward_flops(cell) for cell in (CELL, (0,) * 6, (3,) * 6, (2,) * 6))
    assert [cost.flops for _, cost in costs] == [64 * BACKWARD_FACTOR * (a + b), 128 * c, 128 * d]
    assert [cost.epochs for _, cost in costs] == [0.5, 0.5, 0.5]


def unmeasured(result):
    """Steps and expenses without what was measured: the supernet's seconds are on the run's clock."""
    steps = [step[:-1] for step in result.steps]
    return steps, [(entry.kind, entry.cost[1:]) for entry in result.ledger.entries]


@pytest.mark.parametrize("name", NAMES)
def test_a_run_keeps_its_budget_and_gives_one_trace(digits, name):
    before, threads = (pickle.dumps(np.random.get_state()), torch.get_rng_state()), torch.get_num_threads()  # noqa: NPY002
    result, again, other = (run(small(name, epochs=1), digits, Budget(3, "evals"), seed, name) for seed in (1, 1, 2))
    assert unmeasured(result) == unmeasured(again)
    assert unmeasured(result)[0] != unmeasured(other)[0]
    search, trainings = result.ledger.total(Kind.SUPERNET), result.ledger.total(Kind.TRAINING)
    assert 0 < search.evaluations <= 1.5
    assert trainings.evaluations == len(result.steps) == math.floor(3 - search.evaluations)
    assert result.ledger.spent == pytest.approx(search.evaluations + trainings.evaluations)
    assert len({digits.identity(step.trial.cell) for step in result.steps}) == len(result.steps)
    assert pickle.dumps(np.random.get_state()) == before[0]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("name", ["gdas", "enas"])
def test_workers_train_what_one_would(digits, name):
    one, three = (run(small(name), digits, Budget(6, "evals"), 0, name, workers=w) for w in (1, 3))
    assert {step.trial for step in one.steps} == {step.trial for step in three.steps}
    assert one.ledger.spent == three.ledger.spent


@pytest.mark.parametrize("name", NAMES)
def test_a_small_budget_ends_with_the_supernet(digits, name):
    result = run(small(name, epochs=50), digits, Budget(0.25, "evals"), 0, name)
    assert not result.steps
    assert 0 < result.ledger.spent <= 0.25
    assert {entry.kind for entry in result.ledger.entries} == {Kind.SUPERNET}
    assert result.status == "budget"


@pytest.mark.parametrize("budget", ["0.01evals", "1e-9s"])
def test_a_budget_for_less_than_an_epoch_buys_nothing(digits, budget):
    result = run(small("gdas"), digits, Budget.parse(budget))
    assert (result.steps, result.ledger.spent, result.status) == ([], 0, "budget")


def test_the_search_leaves_off_at_its_share(digits):
    for share in (0.25, 0.5):
        result = run(small("gdas", epochs=100, share=share), digits, Budget(1, "evals"))
        assert share - 1 / 12 < result.ledger.total(Kind.SUPERNET).evaluations <= share


def test_candidates_come_back_round_after_round(digits):
    result = run(small("random_sharing", epochs=1, candidates=2), digits, Budget(6, "evals"))
    kinds = "".join("S" if entry.kind is Kind.SUPERNET else "t" for entry in result.ledger.entries)
    assert kinds.startswith("SSSttSSttSSt")


def test_derived_cells_come_in_order_of_probability(digits):
    strategy, _ = build(small("darts"), digits)
    cells = [strategy.ask().cell for _ in range(20)]
    logs = strategy.alphas.detach().double().log_softmax(1).numpy()
    scores = [logs[np.arange(6), list(cell)].sum() for cell in cells]
    assert scores == sorted(scores, reverse=True)
    assert strategy.history[-1] == cells[0]


def test_a_collapse_to_skip_connections_shows(digits, monkeypatch):
    """Were the gradient always for skip connections: their number by epoch, and the first cell that is trained."""
    always = -torch.nn.functional.one_hot(torch.ones(6, dtype=torch.long), 5).float()
    monkeypatch.setattr(darts.Darts, "_architecture_gradient", lambda self, batch, held: always.clone())
    strategy, _ = build(lambda p, r: darts.Darts(p, r, darts.Settings(epochs=3)), digits)
    assert strategy.ask().cell == (1,) * 6
    skips = [cell.count(1) for cell in strategy.history]
    assert len(skips) == 3
    assert skips == sorted(skips)
    assert skips[-1] == 6


@pytest.mark.parametrize("name", NAMES)
def test_without_images_there_is_one_sentence(name, shipped):
    with pytest.raises(NasbenchError, match="needs the images of 'cifar10'"):
        run(CATALOGUE[name], TabularBenchmark(shipped, "cifar10"), Budget(9, "evals"))


def test_impossible_settings_are_refused(tiny_table, digits):
    for settings in ({"epochs": 0}, {"share": 0.0}, {"batch_size": 1}):
        with pytest.raises(NasbenchError):
            darts.Settings(**settings)
    with pytest.raises(NasbenchError, match="at least one candidate"):
        random_sharing.Settings(candidates=0)
    problem = Problem(tiny_table.space, (3,), Budget(1, "evals"), images=digits.images)
    with pytest.raises(NasbenchError, match="space nasbench201 only, not tiny"):
        CATALOGUE["darts"](problem, np.random.default_rng(0))


def test_nothing_is_charged_before_the_first_ask(digits):
    strategy, costs = build(CATALOGUE["darts"], digits)
    assert (costs, strategy.history) == ([], [])
