"""The command line as people use it and misuse it: every mistake is one sentence, exit code 2, nothing lost."""

from __future__ import annotations

import html
import re
import resource
import shlex
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from nasbench.cli import main
from nasbench.tables import open_table

CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
QUICK = ["compare", "quick", "--seeds", "2", "--budget", "10evals", "--jobs", "1"]


def fails(capsys, *arguments):
    """The one sentence that a wrong call prints."""
    assert main([str(a) for a in arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("nasbench: ")
    assert said.count("\n") == 1
    assert "Traceback" not in said
    return said


def test_a_budget_that_buys_nothing_is_said(capsys, tmp_path):
    command = ["compare", "--strategies", "random_search", "--budget", "0.5evals", "--seeds", "1", "--jobs", "1"]
    assert "may be less than one training costs" in fails(capsys, *command, "--out", str(tmp_path / "none"))
    assert (tmp_path / "none" / "runs.csv").exists()


def test_a_comparison_of_failures_says_so(capsys, tmp_path):
    (tmp_path / "protocol.json").write_text('{"lr": 1e30, "epochs": 3}')
    command = ["compare", "--mode", "train", "--task", "digits", "--protocol", str(tmp_path / "protocol.json")]
    command += ["--strategies", "random_search", "--budget", "2evals", "--seeds", "1", "--jobs", "1"]
    assert "every training that was asked for failed" in fails(capsys, *command, "--out", str(tmp_path / "none"))


def test_the_main_job(capsys, tmp_path):
    assert main([*QUICK, "--out", str(tmp_path / "r")]) == 0
    said = capsys.readouterr().out
    assert "mean validation regret" in said
    assert "local_search" in said
    assert (tmp_path / "r" / "runs.csv").exists()
    page = (tmp_path / "r" / "report" / "index.html").read_text()
    assert "local_search" in page
    assert "<script src" not in page


def test_a_report_can_be_made_again_elsewhere(capsys, tmp_path):
    assert main([*QUICK, "--no-report", "--out", str(tmp_path / "r")]) == 0
    assert not (tmp_path / "r" / "report").exists()
    assert main(["report", str(tmp_path / "r"), "--out", str(tmp_path / "page")]) == 0
    assert (tmp_path / "page" / "index.html").exists()


OWN = """
from neighbour import EPOCHS
from nasbench import Trial


class Nothing:
    def __init__(self, problem, rng):
        self.problem = problem

    def ask(self):
        return None

    def tell(self, trial, outcome):
        pass


class Elsewhere(Nothing):
    def ask(self):
        return Trial((0,) * 6, EPOCHS, seed=5)
"""


@pytest.mark.parametrize(
    ("name", "says"), [("Nothing", "ask returned None"), ("Elsewhere", "for the cells, epochs and seeds")]
)
def test_why_nothing_was_found_is_said(capsys, tmp_path, monkeypatch, name, says):
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "neighbour.py").write_text("EPOCHS = 200")
    monkeypatch.chdir(tmp_path)
    command = ["compare", "--strategies", f"own.py:{name}", "--tasks", "cifar10", "--seeds", "1", "--jobs", "1"]
    assert says in fails(capsys, *command, "--budget", "5evals")


def test_who_fails_at_times_is_no_winner(tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text(
        "from nasbench import Trial\n\n\nclass Gambler:\n"
        "    def __init__(self, problem, rng):\n        self.trials = [Trial((3,) * 6, 200)] * int(rng.integers(2))\n\n"
        "    def ask(self):\n        return self.trials.pop() if self.trials else None\n\n"
        "    def tell(self, trial, outcome):\n        pass\n"
    )
    monkeypatch.chdir(tmp_path)
    shown = []
    monkeypatch.setattr("nasbench.compare_command.show", lambda title, columns, lines: shown.extend(lines))
    command = ["compare", "--strategies", "own.py:Gambler,random_search", "--tasks", "cifar10,cifar100", "--jobs", "1"]
    assert main([*command, "--seeds", "8", "--budget", "2evals", "--no-report"]) == 0
    gambler, other = shown
    assert float(gambler[1]) < float(other[1].removeprefix("[bold]").removesuffix("[/]"))
    assert all(mean.startswith("[bold]") for mean in other[1:])


def test_a_table_of_an_own_file_of_images_finds_it(capsys, tmp_path, monkeypatch):
    rng, sizes = np.random.default_rng(0), {"train": 300, "test": 60}
    arrays = {f"x_{part}": rng.integers(0, 256, (n, 8, 8, 1), dtype=np.uint8) for part, n in sizes.items()}
    np.savez(tmp_path / "blots.npz", **arrays, **{f"y_{part}": np.arange(n) % 3 for part, n in sizes.items()})
    monkeypatch.chdir(tmp_path)
    train = ["train", "--task", "blots.npz", "--rows", "3", "--epochs", "2", "--out", "shards", "--table", "blots.h5"]
    assert main([*train, "--jobs", "1"]) == 0
    search = ["compare", "--table", "blots.h5", "--strategies", "zero_cost-synflow", "--seeds", "1", "--jobs", "1"]
    search += ["--budget", "2evals", "--no-report"]
    assert main(search) == 0
    assert main(["table", "score", "blots.h5", "scored.h5", "--proxies", "l2_norm", "--jobs", "1"]) == 0
    (tmp_path / "blots.npz").unlink()
    assert "There is no task 'blots'" in fails(capsys, *search, "--out", "elsewhere")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("what", ["suites", "strategies", "tables", "spaces"])
def test_lists(capsys, what):
    assert main(["list", what]) == 0
    assert {"suites": "quick", "strategies": "reinforce", "tables": "nasbench201", "spaces": "15625"}[what] in (
        capsys.readouterr().out
    )


def test_a_part_of_the_space_is_called_one(capsys):
    assert main(["table", "info", "tasks16"]) == 0
    said = capsys.readouterr().out
    assert "300 classes of equal cells, which answer for 635 of the 15,625 cells" in said
    assert re.search(r"cifar100_fish +10 of 10 +2 +4\.1%", said)
    assert main(["query", "images16", "6111"]) == 0
    lines = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()[2:]}
    assert lines["fashion_mnist"][:5] == ["5", "0", "1", "2", "85.6917"]
    assert set(lines["cifar100"][1:]) == {"-"}


@pytest.mark.parametrize("room", [4_000, 60_000])
def test_a_full_disk_leaves_the_former_table(tmp_path, room):
    rows = [f"{cell},mine,1,0,{value}" for cell, value in enumerate(np.random.default_rng(0).uniform(0, 90, 15625))]
    (tmp_path / "mine.csv").write_text("\n".join(["cell,task,epochs,seed,val_acc", *rows]))
    (tmp_path / "few.csv").write_text("cell,task,epochs,seed,val_acc\n5,mine,1,0,50\n")
    old = str(tmp_path / "a.h5")
    assert main(["table", "import", str(tmp_path / "few.csv"), old, "--space", "nasbench201"]) == 0
    script = (
        f"import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room})); "
        "from nasbench.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", script, "table", "import", str(tmp_path / "mine.csv"), old]
    found = subprocess.run([*command, "--space", "nasbench201"], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr == f"nasbench: cannot write {old}: File too large.\n"
    assert main(["table", "verify", old]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "few.csv", "mine.csv"]


def test_a_table_that_lacks_one_of_the_tasks_is_searched_on_its_own(capsys, tmp_path):
    out = tmp_path / "out"
    command = ["compare", "--table", "images16", "--strategies", "random_search", "--budget", "2evals", "--seeds", "1"]
    assert main([*command, "--no-report", "--out", str(out)]) == 0
    assert set(pd.read_csv(out / "runs.csv").task) == set(open_table("images16").tasks)
    said = capsys.readouterr().out
    assert [len(line.split()) for line in said.splitlines()[1:7]] == [2] * 6, "a row for each of the many tasks"
    assert re.search(r"^cifar100, mnist, tinyimagenet100: [\d.]+% of the space has results", said, re.MULTILINE)


def test_query_and_table_commands(capsys, tmp_path):
    assert main(["query", "nasbench201", CELL]) == 0
    assert "91.6067" in capsys.readouterr().out
    assert main(["query", "nasbench201", "6111", "--task", "cifar100", "--seed", "0"]) == 0
    assert main(["table", "info", "nasbench201"]) == 0
    assert "licence" in capsys.readouterr().out
    assert main(["table", "verify", "nasbench201"]) == 0
    assert main(["table", "export", "nasbench201", str(tmp_path / "t.npz"), "--task", "cifar10"]) == 0
    assert main(["table", "import", str(tmp_path / "t.npz"), str(tmp_path / "t.h5")]) == 0
    assert main(["table", "export", "nasbench201", str(tmp_path / "u.npz"), "--task", "cifar100"]) == 0
    assert main(["table", "import", str(tmp_path / "u.npz"), str(tmp_path / "u.h5")]) == 0
    merged = str(tmp_path / "m.h5")
    assert main(["table", "merge", str(tmp_path / "t.h5"), str(tmp_path / "u.h5"), "--out", merged]) == 0
    assert main(["query", merged, CELL, "--task", "cifar10"]) == 0
    assert "91.6067" in capsys.readouterr().out


def test_a_table_is_drawn(capsys, tmp_path):
    for name in ("digits", "nasbench201"):
        assert main(["table", "draw", name, str(tmp_path / f"{name}.png")]) == 0
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert "unknown kind of figure" in fails(capsys, "table", "draw", "digits", tmp_path / "x.gif")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["compare", "quik"], "did you mean 'quick'"),
        (["compare", "--strategies", "local_serch"], "did you mean 'local_search'"),
        (["compare", "--strategies", "/nowhere/mine.py:Mine"], "there is no file"),
        (["compare", "--tasks", "cifar"], "did you mean 'cifar10"),
        (["compare", "--table", "nasbench20"], "did you mean 'nasbench201'"),
        (["compare", "--table", "/nowhere/t.h5"], "there is no table file"),
        (["compare", "--budget", "-5evals"], "more than 0"),
        (["compare", "--budget", "0s"], "more than 0"),
        (["compare", "--budget", "ten"], "is not a budget"),
        (["compare", "--budget", "5parsecs"], "unknown unit"),
        (["compare", "--budget", "1e18flops"], "has no training flops"),
        (["compare", "--sources", "mnist"], "unknown source task 'mnist'"),
        (["compare", "--tasks", "cifar10", "--sources", "cifar10"], "the source 'cifar10' is the target"),
        (["compare", "--source-tables", "nasbench_graph"], "sources must be of the target's space"),
        (["compare", "--table", "digits", "--tasks", "digits", "--strategies", "meta_bo"], "--source-tables"),
        (["compare", "--strategies", "task_to_cell"], "has no descriptor"),
        (["fit", "--predictor", "maml"], "add --meta"),
        (["fit", "--meta", "--table", "digits"], "'digits' has no source tasks"),
        (
            ["fit", "--meta", "--table", "nasbench_graph", "--task", "cora", "--sources", "cs", "--predictor", "maml"],
            "at least 2 source tasks, not 1",
        ),
        (["fit", "--meta", "--table", "images16", "--predictor", "sotl_e"], "sees curves"),
        (["fit", "--meta", "--table", "images16", "--train-sizes", "1600"], "1600 labels are not possible"),
        (["fit", "--meta", "--target", "latency_seconds"], "--target does not go with --meta"),
        (["fit", "--meta", "--table", "images16", "--source-counts", "some"], "whole numbers separated by commas"),
        (["fit", "--meta", "--table", "images16", "--source-counts", "2,9"], "from 2 to 4, which is what a target has"),
        (["fit", "--meta", "--table", "images16", "--target-among-sources"], "--sources names none"),
        (["fit", "--meta", "--table", "images16", "--jobs", "0"], "at least one process"),
        (["fit", "--meta", "--table", "images16", "--task", ""], "at least one target"),
        (["fit", "--table", "digits", "--jobs", "-9"], "at least one process"),
        (["fit", "--table", "digits", "--predictor", ""], "names separated by commas are needed"),
        (["fit", "--table", "digits", "--sources", "cifar10"], "--sources goes with --meta"),
        (["fit", "--meta", "--check"], "--check does not go with --meta"),
        (["fit", "--meta", "--predictor", "ridge", "--train-sizes", "0"], "from two labels on"),
        (["compare", "--tasks", ""], "names separated by commas are needed"),
        (["compare", "--target-among-sources"], "--sources names none"),
        (
            [
                "compare",
                "meta-full",
                "--tasks",
                "cifar100_fish",
                "--sources",
                "cifar100_people",
                "--leave-out",
                "data_set",
            ],
            "is cut from the data set of the target",
        ),
        (["compare", "--seeds", "0"], "at least 1 for seeds"),
        (["compare", "--workers", "-1"], "at least 1 for workers"),
        (["compare", "--seeds", "many"], "invalid int value"),
        (["compare", "--sedes", "3"], "unrecognized arguments"),
        (["compar"], "invalid choice"),
        (["compare", "--observe", "max"], "unknown way to observe"),
        (["compare", "--jobs", "0"], "at least one process"),
        (["compare", "--jobs", "-3"], "at least one process"),
        (["compare", "--seeds", "99999999999999999"], "takes 10,000 seeds at most"),
        (["table", "import", "t.csv", "t.json"], "a file called FILE.h5"),
        (["table", "merge", "digits", "--out", "t.txt"], "a file called FILE.h5"),
        (["train", "--task", "digits", "--rows", "3", "--out", "o", "--table", "mine.py"], "a file called FILE.h5"),
        (["fit", "--as-benchmark", "t.txt"], "a file called FILE.h5"),
        (["compare", "--mode", "train", "--table", "digits"], "leave one of them out"),
        (["compare", "--device", "cuda"], "--device is about trainings"),
        (["compare", "--train-seeds", "0,1"], "--train-seeds is about trainings"),
        (["compare", "--data", "/nowhere"], "--data is about trainings"),
        (["compare", "--keep", "here"], "--keep is about trainings"),
        (["train", "--task", "digits", "--cell", "6111", "--table", "t.h5"], "--table goes with --rows"),
        (["compare", "nasbench201-paper"], "give it with --table"),
        (["compare", "--strategies", "all,random_search"], "all stands alone"),
        (["table", "draw", "nasbench201", "x.png", "--between-tasks", "--task", "cifar10"], "leave --task"),
        (["query", "nasbench201", "nonsense"], "is not a cell of nasbench201"),
        (["query", "nasbench201", "15625"], "there is no cell 15625"),
        (["query", "nasbench201", "--", "-1"], "is not a cell of nasbench201"),
        (["query", "nasbench201", CELL, "--task", "svhn"], "unknown task"),
        (["query", "nasbench201", CELL, "--epochs", "12"], "no results after 12 epochs"),
        (["query", "nasbench201", CELL, "--schedule", "12"], "schedules: 200"),
        (["query", "nasbench201", CELL, "--seed", "777"], "no training seed 777"),
        (["table", "verify", "/nowhere.h5"], "there is no table file"),
        (["table", "import", "/nowhere", "x.h5"], "nowhere"),
        (["table", "export", "nasbench201", "x.xlsx"], "unknown kind of export"),
        (["report", "/nowhere"], "holds no results"),
    ],
)
def test_mistakes(capsys, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    assert says in fails(capsys, *arguments)
    assert not list(tmp_path.rglob("*.json"))


def test_tables_are_not_lost_to_what_is_made_of_them(capsys, tmp_path):
    table = tmp_path / "mine.h5"
    assert main(["table", "merge", "digits", "--out", str(table)]) == 0
    before = table.read_bytes()
    fit = ["fit", "--predictor", "ridge", "--train-sizes", "50"]
    said = fails(capsys, *fit, "--table", table, "--as-benchmark", table)
    assert "holds trainings, which predictions would replace" in said
    assert "is what is imported" in fails(capsys, "table", "import", table, table)
    assert table.read_bytes() == before
    made = tmp_path / "made of.h5"
    for _ in range(2):  # predictions may replace predictions
        assert main([*fit, "--table", str(table), "--as-benchmark", str(made)]) == 0
    assert f"--table '{made}' --task digits" in capsys.readouterr().out
    assert "holds predictions, from which no predictor learns" in fails(capsys, *fit, "--table", made)
    meta = ["fit", "--meta", "--table", "nasbench201", "--task", "cifar10", "--source-tables", made]
    assert "holds predictions, not trainings" in fails(capsys, *meta)


def test_the_commands_that_pages_name_find_the_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["table", "merge", "digits", "--out", "my own.h5"]) == 0
    fit = ["fit", "--table", "my own.h5", "--predictor", "ridge", "--train-sizes", "20", "--seeds", "2"]
    assert main([*fit, "--out", "a"]) == 0
    page = html.unescape((tmp_path / "a" / "report" / "index.html").read_text())
    command = re.search(r"nasbench (fit --table [^<]*)", page)
    assert command
    assert shlex.split(command[1]) == [*fit[:3], "--task", "digits", *fit[3:]]


