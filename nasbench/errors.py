"""The one exception that users meet: its text is a full sentence, and the command line shows nothing else."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NasbenchError(ValueError):
    """An error of use: one sentence, shown without a traceback."""


def unknown(kind: str, name: str, known: Iterable[str]) -> NasbenchError:
    """The error for a name that is not among `known`, with the nearest one or, failing that, all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names) or 'none'}."
    return NasbenchError(f"unknown {kind} {name!r}; {hint}")


def first_line(error: BaseException) -> str:
    """Kind and first line of somebody else's exception, for use within a sentence."""
    text = str(error).strip().partition("\n")[0].rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
