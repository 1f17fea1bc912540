"""What a predictor of one's own gets wrong is one sentence in every study, and never a traceback."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import toy_tasks

import strategies
import surrogates
from nasbench.cli import main
from nasbench.errors import NasbenchError
from nasbench.runs import Suite, compare
from nasbench.tables import Curves, Table
from surrogates.benchmark import make_benchmark
from surrogates.fitted import Fitted
from surrogates.meta.study import MetaStudy, run_meta_study
from surrogates.study import Study, run_study

MODULE = """
import numpy as np

class Own:
    def __init__(self, mean=None, spread=None, fit=None):
        self.mean, self.spread, self.learn = mean, spread, fit

    def fit(self, X, y):
        return self.learn() if self.learn else self

    def predict(self, X, return_std=False):
        mean = (self.mean or (lambda n: np.arange(n) / n))(len(X))
        return (mean, (self.spread or np.ones)(len(X))) if return_std else mean

def some(n, value):
    return np.where(np.arange(n) < 7, value, np.arange(n))

def boom(*_):
    raise RuntimeError("no luck\\nat all")

def my_column(space): return Own(lambda n: np.arange(n)[:, None], lambda n: np.ones((n, 1)))
def my_nan(space): return Own(lambda n: some(n, np.nan))
def my_inf(space): return Own(lambda n: some(n, np.inf))
def my_none(space): return Own(lambda n: None)
def my_words(space): return Own(lambda n: ["good"] * n)
def my_ragged(space): return Own(lambda n: [[1], [1, 2]])
def my_table(space): return Own(lambda n: np.ones((n, 2)))
def my_short(space): return Own(lambda n: np.ones(n - 1))
def my_failure(space): return Own(boom)
def my_fit(space): return Own(fit=lambda: None)
def my_failing_fit(space): return Own(fit=boom)
def my_spread(space): return Own(spread=lambda n: None)
def my_nan_spread(space): return Own(spread=lambda n: some(n, np.nan))
def my_negative(space): return Own(spread=lambda n: some(n, -1))
def my_broken(space): return boom()

class Mean(Own):
    def predict(self, X, return_std=False):
        return np.arange(len(X)) / len(X)

def my_mean(space): return Mean()
"""
MEANS = {
    "my_nan": "predicted nan for 7 of ",
    "my_inf": "predicted infinity for 7 of ",
    "my_none": "predicted None instead of ",
    "my_words": "predicted a list instead of ",
    "my_ragged": "predicted a list instead of ",
    "my_table": "predicted an array of shape ",
    "my_short": "predicted an array of shape ",
    "my_failure": "failed to predict (",
    "my_fit": "returned None from fit",
    "my_failing_fit": "failed to fit 20 cells of draw 0",
    "my_broken": "'own_predictors:my_broken' does not make the predictor 'my_broken': RuntimeError: no luck.",
    "my_absence": "does not make the predictor 'my_absence': AttributeError",
}
SPREADS = {
    "my_mean": "returned a ndarray for means and spreads",
    "my_spread": "predicted a spread of None",
    "my_nan_spread": "predicted a spread of nan for 7 of ",
    "my_negative": "predicted a spread below 0 for 7 of ",
}


@pytest.fixture(scope="module")
def table() -> Table:
    """Every fortieth of NAS-Bench-201's cells."""
    cells = np.arange(0, 15_625, 40, dtype=np.int32)
    accuracy = np.random.default_rng(0).random((len(cells), 2)) * 100
    return Table.from_arrays("nasbench201", [Curves("toy", (10,), {"val_acc": accuracy})], cells=cells)


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_predictors.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("my_column", *MEANS, *SPREADS):
        entry = surrogates.Entry(f"own_predictors:{name}", "own", "here")
        monkeypatch.setitem(surrogates.CATALOGUE, name, entry)
    yield
    sys.modules.pop("own_predictors", None)


def test_the_sentence_counts_cells_and_names_the_draw(own):
    fitted = Fitted.to("my_nan", surrogates.build("my_nan"), np.zeros((20, 6)), np.zeros(20), "20 cells of draw 0")
    with pytest.raises(NasbenchError) as caught:
        fitted.predict(np.zeros((100, 6)), return_std=True)
    assert str(caught.value) == "the predictor 'my_nan' predicted nan for 7 of 100 cells (20 cells of draw 0)."


