"""The page of a study of predictors (`nasbench fit`): how well each ranks unseen cells, how fast, how honestly.

A study's folder is described in surrogates.study; nothing is fitted here.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from scipy.special import ndtr

from nasbench.errors import NasbenchError
from nasbench.own_files import is_own

from . import style, tables
from .findings import about_intervals
from .page import UTF8, environment, save_figure, save_table
from .statistics import band
from .style import INK, MUTED, RULE, Look

DOTS = 3000
"""Most cells drawn in a scatter."""
ACROSS = 4
METRICS = {
    "kendall": "Kendall's τ", "kendall_unseen": "τ, unseen classes", "spearman": "Spearman's ρ",
    "sparse_kendall": "sparse τ", "r2": "R²", "rmse": "RMSE",
    "precision_top1": "precision at top 1 %", "regret": "regret of the predicted best",
    "coverage_90": "in 90 % interval", "coverage_90_unseen": "in 90 %, unseen classes",
    "calibration_error": "calibration error",
    "fit_seconds": "fit, s", "query_seconds": "query, s",
}  # fmt: skip
RANKS = ("kendall", "kendall_unseen", "spearman", "sparse_kendall")
"""Scores that a prediction which is the same for all cells has none of."""


class PredictorStudy:
    """A study's folder, read.

    Attributes:
        facts: study.json.
        scores: [predictor, n, seed, metric, value] of scores.csv and seconds.csv.
        constant: draws in which a predictor gave all cells the same value. They count as a tau of 0.
        names: predictors, the best tau at the largest n first.
        examples: examples.npz.

    Raises:
        NasbenchError: the folder lacks something or is damaged.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self.facts: dict[str, Any] = json.loads((folder / "study.json").read_bytes())
            self.scores = pd.concat([pd.read_csv(folder / name) for name in ("scores.csv", "seconds.csv")])
            with np.load(folder / "examples.npz") as file:
                self.examples = {name: file[name] for name in file.files}
            self.sizes = sorted(self.facts["train_sizes"])
            self.constant = self._count_constant()
            taus = self.means("kendall")[self.sizes[-1]]
            self.names: list[str] = list(taus.sort_values(ascending=False, kind="stable").index)
        except FileNotFoundError as error:
            raise NasbenchError(
                f"{folder} lacks {Path(error.filename).name}; the same `nasbench fit` finishes it."
            ) from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise NasbenchError(f"the study in {folder} is damaged or of another release.") from None

    def _count_constant(self) -> int:
        """Give draws in which all predictions are the same, which rank nothing, rank correlations of 0; how many."""
        frame = self.scores.reset_index(drop=True)
        empty = frame["value"].isna()
        draw = pd.MultiIndex.from_frame(frame[["predictor", "n", "seed"]])
        constant = draw[empty & (frame["metric"] == "kendall")]
        ranks = frame["metric"].isin(RANKS) & draw.isin(constant)
        frame.loc[empty & ranks, "value"] = 0.0
        self.scores = frame
        return len(constant)

    def means(self, metric: str) -> pd.DataFrame:
        """Mean over draws, predictors by sizes."""
        chosen = self.scores[self.scores["metric"] == metric]
        return chosen.pivot_table("value", "predictor", "n", "mean", dropna=False)

    def values(self, metric: str, name: str) -> np.ndarray:
        """Values [seed, size]."""
        chosen = self.scores[(self.scores["metric"] == metric) & (self.scores["predictor"] == name)]
        return chosen.pivot(index="seed", columns="n", values="value")[self.sizes].to_numpy()

    @property
    def unit(self) -> str:
        return "%" if self.facts["target"] == "accuracy" else "s"


