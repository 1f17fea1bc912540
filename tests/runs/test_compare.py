"""Comparisons: the folder they leave, resuming, and the same bytes for any number of processes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import strategies
from nasbench.benchmarks import TabularBenchmark
from nasbench.errors import NasbenchError
from nasbench.runs import Budget, Results, Suite, compare, run, suites
from nasbench.runs.compare import _benchmarks
from nasbench.runs.identity import describe
from nasbench.runs.store import COLUMNS
from nasbench.spaces import open_space
from nasbench.tables import open_table
from reports import pareto
from reports.study import Study

SMALL = Suite("small", ("cifar10", "cifar100"), ("random_search", "local_search"), seeds=3, budget="12evals")
VARYING = {"timings.csv", "provenance.json"}


def content(folder):
    files = (p for p in folder.rglob("*") if p.is_file() and p.name not in VARYING)
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


@pytest.fixture
def small(tmp_path):
    return compare(SMALL, strategies.CATALOGUE, tmp_path / "small", jobs=1)


def test_runs_csv_has_one_row_a_run(small):
    assert tuple(small.runs.columns) == COLUMNS
    assert len(small.runs) == 2 * 2 * 3
    assert (small.folder / "runs.csv").read_text().splitlines()[0] == ",".join(COLUMNS)
    row = small.runs.iloc[0]
    assert (row.suite, row.table, row.currency, row.evaluations, row.spent) == (
        "small", "nasbench201", "evaluations", 12, 12,
    )  # fmt: skip
    assert row.val_regret == pytest.approx(91.60666656 - row.best_val)
    assert np.isnan(row.best_test)


def test_frames_agree_with_each_other(small):
    traces, ledger, runs = small.traces, small.ledger, small.runs
    assert len(traces) == len(ledger) == runs.evaluations.sum()
    at = ["task", "strategy", "seed"]
    last = traces.groupby(at, observed=True).incumbent_val.last().reset_index()
    merged = last.merge(runs, on=at)
    assert np.allclose(merged.incumbent_val, merged.best_val)
    observed = traces.groupby(at, observed=True).val_acc.max().reset_index().merge(runs, on=at)
    assert np.allclose(observed.val_acc, observed.best_val)
    assert ledger.groupby(at, observed=True).evaluations.sum().eq(12).all()
    assert set(ledger.kind) == {"training"}
    assert len(small.timings) == len(runs)


def test_the_same_bytes_for_any_number_of_processes(small, tmp_path):
    other = compare(SMALL, strategies.CATALOGUE, tmp_path / "other", jobs=2)
    assert content(small.folder) == content(other.folder)


def test_a_finished_comparison_is_not_run_again_and_a_lost_run_is(small):
    before = content(small.folder)
    runs = sorted(small.folder.rglob("0*.json"))
    stamps = {p: p.stat().st_mtime_ns for p in runs}
    runs[0].unlink()
    runs[1].write_text(runs[1].read_text()[:100])
    compare(SMALL, strategies.CATALOGUE, small.folder, jobs=1)
    assert content(small.folder) == before
    assert [p for p in runs if p.stat().st_mtime_ns != stamps[p]] == runs[:2]


def test_a_comparison_can_grow(small, tmp_path):
    larger = SMALL.replace(seeds=4, strategies=("random_search", "exhaustive"), tasks=("cifar10",))
    grown = compare(larger, strategies.CATALOGUE, small.folder, jobs=1)
    assert set(grown.runs.strategy) == {"random_search", "local_search", "exhaustive"}
    assert len(grown.runs) == 2 * 3 * 4
    at_once = SMALL.replace(seeds=4, strategies=("random_search", "local_search", "exhaustive"))
    fresh = compare(at_once, strategies.CATALOGUE, tmp_path / "fresh", jobs=1)
    assert content(fresh.folder) == content(small.folder)


def test_seeds_begun_by_mistake_are_forgotten(small):
    def interrupt(done, of):
        if done > len(SMALL.tasks) * len(SMALL.strategies) * SMALL.seeds:
            raise KeyboardInterrupt

    before = content(small.folder)
    with pytest.raises(KeyboardInterrupt):
        compare(SMALL.replace(seeds=900), strategies.CATALOGUE, small.folder, jobs=1, progress=interrupt)
    begun = content(small.folder)
    compare(SMALL, strategies.CATALOGUE, small.folder, jobs=1)
    after = content(small.folder)
    assert {name: after[name] for name in before} == before
    assert len(begun) == len(after) > len(before)


def test_other_rules_tables_and_strategies_need_another_folder(small, tiny_table):
    catalogue = dict(strategies.CATALOGUE)
    for suite, table, chosen, says in (
        (SMALL.replace(budget="13evals"), None, catalogue, "budget = '12evals', not '13evals'"),
        (SMALL.replace(observe="seed"), None, catalogue, "observe = 'mean'"),
        (SMALL.replace(tasks=("toy",)), tiny_table, catalogue, "another table"),
        (SMALL, None, {**catalogue, "local_search": catalogue["random_search"]}, "another strategy called"),
    ):
        with pytest.raises(NasbenchError, match=says):
            compare(suite, chosen, small.folder, table, jobs=1)


def test_any_table_in_memory_can_be_compared_on(tiny_table, tmp_path):
    suite = Suite("toy", ("toy",), ("random_search",), seeds=2, budget="90s")
    results = compare(suite, strategies.CATALOGUE, tmp_path / "r", tiny_table, jobs=2)
    assert results.runs.evaluations.tolist() == [3, 3]
    assert results.runs.test_regret.notna().all()
    assert results.ledger.flops.tolist() == [4500.0] * 6


def test_a_failing_strategy_is_named_and_what_finished_is_kept(tmp_path):
    class Broken:
        def __init__(self, problem, rng):
            raise RuntimeError("no luck")

    catalogue = {**strategies.CATALOGUE, "broken": Broken}
    suite = SMALL.replace(strategies=("random_search", "broken"), tasks=("cifar10",))
    with pytest.raises(NasbenchError, match="'broken' failed on cifar10, seed 0: RuntimeError: no luck"):
        compare(suite, catalogue, tmp_path / "r", jobs=1)
    assert len(Results(tmp_path / "r").documents) == 3


def wait_for_runs(folder):
    for _ in range(600):
        if len(list(folder.rglob("0*.json"))) >= 5:
            break
        time.sleep(0.05)


def test_a_killed_comparison_goes_on_where_it_was(tmp_path):
    command = [sys.executable, "-m", "nasbench", "compare", "nasbench201", "--jobs", "1", "--no-report"]
    command += ["--strategies", "local_search", "--tasks", "cifar10", "--seeds", "60"]
    command += ["--out", str(tmp_path / "killed")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    wait_for_runs(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("0*.json")}
    assert done
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert len(Results(tmp_path / "killed").documents) == 60
    assert {p: p.stat().st_mtime_ns for p in done} == done


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_is_one_sentence_and_130(tmp_path, jobs):
    command = [sys.executable, "-m", "nasbench", "compare", "nasbench201", "--jobs", jobs, "--no-report"]
    command += ["--seeds", "400", "--out", str(tmp_path / "r")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_for_runs(tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert said.count("nasbench: interrupted") == 1
    assert len(Results(tmp_path / "r").documents) >= 5


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_a_comparison_that_is_killed(tmp_path, stop):
    command = [sys.executable, "-m", "nasbench", "compare", "nasbench201", "--jobs", "2", "--no-report"]
    command += ["--seeds", "400", "--out", str(tmp_path / "r")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_for_runs(tmp_path)
    process.send_signal(stop)
    _, said = process.communicate(timeout=60)  # to the end: until no worker holds the other end any more
    assert process.returncode == (143 if stop == signal.SIGTERM else -signal.SIGKILL)
    assert ("interrupted" in said) == (stop == signal.SIGTERM)
    time.sleep(0.5)
    done = len(list(tmp_path.rglob("0*.json")))
    time.sleep(0.5)
    assert len(list(tmp_path.rglob("0*.json"))) == done


def test_what_a_kill_left_half_written_does_not_occupy_a_folder(tmp_path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / ".suite-1a2b3c4d.tmp").touch()
    suite = Suite("one", ["cifar10"], ["random_search"], seeds=1, budget="2evals")
    assert len(compare(suite, strategies.CATALOGUE, tmp_path / "r", jobs=1).runs) == 1


def test_built_in_suites_name_known_strategies():
    for name in suites():
        suite = Suite.load(name)
        assert set(suite.strategies) <= set(strategies.CATALOGUE)
        assert set(suite.reference) <= set(suite.strategies)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("budget = ", "not valid TOML"),
        ("tasks = ['a']\nstrategies = ['b']\nbudget = '5evals'", "lacks seeds"),
        ("tasks = ['a']\nstrategies = ['b']\nseeds = 3\nbuget = '5evals'", "did you mean 'budget'"),
        ("tasks = 'a'\nstrategies = ['b']\nseeds = 3\nbudget = '5evals'", "wrong type"),
        ("tasks = ['a']\nstrategies = ['b']\nseeds = 0\nbudget = '5evals'", "at least 1 for seeds"),
        ("tasks = []\nstrategies = ['b']\nseeds = 1\nbudget = '5evals'", "at least one of its tasks"),
        ("tasks = ['a', 'a']\nstrategies = ['b']\nseeds = 1\nbudget = '5evals'", "twice"),
    ],
)
def test_impossible_suites_are_refused(tmp_path, text, says):
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(NasbenchError, match=says):
        Suite.load(tmp_path / "s.toml")


def test_agreement_with_the_published_search_results(published_table, tmp_path):
    """Means over 100 of the suite's 500 seeds lie within the margins around the paper's values."""
    suite = Suite.load("nasbench201-paper").replace(seeds=100)
    results = compare(suite, strategies.CATALOGUE, tmp_path / "paper", published_table, jobs=2)
    means = results.runs.groupby(["strategy", "task"]).best_test.mean()
    margin = {"cifar10": 0.25, "cifar100": 0.5, "ImageNet16-120": 0.6}
    for strategy, tasks in suite.reference.items():
        for task, (mean, _) in tasks.items():
            assert means[strategy, task] == pytest.approx(mean, abs=margin[task])
    traces = results.traces.groupby(["strategy", "seed", "step"], observed=True).cell.nunique()
    assert (traces == 1).all()  # one search on CIFAR-10, scored on three tasks


def test_run_files_are_plain_documented_json(small):
    document = json.loads((small.folder / "runs" / "cifar10" / "local_search" / "00002.json").read_text())
    assert (document["task"], document["strategy"], document["seed"]) == ("cifar10", "local_search", 2)
    assert {len(v) for v in document["steps"].values()} == {12}


def test_an_edited_strategy_is_noticed(tmp_path):
    own = tmp_path / "own.py"
    text = "from strategies.random_search import RandomSearch\n\n\nclass Mine(RandomSearch):\n    pass\n"
    own.write_text(text)
    suite = SMALL.replace(strategies=("Mine",), tasks=("cifar10",))
    compare(suite, strategies.select([f"{own}:Mine"]), tmp_path / "r", jobs=1)
    own.write_text(text + "\n\nclass Other:\n    pass\n")  # nothing of the class itself
    compare(suite, strategies.select([f"{own}:Mine"]), tmp_path / "r", jobs=1)
    own.write_text(text.replace("pass", "mine = True"))
    with pytest.raises(NasbenchError, match="another strategy called 'Mine'"):
        compare(suite, strategies.select([f"{own}:Mine"]), tmp_path / "r", jobs=1)


def test_where_the_file_lies_and_what_it_remembers_change_nothing(tmp_path):
    """Also of what wraps a class of the file; and folders of former releases, with the digest of the file, go on."""
    text = (
        "import functools\nfrom strategies.random_search import RandomSearch\n\nSEEN = {}\n\n\n"
        "class Mine(RandomSearch):\n    def ask(self):\n        SEEN[len(SEEN)] = 1\n        return super().ask()\n\n\n"
        "Part = functools.partial(Mine)\n"
    )
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "own.py").write_text(text)
    suite = SMALL.replace(strategies=("Mine", "Part"), tasks=("cifar10",), seeds=1)
    for seeds, place in ((1, "one"), (2, "one"), (3, "two")):
        chosen = strategies.select([f"{tmp_path / place / 'own.py'}:{name}" for name in ("Mine", "Part")])
        compare(suite.replace(seeds=seeds), chosen, tmp_path / "r", jobs=1)
    path = tmp_path / "r" / "suite.json"
    manifest = json.loads(path.read_text())
    manifest["strategies"]["Mine"]["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(json.dumps(manifest))
    assert len(compare(suite.replace(seeds=4), chosen, tmp_path / "r", jobs=1).runs) == 8


def test_an_edited_predictor_of_a_strategy_is_noticed(tmp_path):
    pytest.importorskip("sklearn")
    own = tmp_path / "model.py"
    text = "from surrogates import build\n\n\ndef mine(space):\n    return build('ridge', space)\n"
    own.write_text(text)
    entry = dataclasses.replace(strategies.CATALOGUE["npenas"], settings={"predictor": f"{own}:mine"})
    suite = SMALL.replace(strategies=("model",), tasks=("cifar10",))
    compare(suite, {"model": entry}, tmp_path / "r", jobs=1)
    own.write_text(text + "\n# a comment\n")
    compare(suite, {"model": entry}, tmp_path / "r", jobs=1)
    own.write_text(text.replace("ridge", "bayesian_ridge"))
    with pytest.raises(NasbenchError, match="another strategy called 'model'"):
        compare(suite, {"model": entry}, tmp_path / "r", jobs=1)


OWN = """
from nasbench.records import Trial


