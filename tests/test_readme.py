"""What the README says can be done, done."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import strategies
import surrogates
from nasbench.tables import shipped_tables

TEXT = (Path(__file__).parent.parent / "README.md").read_text()


def test_everything_of_the_catalogues_is_there():
    for name in [*strategies.CATALOGUE, *surrogates.CATALOGUE, *shipped_tables()]:
        assert re.search(rf"^\| \[?`?{re.escape(name)}`?[\]| ]", TEXT, re.MULTILINE), name
    for path in shipped_tables().values():
        assert path.with_suffix(".md").exists()


def test_the_python_examples_run(tmp_path):
    examples = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(examples) == 4
    for example in examples:
        done = subprocess.run(
            [sys.executable, "-c", example.replace("seeds=20", "seeds=2")],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "results" / "greedy" / "report" / "index.html").exists()
    assert (tmp_path / "my_table.h5").exists()
