"""A heat map of how alike a table's tasks order its rows, for the data card of a table of many tasks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from nasbench.errors import NasbenchError, unknown
from nasbench.files import replacing
from nasbench.tables.agreement import agreement

from .style import INK, styled, to_png, to_svg

if TYPE_CHECKING:
    from nasbench.tables import Table


def draw_agreement(table: Table, path: Path) -> Path:
    """Draw Spearman's correlations between all tasks into `path`, a .png or .svg file.

    NasbenchError for a table of one task, another kind of file, or one that cannot be written.
    """
    if path.suffix not in (".png", ".svg"):
        raise unknown("kind of figure", path.suffix, [".png", ".svg"])
    found = agreement(table)
    count = len(found.tasks)
    if count < 2:
        raise NasbenchError(f"{table.name} has one task; there is nothing to compare it with.")
    inches = max(4.0, 1.6 + 0.27 * count)
    with styled():
        figure = Figure(figsize=(inches + 1.2, inches), layout="compressed")
        ax = figure.subplots()
        low = min(0.0, float(np.nanmin(found.correlations)))
        image = ax.imshow(found.correlations, cmap="viridis", vmin=low, vmax=1)
        ax.set_xticks(range(count), list(found.tasks), rotation=90, fontsize=7)
        ax.set_yticks(range(count), list(found.tasks), fontsize=7)
        ax.grid(visible=False)
        for (i, j), value in np.ndenumerate(found.correlations):
            text = "" if np.isnan(value) else f"{value:.2f}".replace("0.", ".")
            dark = value < low + 0.6 * (1 - low)
            ax.text(j, i, text, ha="center", va="center", fontsize=5.5, color="white" if dark else INK)
        figure.colorbar(image, ax=ax, fraction=0.04, pad=0.02)
        title = "Spearman's correlation of validation accuracies\non the diagonal: two seeds of one task"
        ax.set_title(title, loc="left", fontsize=8, color=INK)
        with replacing(path) as temporary:
            temporary.write_bytes(to_png(figure) if path.suffix == ".png" else to_svg(figure).encode())
    return path
