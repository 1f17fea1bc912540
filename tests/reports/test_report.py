"""Reports of small comparisons: what is on the page and beside it, and what if something is missing."""

from __future__ import annotations

import dataclasses
import html.parser
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import reports
import strategies
from nasbench.errors import NasbenchError
from nasbench.runs import Suite, compare
from nasbench.tables import Curves, Table
from reports import page, provenance
from reports.study import Study

SIX = (
    "random_search",
    "exhaustive",
    "local_search",
    "regularized_evolution",
    "genetic_algorithm",
    "reinforce",
)


def run(folder: Path, table: Table | None = None, **fields) -> Path:
    """A small comparison; its folder."""
    suite = {
        "name": "small",
        "tasks": ["cifar10"],
        "strategies": SIX[:1] + SIX[2:3],
        "seeds": 3,
        "budget": "12evals",
    }
    compare(Suite.from_fields({**suite, **fields}), strategies.CATALOGUE, folder, table, jobs=1)
    return folder


def made_up(failing: bool = False) -> Table:
    """Two schedules, two seeds, validation and test, over a space of 4,096 cells."""
    rng = np.random.default_rng(0)
    good = rng.normal(70, 5, 4096)
    curves = []
    for epochs, spread in ((5, 3.0), (50, 0.3)):
        val = good[:, None] + rng.normal(0, spread, (4096, 2))
        arrays = {"val_acc": val, "test_acc": val - 1, "train_seconds": np.full(4096, 2.0 * epochs)}
        if failing:
            arrays = {"val_acc": np.full((4096, 2), np.nan), "status": np.ones((4096, 2))}
        curves += [Curves(task, (epochs,), arrays, (0, 1)) for task in ("toy", "other")]
    return Table.from_arrays("transnasbench101_micro", curves)


class Page(html.parser.HTMLParser):
    """Text, tags, identifiers and references of a page; complains about tags that do not match."""

    EMPTY = frozenset({"meta", "link", "br", "img", "hr", "input"})

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.references: list[str] = []
        self.words: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        values = dict(attrs)
        self.ids += [values["id"]] if "id" in values else []
        self.references += [values[n] for n in ("href", "src", "xlink:href") if values.get(n)]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.EMPTY:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def six(tmp_path_factory) -> Path:
    return run(tmp_path_factory.mktemp("six") / "results", tasks=["cifar10", "cifar100"], strategies=SIX)


@pytest.fixture(scope="module")
def six_report(six) -> Path:
    return reports.write(six)


def test_page_is_well_formed_self_contained_and_complete(six_report):
    found = Page(six_report)
    assert len(found.ids) == len(set(found.ids))
    for reference in found.references:
        if reference.startswith("#"):
            assert reference[1:] in found.ids
        elif not reference.startswith(("https://", "data:")):
            assert (six_report.parent / reference).is_file()
    loaded = re.findall(r"url\((?!#)[^)]*\)|<script[^>]*src|<link[^>]*stylesheet|@import", found.source)
    assert loaded == []
    for heading in ("Ranking", "Regret as the budget is spent", "Who beats whom", "noise ceiling",
                    "The same budget for all", "The best cells found", "Provenance"):  # fmt: skip
        assert heading in found.text
    assert "All 36 runs stayed within the same budget of 12 evaluations; the most that was spent is 12." in found.text
    assert "entries of the ledger sum to what was spent" in found.text
    manifest = json.loads((six_report.parent.parent / "suite.json").read_text())
    assert manifest["table"]["checksum"] in found.text
    assert all(name in found.text for name in SIX)


