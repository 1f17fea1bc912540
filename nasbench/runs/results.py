"""A results folder read back as pandas frames: `Results(folder).runs`, `.traces`, `.ledger`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..tasks.subsets import share_images
from .store import COLUMNS, RunKey, read_manifest, read_run, row
from .suite import Suite

if TYPE_CHECKING:
    import pandas as pd


class Results:
    """The finished runs of one comparison; NasbenchError if the folder holds none.

    Attributes:
        folder: where they lie.
        manifest: what is compared: suite, table, strategies, as JSON values.
        suite: the suite.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()
        self.manifest: dict[str, Any] = read_manifest(Path(folder))
        self.suite = Suite.from_fields(self.manifest["suite"])

    def __repr__(self) -> str:
        return f"Results({str(self.folder)!r}, {len(self.documents)} runs)"

    @property
    def shares(self) -> dict[str, float]:
        """Task -> the share of the space's cells that the table has results for; {} where nothing is looked up."""
        return dict(self.manifest["table"].get("share", {}))

    @functools.cached_property
    def documents(self) -> list[dict[str, Any]]:
        """Every finished run as it was written, ordered by task, strategy and seed."""
        suite = self.suite
        keys = [RunKey(t, s, i) for t in suite.tasks for s in suite.strategies for i in range(suite.seeds)]
        return [document for key in keys if (document := read_run(self.folder, key)) is not None]

    @functools.cached_property
    def runs(self) -> pd.DataFrame:
        """One row a run, columns as in runs.csv."""
        import pandas as pd

        frame = pd.DataFrame([row(self.manifest, document) for document in self.documents], columns=list(COLUMNS))
        return frame.astype(dict.fromkeys(("spent", "best_val", "best_test", "val_regret", "test_regret"), float))

    @functools.cached_property
    def traces(self) -> pd.DataFrame:
        """One row a finished training.

        Columns: task, strategy, seed, step (0-based), cell (index in the space), epochs, train_seed, status, val_acc
        as observed, spent in the budget's currency, clock, and the true mean accuracies of the incumbent after this
        step, incumbent_val and incumbent_test.
        """
        columns: dict[str, list[np.ndarray]] = {}
        for document in self.documents:
            steps, incumbents = document["steps"], document["incumbents"]
            count = len(steps["cell"])
            values = {name: np.array(steps[name], dtype=_TYPES[name]) for name in steps}
            values["step"] = np.arange(count)
            lengths = np.diff([*incumbents["step"], count]) if incumbents["step"] else np.array([], dtype=int)
            before = count - int(lengths.sum())
            for name, source in (("incumbent_val", "val_acc"), ("incumbent_test", "test_acc")):
                held = np.repeat(np.array(incumbents[source], dtype=float), lengths)
                values[name] = np.concatenate([np.full(before, np.nan), held])
            for name, array in values.items():
                columns.setdefault(name, []).append(array)
        order = ["step", "cell", "epochs", "train_seed", "status", "val_acc", "spent", "clock"]
        return self._frame(columns, [*order, "incumbent_val", "incumbent_test"], lambda d: len(d["steps"]["cell"]))

    @functools.cached_property
    def ledger(self) -> pd.DataFrame:
        """One row an expense: task, strategy, seed, kind, seconds, epochs, flops, evaluations."""
        columns: dict[str, list[np.ndarray]] = {}
        for document in self.documents:
            for name, values in document["ledger"].items():
                columns.setdefault(name, []).append(np.array(values, dtype=object if name == "kind" else float))
        order = ["kind", "seconds", "epochs", "flops", "evaluations"]
        return self._frame(columns, order, lambda d: len(d["ledger"]["kind"]))

    @functools.cached_property
    def sources(self) -> pd.DataFrame:
        """One row for each source task that a run learned from: task, strategy, seed, source, seconds, epochs, flops,
        evaluations. What was spent there is in no budget."""
        import pandas as pd

        columns = ["task", "strategy", "seed", "source", "seconds", "epochs", "flops", "evaluations"]
        rows = []
        for document in self.documents:
            found = document.get("sources", {"task": []})
            for i, name in enumerate(found["task"]):
                values = [float("nan") if found[c][i] is None else float(found[c][i]) for c in columns[4:]]
                rows.append([document["task"], document["strategy"], document["seed"], name, *values])
        return pd.DataFrame(rows, columns=columns)

    @property
    def leaks(self) -> list[str]:
        """Tasks that a run learned from, by themselves or by their images, while it searched them."""
        pairs = self.sources[["task", "source"]].drop_duplicates().itertuples(index=False)
        return list(dict.fromkeys(task for task, source in pairs if share_images(source, task)))

    @functools.cached_property
    def timings(self) -> pd.DataFrame:
        """Measured seconds that each run spent in ask and tell; empty if none was recorded."""
        import pandas as pd

        path = self.folder / "timings.csv"
        if not path.exists():
            return pd.DataFrame(columns=["task", "strategy", "seed", "overhead_seconds"])
        return pd.read_csv(path).drop_duplicates(["task", "strategy", "seed"], keep="last")

    def _frame(self, columns: dict[str, list[np.ndarray]], order: list[str], length: Any) -> pd.DataFrame:
        import pandas as pd

        lengths = [length(document) for document in self.documents]
        frame: dict[str, Any] = {
            "task": pd.Categorical(np.repeat([d["task"] for d in self.documents], lengths), self.suite.tasks),
            "strategy": pd.Categorical(
                np.repeat([d["strategy"] for d in self.documents], lengths), self.suite.strategies
            ),
            "seed": np.repeat([d["seed"] for d in self.documents], lengths),
        }
        frame |= {name: np.concatenate(columns[name]) if columns else [] for name in order}
        return pd.DataFrame(frame)


_TYPES = {
    "cell": np.int64, "epochs": np.int64, "train_seed": float, "status": np.int64,
    "val_acc": float, "spent": float, "clock": float,
}  # fmt: skip
