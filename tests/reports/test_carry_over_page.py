"""The page of a check of a surrogate benchmark: one command makes it, the same folder gives the same bytes."""

from __future__ import annotations

import shutil

import pytest

import reports
import strategies
from nasbench.cli import main
from nasbench.errors import NasbenchError
from nasbench.tables import open_table
from surrogates.benchmark import make_benchmark
from surrogates.carry_over import Check, run_check

QUICK = ("random", "local search", "evolution", "hybrid")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    top = tmp_path_factory.mktemp("check")
    options = ["--predictor", "ridge", "--train-sizes", "100", "--as-benchmark", str(top / "s.h5"), "--jobs", "1"]
    names = [name for name in strategies.CATALOGUE if strategies.CATALOGUE[name].family in QUICK]
    assert main(["fit", *options, "--check", "--strategies", ",".join(names), "--out", str(top / "out")]) == 0
    return top / "out"


def test_the_page_answers_the_question(folder):
    page = (folder / "report" / "index.html").read_text()
    assert "Do conclusions carry over from a surrogate of cifar10?" in page
    assert page.count('class="finding">Conclusions ') == 1
    assert "two resamplings of the table’s own runs agree with" in page
    drawn = {path.stem for path in (folder / "report" / "figures").glob("*.svg")}
    assert drawn == {"regret", "families", "ranks", "left_out", "drift"}
    assert "http-equiv" not in page
    rows = (folder / "report" / "tables" / "strategies.csv").read_text().splitlines()
    assert len(rows) == 12
    assert rows[0] == "strategy,table,surrogate,found_on_surrogate,tau_without,tau_with"


def test_few_strategies_share_their_panels(tmp_path):
    table = open_table("images16")  # a part of the space
    surrogate = make_benchmark(table, "cifar100", "ridge", 50)
    check = Check(
        "images16", "cifar100", ("random_search", "local_search", "exhaustive"), "ridge", 50, budget="5evals", seeds=2
    )
    folder = run_check(check, table, surrogate, strategies.CATALOGUE, tmp_path / "out")
    page = reports.write(folder).read_text()
    assert not (folder / "report" / "figures" / "families.svg").exists()
    assert "of the space, and strategies draw from that part there" in page
    assert "Trained last: of these" in page


def test_the_comparisons_within_have_pages_too(folder, tmp_path):
    assert "Every result is a prediction" in reports.write(folder / "surrogate", tmp_path / "page").read_text()


def test_same_check_same_page(folder, tmp_path):
    first, second = (reports.write(folder, tmp_path / name) for name in ("a", "b"))
    for path in sorted(first.parent.rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (second.parent / path.relative_to(first.parent)).read_bytes(), path.name


@pytest.mark.parametrize(("name", "sentence"), [("drift.csv", "lacks drift.csv"), ("check.json", "damaged")])
def test_unfinished_and_damaged_checks_are_refused(folder, tmp_path, name, sentence):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("report"))
    (copy / name).unlink()
    if name == "check.json":
        (copy / name).write_text("{}")
    with pytest.raises(NasbenchError, match=sentence):
        reports.write(copy)
    assert not (copy / "report").exists()
