"""Strategies that learn how to search: which moves pay, and which of several strategies does."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from nasbench.errors import NasbenchError
from nasbench.records import Cost, Outcome, Status
from nasbench.runs import Budget, Problem
from nasbench.spaces import open_space
from strategies import learned_mutation, portfolio, ppo, q_learning
from strategies.controller import Controller

SPACE = open_space("nasbench201")


def play(strategy, asks, worth):
    """Cells asked one by one; `worth` gives the accuracy."""
    cells = []
    for _ in range(asks):
        trial = strategy.ask()
        cells.append(trial.cell)
        strategy.tell(trial, Outcome(worth(trial.cell), Cost(1, 200, 1, 1), Status.OK))
    return cells


def problem(evaluations=200):
    """Every look at what is spent is one more evaluation, as `play` asks for them."""
    looks = itertools.count()
    return Problem(SPACE, (200,), Budget(evaluations, "evals"), spent=lambda: next(looks) / evaluations)


def convolutions(cell):
    """Accuracy that rises with every operation of the code 3."""
    return 40.0 + 10 * cell.count(3)


@pytest.mark.parametrize(
    "build", [lambda r: ppo.Ppo(problem(), r), lambda r: q_learning.QLearning(problem(), r)], ids=["ppo", "q_learning"]
)
def test_a_policy_comes_to_prefer_what_is_rewarded(build):
    cells = play(build(np.random.default_rng(0)), 200, convolutions)
    early, late = (np.mean([cell.count(3) for cell in part]) for part in (cells[:50], cells[-50:]))
    assert late > early + 1


def test_the_controllers_gradient_is_that_of_its_draws():
    """Against differences in how often the decisions would be drawn, from the chances that `draw` uses."""
    decisions = [1, 2, 3]
    controller = Controller((2, 3, 5), 3, 2, 0.5, np.random.default_rng(0))
    gradient, weights = controller.gradient(decisions), controller.weights
    towards = np.random.default_rng(1).standard_normal(len(weights))
    uniform = np.random.default_rng(2).random((200_000, 3))
    shares = []
    for sign in (-1, 1):
        controller.weights = weights + sign * 0.1 * towards
        shares.append((controller.draw(uniform) == decisions).all(axis=1).mean())
    assert np.log(shares[1] / shares[0]) / 0.2 == pytest.approx(gradient @ towards, abs=0.1)


def test_learned_mutation_makes_the_moves_that_paid():
    """Once the population is full, more of its moves lead to the paying operation than the 1 in 5 by chance."""
    strategy = learned_mutation.LearnedMutation(problem(), np.random.default_rng(0))
    cells = play(strategy, 120, lambda cell: 50.0 + 5 * (cell[0] == 3) + 5 * (cell[1] == 3) - 9 * cell.count(0))
    late = Counter(code for cell in cells[60:] for code in cell)
    assert late[0] < 60 * 6 / 5 / 2
    assert sum(cell[0] == 3 and cell[1] == 3 for cell in cells[60:]) > 20


def test_q_learning_spends_its_random_decisions_by_share_of_the_budget():
    """With no more than the budget's first part spent, a cell's value does not matter; at its end it does."""
    for evaluations in (100, 400):
        strategy = q_learning.QLearning(problem(evaluations), np.random.default_rng(0))
        cells = play(strategy, evaluations, convolutions)
        tenth = evaluations // 10
        assert np.mean([c.count(3) for c in cells[:tenth]]) < 2 < np.mean([c.count(3) for c in cells[-tenth:]])


def test_a_portfolio_gives_the_budget_to_what_pays():
    """On a slope that local moves climb, random search, the third member, gets less than its third."""
    strategy = portfolio.Portfolio(problem(), np.random.default_rng(0))
    members = strategy._members
    asked = Counter()

    def counted(member, ask):
        def count():
            asked[type(member).__name__] += 1
            return ask()

        return count

    for member in members:
        member.ask = counted(member, member.ask)
    play(strategy, 300, lambda cell: 50.0 + sum(cell))
    assert sum(asked.values()) == 300
    assert asked["RandomSearch"] < 60
    assert min(asked.values()) > 0


@pytest.mark.parametrize(
    "build",
    [
        lambda: ppo.Settings(clip=2.0),
        lambda: q_learning.Settings(learning_rate=0.0),
        lambda: learned_mutation.Settings(sample_size=21),
        lambda: learned_mutation.Settings(temperature=0.0),
        lambda: portfolio.Settings(best_share=0.0),
    ],
)
def test_impossible_settings_are_refused(build):
    with pytest.raises(NasbenchError, match="not "):
        build()
