"""The page of a check of a surrogate benchmark: do conclusions drawn on it hold on the table?

A check's folder is described in surrogates.carry_over; nothing is fitted or run here.
"""

from __future__ import annotations

import json
import math
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from nasbench.errors import NasbenchError
from nasbench.own_files import is_own

from . import comparisons, crowds, figures, style, tables
from .page import UTF8, Shown, environment, save_figure, save_table
from .statistics import rank_agreement
from .study import Curve, Study
from .style import INK, MUTED, Look

SIDES = ("table", "surrogate")
DOTS = 3000
"""Most trainings drawn in a scatter."""
BARS = 200
"""Most trainings whose intervals are drawn."""


class Sides(Study):
    """Two comparisons of one task as if they were two tasks of one: "table" and "surrogate"."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / SIDES[0])
        self._of = {side: Study(folder / side) for side in SIDES}
        self._task, self.tasks = self.tasks[0], list(SIDES)

    def curve(self, metric: str, task: str, strategy: str, along: str = "spent") -> Curve | None:
        return self._of[task].curve(metric, self._task, strategy, along)

    def end(self, task: str, along: str) -> float:
        return self._of[task].end(self._task, along)

    def resolution(self, task: str, metric: str) -> float:
        return self._of[task].resolution(self._task, metric)

    def finals(self, side: str) -> list[np.ndarray]:
        """Final validation regrets of each strategy's runs, inf for none."""
        frame = self._of[side].final["val"].loc[self._task]
        return [frame[name].dropna().to_numpy() for name in self.strategies]


class CheckStudy:
    """A check's folder, read.

    Attributes:
        facts: check.json, null as nan.
        sides: the runs.
        drift: drift.csv.
        names: strategies, the least regret on the table first.

    Raises:
        NasbenchError: the folder lacks something or is damaged.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self.facts: dict[str, Any] = _with_nan(json.loads((folder / "check.json").read_bytes()))
            self.drift = pd.read_csv(folder / "drift.csv")
            regret = self.facts["regret"]
            self.names: list[str] = sorted(regret, key=lambda name: (math.isnan(regret[name][0]), regret[name][0]))
            self.groups: list[dict[str, Any]] = self.facts["drift"]
        except FileNotFoundError as error:
            raise NasbenchError(
                f"{folder} lacks {Path(error.filename).name}; the same `nasbench fit --check` finishes it."
            ) from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise NasbenchError(f"the check in {folder} is damaged or of another release.") from None
        self.sides = Sides(folder)
        agreement, self.chance = rank_agreement({side: [self.sides.finals(side)] for side in SIDES})
        self.agreement = agreement[SIDES]


def _with_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: one if key == "schedule" else _with_nan(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_nan(one) for one in value]
    return math.nan if value is None else value


def again(study: CheckStudy) -> str:
    """The command that makes the check again."""
    facts, known = study.facts, study.sides.manifest["strategies"]
    chosen = [
        f"{known[name]['path']}:{known[name].get('name', name)}" if known[name].get("path") else name
        for name in facts["strategies"]
    ]
    home = facts.get("home", "")
    predictor = home if is_own(home) else facts["predictor"]
    parts = ["nasbench", "fit", "--table", facts["table"], "--task", facts["task"], "--predictor", predictor]
    parts += ["--train-sizes", str(facts["n"])]
    if facts["schedule"] is not None:
        parts += ["--schedule", str(facts["schedule"])]
    parts += ["--as-benchmark", "FILE.h5", "--check", "--seeds", str(facts["seeds"])]
    if facts["budget"] != "100evals":
        parts += ["--budget", facts["budget"]]
    if facts["afresh"]:
        parts += ["--train-afresh", str(facts["afresh"])]
    return shlex.join([*parts, "--strategies", ",".join(chosen)])


def build(study: CheckStudy, folder: Path) -> None:
    """Write the page, its figures and tables into an empty folder."""
    looks = style.looks(study.sides.families)
    with style.styled():
        drawn = _figures(study, looks, folder)
    shown = {table.name: table for table in (strategies_table(study), drift_table(study))}
    for table in shown.values():
        save_table(folder, table)
    page = (
        environment()
        .get_template("carry_over.html")
        .render(
            study=study,
            facts=study.facts,
            again=again(study),
            figures=drawn,
            tables=shown,
            looks=looks,
            number=tables.number,
            interval=tables.interval(study.agreement),
            worth=worth(study),
        )
    )
    (folder / "index.html").write_text(page, **UTF8)


def worth(study: CheckStudy) -> str:
    """What a search on the surrogate is worth where it counts, in one sentence."""
    own = [pair[0] for pair in study.facts["regret"].values() if not math.isnan(pair[0])]
    found = [value for value in study.facts["true_regret"].values() if not math.isnan(value)]
    if not own:
        return "No strategy found a cell with a result."
    if not found:
        return "The table has results for none of the cells that strategies find on the surrogate."
    spans = (f"{tables.number(min(values))} to {tables.number(max(values))}" for values in (found, own))
    sentence = (
        "Looked up in the table, what strategies find on the surrogate has a mean regret of {}; what they find on the "
    )
    return (sentence + "table itself, of {}.").format(*spans)


def _figures(study: CheckStudy, looks: dict[str, Look], folder: Path) -> dict[str, Shown]:
    curves = figures.bands(study.sides, "val", study.names)
    crowded = len(study.names) > figures.CROWD
    draw = crowds.overview if crowded else figures.anytime
    drawn = {"regret": (draw(study.sides, "val", looks, study.names, curves), "regret on table and surrogate")}
    if crowded:
        families = crowds.by_family(study.sides, "val", looks, study.names, curves)
        drawn["families"] = (families, "regret on table and surrogate, family by family")
    ranks = pd.DataFrame(study.facts["regret"], index=list(SIDES)).T.loc[study.names].rank(na_option="bottom")
    drawn["ranks"] = (comparisons.slopes(ranks, ["on the table", "on the surrogate"], looks), "places on both")
    if any(not math.isnan(without) for without, _ in study.facts["left_out"].values()):
        drawn["left_out"] = (left_out(study, looks), "Kendall's tau with and without what a strategy visits")
    if study.groups:
        drawn["drift"] = (drift(study), "predictions against trainings that the fit never saw")
    return {name: save_figure(folder, name, figure, title) for name, (figure, title) in drawn.items()}


def strategies_table(study: CheckStudy) -> tables.Table:
    """What every strategy ends with on both sides, and how well its cells are predicted."""
    facts, rows, records = study.facts, [], []
    digits = tables.digits_for(value for pair in facts["regret"].values() for value in pair)
    for name in study.names:
        (table, surrogate), (without, given) = facts["regret"][name], facts["left_out"][name]
        found = facts["true_regret"][name]
        values = {"table": table, "surrogate": surrogate, "found_on_surrogate": found}
        records.append({"strategy": name, **values, "tau_without": without, "tau_with": given})
        shown = [tables.number(value, digits) for value in values.values()]
        rows.append([tables.strategy(name), *shown, tables.number(without), tables.number(given)])
    columns = ["strategy", "regret on the table", "on the surrogate", "on the table, of what it found on the surrogate",
               "τ on visited cells, fitted without them", "fitted to any"]  # fmt: skip
    return tables.build("strategies", columns, rows, pd.DataFrame(records))


def drift_table(study: CheckStudy) -> tables.Table:
    """One row a group of trainings."""
    rows = []
    for one in study.groups:
        bias = f"{tables.signed(one['bias'])} [{tables.number(one['low'])}, {tables.number(one['high'])}]"
        seconds = tables.number(one["seconds"], 0 if one["seconds"] >= 100 else 1)
        rows.append([one["name"], f"{one['trainings']:,}", bias, tables.number(one["rmse"]),
                     tables.number(one["kendall"]), tables.share(one["coverage_90"]), seconds])  # fmt: skip
    columns = ["", "trainings", "bias [95 %]", "RMSE", "τ", "in 90 % interval", "training seconds"]
    return tables.build("drift", columns, rows, pd.DataFrame(study.groups))


def left_out(study: CheckStudy, looks: dict[str, Look]) -> Figure:
    """Kendall's tau on the cells that each strategy visited: fitted to any cells, and without these."""
    names = [name for name in study.names if not math.isnan(study.facts["left_out"][name][0])]
    label = 0.3 + 0.075 * max(map(len, study.names))
    width, height = label + 5.2, 0.21 * len(names) + 0.85
    figure = Figure(figsize=(width, height))
    ax = figure.add_axes((label / width, 0.5 / height, 5.0 / width, (height - 0.8) / height))
    for row, name in enumerate(names):
        (without, given), look = study.facts["left_out"][name], looks[name]
        ax.plot([given, without], [row, row], color=look.colour, linewidth=1.6, zorder=2)
        ax.plot([given], [row], "o", color="white", markeredgecolor=look.colour, markersize=5, zorder=3)
        ax.plot([without], [row], "o", color=look.colour, markersize=5, zorder=3)
    ax.set_yticks(range(len(names)), names, color=INK)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("Kendall's τ on the cells that the strategy visited")
    ax.plot([], [], "o", color="white", markeredgecolor=MUTED, label="fitted to any cells")
    ax.plot([], [], "o", color=MUTED, label="fitted without them")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.1)
    return figure


