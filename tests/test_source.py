"""The project as installed: light imports, clean under ruff and mypy, nothing heavy on the path of --help."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
HEAVY = ("torch", "xgboost", "matplotlib", "pandas", "scipy", "sklearn", "networkx", "rich", "joblib", "numpy.testing")


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("import nasbench", ()),
        ("import nasbench.cli", ()),
        ("import strategies, reports, surrogates, tabular_data", ()),
        ("import nasbench.tasks, nasbench.networks, nasbench.training", ()),
        ("import nasbench; nasbench.TrainingBenchmark", ()),
        ("import nasbench.cli; nasbench.cli.main(['list', 'tables'])", ("rich",)),
        ("import nasbench; nasbench.open_table('nasbench201').query((0,) * 6, 'cifar10')", ()),
        (
            "import nasbench as n, strategies as s;"
            "b = n.TabularBenchmark(n.open_table('nasbench201'), 'cifar10');"
            "n.run(s.CATALOGUE['local_search'], b, n.Budget(50, 'evals'))",
            (),
        ),
    ],
)
def test_light_imports(statement, allowed):
    code = f"import sys; {statement}; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=TOP).stdout
    assert set(loaded.splitlines()[-1].split()) <= set(allowed)


@pytest.mark.parametrize("command", [["ruff", "check", "."], ["mypy"]])
def test_clean(command):
    if importlib.util.find_spec(command[0]) is None:
        pytest.skip(f"needs {command[0]}")
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False, cwd=TOP)
    assert done.returncode == 0, done.stdout + done.stderr


def test_top_level_holds_what_was_agreed():
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=False, cwd=TOP).stdout
    if not listed:
        pytest.skip("needs a git checkout")
    visible = {line.split("/")[0] for line in listed.splitlines() if not line.startswith(".")}
    assert visible <= {
        "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md",
        "nasbench", "surrogates", "strategies", "tests", "tabular_data", "reports",
    }  # fmt: skip
