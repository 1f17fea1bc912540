"""What the meta-learned strategies share: the source tasks, checked, and how good sources find a strategy's candidates.

Reading the sources enters what they cost into the ledger, on a line of its own (charging rule 9).
"""

from __future__ import annotations

import numpy as np

from nasbench.errors import NasbenchError
from nasbench.runs.strategy import Problem
from nasbench.tables.source_tasks import Sources
from surrogates.meta.standings import positions, standings

from .candidates import Candidates


def source_tasks(problem: Problem, strategy: str, least: int = 1) -> Sources:
    """The sources; NasbenchError where there are none, too few, or of another space."""
    problem.require("sources", strategy)
    assert problem.sources is not None
    sources = problem.sources()
    if sources.space.whole.name != problem.space.whole.name:
        raise NasbenchError(
            f"{strategy} learns on tasks of the space {sources.space.name}, and this is {problem.space.whole.name}."
        )
    if len(sources) < least:
        raise NasbenchError(
            f"{strategy} learns what differs between tasks and needs at least {least} source tasks, not {len(sources)}."
        )
    return sources


def mean_standing(sources: Sources, candidates: Candidates) -> np.ndarray:
    """[m] mean over the sources of where each candidate stands."""
    mean: np.ndarray = standings(sources).mean(axis=1)[positions(sources.space.whole, candidates.decisions)]
    return mean