class Mine:
    def __init__(self, problem, rng):
        self.problem, self.rng = problem, rng

    def ask(self):
        return Trial(self.problem.space.sample(self.rng), self.problem.full)

    def tell(self, trial, outcome):
        pass
"""


def test_a_mended_strategy_goes_on_in_its_folder(tmp_path):
    own, suite = tmp_path / "own.py", SMALL.replace(strategies=("random_search", "Mine"), tasks=("cifar10",))
    own.write_text(OWN.replace("return Trial(", "return Trail("))
    with pytest.raises(NasbenchError, match=r"NameError: name 'Trail' is not defined \(own.py, line 10\)"):
        compare(suite, strategies.select(["random_search", f"{own}:Mine"]), tmp_path / "r", jobs=1)
    own.write_text(OWN)
    results = compare(suite, strategies.select(["random_search", f"{own}:Mine"]), tmp_path / "r", jobs=1)
    assert len(results.runs) == 6


def test_a_strategy_that_fails_does_not_occupy_its_folder(tmp_path):
    own, suite = tmp_path / "own.py", SMALL.replace(strategies=("random_search",), tasks=("cifar10",))
    compare(suite, strategies.CATALOGUE, tmp_path / "r", jobs=1)
    before = content(tmp_path / "r")
    own.write_text(OWN.replace("return Trial(", "return Trail("))
    with pytest.raises(NasbenchError, match="NameError"):
        compare(suite.replace(strategies=(f"{own}:Mine",)), {}, tmp_path / "r", jobs=1)
    results = compare(suite, strategies.CATALOGUE, tmp_path / "r", jobs=1)
    assert set(results.runs.strategy) == {"random_search"}
    assert content(tmp_path / "r") == before


def test_a_folder_with_an_own_strategy_can_grow(tmp_path, monkeypatch):
    """Whatever way its file is written, and without naming it again."""
    (tmp_path / "own.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    suite = SMALL.replace(strategies=("own.py:Mine",), tasks=("cifar10",))
    compare(suite, {}, "r", jobs=1)
    compare(suite.replace(strategies=(f"{tmp_path}/own.py:Mine",)), {}, "r", jobs=1)
    results = compare(suite.replace(strategies=("random_search",), seeds=4), strategies.CATALOGUE, "r", jobs=1)
    assert set(results.runs.groupby("strategy").size()) == {4}
    before = content(tmp_path / "r")
    (tmp_path / "own.py").write_text(OWN.replace("pass", "pass  # edited"))
    with pytest.raises(NasbenchError, match="another strategy called 'Mine'"):
        compare(suite.replace(strategies=("local_search",), seeds=5), strategies.CATALOGUE, "r", jobs=1)
    (tmp_path / "own.py").unlink()
    with pytest.raises(NasbenchError, match=r"there is no file .*own.py"):
        compare(suite.replace(strategies=("local_search",), seeds=5), strategies.CATALOGUE, "r", jobs=1)
    assert content(tmp_path / "r") == before


def test_an_own_strategy_may_name_its_family_and_objective(tmp_path):
    """Reports then judge its fronts as those of the built-in ones, and the folder can grow as before."""
    text = OWN.replace("class Mine:", 'class Mine:\n    family = "multi-objective"\n    objective = "parameters"\n')
    (tmp_path / "own.py").write_text(text)
    suite = SMALL.replace(strategies=(f"{tmp_path}/own.py:Mine",), tasks=("cifar10",))
    results = compare(suite, {}, tmp_path / "r", jobs=2)
    described = results.manifest["strategies"]["Mine"]
    assert described["family"] == "multi-objective"
    assert described["settings"] == {"objective": "parameters"}
    assert pareto.objectives(Study(tmp_path / "r")) == ["parameters"]
    grown = compare(suite.replace(strategies=("random_search",), seeds=4), strategies.CATALOGUE, tmp_path / "r", jobs=1)
    assert set(grown.runs.groupby("strategy").size()) == {4}
    namespace: dict = {"__name__": __name__}
    exec(text, namespace)
    assert describe(namespace["Mine"])["settings"] == {"objective": "parameters"}
    (tmp_path / "plain.py").write_text(OWN)
    plain = describe(strategies.select([f"{tmp_path}/plain.py:Mine"])["Mine"])
    assert plain["family"] == "own"
    assert "settings" not in plain


def test_a_suite_file_names_files_beside_it(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "own.py").write_text(OWN)
    (tmp_path / "mine" / "toys.toml").write_text(
        'tasks = ["cifar10"]\nstrategies = ["own.py:Mine", "random_search"]\nseeds = 2\nbudget = "5evals"\n'
    )
    monkeypatch.chdir(tmp_path)
    results = compare(tmp_path / "mine" / "toys.toml", strategies.CATALOGUE, "r", jobs=1)
    assert set(results.runs.strategy) == {"Mine", "random_search"}


def test_results_go_where_the_caller_is(tmp_path, monkeypatch):
    """Worker processes are used again, and their current folder is the one in which they began."""
    found = []
    for name, budget in (("one", "12evals"), ("two", "30evals")):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        found.append(compare(SMALL.replace(budget=budget), strategies.CATALOGUE, "r", jobs=2))
    assert [results.runs.evaluations.unique().tolist() for results in found] == [[12], [30]]


def test_tasks_of_a_script_reach_other_processes(tmp_path):
    code = """
