"""A suite: which strategies are compared on what, under which budget. One short TOML file each.

name = "quick"
table = "nasbench201"
tasks = ["cifar10", "cifar100", "ImageNet16-120"]
strategies = ["random_search", "local_search"]
seeds = 20
budget = "100evals"
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import NasbenchError, unknown
from ..tables.source_tasks import LEAVE_OUT, check_leak
from .budget import Budget
from .run import OBSERVE

MODES = ("table", "surrogate", "train")
FOLDER = Path(__file__).parent / "suites"
MOST_SEEDS = 10_000
_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("name", "budget", "table", "observe", "search_task", "mode", "title", "leave_out"), (str,)),
    **dict.fromkeys(("tasks", "strategies", "notes", "train_seeds", "sources", "source_tables"), (list, tuple)),
    **dict.fromkeys(("seeds", "workers", "score_schedule"), (int,)),
    **dict.fromkeys(("protocol", "reference"), (Mapping,)),
    "schedule": (int, str),
    **dict.fromkeys(("charge_overhead", "target_among_sources"), (bool,)),
}
_ITEMS = {**dict.fromkeys(("tasks", "strategies", "notes", "sources", "source_tables"), str), "train_seeds": int}


@dataclass(frozen=True)
class Suite:
    """The definition of a comparison.

    Attributes:
        table: a shipped table's name or a file's path.
        tasks: tasks of the table on which incumbents are scored.
        strategies: names in the catalogue that is handed to `compare`.
        seeds: number of runs per strategy and task, seeded 0 to seeds - 1.
        budget: e.g. "100evals"; the same for every strategy.
        observe: "mean" over training seeds (no noise), or one training "seed" per cell.
        workers: simulated workers with a common purse.
        schedule: training schedule that strategies buy (epochs, or "ends"); 0 for the longest.
        score_schedule: schedule that scores incumbents; 0 for the longest.
        search_task: the one task that is searched, if incumbents are scored on others; "" for each its own.
        charge_overhead: whether measured time in the strategies counts.
        mode: "table" looks results up; "surrogate" looks predictions up, in a table made by `nasbench fit
            --as-benchmark`; "train" trains afresh, and the tasks are those of `nasbench task list`.
        protocol: in mode "train", fields of the training protocol that differ from the task's own.
        train_seeds: in mode "train", the training seeds that can be observed.
        sources: tasks that meta-learned strategies learn on first; empty for all but the target.
        source_tables: tables that have source tasks, besides the suite's own.
        leave_out: "task" keeps the target, and tasks that share images with it, out of the sources; "data_set" also
            those cut from the same data set.
        target_among_sources: allow it by name, to see what leaking is worth.
        reference: published results to show beside: strategy -> task -> [mean, standard deviation] of test accuracy.
        notes: what differs from the published protocol, shown in the report.
    """

    name: str
    tasks: tuple[str, ...]
    strategies: tuple[str, ...]
    seeds: int
    budget: str
    table: str = "nasbench201"
    observe: str = "mean"
    workers: int = 1
    schedule: int | str = 0
    score_schedule: int = 0
    search_task: str = ""
    charge_overhead: bool = False
    mode: str = "table"
    protocol: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    train_seeds: tuple[int, ...] = (0,)
    sources: tuple[str, ...] = ()
    source_tables: tuple[str, ...] = ()
    leave_out: str = "task"
    target_among_sources: bool = False
    title: str = ""
    reference: Mapping[str, Mapping[str, tuple[float, float]]] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._check_types()
        for name in ("tasks", "strategies", "notes", "train_seeds", "sources", "source_tables"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("tasks", "strategies"):
            if not getattr(self, name):
                raise NasbenchError(f"suite {self.name!r} needs at least one of its {name}.")
            if len(set(getattr(self, name))) != len(getattr(self, name)):
                raise NasbenchError(f"suite {self.name!r} names one of its {name} twice.")
        for name in ("seeds", "workers"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise NasbenchError(f"suite {self.name!r} needs a whole number, at least 1 for {name}, not {value!r}.")
        if self.seeds > MOST_SEEDS:
            raise NasbenchError(f"suite {self.name!r} takes {MOST_SEEDS:,} seeds at most, not {self.seeds:,}.")
        budget = Budget.parse(self.budget)
        if self.charge_overhead and budget.unit != "s":
            raise NasbenchError(f"overhead can be charged to a budget in seconds only, not to {self.budget!r}.")
        if self.observe not in OBSERVE:
            raise unknown("way to observe", self.observe, OBSERVE)
        if self.leave_out not in LEAVE_OUT:
            raise unknown("way to leave sources out", self.leave_out, LEAVE_OUT)
        check_leak(self.target_among_sources, self.sources)
        if self.mode not in MODES:
            raise unknown("mode", self.mode, MODES)
        if self.mode != "train" and self.protocol:
            raise NasbenchError(f"suite {self.name!r} sets a protocol, which only mode 'train' has.")
        if self.mode == "train" and (self.schedule or self.score_schedule or self.search_task):
            raise NasbenchError(
                f"suite {self.name!r} sets schedule, score_schedule or search_task, which only tables have; "
                "mode 'train' takes the epochs of its protocol."
            )

    def _check_types(self) -> None:
        for name, types in _TYPES.items():
            value = getattr(self, name)
            right = isinstance(value, types) and (isinstance(value, bool) <= (bool in types))
            if not right or (name in _ITEMS and not all(type(item) is _ITEMS[name] for item in value)):
                raise NasbenchError(f"the suite's entry {name!r} has the wrong type: {value!r}.")
        if not can_be_folder(self.name):
            raise NasbenchError(f"a suite needs a name that can be a folder's, not {self.name!r}.")
        for strategy, tasks in self.reference.items():
            if strategy not in self.strategies and self.strategies:
                continue  # a part of the suite is run
            pairs = tasks.values() if isinstance(tasks, Mapping) else [None]
            for pair in pairs:
                numbers = isinstance(pair, (list, tuple)) and all(isinstance(x, (int, float)) for x in pair)
                if not numbers or len(pair) != 2:
                    raise NasbenchError(
                        f"the reference of {strategy!r} gives a mean and a standard deviation per task, not {tasks!r}."
                    )

    @classmethod
    def load(cls, name_or_path: str | Path) -> Suite:
        """A built-in suite by name, or one's own by the path of its TOML file; NasbenchError if there is none."""
        path = Path(name_or_path)
        builtin = suites()
        if path.suffix != ".toml":
            if str(name_or_path) not in builtin:
                raise unknown("suite", str(name_or_path), builtin)
            path = builtin[str(name_or_path)]
        try:
            fields = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise NasbenchError(f"the suite {path} cannot be read: {error.strerror or error}.") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise NasbenchError(f"the suite {path} is not valid TOML: {error}.") from None
        for name in ("strategies", "source_tables"):
            if isinstance(fields.get(name), list):
                fields[name] = [_beside(path, text) for text in fields[name]]
        if "table" in fields:
            fields["table"] = _beside(path, fields["table"])
        return cls.from_fields({"name": path.stem, **fields})

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Suite:
        """From plain values; NasbenchError for an unknown or a missing one."""
        known = {f.name: f for f in dataclasses.fields(cls)}
        for name in fields:
            if name not in known:
                raise unknown("entry of a suite", name, known)
        missing = [
            n
            for n, f in known.items()
            if n not in fields and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        ]
        if missing:
            raise NasbenchError(f"suite {fields.get('name', '')!r} lacks {', '.join(missing)}.")
        return cls(**fields)

    def replace(self, **changes: Any) -> Suite:
        """A copy with some fields changed; None leaves a field as it is."""
        return dataclasses.replace(self, **{k: v for k, v in changes.items() if v is not None})

    def rules(self) -> dict[str, Any]:
        """The fields that must agree for two sets of runs to belong to one comparison."""
        names = ("name", "budget", "observe", "workers", "schedule", "score_schedule", "search_task", "charge_overhead")
        rules = {name: getattr(self, name) for name in names}
        learned = {
            "sources": list(self.sources),
            "source_tables": [os.path.abspath(t) if t.endswith(".h5") else t for t in self.source_tables],
            "leave_out": self.leave_out,
        }
        rules |= learned | {"target_among_sources": self.target_among_sources}
        return {**rules, "mode": self.mode, "protocol": dict(self.protocol), "train_seeds": list(self.train_seeds)}


def _beside(suite: Path, text: Any) -> Any:
    """A file that a suite names, e.g. `mine.h5` or `mine.py:Mine`: in the current folder or else in the suite's own."""
    file = text.rpartition(":")[0] or text if isinstance(text, str) else ""
    if Path(file).suffix in (".h5", ".py") and not Path(file).exists() and (suite.parent / file).exists():
        return str(suite.parent / text)
    return text


def can_be_folder(name: str) -> bool:
    """Whether a folder can have this name, and lies where it is made."""
    return bool(name) and not name.startswith(".") and not any(c in name for c in "/\\\0")


def suites() -> dict[str, Path]:
    """Name -> file of every built-in suite."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}
