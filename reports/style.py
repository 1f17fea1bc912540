"""How things look: a hue and marker per family, a shade and line style per strategy in it; figures as SVG and PNG.

The hues were chosen so that the least difference between any two, in CIELAB as seen with red or green blindness
(Machado et al., IEEE TVCG 2009), is as large as twelve allow: 21, against 3 among the usual ones. Markers repeat what
hues say, and line styles what shades say.
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib
from matplotlib.colors import to_hex, to_rgb

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HUES = ("#0072b2", "#d55e00", "#009e73", "#b0508c", "#c48a00", "#3f9fd8", "#7a5c3e", "#4b4ba0")
"""Okabe and Ito's colours, for figures without strategies."""
FAMILIES: dict[str, tuple[str, str]] = {
    "random": ("#6a7380", "o"),
    "local search": ("#0069ff", "s"),
    "evolution": ("#e72a00", "^"),
    "reinforcement learning": ("#097041", "D"),
    "Bayesian optimisation": ("#6f2280", "v"),
    "predictor": ("#f09000", "P"),
    "zero-cost proxy": ("#2585d2", "X"),
    "multi-objective": ("#d59280", "<"),
    "hybrid": ("#2e00f6", ">"),
    "multi-fidelity": ("#87000c", "p"),
    "one-shot": ("#b3a650", "h"),
    "meta-learned": ("#540c3c", "d"),
    "own": ("#e885bf", "*"),
}
"""Family -> hue and marker; a family that is not here takes the first that no other family uses."""
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
    """How one strategy is drawn.

    Attributes:
        hue: of its family; `colour` is the shade that is its own.
    """

    colour: str
    dashes: tuple[float, ...]
    marker: str = "o"
    hue: str = ""

    @property
    def line(self) -> dict[str, Any]:
        """Keyword arguments for a matplotlib line."""
        return {"color": self.colour, "linestyle": (0, self.dashes) if self.dashes else "-"}

    @property
    def tint(self) -> str:
        """The family's hue as a pale background for text."""
        return mixed(self.hue or self.colour, "#ffffff", 0.82)


def looks(families: Mapping[str, str]) -> dict[str, Look]:
    """A look for every strategy, from strategy -> family: one hue and marker a family, a shade for every member."""
    present = list(dict.fromkeys(families.values()))
    free = [look for family, look in FAMILIES.items() if family not in present] or list(FAMILIES.values())
    others = [family for family in present if family not in FAMILIES]
    known = FAMILIES | {family: free[k % len(free)] for k, family in enumerate(others, 1 if len(free) > 1 else 0)}
    found = {}
    for family in present:
        hue, marker = known[family]
        members = [name for name in families if families[name] == family]
        for k, name in enumerate(members):
            found[name] = Look(_shade(hue, k, len(members)), DASHES[k % len(DASHES)], marker, hue)
    return found


DARKEST, LIGHTEST, STEP = 0.06, 0.3, 0.13
"""Luminance between which shades lie (and the hue itself), and the most by which the roots of neighbours' differ."""


def _shade(hue: str, k: int, many: int) -> str:
    """The k-th of `many` shades of a hue, dark to light around it; the hue itself if there is one."""
    if many == 1:
        return hue
    middle = _luminance(hue) ** 0.5
    low, high = min(middle, DARKEST**0.5), max(middle, LIGHTEST**0.5)
    span = min(STEP * (many - 1), high - low)
    start = min(max(middle - span / 2, low), high - span)
    target, own = (start + span * k / (many - 1)) ** 2, middle**2
    if target < own:
        return mixed(hue, "#000000", 1 - target / own, linear=True)
    return mixed(hue, "#ffffff", (target - own) / (1 - own), linear=True)


def mixed(colour: str, other: str, share: float, linear: bool = False) -> str:
    """A colour with a share of another mixed in, in light itself if `linear`, else as numbers of the screen."""
    ends = [tuple(map(_to_light, to_rgb(c))) if linear else to_rgb(c) for c in (colour, other)]
    parts = [a + share * (b - a) for a, b in zip(*ends, strict=True)]
    red, green, blue = (_from_light(part) if linear else part for part in parts)
    return to_hex((red, green, blue))


def _to_light(part: float) -> float:
    """A channel as a screen has it -> as light (sRGB)."""
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


def _from_light(part: float) -> float:
    return min(1.0, 12.92 * part if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055)


def _luminance(colour: str) -> float:
    red, green, blue = map(_to_light, to_rgb(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Matplotlib's settings for a report, from its defaults whatever the user's own are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        with warnings.catch_warnings():  # one a letter; SVG has the text itself
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
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