def drift(study: CheckStudy) -> Figure:
    """Predicted against trained accuracies, one panel a group; intervals where there are few."""
    names = [one["name"] for one in study.groups]
    trained = study.drift["trained"].to_numpy()
    low, high = float(np.percentile(trained, 5)), float(trained.max())
    span = (low - 0.06 * (high - low), high + 0.06 * (high - low))
    figure = Figure(figsize=(0.5 + 2.6 * len(names), 2.95), layout="constrained")
    axes = figure.subplots(1, len(names), squeeze=False, sharex=True, sharey=True)[0]
    for ax, name in zip(axes, names, strict=True):
        group = study.drift[study.drift["group"] == name]
        shown = group.iloc[np.sort(np.random.default_rng(0).permutation(len(group))[:DOTS])]
        x, y = shown["trained"].to_numpy(), shown["predicted"].to_numpy()
        if len(shown) <= BARS:
            ax.errorbar(x, y, 1.645 * shown["spread"].to_numpy(), fmt="none", ecolor=style.HUES[0], alpha=0.35,
                        linewidth=1)  # fmt: skip
        few = len(shown) <= BARS
        ax.plot(x, y, "o" if few else ".", color=style.HUES[0], markersize=3.5 if few else 2,
                alpha=0.9 if few else 0.35, rasterized=not few)  # fmt: skip
        ax.plot(span, span, color=MUTED, linewidth=0.8)
        ax.set(xlim=span, ylim=span, title=name)
    figure.supxlabel("trained (%)", fontsize=9)
    figure.supylabel("predicted (%)", fontsize=9)
    return figure
