"""The process over a finite list: it is a Gaussian process, and going on gives what starting anew would."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern, WhiteKernel

from surrogates.acquisition import expected_improvement
from surrogates.dominance import crowding, pareto_ranks
from surrogates.finite_process import GROWTH, FiniteProcess


@pytest.fixture
def features():
    return np.random.default_rng(0).standard_normal((80, 3))


def test_agrees_with_scikit_learn_at_the_lengths_it_chose(features):
    rows, z = np.arange(20), np.sin(features[:20].sum(axis=1)) * 3 + 7
    process = FiniteProcess(features)
    mean, spread = process.posterior(rows, z)
    points = (features - features.mean(axis=0)) / features.std(axis=0) / 3**0.5
    kernel = Matern(process._length, "fixed", nu=1.5) + WhiteKernel(process._noise, "fixed")
    peer = GaussianProcessRegressor(kernel, optimizer=None).fit(points[rows], (z - z.mean()) / z.std())
    wanted, deviation = peer.predict(points, return_std=True)
    np.testing.assert_allclose(mean, z.mean() + z.std() * wanted, atol=1e-8)
    ratio = spread / np.sqrt(deviation**2)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)  # the signal's variance is estimated, and here 1


def test_going_on_is_as_starting_anew(features):
    rows, z = np.arange(40), np.cos(features[:40, 0])
    going = FiniteProcess(features)
    for n in range(30, 33):
        mean, spread = going.posterior(rows[:n], z[:n])
    assert n < GROWTH * 30  # so that length and noise were not chosen again
    fresh = FiniteProcess(features)
    fresh.posterior(rows[:30], z[:30])
    again, deviation = fresh.posterior(rows[:32], z[:32])
    np.testing.assert_allclose(mean, again, atol=1e-9)
    np.testing.assert_allclose(spread, deviation, atol=1e-9)


def test_another_beginning_is_noticed(features):
    process, z = FiniteProcess(features), np.arange(10.0)
    process.posterior(np.arange(10), z)
    mean, _ = process.posterior(np.arange(10, 20), z)
    np.testing.assert_allclose(mean, FiniteProcess(features).posterior(np.arange(10, 20), z)[0])


@pytest.mark.parametrize("standardise", [True, False])
def test_equal_cells_are_equal_and_constant_features_harmless(standardise):
    features = np.array([[0.0, 1.0], [1.0, 1.0], [0.0, 1.0], [2.0, 1.0]])
    mean, spread = FiniteProcess(features, standardise).posterior(np.array([0, 1, 3]), np.array([1.0, 2.0, 3.0]))
    assert (mean[0], spread[0]) == (mean[2], spread[2])
    flat, _ = FiniteProcess(np.ones((4, 2)), standardise).posterior(np.array([0, 1]), np.array([1.0, 1.0]))
    np.testing.assert_allclose(flat, 1.0)


def test_expected_improvement_is_the_integral():
    draws = np.random.default_rng(0).normal(1.0, 2.0, 400_000)
    found = expected_improvement(np.array([1.0]), np.array([2.0]), 1.5)[0]
    assert found == pytest.approx(np.maximum(draws - 1.5, 0).mean(), rel=0.01)


def test_pareto_ranks_and_crowding_of_a_hand_made_case():
    points = np.array([[3.0, 0.0], [2.0, 1.0], [0.0, 3.0], [1.0, 0.5], [2.0, 1.0], [0.0, 0.0]])
    assert pareto_ranks(points).tolist() == [0, 0, 0, 1, 0, 2]
    assert crowding(points[:3]).tolist() == [np.inf, 2.0, np.inf]
