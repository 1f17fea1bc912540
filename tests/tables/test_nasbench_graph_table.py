"""NAS-Bench-Graph's table: the importer on made-up files, and what is shipped."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from nasbench.benchmarks import TabularBenchmark
from nasbench.cli import main
from nasbench.errors import NasbenchError
from nasbench.spaces.partial import PartialSpace
from nasbench.tables import Table, open_table
from nasbench.tables.importers import guess_kind, import_table, nasbench_graph

BEST = {
    "cora": (81.93, 83.13), "citeseer": (72.80, 71.57), "pubmed": (81.13, 78.60), "cs": (92.13, 91.26),
    "physics": (94.00, 93.00), "photo": (94.07, 92.79), "computers": (91.90, 85.58), "arxiv": (73.67, 72.39),
    "proteins": (85.33, 79.26),
}  # fmt: skip
"""Task -> best validation and best test result, percent."""


def result(valid: float, perf: float, para: float = 0.5) -> dict:
    return {"valid_perf": valid, "perf": np.float64(perf), "latency": 0.002, "para": np.float64(para)}


def small_wheel(path: Path, hashes: tuple[int, ...] = (10000, 88887)) -> Path:
    """A wheel of the published structure with two cells."""
    with zipfile.ZipFile(path, "w") as wheel:
        for task in nasbench_graph.FACTS:
            content = {number: result(0.5 + i / 10, 0.25, 0.1234567) for i, number in enumerate(hashes)}
            wheel.writestr(nasbench_graph.MEMBER.format(task=task), pickle.dumps(content))
    return path


@pytest.fixture
def accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = small_wheel(tmp_path / "nas_bench_graph-1.4.0-py3-none-any.whl")
    monkeypatch.setattr(nasbench_graph, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


@pytest.fixture(scope="module")
def graphs() -> Table:
    return open_table("nasbench_graph")


def test_the_wheel_becomes_a_table(accepted: Path) -> None:
    assert guess_kind(accepted) == "nas-bench-graph"
    table = import_table(None, accepted)
    assert table.tasks == tuple(BEST)
    found = table.query("0001|gat|gat|gat|gat", "cora")
    assert (found.val_acc, found.test_acc, found.epochs) == (50, 25, 400)
    assert found.latency_seconds == pytest.approx(0.002)
    assert found.parameters == 123_457
    assert table.query("0123|skip|skip|skip|fc", "physics").val_acc == pytest.approx(60)
    for wanted in ("name", "source", "licence", "citation", "missing", "seeds"):
        assert table.attributes[wanted]


def test_another_wheel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NasbenchError, match=r"is not the wheel of nas-bench-graph==1\.4\.0: its SHA-256 is"):
        nasbench_graph.import_wheel(small_wheel(tmp_path / "other.whl"))


def test_without_a_path_pip_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "ERROR: no network\n")

    monkeypatch.setattr(subprocess, "run", refuse)
    with pytest.raises(NasbenchError, match=r"pip could not download nas-bench-graph==1\.4\.0 \(ERROR: no network\)"):
        import_table("nas-bench-graph")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({88888: result(0.5, 0.5)}, "a cell 88888, which nasbench_graph does not have"),
        ({80: result(0.5, 0.5)}, "a cell 80, which nasbench_graph does not have"),
        ({"gat": result(0.5, 0.5)}, "a cell 'gat'"),
        ({0: {"perf": 0.5}}, "for each published hash they hold valid_perf, perf, latency, para, as numbers"),
        ({0: result("high", 0.5)}, "as numbers"),
        ({0: 0.5}, "as numbers"),
        ([0.5], "as numbers"),
    ],
)
def test_other_content_is_told_in_one_sentence(content: object, says: str) -> None:
    with pytest.raises(NasbenchError, match=says):
        nasbench_graph.read_task("cora", content)  # type: ignore[arg-type]


def test_the_shipped_table_is_what_the_wheel_gives(graphs: Table) -> None:
    path = os.environ.get("NASBENCH_GRAPH_WHEEL")
    if not path:
        pytest.skip("needs NASBENCH_GRAPH_WHEEL, the path of the wheel of nas-bench-graph 1.4.0")
    assert nasbench_graph.import_wheel(path).checksum == graphs.checksum


@pytest.mark.parametrize("task", BEST)
def test_shipped_results(graphs: Table, task: str) -> None:
    curves = graphs.curves(task)
    val_acc, test_acc = curves.mean("val_acc"), curves.mean("test_acc")
    assert (np.nanmax(val_acc), np.nanmax(test_acc)) == pytest.approx(BEST[task], abs=0.005)
    there = ~np.isnan(val_acc)
    assert there.sum() == (2021 if task == "proteins" else 26_206)
    assert not np.isnan(np.array([curves.mean(name)[there] for name in curves.arrays])).any()
    thousandths = val_acc[there] * 30
    assert np.abs(thousandths - np.round(thousandths)).max() < 1e-3, "means of three values of three decimals"
    facts = curves.attributes
    if task != "proteins":
        nodes = test_acc * 3 * facts["n_test"] / 100
        assert np.abs(nodes - np.round(nodes)).max() < 0.02, "whole nodes of three test sets"


def test_descriptors(graphs: Table) -> None:
    for task in graphs.tasks:
        facts = graphs.curves(task).attributes
        split = facts["n_train"] + facts["n_val"] + facts["n_test"]
        if task in ("cora", "citeseer", "pubmed"):
            assert facts["n_train"] == 20 * facts["n_classes"]
            assert split < facts["n_nodes"]
        else:
            assert split == facts["n_nodes"]
        if task in ("cs", "physics", "photo", "computers"):
            assert (facts["n_train"], facts["n_val"]) == (20 * facts["n_classes"], 30 * facts["n_classes"])
    assert "ROC-AUC" in graphs.curves("proteins").attributes["metric"]


def test_strategies_search_the_cells_that_have_results(graphs: Table) -> None:
    whole, part = TabularBenchmark(graphs, "cora"), TabularBenchmark(graphs, "proteins")
    assert whole.search_space is graphs.space
    assert isinstance(part.search_space, PartialSpace)
    assert len(part.search_space) == 2021
    assert part.best.val_acc == pytest.approx(85.33, abs=0.005)
    assert set(whole.measures) == {"parameters", "latency_seconds"}
    assert whole.images is None


def test_a_table_without_the_suites_tasks_is_searched_on_all_of_its_own(tmp_path: Path, capsys) -> None:
    out = tmp_path / "r"
    command = ["compare", "--table", "nasbench_graph", "--strategies", "random_search,local_search", "--seeds", "1"]
    assert main([*command, "--budget", "5evals", "--jobs", "1", "--no-report", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert all(task in said for task in BEST)
    assert "proteins: 7.7% of the space has results" in said
