"""The predictors of a study: sent to processes that may lack them, and told from others that go by the same name."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from nasbench.errors import NasbenchError, first_line
from nasbench.own_files import is_own
from nasbench.processes import deaf_to_interrupts, parallel
from nasbench.runs.identity import file_digest, own_digest
from nasbench.spaces import Space

from . import CATALOGUE, build


@dataclass(frozen=True)
class Chosen:
    """A predictor as a process needs it whose catalogue lacks it: unfitted, with its name and what it sees.

    One in a file of one's own is built anew there from `origin`, its home and the other arguments of `build`.
    """

    name: str
    sees: str
    predictor: Any
    origin: tuple[str, str | Space, int] | None = None

    @classmethod
    def of(cls, name: str, space: str | Space, horizon: int = 12) -> Self:
        """The catalogue's; arguments and errors as for `build`."""
        home = CATALOGUE[name].home
        origin = (os.path.abspath(home), space, horizon) if is_own(home) else None
        return cls(name, CATALOGUE[name].sees, build(name, space, horizon), origin)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.origin is None:
            return type(self), (self.name, self.sees, self.predictor)
        return _built_anew, (self.name, self.sees, self.origin)


def _built_anew(name: str, sees: str, origin: tuple[str, str | Space, int]) -> Chosen:
    return Chosen(name, sees, build(*origin), origin)


def in_processes(function: Callable[..., Any], calls: Iterable[tuple[Any, ...]], jobs: int) -> Iterator[Any]:
    """What the function gives for each call's arguments, in any order.

    NasbenchError where a process dies or cannot be asked.
    """
    from joblib import delayed

    tasks = (delayed(function)(*arguments) for arguments in calls)
    try:
        with deaf_to_interrupts():
            found = parallel(jobs, return_as="generator_unordered", max_nbytes=None)(tasks)
        yield from found
    except pickle.PicklingError as error:
        raise NasbenchError(
            f"a predictor cannot be sent to another process; fit with one: {first_line(error)}."
        ) from error
    except BrokenProcessPool as error:
        raise NasbenchError(
            "a worker process died, killed by the system or for want of a predictor's module; what was finished is "
            "kept, and the same command goes on from there."
        ) from error


def describe(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Of every predictor where it comes from, enough to notice that another one goes by the same name.

    `sha256` is of the source file of its home, or of the code of one in a file of one's own; "" where none can be read.
    """
    homes = {name: CATALOGUE[name].home for name in names}
    return {
        name: {"home": home, "sha256": own_digest(*home.rsplit(":", 1)) if is_own(home) else file_digest(home)}
        for name, home in homes.items()
    }


def _same(old: dict[str, str], new: dict[str, str]) -> bool:
    """Whether two descriptions are of one predictor; where a file of one's own lies does not matter."""
    return old == new or (is_own(old["home"]) and is_own(new["home"]) and old["sha256"] == new["sha256"])


def same_code(folder: Path, old: dict[str, Any], new: dict[str, Any], drawn: Callable[[str], bool]) -> dict[str, Any]:
    """What both manifests say of the code of predictors, the new one where both do.

    Args:
        old, new: of the folder and of what is asked; their `code` is from `describe`, and an old one may lack it.
        drawn: whether the folder holds results of a predictor.

    Raises:
        NasbenchError: the folder holds results of another predictor of the same name.
    """
    before: dict[str, Any] = dict(old.get("code", {}))
    for name, description in new["code"].items():
        if not _same(before.get(name, description), description) and drawn(name):
            raise NasbenchError(f"{folder} holds results of another predictor called {name!r}; choose another folder.")
    return before | new["code"]
