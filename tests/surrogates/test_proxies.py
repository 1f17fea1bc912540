"""Zero-cost proxies as a user meets them: the same scores in any company, NaN where there is none, bad input."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from nasbench.errors import NasbenchError
from nasbench.networks import Skeleton, count_flops, count_parameters, prune
from nasbench.tasks import load_task
from nasbench.training import Arrays, Protocol, task_protocol
from surrogates.proxies import PROXIES, score, score_cells
from surrogates.proxies.catalogue import Entry

CELLS = [(3, 0, 1, 3, 1, 2), (1, 1, 1, 1, 1, 1), (2, 3, 4, 0, 0, 3), (4, 2, 3, 3, 1, 2), (0, 0, 0, 4, 0, 0)]
CONSTANT = (3, 3, 3, 0, 0, 0)
PROTOCOL = task_protocol("digits")


@pytest.fixture(scope="module")
def digits() -> Arrays:
    pytest.importorskip("sklearn")
    return Arrays.of(load_task("digits"))


@pytest.fixture(scope="module")
def together(digits: Arrays) -> dict[str, np.ndarray]:
    return score_cells([*CELLS, CONSTANT], digits, PROTOCOL)[0]


def test_counts_come_first_and_everything_is_documented():
    assert list(PROXIES)[:2] == ["params", "flops"]
    for entry in PROXIES.values():
        assert entry.paper
        if not entry.of:
            assert len(entry._function().__doc__) > 40


def test_every_proxy_scores_every_cell(together):
    assert list(together) == list(PROXIES)
    for name, scores in together.items():
        assert scores.shape == (6,)
        assert scores.dtype == np.float64
        assert np.isfinite(scores[:5]).all(), name
        assert len(set(scores[:5])) > 1, name


def test_counts_are_those_of_what_is_trained(digits, together):
    skeleton = PROTOCOL.skeleton(digits.classes, digits.image_shape)
    assert together["params"].tolist() == [count_parameters(c, skeleton, pruned=True) for c in [*CELLS, CONSTANT]]
    assert together["flops"].tolist() == [count_flops(c, skeleton) for c in [*CELLS, CONSTANT]]


def test_a_constant_cell_has_no_score(together):
    known = {name for name, scores in together.items() if np.isfinite(scores[5])}
    assert known == {"params", "flops", "l2_norm"}


def test_a_score_does_not_depend_on_company(digits, together):
    """Neither on the other cells, nor on the other proxies, nor on the number of threads of the caller."""
    alone, _ = score_cells(CELLS[2:3], digits, PROTOCOL, [name for name in PROXIES if name != "vote"])
    for name, scores in alone.items():
        assert scores[0] == together[name][2], name
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for name in alone:
            single, _ = score_cells(CELLS[3:1:-1], digits, PROTOCOL, [name])
            assert single[name].tolist() == [together[name][3], together[name][2]], name
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_score_does_not_depend_on_global_randomness(digits, together):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    again, _ = score_cells(CELLS[:1], digits, PROTOCOL, ["snip", "zen"])
    assert torch.equal(state, torch.get_rng_state())
    assert again["snip"][0] == together["snip"][0]
    assert again["zen"][0] == together["zen"][0]


def test_processes_change_nothing(digits, together):
    names = [name for name in PROXIES if name != "vote"]
    scores, _ = score_cells([*CELLS, CONSTANT], digits, PROTOCOL, names, processes=2)
    for name in names:
        np.testing.assert_array_equal(scores[name], together[name])


def test_the_seed_changes_weights_and_images(digits, together):
    other, _ = score_cells(CELLS[:1], digits, PROTOCOL, ["params", "l2_norm", "jacob_cov", "zen"], seed=1)
    assert other["params"][0] == together["params"][0]
    assert all(other[name][0] != together[name][0] for name in ("l2_norm", "jacob_cov", "zen"))


def test_images_that_are_all_alike_have_no_score_but_no_error_either():
    blank, labels = np.zeros((128, 8, 8, 1), np.float32), np.arange(128, dtype=np.int32) % 3
    arrays = Arrays(blank, labels, blank[:1], labels[:1], blank[:1], labels[:1], 3)
    scores, _ = score_cells(CELLS[:2], arrays, Protocol(channels=4))
    assert np.isnan(scores["nwot"]).all()
    assert np.isfinite(scores["synflow"]).all()


def test_dead_edges_change_nothing(digits):
    cell = (3, 0, 2, 1, 0, 0)
    assert prune(cell) == (0, 0, 0, 1, 0, 0)
    names = [name for name in PROXIES if name != "vote"]
    scores, _ = score_cells([cell, prune(cell)], digits, PROTOCOL, names)
    for values in scores.values():
        assert values[0] == values[1]


def test_vote_is_the_mean_of_three_ranks(together):
    ranks = []
    for name in ("synflow", "jacob_cov", "snip"):
        values = together[name][:5]
        ranks.append([np.mean([i for i, v in enumerate(sorted(values), 1) if v == value]) for value in values])
    assert together["vote"][:5] == pytest.approx(np.mean(ranks, axis=0) / 5)


def test_a_price_is_that_of_a_proxy_alone(digits, monkeypatch):
    """On a clock that ticks when it is read: one second for each stage, and one for what is the proxy's own."""
    monkeypatch.setattr(score.time, "thread_time", map(float, itertools.count()).__next__)
    _, together = score_cells([*CELLS[:2], CONSTANT], digits, PROTOCOL)
    ticks = {name: values.tolist() for name, values in together.items()}
    assert ticks["plain"] == ticks["fisher"] == ticks["epe_nas"] == [4, 4, 0]
    assert ticks["nwot"] == [3, 3, 0]
    assert ticks["l2_norm"] == [2, 2, 2]
    assert ticks["vote"] == [7, 7, 0]  # synflow, jacob_cov and snip share what they share: four stages and three
    for name in PROXIES:
        assert score_cells(CELLS[:1], digits, PROTOCOL, [name])[1][name].tolist() == ticks[name][:1]