def build(study: PredictorStudy, folder: Path) -> None:
    """Write the page, its figures and tables into an empty folder."""
    looks = style.looks({name: study.facts["families"].get(name, "") for name in study.names})
    drawn = {
        "tau": (tau_by_size(study, looks), "Kendall's tau against the number of labels"),
        "time": (tau_by_time(study, looks), "Kendall's tau against seconds of fitting"),
        "scatter": (scatter(study, looks), "predictions against the truth"),
        "calibration": (calibration(study, looks), "calibration of the spread"),
    }
    if "effects" in study.examples:
        drawn["effects"] = (effects(study), "importance of operations and edges")
    with style.styled():
        figures = {name: save_figure(folder, name, figure, title) for name, (figure, title) in drawn.items()}
    shown = scores_table(study)
    save_table(folder, shown)
    page = (
        environment()
        .get_template("predictors.html")
        .render(
            study=study,
            facts=study.facts,
            figures=figures,
            tables={"scores": shown},
            looks=looks,
            headline=headline(study),
            again=again(study),
            about_intervals=about_intervals,
        )
    )
    (folder / "index.html").write_text(page, **UTF8)


def again(study: PredictorStudy) -> str:
    """The command that makes the study again."""
    facts = study.facts
    parts = ["nasbench", "fit", "--table", facts.get("address", facts["table"]), "--task", facts["task"]]
    parts += ["--predictor", ",".join(as_asked(facts)), "--train-sizes", ",".join(map(str, facts["train_sizes"]))]
    parts += ["--seeds", str(facts["seeds"])]
    if facts["target"] != "accuracy":
        parts += ["--target", facts["target"]]
    for name in ("schedule", "curve_epochs"):
        if facts[name] is not None:
            parts += [f"--{name.replace('_', '-')}", str(facts[name])]
    return shlex.join(parts)


def as_asked(facts: dict[str, Any]) -> list[str]:
    """A study's predictors as `--predictor` takes them: those of one's own by their files."""
    homes = {name: one.get("home", "") for name, one in facts.get("code", {}).items()}
    return [homes[name] if is_own(homes.get(name, "")) else name for name in facts["predictors"]]


def headline(study: PredictorStudy) -> list[str]:
    """The findings, one sentence each."""
    n, best = study.sizes[-1], study.names[0]
    tau = study.means("kendall")[n]
    level = [name for name in study.names[1:] if not _behind(study, name)]
    if not study.values("kendall", best)[:, -1].any():
        found = [f"With {n} labels, no predictor ranks cells left out: all predictions are the same."]
    else:
        mean = f"Kendall's τ = {tau[best]:.3f}, mean over {draws(study)}"
        found = [f"With {n} labels, {best} ranks cells left out best: {mean}."]
        if level:
            who = (
                " and ".join(f"{name} ({tau[name]:.3f})" for name in level)
                if len(level) < 3
                else f"{len(level)} others"
            )
            found.append(f"On these draws {who} cannot be told apart from it.")
    ceiling = study.facts["ceiling"]
    if ceiling is not None:
        found.append(
            f"A predictor that knew every cell's true mean would reach about {ceiling:.3f}, as noisy as the truth is."
        )
    if len(study.names) > 1:
        fastest = study.means("fit_seconds")[n].idxmin()
        if fastest != best:
            found.append(f"The fastest to fit is {fastest}, with τ = {tau[fastest]:.3f}.")
    return found


def _behind(study: PredictorStudy, name: str) -> bool:
    """Whether tau is behind the best predictor's: a 95 % bootstrap interval over draws excludes 0, or there is none."""
    apart = study.values("kendall", study.names[0])[:, -1:] - study.values("kendall", name)[:, -1:]
    apart = apart[~np.isnan(apart).any(axis=1)]
    return len(apart) < 2 or bool(band(apart)[1][0] > 0)


def draws(study: PredictorStudy) -> str:
    seeds = study.facts["seeds"]
    return "one draw" if seeds == 1 else f"{seeds} draws"


def scores_table(study: PredictorStudy) -> tables.Table:
    """Means over draws at the largest number of labels; the best of each column in bold, none without a value."""
    n = study.sizes[-1]
    frame = pd.DataFrame(
        {metric: study.means(metric)[n] for metric in METRICS if metric in set(study.scores["metric"])}
    )
    frame = frame.loc[study.names].dropna(axis="columns", how="all")
    if {"kendall", "kendall_unseen"} <= set(frame) and frame["kendall_unseen"].equals(frame["kendall"]):
        frame = frame.drop(columns=["kendall_unseen", "coverage_90_unseen"], errors="ignore")  # a row is a class
    low = {"rmse", "regret", "calibration_error", "fit_seconds", "query_seconds"}
    best = {m: frame[m].sub(0.9).abs().idxmin() if m.startswith("coverage_90") else frame[m].idxmin() if m in low
            else frame[m].idxmax() for m in frame}  # fmt: skip
    rows = [
        [tables.strategy(name), *(tables.Text(tables.number(frame.loc[name, m], 3), best[m] == name) for m in frame)]
        for name in study.names
    ]
    columns = ["predictor", *(METRICS[m] for m in frame)]
    return tables.build("scores", columns, rows, frame.reset_index())