def test_files_beside_the_page(six_report):
    names = {path.name for path in (six_report.parent / "figures").iterdir()}
    figures = ("anytime_val", "distribution_val", "ranks_val", "pairwise_val", "best_cells", "currencies_val")
    assert names == {f"{name}.{ending}" for name in figures for ending in ("svg", "png")}
    tables = six_report.parent / "tables"
    for path in tables.glob("*.md"):
        frame, lines = pd.read_csv(path.with_suffix(".csv")), path.read_text(encoding="utf-8").splitlines()
        assert len(lines) == len(frame) + 2
        assert {line.replace("\\|", "").count("|") for line in lines} == {lines[0].count("|")}
    ranking = pd.read_csv(tables / "ranking_val.csv")
    assert sorted(ranking["strategy"]) == sorted(SIX)
    assert ranking["mean_rank"].is_monotonic_increasing
    assert ranking["mean_rank"].mean() == pytest.approx(3.5)
    budget = pd.read_csv(tables / "budget.csv")
    assert (budget["spent_max"] == 12).all()
    assert (budget["mean_spent_on_training"] == 12).all()
    curves = pd.read_csv(tables / "anytime.csv")
    runs = pd.read_csv(six_report.parent.parent / "runs.csv")
    last = curves[curves["spent"] == 12].set_index(["task", "strategy"])["regret_mean"]
    expected = runs.groupby(["task", "strategy"])["val_regret"].mean()
    assert last.sort_index().to_numpy() == pytest.approx(expected.sort_index().to_numpy(), rel=1e-4)


def test_same_results_give_the_same_bytes_in_another_process(six, six_report, tmp_path):
    again = tmp_path / "elsewhere" / "report"
    code = f"import reports; reports.write({str(six)!r}, {str(again)!r})"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONHASHSEED": "1"})
    first = six_report.parent
    names = sorted(str(path.relative_to(first)) for path in first.rglob("*") if path.is_file())
    assert names == sorted(str(path.relative_to(again)) for path in again.rglob("*") if path.is_file())
    for name in names:
        assert (first / name).read_bytes() == (again / name).read_bytes(), name


def test_test_accuracy_reference_and_search_task(tmp_path):
    folder = run(
        tmp_path, made_up(), tasks=["toy", "other"], search_task="toy", schedule=5, score_schedule=50,
        budget="200s", seeds=5, strategies=SIX[:3], notes=["Draws one seed, arXiv:2001.00326."],
        reference={"random_search": {"toy": [80.0, 2.0]}},
    )  # fmt: skip
    found = Page(reports.write(folder))
    runs = pd.read_csv(folder / "runs.csv")
    agreement = pd.read_csv(folder / "report" / "tables" / "agreement.csv").iloc[0]
    ours = runs[(runs["task"] == "toy") & (runs["strategy"] == "random_search")]["best_test"]
    assert agreement["ours_mean"] == pytest.approx(ours.mean())
    assert agreement["difference"] == pytest.approx(ours.mean() - 80)
    assert "Agreement with published numbers" in found.text
    assert "https://arxiv.org/abs/2001.00326" in found.references
    assert "a search counts once, with its mean over tasks" in found.text
    assert agreement["ours_sd"] == pytest.approx(ours.std(ddof=1))
    assert (folder / "report" / "figures" / "anytime_test.svg").is_file()
    assert (folder / "report" / "tables" / "scores_test_other.md").is_file()


def test_one_strategy_one_seed(tmp_path):
    found = Page(reports.write(run(tmp_path, strategies=SIX[:1], seeds=1)))
    assert "random_search ends below the table's best cell by" in found.text
    assert "Who beats whom" not in found.text
    assert "no intervals" in found.text


def test_runs_without_any_result(tmp_path):
    found = Page(reports.write(run(tmp_path, made_up(failing=True), tasks=["toy"], schedule=50)))
    assert "no run has a result" in found.text
    assert "No run found a cell." in found.text
    assert "Runs without any result: 3 of random_search and 3 of local_search." in found.text


def test_budget_that_buys_nothing(tmp_path):
    assert "no run has a result" in Page(reports.write(run(tmp_path, budget="1s"))).text