@pytest.mark.parametrize(("name", "sentence"), [*MEANS.items(), *SPREADS.items()])
def test_a_study_ends_with_one_sentence(own, table, name, sentence, tmp_path, capsys):
    path = str(table.save(tmp_path / "own.h5"))
    out = ["--out", str(tmp_path / "out"), "--jobs", "1"]
    assert main(["fit", "--table", path, "--predictor", name, "--train-sizes", "20", *out]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert name in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(("name", "sentence"), [*MEANS.items(), *SPREADS.items()])
def test_so_does_a_study_of_many_tasks(own, name, sentence, tmp_path):
    study = MetaStudy("toys", ("toy0",), (name,), (20,), 1)
    with pytest.raises(NasbenchError) as caught:
        run_meta_study(study, toy_tasks(2), tmp_path / "out")
    assert sentence in str(caught.value)


@pytest.mark.parametrize(("name", "sentence"), MEANS.items())
def test_so_does_a_surrogate_benchmark(own, table, name, sentence):
    with pytest.raises(NasbenchError) as caught:
        make_benchmark(table, "toy", name, 20)
    assert sentence in str(caught.value)


def test_a_column_is_taken_for_what_it_is(own, table, tmp_path):
    folder = run_study(Study("own", "toy", ("my_column",), (20,), 1), table, tmp_path / "out")
    with np.load(folder / "examples.npz") as examples:
        assert examples["mean my_column"].shape == examples["spread my_column"].shape == (len(table) - 20,)
    assert make_benchmark(table, "toy", "my_column", 20).curves("toy").full("val_acc").shape == (15_625, 2, 1)


def again(monkeypatch, tmp_path, name: str, text: str) -> None:
    """`name` of a file whose text is now another."""
    (tmp_path / "own_predictors.py").write_text(text)
    sys.modules.pop("own_predictors", None)
    importlib.invalidate_caches()
    monkeypatch.setitem(surrogates.CATALOGUE, name, surrogates.Entry(f"own_predictors:{name}", "own", "here"))


def test_results_of_other_code_are_not_gone_on_with(own, table, tmp_path, monkeypatch):
    study, out = Study("own", "toy", ("my_column", "ridge"), (20,), 1), tmp_path / "out"
    run_study(study, table, out)
    scores = (out / "scores.csv").read_bytes()
    again(monkeypatch, tmp_path, "my_column", MODULE.replace("np.arange(n)[:, None]", "-np.arange(n)[:, None]"))
    with pytest.raises(NasbenchError, match=r"out holds results of another predictor called 'my_column'; choose anoth"):
        run_study(study, table, out)
    assert (out / "scores.csv").read_bytes() == scores
    run_study(dataclasses.replace(study, predictors=("ridge",)), table, out)
    with pytest.raises(NasbenchError, match="another predictor called 'my_column'"):  # nor after a study without it
        run_study(study, table, out)
    (out / "draws" / "my_column-20-0.json").unlink()
    run_study(study, table, out)
    assert (out / "scores.csv").read_bytes() != scores
    manifest = json.loads((out / "study.json").read_bytes())
    assert len(manifest["code"]["my_column"]["sha256"]) == 64
    del manifest["code"]  # as an older release wrote it
    (out / "study.json").write_text(json.dumps(manifest))
    again(monkeypatch, tmp_path, "my_column", MODULE)
    run_study(study, table, out)


def test_nor_are_those_of_many_tasks(own, tmp_path, monkeypatch):
    study, table, out = MetaStudy("toys", ("toy0",), ("my_column",), (20,), 1), toy_tasks(2), tmp_path / "out"
    run_meta_study(study, table, out)
    again(monkeypatch, tmp_path, "my_column", MODULE.replace("np.arange(n)[:, None]", "-np.arange(n)[:, None]"))
    with pytest.raises(NasbenchError, match=r"out holds results of another predictor called 'my_column'; choose anoth"):
        run_meta_study(study, table, out)
    next(out.glob("draws/*/*/my_column.json")).unlink()
    run_meta_study(study, table, out)


def test_a_package_that_a_predictor_needs_is_named(own, tmp_path, capsys):
    (tmp_path / "own_predictors.py").write_text("import no_such_package\n")
    assert main(["fit", "--predictor", "my_nan", "--out", str(tmp_path / "out")]) == 2
    assert "needs the package 'no_such_package'" in capsys.readouterr().err


SCRIPT = """
import dataclasses, sys
sys.path.insert(0, "modules")
import surrogates
from nasbench.errors import NasbenchError
from nasbench.tables import open_table
from surrogates.linear import ridge
from surrogates.meta.study import MetaStudy, run_meta_study
from surrogates.study import Study, run_study

class Unsendable:
    def __reduce__(self):
        raise TypeError("not me")

def unsendable(space):
    return Unsendable()

def own(space):
    return ridge(space)

if __name__ == "__main__":
    homes = {"mine": "own_predictors:my_column", "here": "__main__:own", "bad": "__main__:unsendable"}
    for name, home in homes.items():
        surrogates.CATALOGUE[name] = surrogates.Entry(home, "own", "here")
    table = open_table("own.h5")
    study = Study("own", "toy", ("mine", "here", "ridge"), (20, 40), 2)
    for jobs in (1, 2):
        run_study(study, table, f"fit-{jobs}", jobs=jobs)
        run_meta_study(MetaStudy("own", ("toy", "joy"), ("mine", "here"), (20,), 1), table, f"meta-{jobs}", jobs=jobs)
    try:
        run_study(dataclasses.replace(study, predictors=("bad",)), table, "bad", jobs=2)
    except NasbenchError as error:
        print(error)
"""


def test_a_predictor_of_a_script_is_known_to_every_process(tmp_path, table):
    val = table.curves("toy").arrays["val_acc"]
    both = [Curves("toy", (10,), {"val_acc": val}), Curves("joy", (10,), {"val_acc": val * 0.9})]
    Table.from_arrays("nasbench201", both, cells=table.cells).save(tmp_path / "own.h5")
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "own_predictors.py").write_text(MODULE)
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(surrogates.__file__).parent.parent)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("a predictor cannot be sent to another process; fit with one: ")
    for what in ("fit", "meta"):
        assert (tmp_path / f"{what}-1" / "scores.csv").read_bytes() == (tmp_path / f"{what}-2/scores.csv").read_bytes()


