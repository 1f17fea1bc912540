"""How things look: a hue per family, a shade and line style per strategy in it; figures as SVG and PNG.

The hues follow Okabe and Ito, "Color Universal Design", 2008, which the colour-blind can tell apart; line
styles repeat what shades say.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib
from matplotlib.colors import to_hex, to_rgb

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RANDOM_HUE = "#6a7380"
HUES = ("#0072b2", "#d55e00", "#009e73", "#b0508c", "#c48a00", "#3f9fd8", "#7a5c3e", "#4b4ba0")
DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1.2, 1.4), (6, 1.5, 1.2, 1.5), (2.5, 1.2), (8, 3))
INK, MUTED, RULE = "#1d2530", "#5b6675", "#d5dbe2"

SETTINGS: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#9aa5b1",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "grid.color": "#e8ecf0",
    "grid.linewidth": 0.7,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "savefig.facecolor": "white",
    "svg.fonttype": "none",
    "svg.hashsalt": "nasbench",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.labelsize": 8,
    "ytick.color": MUTED,
    "ytick.labelsize": 8,
}

FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"


ENLARGED = 1.3
"""How far a figure may be enlarged to fill the page."""


@dataclass(frozen=True)
class Look:
    """How one strategy is drawn."""

    colour: str
    dashes: tuple[float, ...]

    @property
    def line(self) -> dict[str, Any]:
        """Keyword arguments for a matplotlib line."""
        return {"color": self.colour, "linestyle": (0, self.dashes) if self.dashes else "-"}


def looks(families: Mapping[str, str]) -> dict[str, Look]:
    """A look for every strategy, from strategy -> family: one hue a family, grey for `random`."""
    others = [f for f in dict.fromkeys(families.values()) if f != "random"]
    hues = {family: HUES[k % len(HUES)] for k, family in enumerate(others)} | {"random": RANDOM_HUE}
    found = {}
    for family in dict.fromkeys(families.values()):
        members = [name for name in families if families[name] == family]
        for k, name in enumerate(members):
            found[name] = Look(_shade(hues[family], k, len(members)), DASHES[k % len(DASHES)])
    return found


def _shade(hue: str, k: int, many: int) -> str:
    """The k-th of `many` shades of a hue, from a little darker to lighter; the hue itself if there is one."""
    if many == 1:
        return hue
    share = -0.15 + 0.57 * k / (many - 1)
    target = (1.0, 1.0, 1.0) if share > 0 else (0.0, 0.0, 0.0)
    red, green, blue = (c + abs(share) * (t - c) for c, t in zip(to_rgb(hue), target, strict=True))
    return to_hex((red, green, blue))


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Matplotlib's settings for a report, from its defaults whatever the user's own are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


def to_svg(figure: Figure) -> str:
    """The figure as SVG text with real text and without date, machine or matplotlib's XML prologue."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = text.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg[svg.index("<svg") :], flags=re.S)
    return svg.replace("'DejaVu Sans'", FONTS).replace("DejaVu Sans, sans-serif", FONTS)


def to_png(figure: Figure) -> bytes:
    """The figure as a PNG without date or version; large ones at a lower resolution."""
    data = io.BytesIO()
    dpi = 200 if figure.get_figwidth() * figure.get_figheight() < 80 else 140
    figure.savefig(data, format="png", dpi=dpi, metadata={"Software": None})
    return data.getvalue()


def inline(svg: str, name: str, title: str) -> str:
    """SVG for inclusion in HTML: identifiers made unique by `name`, a title for those who do not see it."""
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'((?:xlink:)?href="#|url\(#)', rf"\g<1>{name}-", svg)
    escaped = title.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    found = re.search(r'<svg[^>]*? width="([\d.]+)pt"', svg)
    limit = f' style="max-width: {ENLARGED * float(found[1]):.0f}pt"' if found else ""
    return re.sub(r"<svg ", f'<svg role="img" aria-label="{escaped}"{limit} ', svg, count=1)