def tau_by_size(study: PredictorStudy, looks: dict[str, Look]) -> Figure:
    """Mean tau and its bootstrap interval over draws."""
    with style.styled():
        figure = Figure(figsize=(7.6, 4.0))
        ax = figure.add_axes((0.08, 0.13, 0.64, 0.82))
        for name in study.names:
            mean, low, high = band(study.values("kendall", name))
            ax.plot(study.sizes, mean, marker="o", markersize=3.5, label=name, **looks[name].line)
            ax.fill_between(study.sizes, low, high, color=looks[name].colour, alpha=0.15, linewidth=0)
        if study.facts["ceiling"] is not None:
            ax.axhline(study.facts["ceiling"], color=MUTED, linewidth=0.9, linestyle=(0, (3, 2)), label="noise ceiling")
        _sizes_axis(ax, study.sizes)
        ax.set_ylabel("Kendall's τ on unseen cells")
        ax.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), handlelength=3)
    return figure


def tau_by_time(study: PredictorStudy, looks: dict[str, Look]) -> Figure:
    """Every predictor at its mean time of fitting with the largest n; a line joins those that none beats in both."""
    n = study.sizes[-1]
    taus, seconds = study.means("kendall")[n], study.means("fit_seconds")[n]
    with style.styled():
        figure = Figure(figsize=(7.6, 4.0))
        ax = figure.add_axes((0.08, 0.13, 0.88, 0.82))
        front = [a for a in study.names if not any(
            taus[b] >= taus[a] and seconds[b] <= seconds[a] and (taus[b], seconds[b]) != (taus[a], seconds[a])
            for b in study.names
        )]  # fmt: skip
        front.sort(key=lambda name: seconds[name])
        ax.plot(seconds[front], taus[front], color=RULE, linewidth=1.4, drawstyle="steps-post", zorder=1)
        for name in study.names:
            ax.plot(seconds[name], taus[name], "o", color=looks[name].colour, markersize=6)
            ax.annotate(name, (seconds[name], taus[name]), (6, 4), textcoords="offset points", color=INK,
                        fontweight="bold" if name in front else "normal")  # fmt: skip
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        ax.xaxis.set_minor_formatter(FuncFormatter(lambda x, _: ""))
        ax.margins(x=0.16, y=0.12)
        ax.set_xlabel(f"seconds to fit {n} labels (logarithmic; measured, mean over draws)")
        ax.set_ylabel("Kendall's τ on unseen cells")
    return figure


def scatter(study: PredictorStudy, looks: dict[str, Look]) -> Figure:
    """Predicted against true values of the first draw with the largest n."""
    truth = study.examples["truth"]
    shown = np.sort(np.random.default_rng(0).permutation(len(truth))[:DOTS])
    low = np.percentile(truth, 5)
    span = (low - 0.05 * (truth.max() - low), truth.max() + 0.05 * (truth.max() - low))
    with style.styled():
        figure, axes = _panels(study.names)
        for ax, name in zip(axes, study.names, strict=False):
            mean = study.examples[f"mean {name}"]
            ax.plot(truth[shown], mean[shown], ".", color=looks[name].colour, markersize=2, alpha=0.4, rasterized=True)
            ax.plot(span, span, color=MUTED, linewidth=0.8)
            ax.set(xlim=span, ylim=span, title=name)
            outside = ~((mean >= span[0]) & (mean <= span[1]) & (truth >= span[0]))
            ax.text(0.03, 0.97, f"{tables.share(float(outside.mean()))} outside", transform=ax.transAxes, va="top",
                    fontsize=7, color=MUTED)  # fmt: skip
        figure.supxlabel(f"truth ({study.unit})", fontsize=9)
        figure.supylabel(f"predicted ({study.unit})", fontsize=9)
    return figure


