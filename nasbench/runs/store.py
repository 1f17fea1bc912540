"""The results folder: one small file per finished run, written whole or not at all.

suite.json             what is compared (suite, strategies, table checksum); decides what may be resumed here
runs/TASK/STRATEGY/SEED.json   trace, incumbents and ledger of one run; same seed, same bytes
runs.csv               one row a run
timings.csv            measured seconds in ask and tell    } the two files that differ
provenance.json        command, versions, machine, date    } between repetitions
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import NasbenchError
from ..records import Cost, Score
from ..spaces import Space
from .run import Run
from .suite import Suite

FORMAT = 1
COLUMNS = (
    "suite", "table", "task", "strategy", "seed", "status", "evaluations", "spent", "currency",
    "best_val", "best_test", "val_regret", "test_regret",
)  # fmt: skip


class RunKey(NamedTuple):
    """Which run of a comparison."""

    task: str
    strategy: str
    seed: int


def run_path(folder: Path, key: RunKey) -> Path:
    """Where the file of one run lies."""
    return folder / "runs" / key.task / key.strategy / f"{key.seed:05d}.json"


def _number(value: float) -> float | None:
    return None if value is None or math.isnan(value) else value


def encode_run(run: Run, key: RunKey, space: Space, best: Score) -> str:
    """One run as JSON text, columns rather than records; unknown numbers are null."""
    totals = zip(*(step.trial for step in run.steps), strict=True) if run.steps else ((), (), ())
    cells, epochs, _ = totals
    document = {
        "format": FORMAT,
        **key._asdict(),
        "status": run.status,
        "repeats": run.repeats,
        "missing": run.missing,
        "spent": run.ledger.spent,
        "best": {"val_acc": _number(best.val_acc), "test_acc": _number(best.test_acc)},
        "steps": {
            "cell": [space.index(cell) for cell in cells],
            "epochs": [int(e) for e in epochs],
            "train_seed": [None if step.seed is None else int(step.seed) for step in run.steps],
            "status": [int(step.outcome.status) for step in run.steps],
            "val_acc": [_number(step.outcome.val_acc) for step in run.steps],
            "spent": [step.spent for step in run.steps],
            "clock": [step.clock for step in run.steps],
        },
        "incumbents": {
            "step": [i.step for i in run.incumbents],
            "val_acc": [_number(i.score.val_acc) for i in run.incumbents],
            "test_acc": [_number(i.score.test_acc) for i in run.incumbents],
        },
        "ledger": {
            "kind": [str(entry.kind) for entry in run.ledger.entries],
            **{
                name: [_number(entry.cost[i]) for entry in run.ledger.entries]
                for i, name in enumerate(("seconds", "epochs", "flops", "evaluations"))
            },
        },
    }
    if run.ledger.sources:
        costs = list(run.ledger.sources.values())
        document["sources"] = {
            "task": list(run.ledger.sources),
            **{name: [_number(cost[i]) for cost in costs] for i, name in enumerate(Cost._fields)},
        }
    return json.dumps(document, separators=(",", ":"), allow_nan=False) + "\n"


def read_run(folder: Path, key: RunKey) -> dict[str, Any] | None:
    """The document of one run, or None if it was not finished (or its file is damaged, and the run to be repeated)."""
    try:
        document = json.loads(run_path(folder, key).read_bytes())
    except (OSError, ValueError):
        return None
    return document if _is_whole(document, key) else None


_COLUMNS = {
    "steps": ("cell", "epochs", "train_seed", "status", "val_acc", "spent", "clock"),
    "incumbents": ("step", "val_acc", "test_acc"),
    "ledger": ("kind", "seconds", "epochs", "flops", "evaluations"),
}


def _is_whole(document: Any, key: RunKey) -> bool:
    """Whether a document has everything that a run's file has, in columns of equal length."""
    try:
        lengths = {group: {len(document[group][name]) for name in names} for group, names in _COLUMNS.items()}
        numbers = [x for g, names in _COLUMNS.items() for n in names if n != "kind" for x in document[g][n]]
        best = [document["best"]["val_acc"], document["best"]["test_acc"]]
        values = [*numbers, *best, document["spent"], document["repeats"], document["missing"]]
        right = all(x is None or isinstance(x, (int, float)) for x in values) and isinstance(document["status"], str)
        identity = RunKey(document["task"], document["strategy"], document["seed"])
        return right and document["format"] == FORMAT and identity == key and all(len(n) == 1 for n in lengths.values())
    except (KeyError, TypeError):
        return False


def row(manifest: dict[str, Any], document: dict[str, Any]) -> tuple:
    """The line of runs.csv that belongs to one run, in the order of COLUMNS."""
    incumbents, best = document["incumbents"], document["best"]
    last = {name: incumbents[name][-1] if incumbents[name] else None for name in ("val_acc", "test_acc")}
    regret = {name: best[name] - last[name] if None not in (best[name], last[name]) else None for name in last}
    return (
        manifest["suite"]["name"], manifest["table"]["name"], document["task"], document["strategy"],
        document["seed"], document["status"], len(document["steps"]["cell"]), document["spent"],
        manifest["currency"], last["val_acc"], last["test_acc"], regret["val_acc"], regret["test_acc"],
    )  # fmt: skip


def to_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """CSV text with a header; None becomes an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def read_manifest(folder: Path) -> dict[str, Any]:
    """The folder's suite.json; NasbenchError if the folder holds no comparison."""
    path = folder / "suite.json"
    try:
        manifest = json.loads(path.read_bytes())
        Suite.from_fields(manifest["suite"])
        table, texts = (
            manifest["table"],
            [manifest["currency"], manifest["table"]["name"], manifest["table"]["checksum"]],
        )
        records = [table["attributes"], table["noise"], *table["noise"].values(), *manifest["strategies"].values()]
        right = all(isinstance(text, str) for text in texts) and all(isinstance(record, dict) for record in records)
        if (
            manifest["format"] != FORMAT
            or not right
            or set(manifest["suite"]["strategies"]) - set(manifest["strategies"])
        ):
            raise ValueError
    except OSError:
        raise NasbenchError(f"{folder} holds no results: `nasbench compare --out {folder}` would make some.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise NasbenchError(f"{path} is damaged or was written by another release; use a new folder.") from None
    return manifest