def test_run_without_result_ranks_last(tmp_path):
    folder = run(tmp_path)
    path = folder / "runs" / "cifar10" / "local_search" / "00001.json"
    document = json.loads(path.read_text())
    document["incumbents"] = {name: [] for name in document["incumbents"]}
    path.write_text(json.dumps(document))
    found = Page(reports.write(folder))
    assert "Runs without any result: 1 of local_search." in found.text
    scores = pd.read_csv(folder / "report" / "tables" / "scores_val_cifar10.csv").set_index("strategy")
    assert scores.loc["local_search", ["runs", "runs_with_result"]].tolist() == [3, 2]


def test_unfinished_comparison(tmp_path):
    folder = run(tmp_path, strategies=SIX[:3])
    (folder / "runs" / "cifar10" / "local_search" / "00001.json").unlink()
    shutil.rmtree(folder / "runs" / "cifar10" / "exhaustive")
    found = Page(reports.write(folder))
    assert "The comparison is unfinished: 4 of 9 runs are missing." in found.text
    assert "Without any run: exhaustive (" in found.text
    assert "There are too few runs (5) to test pairs" in found.text


def test_noise_that_strategies_share_is_said(tmp_path):
    words = "Runs of one seed see the same noise whatever their strategy"
    assert words in Page(reports.write(run(tmp_path, strategies=SIX[:3], observe="seed", seeds=5))).text
    assert words not in Page(reports.write(run(tmp_path / "mean", strategies=SIX[:3], seeds=5))).text


def test_damaged_side_files_are_not_recorded(tmp_path):
    folder = run(tmp_path)
    for garbage in (b"\xff\x00,,,\n", b"", b'{"versions": "x", "command": 3}\n1,2,3,4,5\n'):
        (folder / "timings.csv").write_bytes(garbage)
        (folder / "provenance.json").write_bytes(garbage)
        assert "command not recorded date not recorded" in Page(reports.write(folder)).text
    (folder / "timings.csv").write_text("task,strategy,seed,overhead_seconds\ncifar10,random_search,0,soon\n")
    (folder / "provenance.json").write_text(json.dumps({"command": "nasbench compare caf\udce9.toml"}))
    assert "caf\\udce9.toml" in Page(reports.write(folder)).text


def test_runs_that_end_for_want_of_results_are_named(tmp_path):
    folder = run(tmp_path)
    path = folder / "runs" / "cifar10" / "local_search" / "00001.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "status": "missing"}))
    text = Page(reports.write(folder)).text
    assert "most of which had no result: 1 of local_search." in text
    assert "1 missing" in text


def test_test_accuracies_are_the_tables_even_if_no_run_has_a_result(tmp_path):
    folder = run(tmp_path, made_up(), tasks=["toy"], budget="1s", reference={"random_search": {"toy": [80.0, 2.0]}})
    text = Page(reports.write(folder)).text
    assert "This table has no test accuracies" not in text


def test_strategy_without_results_is_said_to_have_none(tmp_path):
    folder = run(tmp_path)
    for path in (folder / "runs" / "cifar10" / "random_search").iterdir():
        document = json.loads(path.read_text())
        document["incumbents"] = {name: [] for name in document["incumbents"]}
        path.write_text(json.dumps(document))
    assert "random_search has no result." in Page(reports.write(folder)).text


def test_toml_makes_the_same_suite_again(tmp_path):
    own = tmp_path / "own.py"
    own.write_text("from strategies.random_search import RandomSearch\nclass Mine(RandomSearch):\n    pass\n")
    chosen = strategies.select(["random_search", f"{own}:Mine"])
    suite = Suite.from_fields(
        {
            "name": "mine", "title": 'A "title"', "tasks": ["cifar10"], "strategies": list(chosen), "seeds": 2,
            "budget": "5evals", "notes": ["a\\b"], "observe": "seed",
            "reference": {"Mine": {"cifar10": [90.0, 1.5]}},
        }
    )  # fmt: skip
    compare(suite, chosen, tmp_path / "results", jobs=1)
    study = Study(tmp_path / "results")
    fields = tomllib.loads(provenance.to_toml(study))
    assert fields["strategies"] == ["random_search", f"{own}:Mine"]
    again = Suite.from_fields({**fields, "strategies": list(strategies.select(fields["strategies"]))})
    assert again == Suite.from_fields(json.loads(json.dumps(dataclasses.asdict(suite))))
    assert provenance.from_python(study) == []