def test_no_cells_are_no_scores(digits):
    scores, seconds = score_cells([], digits, PROTOCOL)
    assert all(values.shape == (0,) for values in [*scores.values(), *seconds.values()])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"names": ["sinflow"]}, "unknown proxy 'sinflow'; did you mean 'synflow'"),
        ({"cells": [(1, 2, 3)]}, "is not a cell"),
        ({"seed": -1}, "seed = -1"),
        ({"batch_size": 1}, "batch_size = 1"),
        ({"batches": 1}, "batches = 1"),
        ({"batch_size": 200}, "fewer than 2 batches of 200"),
        ({"processes": 0}, "processes = 0"),
        ({"skeleton": Skeleton()}, "make it for the task"),
    ],
)
def test_bad_input_is_one_sentence(digits, changes, words):
    with pytest.raises(NasbenchError, match=words):
        score_cells(**{"cells": CELLS, "arrays": digits, "skeleton": PROTOCOL, **changes})


def test_a_skeleton_will_do(digits):
    protocol = Protocol(channels=4, cells=1)
    skeleton = protocol.skeleton(digits.classes, digits.image_shape)
    names = ["params", "snip"]
    for first, second in zip(
        score_cells(CELLS, digits, protocol, names)[0].values(),
        score_cells(CELLS, digits, skeleton, names)[0].values(),
        strict=True,
    ):
        np.testing.assert_array_equal(first, second)


def test_torch_is_imported_only_to_score():
    code = "import sys, surrogates.proxies; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_proxy_of_ones_own_lives_anywhere(digits, tmp_path, monkeypatch):
    (tmp_path / "own_proxy.py").write_text(
        "def edges(probe):\n    return float(sum(code > 0 for code in probe.cell))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(PROXIES, "edges", Entry("own_proxy:edges", "nobody"))
    scores = score_cells(CELLS[:2], digits, PROTOCOL, ["edges"])[0]["edges"]
    assert scores.tolist() == [5, 6]
    (tmp_path / "bad_proxy.py").write_text("def boom(probe):\n    raise RuntimeError('boom')\n")
    monkeypatch.setitem(PROXIES, "boom", Entry("bad_proxy:boom", "nobody"))
    with pytest.raises(NasbenchError, match=r"'boom' failed: RuntimeError: boom \(bad_proxy.py, line 2\)"):
        score_cells(CELLS[:2], digits, PROTOCOL, ["boom"])


def test_processes_know_a_proxy_of_ones_own(tmp_path):
    """They start with the catalogue as it is shipped."""
    (tmp_path / "own_proxy.py").write_text("def edges(probe):\n    return float(sum(c > 0 for c in probe.cell))\n")
    (tmp_path / "script.py").write_text(
        "from nasbench.tasks import load_task\n"
        "from nasbench.training import Arrays, task_protocol\n"
        "from surrogates.proxies import PROXIES, score_cells\n"
        "from surrogates.proxies.catalogue import Entry\n\n"
        "if __name__ == '__main__':\n"
        "    PROXIES['edges'] = Entry('own_proxy:edges', 'nobody')\n"
        "    cells = [(1, 1, 1, 1, 1, 0), (1, 1, 1, 1, 1, 1)]\n"
        "    arrays = Arrays.of(load_task('digits'))\n"
        "    print(score_cells(cells, arrays, task_protocol('digits'), ['edges'], processes=2)[0]['edges'].tolist())\n"
    )
    code = [sys.executable, str(tmp_path / "script.py")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(code, capture_output=True, text=True, check=False, env=environment)
    assert (done.stdout, done.stderr) == ("[5.0, 6.0]\n", "")
