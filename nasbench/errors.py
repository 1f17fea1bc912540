"""The one exception that users meet: its text is a full sentence, and the command line shows nothing else."""

from __future__ import annotations

import difflib
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path


class NasbenchError(ValueError):
    """An error of use: one sentence, shown without a traceback."""


def unknown(kind: str, name: object, known: Iterable[str]) -> NasbenchError:
    """The error for a name that is not among `known`, with the nearest one or, failing that, all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names) or 'none'}."
    return NasbenchError(f"unknown {kind} {name!r}; {hint}")


def place(error: BaseException) -> str:
    """Where a user's own code raised it, as " (mine.py, line 12)"; "" if none of it did."""
    ours, others = str(Path(__file__).parent), ("site-packages", "dist-packages")
    library = sysconfig.get_path("stdlib")
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = frame.filename
        if not file.startswith((ours, library, "<frozen")) and not any(name in Path(file).parts for name in others):
            return f" ({Path(file).name}, line {frame.lineno})"
    return ""


def first_line(error: BaseException) -> str:
    """Kind and first line of somebody else's exception, for use within a sentence."""
    text = str(error).strip().partition("\n")[0].rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