def test_what_came_from_python_is_named(tmp_path):
    found = Page(reports.write(run(tmp_path, made_up(), tasks=["toy"])))
    assert "Here the table did not come from a file that can be named: pass it to" in found.text


def test_several_workers_have_a_clock(tmp_path):
    folder = run(tmp_path, workers=3, budget="60000s")
    assert "The same against the simulated clock of 3 workers." in Page(reports.write(folder)).text
    assert (folder / "report" / "figures" / "clock_val.png").is_file()


def test_space_of_ones_own_is_not_drawn(tiny_table, tmp_path):
    found = Page(reports.write(run(tmp_path, tiny_table, tasks=["toy"])))
    assert "Cells of this space cannot be drawn here." in found.text
    assert (tmp_path / "report" / "figures" / "anytime_val.svg").is_file()


def test_names_are_escaped(tmp_path):
    folder = run(tmp_path, title="<b>Bold</b> & more")
    found = Page(reports.write(folder))
    assert "<b>Bold</b> & more" in found.text
    assert found.tags["b"] == 0


def test_many_strategies_get_a_row_per_family(six, tmp_path):
    folder = shutil.copytree(six, tmp_path / "many", ignore=shutil.ignore_patterns("report"))
    manifest = json.loads((folder / "suite.json").read_text())
    manifest["suite"]["tasks"] = ["cifar10"]
    for k, name in enumerate(SIX):
        copy = f"{name}-variant_with_a_long_name"
        manifest["suite"]["strategies"].append(copy)
        manifest["strategies"][copy] = {**manifest["strategies"][name], "family": f"family {k % 3}"}
        for path in list(folder.glob(f"runs/*/{name}/*.json")):
            target = path.parents[1] / copy / path.name
            target.parent.mkdir(exist_ok=True)
            target.write_text(json.dumps({**json.loads(path.read_text()), "strategy": copy}))
    (folder / "suite.json").write_text(json.dumps(manifest))
    found = Page(reports.write(folder))
    assert "One panel a family" in found.text
    ranking = pd.read_csv(folder / "report" / "tables" / "ranking_val.csv")
    assert len(ranking) == 12


def test_failure_leaves_the_former_report(six_report, tmp_path, monkeypatch):
    folder = shutil.copytree(six_report.parents[1], tmp_path / "results")
    before = six_report.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(page, "analyse", fail)
    with pytest.raises(NasbenchError, match="No space left on device"):
        reports.write(folder)
    assert (folder / "report" / "index.html").read_bytes() == before
    assert [p.name for p in folder.iterdir() if p.name.startswith(".")] == []


def test_bad_input_is_one_sentence(tmp_path):
    with pytest.raises(NasbenchError, match="holds no results"):
        reports.write(tmp_path)
    folder = run(tmp_path / "results")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("unsaved")
    with pytest.raises(NasbenchError, match=r"holds 'thesis\.txt', which is not part of a report"):
        reports.write(folder, tmp_path / "mine")
    with pytest.raises(NasbenchError, match="holds the results themselves"):
        reports.write(folder, folder)
    with pytest.raises(NasbenchError, match="is a file"):
        reports.write(folder, folder / "suite.json")
    shutil.rmtree(folder / "runs")
    with pytest.raises(NasbenchError, match="holds no finished run yet"):
        reports.write(folder)


def test_import_is_light():
    heavy = ("matplotlib", "pandas", "scipy", "jinja2")
    code = f"import reports, sys; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
