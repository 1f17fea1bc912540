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
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import NasbenchError, unknown
from .budget import Budget
from .run import OBSERVE

MODES = ("table", "train")
FOLDER = Path(__file__).parent / "suites"
_TYPES: dict[str, tuple[type, ...]] = {
    "tasks": (list, tuple),
    "strategies": (list, tuple),
    "seeds": (int,),
    "budget": (str,),
    "protocol": (dict,),
    "train_seeds": (list, tuple),
}


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
        mode: "table" looks results up; "train" trains afresh, and the tasks are those of `nasbench task list`.
        protocol: in mode "train", fields of the training protocol that differ from the task's own.
        train_seeds: in mode "train", the training seeds that can be observed.
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
    title: str = ""
    reference: Mapping[str, Mapping[str, tuple[float, float]]] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("tasks", "strategies", "notes", "train_seeds"):
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
        Budget.parse(self.budget)
        if self.observe not in OBSERVE:
            raise unknown("way to observe", self.observe, OBSERVE)
        if self.mode == "surrogate":
            raise NasbenchError("mode 'surrogate' is not there yet in this release; use 'table' or 'train'.")
        if self.mode not in MODES:
            raise unknown("mode", self.mode, MODES)
        if self.mode == "table" and self.protocol:
            raise NasbenchError(f"suite {self.name!r} sets a protocol, which only mode 'train' has.")
        if self.mode == "train" and (self.schedule or self.score_schedule or self.search_task):
            raise NasbenchError(
                f"suite {self.name!r} sets schedule, score_schedule or search_task, which only tables have; "
                "mode 'train' takes the epochs of its protocol."
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
        return cls.from_fields({"name": path.stem, **fields})

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Suite:
        """From plain values; NasbenchError for an unknown or a missing one."""
        known = {f.name: f for f in dataclasses.fields(cls)}
        for name, value in fields.items():
            if name not in known:
                raise unknown("entry of a suite", name, known)
            if name in _TYPES and not isinstance(value, _TYPES[name]):
                raise NasbenchError(f"the suite's entry {name!r} has the wrong type: {value!r}.")
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
        return {**rules, "mode": self.mode, "protocol": dict(self.protocol), "train_seeds": list(self.train_seeds)}


def suites() -> dict[str, Path]:
    """Name -> file of every built-in suite."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}
