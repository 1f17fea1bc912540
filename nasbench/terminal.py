"""What the command line's commands share: lists of names, tables of text, and a progress bar with the time left."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from .errors import NasbenchError

EVERY = 60.0
"""Seconds between two lines of progress where there is no terminal."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence."""

    def error(self, message: str) -> NoReturn:
        raise NasbenchError(f"{message}; see `{self.prog} --help`.")


def names(text: str) -> list[str]:
    """The names in "a, b, c"."""
    return [name.strip() for name in text.split(",") if name.strip()]


def some_names(text: str) -> list[str]:
    """As `names`, for an option of argparse that needs at least one."""
    found = names(text)
    if not found:
        raise argparse.ArgumentTypeError(f"names separated by commas are needed, not {text!r}")
    return found


def table_file(text: str) -> Path:
    """A file that a table can be written to, for an option of argparse."""
    path = Path(text)
    if path.suffix != ".h5" or path.is_dir():
        raise argparse.ArgumentTypeError(f"a table is written to a file called FILE.h5, not to {text!r}")
    return path


def plural(count: int, what: str) -> str:
    """As in `1 draw` and `5 draws`."""
    return f"{count} {what}{'s' * (count != 1)}"


class Progress:
    """A bar on a terminal; elsewhere silent, or a line a minute where `lines` is set. Both on standard error."""

    def __init__(self, title: str, unit: str = "runs", lines: bool = False) -> None:
        self._title, self._unit, self._lines = title, unit, lines
        self._first: tuple[float, int] | None = None
        self._said = 0.0

    def __enter__(self) -> Progress:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn(self._title),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(self._unit),
            TimeRemainingColumn(),
        )
        console = Console(stderr=True)
        self._lines = self._lines and not console.is_terminal
        self._bar = Bar(*columns, console=console)
        self._task = self._bar.add_task(self._title, total=None)
        if console.is_terminal:
            self._bar.start()
        return self

    def __call__(self, done: int, total: int) -> None:
        self._bar.update(self._task, completed=done, total=total)
        now = time.monotonic()
        if self._first is None:
            self._first, self._said = (now, done), now
        elif self._lines and now - self._said >= EVERY:
            self._said = now
            pace = (done - self._first[1]) / (now - self._first[0])
            left = f"{pace:.2g} a second, {(total - done) / pace / 60:.0f} minutes left" if pace else ""
            print(f"{self._title}: {done:,} of {total:,} {self._unit}; {left}", file=sys.stderr, flush=True)

    def __exit__(self, *_: object) -> None:
        if self._bar.console.is_terminal:  # elsewhere rich before 15 would write an empty line
            self._bar.stop()


def show(title: str, columns: Sequence[str], lines: Sequence[Sequence[Any]]) -> None:
    """Print a table of text."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=None, pad_edge=False)
    for line in lines:
        table.add_row(*map(str, line))
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    if title:
        console.print(title, highlight=False)
    console.print(table)
