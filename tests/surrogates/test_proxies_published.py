"""Our scores beside those published with NAS-Bench-Suite-Zero: NAS-Bench-201's own skeleton, on CIFAR-10.

The published images are 32 pixels wide, these 16, and every weight and image is drawn anew, so orders are compared.
A dozen cells by default; `NASBENCH_PROXY_CELLS=300` compares 300 (minutes), and is held to the bounds as they stand.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

from nasbench.errors import NasbenchError
from nasbench.networks import Skeleton
from nasbench.tasks import load_task
from nasbench.training import Arrays
from surrogates.proxies import score_cells

COUNT = int(os.environ.get("NASBENCH_PROXY_CELLS", 12))
COLUMNS = {"jacob_cov": "jacov"}

LEAST = {
    "params": 0.999, "flops": 0.99, "synflow": 0.98, "zen": 0.98, "nwot": 0.95, "snip": 0.95, "grad_norm": 0.95,
    "fisher": 0.95, "l2_norm": 0.9, "jacob_cov": 0.8, "epe_nas": 0.8,
}  # fmt: skip
"""Spearman correlations of our scores with the published ones that hold for 300 cells; a few may be 0.15 off. plain
and grasp are too noisy for a bound: see surrogates/proxies/saliency.py."""
SLACK = 0.0 if COUNT > 100 else 0.15


@pytest.fixture(scope="module")
def pairs(published: dict[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """(ours, published) of each proxy, for random cells without dead edges: the only ones that were published."""
    try:
        arrays = Arrays.of(load_task("cifar10"))
    except NasbenchError as error:
        pytest.skip(f"needs cifar10: {error}")
    columns = [str(name) for name in published["zc_cols"]]
    live = np.flatnonzero(np.isfinite(published["zc_cifar10"]).all(1))
    rows = np.random.default_rng(0).choice(live, COUNT, replace=False)
    skeleton = Skeleton(16, 5, "residual", 10, *arrays.image_shape)
    cells = published["ops"][rows].tolist()
    scores, _ = score_cells(cells, arrays, skeleton, LEAST, batch_size=64 if COUNT > 100 else 32)
    return {
        name: (ours, published["zc_cifar10"][rows, columns.index(COLUMNS.get(name, name))])
        for name, ours in scores.items()
    }


@pytest.mark.parametrize("name", LEAST)
def test_order_is_the_published_one(pairs, name):
    stats = pytest.importorskip("scipy.stats")
    assert stats.spearmanr(*pairs[name]).statistic >= LEAST[name] - SLACK


def test_values_that_the_images_do_not_change(pairs):
    """Parameters in millions; the norm of the weights, to 1 %; the log of synflow's sum, which grows with the area in
    the borders only."""
    ours, theirs = pairs["params"]
    assert np.rint(theirs * 1e6).tolist() == ours.tolist()
    np.testing.assert_allclose(*pairs["l2_norm"], rtol=0.01)
    np.testing.assert_allclose(*pairs["synflow"], rtol=0.05)