def test_results_of_another_suite_are_left_alone(capsys, tmp_path):
    out = ["--out", str(tmp_path / "r")]
    assert main([*QUICK, "--no-report", *out]) == 0
    before = {p: p.read_bytes() for p in (tmp_path / "r").rglob("*") if p.is_file()}
    assert "choose another folder" in fails(capsys, "compare", "nasbench201", *out)
    assert "budget" in fails(capsys, "compare", "quick", "--budget", "11evals", *out)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine")
    assert "not empty" in fails(capsys, "compare", "--out", tmp_path / "full")
    (tmp_path / "file").write_text("mine")
    assert "is a file" in fails(capsys, "compare", "--out", tmp_path / "file")
    assert {p: p.read_bytes() for p in (tmp_path / "r").rglob("*") if p.is_file()} == before


def test_folders_that_cannot_be_written(capsys):
    assert "cannot write" in fails(capsys, *QUICK, "--out", "/proc/nasbench")
    assert "cannot write" in fails(capsys, "table", "export", "nasbench201", "/proc/t.npz")


def test_a_full_disk_is_one_sentence_and_keeps_what_was_written(tmp_path):
    """A limit on file sizes stands in for the full disk: writing more fails in the same way."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    command = [sys.executable, "-m", "nasbench", *QUICK, "--no-report", "--out", str(tmp_path / "r")]
    command += ["--budget", "60evals", "--strategies", "local_search"]
    done = subprocess.run(
        command, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (6000, limit[1])), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("nasbench: cannot write")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.rglob("*.tmp"))
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_all_strategies_are_those_that_can_search_the_task(tmp_path, capsys):
    out = tmp_path / "all"
    command = ["compare", "--strategies", "all", "--tasks", "cifar10", "--seeds", "1", "--budget", "2evals"]
    assert main([*command, "--out", str(out), "--no-report", "--jobs", "1"]) == 0
    told = capsys.readouterr()
    assert "without hyperband: hyperband needs learning curves" in told.err
    assert "without darts: DARTS needs the images" in told.err
    assert "gp_bo" in told.out
    assert "hyperband" not in told.out
