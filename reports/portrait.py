"""One figure of a table's task, for its data card: accuracies, learning curves, seed noise, and the best cells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nasbench.errors import NasbenchError, unknown
from nasbench.files import replacing

from .style import HUES, INK, styled, to_png, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from nasbench.tables import Curves, Table

CELLS = 4
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def draw_table(table: Table, task: str, path: Path, schedule: int | None = None) -> Path:
    """Draw one task of a table into `path`, a .png or .svg file.

    NasbenchError for an unknown task or kind of file, or one that cannot be written.
    """
    if path.suffix not in (".png", ".svg"):
        raise unknown("kind of figure", path.suffix, [".png", ".svg"])
    curves = table.curves(task, schedule)
    with styled():
        figure = Figure(figsize=(9.6, 5.6))
        grid = figure.add_gridspec(
            2, 1, height_ratios=(1.25, 1), hspace=0.45, left=0.07, right=0.98, top=0.87, bottom=0.03
        )
        panels: Any = grid[0].subgridspec(1, 3, wspace=0.28).subplots()
        _distribution(panels[0], curves)
        _learning(panels[1], curves)
        _seeds(panels[2], curves)
        mean = curves.mean("val_acc")
        best = np.argsort(-np.where(np.isnan(mean), -np.inf, mean), kind="stable")[:CELLS]
        drawings: Any = grid[1].subgridspec(1, CELLS).subplots()
        for ax, row in zip(drawings, best.tolist(), strict=False):
            number = int(table.cells[row])
            table.space.draw(table.space.cell(number), ax)
            ax.set_title(f"cell {number}: {mean[row]:.2f} %", fontsize=9)
        figure.suptitle(
            f"{task}: {len(table):,} {table.rows}, {curves.schedule} epochs", x=0.02, y=0.98, ha="left", color=INK
        )
        with replacing(path) as temporary:
            temporary.write_bytes(to_png(figure) if path.suffix == ".png" else to_svg(figure).encode())
    return path


def _distribution(ax: Axes, curves: Curves) -> None:
    mean = curves.mean("val_acc")
    known = mean[~np.isnan(mean)]
    if not len(known):
        raise NasbenchError(f"there is nothing to draw: no cell has a result on {curves.task!r}.")
    low = np.quantile(known, 0.02)
    ax.hist(np.maximum(known, low), bins=50, color=HUES[0])
    ax.set_title("accuracies, mean over seeds", fontsize=9)
    ax.set_xlabel(f"validation accuracy, % (below {low:.1f} drawn there)", fontsize=8)
    ax.set_ylabel("rows")


def _learning(ax: Axes, curves: Curves) -> None:
    ax.set_title("learning curves", fontsize=9)
    ax.set_xlabel("epoch", fontsize=8)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_ylabel("validation accuracy, %", fontsize=8)
    values = [curves.mean("val_acc", epoch) for epoch in curves.epochs]
    levels = np.array(
        [np.quantile(v[~np.isnan(v)], QUANTILES) if not np.isnan(v).all() else [np.nan] * 5 for v in values]
    )
    ax.fill_between(curves.epochs, levels[:, 0], levels[:, 4], color=HUES[0], alpha=0.15, linewidth=0)
    ax.fill_between(curves.epochs, levels[:, 1], levels[:, 3], color=HUES[0], alpha=0.3, linewidth=0)
    ax.plot(curves.epochs, levels[:, 2], color=HUES[0], marker="" if len(values) > 1 else "o")
    ax.text(0.97, 0.05, "median, 50 % and 90 % of rows", transform=ax.transAxes, ha="right", fontsize=7)


def _seeds(ax: Axes, curves: Curves) -> None:
    ax.set_title("two seeds of one row", fontsize=9)
    values = curves.at("val_acc", curves.schedule)
    if values.shape[1] < 2:
        ax.text(0.5, 0.5, "one seed", transform=ax.transAxes, ha="center")
        return
    first, second = values[:, 0], values[:, 1]
    low = float(np.nanquantile(values, 0.02))
    ax.plot(first, second, ".", color=HUES[1], markersize=1.5, alpha=0.4, rasterized=True)
    limits = (low, float(np.nanmax(values)) + 0.02 * (float(np.nanmax(values)) - low))
    ax.plot(limits, limits, color=INK, linewidth=0.6)
    ax.set_xlim(limits)
    ax.set_ylim(limits)
    ax.set_xlabel(f"seed {curves.seeds[0]}, %", fontsize=8)
    ax.set_ylabel(f"seed {curves.seeds[1]}, %", fontsize=8)
