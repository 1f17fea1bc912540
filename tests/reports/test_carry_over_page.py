"""The page of a check of a surrogate benchmark: one command makes it, the same folder gives the same bytes."""

from __future__ import annotations

import shutil

import pytest

import reports
from nasbench.cli import main
from nasbench.errors import NasbenchError

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    top = tmp_path_factory.mktemp("check")
    options = ["--predictor", "ridge", "--train-sizes", "100", "--as-benchmark", str(top / "s.h5"), "--jobs", "1"]
    names = "random_search,exhaustive,local_search,regularized_evolution"
    assert main(["fit", *options, "--check", "--strategies", names, "--out", str(top / "out")]) == 0
    return top / "out"


def test_the_page_answers_the_question(folder):
    page = (folder / "report" / "index.html").read_text()
    assert "Do conclusions carry over from a surrogate of cifar10?" in page
    assert page.count('class="finding">Conclusions ') == 1
    assert "two resamplings of the table’s own runs agree with" in page
    drawn = {path.stem for path in (folder / "report" / "figures").glob("*.svg")}
    assert drawn == {"regret", "ranks", "left_out", "drift"}
    assert "http-equiv" not in page
    rows = (folder / "report" / "tables" / "strategies.csv").read_text().splitlines()
    assert len(rows) == 5
    assert rows[0] == "strategy,table,surrogate,found_on_surrogate,tau_without,tau_with"


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