def calibration(study: PredictorStudy, looks: dict[str, Look]) -> Figure:
    """Share of truths below each predicted quantile, the first draw with the largest n."""
    truth, levels = study.examples["truth"], np.linspace(0, 1, 101)
    with style.styled():
        figure = Figure(figsize=(6.2, 4.0))
        ax = figure.add_axes((0.1, 0.13, 0.56, 0.82))
        ax.plot((0, 1), (0, 1), color=MUTED, linewidth=0.8)
        for name in study.names:
            spread = np.maximum(study.examples[f"spread {name}"], 1e-12)
            below = ndtr((truth - study.examples[f"mean {name}"]) / spread)
            ax.plot(levels, (below[:, None] <= levels).mean(axis=0), label=name, **looks[name].line)
        ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="predicted quantile", ylabel="share of truths below it")
        ax.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), handlelength=3)
    return figure


def effects(study: PredictorStudy) -> Figure:
    """Mean SHAP value of each operation on each edge, as a heat map and as widths of the cell's edges."""
    values, operations = study.examples["effects"], [str(name) for name in study.examples["operations"]]
    edges = [tuple(edge) for edge in study.examples["edges"].tolist()]
    most = float(np.abs(values).max()) or 1.0
    with style.styled():
        figure = Figure(figsize=(8.6, 3.4))
        ax = figure.add_axes((0.07, 0.28, 0.42, 0.66))
        ax.imshow(values, cmap="RdBu", vmin=-most, vmax=most, aspect="auto")
        ax.grid(False)
        ax.set_xticks(
            range(len(operations)), [name.removeprefix("nor_") for name in operations], rotation=30, ha="right"
        )
        ax.set_yticks(range(len(edges)), [f"{a} → {b}" for a, b in edges])
        for (i, j), value in np.ndenumerate(values):
            ax.text(j, i, f"{value:+.2f}", ha="center", va="center", fontsize=7.5,
                    color="white" if abs(value) > 0.6 * most else INK)  # fmt: skip
        drawing = figure.add_axes((0.55, 0.05, 0.44, 0.9))
        places = {0: (0.0, 0.5), 1: (0.36, 0.95), 2: (0.64, 0.05), 3: (1.0, 0.5)}
        spans = np.ptp(values, axis=1)
        for edge, span, value in zip(edges, spans, values, strict=True):
            (x0, y0), (x1, y1) = places[edge[0]], places[edge[1]]
            width = 0.5 + 6 * span / max(spans.max(), 1e-12)
            drawing.plot((x0, x1), (y0, y1), color=style.HUES[0], linewidth=width, zorder=1)
            best = operations[int(value.argmax())].removeprefix("nor_")
            at = {(0, 3): 0.25, (1, 2): 0.25, (1, 3): 0.6}.get(edge, 0.42)  # so that no two names touch
            where = x0 + at * (x1 - x0), y0 + at * (y1 - y0)
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            drawing.text(*where, f"{best}\n±{span / 2:.2f}", ha="center", va="center", fontsize=7.5, bbox=box)
        for node, (x, y) in places.items():
            drawing.plot(x, y, "o", color="white", markeredgecolor=INK, markersize=15)
            drawing.text(x, y, str(node), ha="center", va="center")
        drawing.set(xlim=(-0.08, 1.08), ylim=(-0.12, 1.12))
        drawing.set_axis_off()
    return figure


def _panels(names: Sequence[str]) -> tuple[Figure, list[Any]]:
    across = min(ACROSS, len(names))
    down = -(-len(names) // across)
    figure = Figure(figsize=(max(2.35 * across + 0.5, 3.4), 2.2 * down + 0.45), layout="constrained")
    axes = list(figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).flat)
    for ax in axes[len(names) :]:
        ax.set_visible(False)
    return figure, axes


def _sizes_axis(ax: Any, sizes: Sequence[int]) -> None:
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(list(sizes)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    ax.set_xlabel("labelled cells (logarithmic)")