import numpy as np, nasbench, strategies
from nasbench.tasks import Source, register

def read(folder, fetch):
    rng = np.random.default_rng(0)
    return Source(rng.integers(0, 256, (400, 4, 4, 1), dtype=np.uint8), np.arange(400) % 2, ("a", "b"))

if __name__ == "__main__":
    register("blots", read)
    suite = nasbench.Suite("own", ["blots"], ["random_search", "local_search"], 1, "2evals", mode="train",
                           protocol={"epochs": 1, "channels": 4})
    print(len(nasbench.compare(suite, strategies.CATALOGUE, "r", jobs=2).runs))
"""
    (tmp_path / "script.py").write_text(code)
    found = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (found.stdout, found.returncode) == ("2\n", 0), found.stderr


@pytest.mark.parametrize("jobs", [1, 2])
def test_images_of_another_folder_are_other_images(tmp_path, monkeypatch, jobs):
    suite = Suite(
        "own", ("blots",), ("random_search",), 2, "2evals", mode="train", protocol={"epochs": 1, "channels": 4}
    )
    found = []
    for name, seed in (("one", 0), ("two", 1), ("alone", 1)):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        rng = np.random.default_rng(seed)
        images = rng.integers(0, 256, (400, 4, 4, 1), dtype=np.uint8)
        np.savez("blots.npz", x=images, y=(images.mean(axis=(1, 2, 3)) > 127).astype(int))
        if name == "alone":
            _benchmarks.clear()
        results = compare(suite, strategies.CATALOGUE, "r", jobs=1 if name == "alone" else jobs)
        found.append(results.runs.best_val.tolist())
    assert found[0] != found[1] == found[2]


@pytest.mark.parametrize("name", ["", "../../evil", "/evil", ".hidden"])
def test_a_strategy_cannot_write_elsewhere(tmp_path, name):
    suite = SMALL.replace(strategies=(name,), tasks=("cifar10",))
    with pytest.raises(NasbenchError, match="needs a name that can be a folder's"):
        compare(suite, {name: strategies.CATALOGUE["random_search"]}, tmp_path / "r", jobs=1)


def test_own_strategies_of_one_file_name_are_kept_apart(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(f"class {folder.title()}:\n    home = '{folder}'\n")
    chosen = strategies.select([f"{tmp_path}/one/mine.py:One", f"{tmp_path}/two/mine.py:Two"])
    assert [chosen[name].load().home for name in ("One", "Two")] == ["one", "two"]
    with pytest.raises(NasbenchError, match="two strategies go by the name"):
        strategies.select(["random_search", "random_search"])


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("raise RuntimeError('first\\nsecond')", "RuntimeError: first (own.py, line 9); the runs"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("return 5", "its ask returned 5, which is neither a Trial nor None"),
        ("return Trial('nonsense', 200)", "is not a cell of nasbench201"),
        ("return Trial([0] * 6, 200)", "unhashable"),
        ("return Trial((0,) * 6, 7)", "not of 7"),
    ],
)
def test_strategies_that_misbehave_are_named_in_one_sentence(tmp_path, body, says):
    (tmp_path / "own.py").write_text(
        "from nasbench.records import Trial\n\n\nclass Bad:\n    def __init__(self, problem, rng):\n        pass\n\n"
        f"    def ask(self):\n        {body}\n\n    def tell(self, trial, outcome):\n        pass\n"
    )
    suite = SMALL.replace(strategies=("Bad",), tasks=("cifar10",))
    with pytest.raises(NasbenchError, match="strategy 'Bad' failed on cifar10, seed 0") as caught:
        compare(suite, strategies.select([f"{tmp_path}/own.py:Bad"]), tmp_path / "r", jobs=1)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "damage",
    [
        lambda m: m.pop("suite"),
        lambda m: m.pop("currency"),
        lambda m: m["table"].update(noise=3),
        lambda m: m.update(strategies=[]),
        lambda m: m["suite"].update(tasks=[1]),
        lambda m: m["suite"].update(name="../evil"),
    ],
)
def test_a_damaged_manifest_is_one_sentence(small, damage):
    manifest = json.loads((small.folder / "suite.json").read_text())
    damage(manifest)
    (small.folder / "suite.json").write_text(json.dumps(manifest))
    with pytest.raises(NasbenchError, match="is damaged or was written by another release"):
        Results(small.folder)


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d.pop("ledger"),
        lambda d: d.update(best=None),
        lambda d: d.update(spent="a"),
        lambda d: d["steps"]["cell"].pop(),
    ],
)
def test_a_damaged_run_is_repeated(small, damage):
    before = content(small.folder)
    path = small.folder / "runs" / "cifar10" / "local_search" / "00001.json"
    document = json.loads(path.read_text())
    damage(document)
    path.write_text(json.dumps(document))
    assert len(Results(small.folder).documents) == 11
    compare(SMALL, strategies.CATALOGUE, small.folder, jobs=1)
    assert content(small.folder) == before


def test_a_name_in_place_of_an_object_is_answered_in_a_sentence(tmp_path):
    benchmark = TabularBenchmark(open_table("digits"), "digits")
    for use, says in (
        (lambda: TabularBenchmark("digits", "digits"), "of a table, as `open_table` gives it, not of 'digits'"),
        (lambda: compare("quick", strategies.CATALOGUE, tmp_path, table="digits"), "on a table, .* not on 'digits'"),
        (lambda: compare("quick", strategies.CATALOGUE, tmp_path, jobs=1.5), "not 1.5"),
        (lambda: run("local_search", benchmark, Budget(2, "evals")), "by its class"),
        (lambda: benchmark.space.cell("a"), "no cell 'a'"),
        (lambda: open_space(3), "unknown space 3; known: "),
    ):
        with pytest.raises(NasbenchError, match=says):
            use()
    assert not any(tmp_path.iterdir())
    assert list(strategies.select("local_search")) == ["local_search"]
    assert len(run(strategies.CATALOGUE["random_search"], benchmark, "2evals").steps) == 2
