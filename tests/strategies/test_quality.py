"""What the strategies reach on the shipped table: bars that a broken strategy would miss by far."""

from __future__ import annotations

import numpy as np
import pytest

from nasbench.benchmarks import TabularBenchmark
from nasbench.runs import Budget, run
from strategies import CATALOGUE

BARS = {
    "local_search": (0.35, 0.16, 0.03),
    "regularized_evolution": (0.7, 0.3, 0.15),
    "genetic_algorithm": (0.8, 0.3, 0.1),
    "reinforce": (1.1, 0.7, 0.3),
    "ppo": (0.9, 0.45, 0.15),
    "learned_mutation": (0.6, 0.3, 0.15),
    "portfolio": (0.8, 0.35, 0.15),
    "zero_cost": (0.6, 0.5, 0.4),
    "proxy_evolution": (0.6, 0.4, 0.3),
    "random_search": (1.1, 0.8, 0.6),
    "exhaustive": (1.2, 0.9, 0.6),
}
"""Mean validation regret on CIFAR-10 after 50, 100 and 200 evaluations over 60 seeds, with room for
chance."""


@pytest.mark.parametrize("name", list(BARS))
def test_regret_on_cifar10(name, shipped):
    benchmark = TabularBenchmark(shipped, "cifar10")
    results = [run(CATALOGUE[name], benchmark, Budget(200, "evals"), seed, name) for seed in range(60)]
    for limit, bar in zip((50, 100, 200), BARS[name], strict=True):
        found = [max(i.score.val_acc for i in r.incumbents if i.step < limit) for r in results]
        assert benchmark.best.val_acc - np.mean(found) < bar