OWN = """
import numpy as np
from sklearn.linear_model import Ridge


class Own(Ridge):
    def predict(self, X, return_std=False):
        mean = super().predict(X)
        return (mean, np.ones(len(mean))) if return_std else mean


def in_a_file(space):
    return Own()


def ridge(space):
    return Own()


def odd(space):
    return Own()


odd.sees = "cell"
"""


@pytest.fixture
def own_file(tmp_path, monkeypatch):
    """A file with a predictor, in the current folder; the catalogue is as before afterwards."""
    before = dict(surrogates.CATALOGUE)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(OWN)
    yield tmp_path / "mine.py"
    surrogates.CATALOGUE.clear()
    surrogates.CATALOGUE.update(before)


def test_a_predictor_may_be_in_a_file_of_ones_own(own_file, capsys):
    arguments = ["fit", "--predictor", "mine.py:in_a_file,ridge", "--train-sizes", "30", "--seeds", "2"]
    for jobs in ("1", "2"):
        assert main([*arguments, "--jobs", jobs, "--out", f"out{jobs}"]) == 0
    assert Path("out1/scores.csv").read_bytes() == Path("out2/scores.csv").read_bytes()
    assert "in_a_file" in Path("out1/scores.csv").read_text()
    assert "--predictor mine.py:in_a_file,ridge" in Path("out1/report/index.html").read_text()
    own_file.write_text(OWN + "\n# a comment\n")
    elsewhere = ["fit", "--predictor", f"{own_file}:in_a_file,ridge", *arguments[3:]]
    surrogates.CATALOGUE.pop("in_a_file")
    assert main([*elsewhere, "--out", "out1"]) == 0
    surrogates.CATALOGUE.pop("in_a_file")
    own_file.write_text(OWN.replace("Own()", "Own(alpha=9)"))
    capsys.readouterr()
    assert main([*arguments, "--out", "out1"]) == 2
    assert "holds results of another predictor called 'in_a_file'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("mine.py:nobody", "mine.py has no predictor 'nobody'"),
        ("yours.py:nobody", "there is no file yours.py with a predictor 'nobody'"),
        ("mine.py:ridge", "two predictors go by the name 'ridge'"),
        ("mine.py", "'mine.py' is a file: name the function in it too, as in mine.py:mine"),
        ("mine.py:odd", "the predictor mine.py:odd sees 'cell'; one in a file sees cells or curves"),
    ],
)
def test_a_file_without_the_predictor_is_one_sentence(own_file, capsys, name, sentence):
    assert main(["fit", "--predictor", name, "--out", "out"]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


def test_strategies_take_a_predictor_from_a_file_in_every_process(own_file):
    entry = dataclasses.replace(strategies.CATALOGUE["npenas"], settings={"predictor": f"{own_file}:in_a_file"})
    suite = Suite("own", ("cifar10",), ("own",), 2, "15evals")
    traces = [
        compare(suite, {"own": entry}, own_file.parent / f"r{jobs}", jobs=jobs).traces["cell"].tolist()
        for jobs in (1, 2)
    ]
    assert traces[0] == traces[1]
