"""Do conclusions drawn on a surrogate hold on the table it was fitted to, and on what is trained since?

    folder = run_check(Check("nasbench201", "cifar10", ("random_search", ...)), table, surrogate, CATALOGUE, "out")

Ranking: the same strategies, seeds and budget on both; do they end in the same order? Leaving a strategy out: a
surrogate is fitted without the cells that one strategy visits on the table, and has to predict just those. A surrogate
that has only seen random cells may rank them well on the whole and be wrong where a search goes. Drift: see
surrogates.drift. The folder holds:

    check.json    what was asked and what was found
    drift.csv     group, cell, seed, predicted, spread, trained, seconds
    table/        the comparison on the table, surrogate/ that on the surrogate, as nasbench.runs.compare writes them
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from nasbench.errors import NasbenchError
from nasbench.files import holds, replacing, write_whole
from nasbench.runs import Results, Suite, compare
from nasbench.runs.compare import check_folder
from nasbench.tables import Table

from . import CATALOGUE
from .benchmark import Sample, draw_sample, fit
from .drift import WORDS, Afresh, Group, known_groups
from .fitted import Fitted
from .study import space_cells

AGREE = 0.7
"""Kendall's tau of the strategies' order from which the ranking is said to carry over."""
LOSS = 0.1
"""Fall of tau, from sampled to left-out cells, up to which the searched region is said to be predicted as well."""
COVERED = 0.8
"""Share of the newest trainings in the predicted 90 % interval from which predictions are said to hold."""
FORMAT = 1
PARTS = {"check.json", "drift.csv", "table", "surrogate", "report"}
Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class Check:
    """What is asked.

    Attributes:
        table, task: the table as it was named, and its task.
        strategies: names, at least three.
        predictor, n, seed, schedule: of the surrogate, see make_benchmark.
        budget, seeds: of the runs.
        afresh: classes of cells that are trained now; 0 for none.
    """

    table: str
    task: str
    strategies: tuple[str, ...]
    predictor: str = "gp"
    n: int = 500
    seed: int = 0
    schedule: int | None = None
    budget: str = "100evals"
    seeds: int = 10
    afresh: int = 0


def enough(strategies: Collection[str]) -> None:
    """NasbenchError where there are too few to compare a ranking of."""
    if len(strategies) < 3:
        raise NasbenchError(f"a ranking is compared of at least 3 strategies, not of {len(strategies)}.")


def run_check(
    check: Check,
    table: Table,
    surrogate: Table,
    strategies: Mapping[str, Callable[..., Any]],
    out: str | Path,
    jobs: int = 1,
    progress: Progress | None = None,
    data: Path | None = None,
) -> Path:
    """Make the runs that the folder does not hold yet, fit and train what the check needs, and return the folder.

    Args:
        surrogate: what `make_benchmark` made of the table with the check's predictor, n, seed and schedule.
        strategies: what builds each strategy.
        jobs: processes, at least 1.
        progress: called with (runs done, runs in all).
        data: folder of data sets for trainings afresh, beside the usual ones.

    Raises:
        NasbenchError: fewer than three strategies, a table that cannot be trained afresh, or a folder of other things
            or of more runs.
    """
    folder = Path(out)
    sample, afresh, unseen = prepare(check, table, surrogate, strategies, folder, data)
    (folder / "check.json").unlink(missing_ok=True)
    on_table_suite, on_surrogate_suite = _suites(check, surrogate)
    runs = 2 * len(check.strategies) * check.seeds

    def count(before: int) -> Progress | None:
        return progress and (lambda done, _: progress(before + done, runs))

    on_table = compare(on_table_suite, strategies, folder / "table", table, jobs, count(0))
    on_surrogate = compare(on_surrogate_suite, strategies, folder / "surrogate", surrogate, jobs, count(runs // 2))
    for results in (on_table, on_surrogate):
        if results.runs["best_val"].isna().all():
            raise NasbenchError(
                f"no run found a cell with a result: {check.budget} may be less than one training costs."
            )
    fitted = fit(check.predictor, table.space, sample.cells, sample.labels, f"{check.n} cells of draw {check.seed}")
    groups = known_groups(table, check.task, sample, fitted, check.schedule)
    facts: dict[str, Any] = {"home": CATALOGUE[check.predictor].home}
    if afresh is not None:
        group, took = afresh.train(unseen[: check.afresh], fitted, jobs)
        groups.append(group)
        facts["training"] = {
            "took": took, "seed": afresh.seed, "failed": check.afresh - len(group.trained),
            "then": afresh.then.trainer, "now": afresh.now.trainer,
        }  # fmt: skip
    found = _compared(on_table, on_surrogate, table, check)
    left_out = {name: _left_out(check, table, sample, fitted, on_table, name) for name in check.strategies}
    facts |= {
        "format": FORMAT, **dataclasses.asdict(check), "checksum": table.checksum, "space": table.space.name,
        "surrogate": surrogate.checksum, "share": on_table.shares[check.task], **found, "left_out": left_out,
        "drift": [one.scores() for one in groups],
    }  # fmt: skip
    facts["sentence"] = verdict(facts)
    _write_drift(folder / "drift.csv", groups)
    write_whole(folder / "check.json", json.dumps(_plain(facts), indent=1, sort_keys=True) + "\n")
    return folder


def prepare(
    check: Check,
    table: Table,
    surrogate: Table,
    strategies: Mapping[str, Callable[..., Any]],
    folder: Path,
    data: Path | None = None,
) -> tuple[Sample, Afresh | None, np.ndarray]:
    """What the surrogate was fitted to, and what is trained afresh and the classes that may be.

    Arguments and errors are those of `run_check`: whatever it would refuse is refused here, and nothing is written.
    """
    enough(check.strategies)
    if folder.is_dir() and (others := sorted({path.name for path in holds(folder)} - PARTS)):
        raise NasbenchError(f"{folder} holds {others[0]!r}, which is not part of a check; choose another folder.")
    held = Results(folder / "table").suite.seeds if (folder / "table" / "suite.json").exists() else 0
    if held > check.seeds:
        raise NasbenchError(f"{folder} holds {held} runs of each strategy, not {check.seeds}; choose another folder.")
    for suite, of in zip(_suites(check, surrogate), (table, surrogate), strict=True):
        check_folder(suite, strategies, folder / suite.name, of)
    sample = draw_sample(table, check.task, check.predictor, check.n, check.seed, check.schedule)
    afresh = Afresh(table, check.task, data) if check.afresh else None
    unseen = np.array([], np.int64) if afresh is None else afresh.classes(sample)
    if not 0 <= check.afresh <= len(unseen):
        raise NasbenchError(f"1 to {len(unseen)} classes that the fit never saw can be trained, not {check.afresh}.")
    return sample, afresh, unseen


def _suites(check: Check, surrogate: Table) -> tuple[Suite, Suite]:
    """The comparison on the table, and the same on the surrogate."""
    suite = Suite(
        "table", (check.task,), check.strategies, check.seeds, check.budget, check.table, schedule=check.schedule or 0
    )
    return suite, suite.replace(name="surrogate", mode="surrogate", table=surrogate.name, schedule=0)


def _compared(on_table: Results, on_surrogate: Results, table: Table, check: Check) -> dict[str, Any]:
    """Mean final regrets on both, and on the table of what was found on the surrogate; how alike the orders are."""
    truth = table.curves(check.task, check.schedule).mean("val_acc")
    best = np.nanmax(truth)
    finals = {
        name: [_finals(results, name) for results in (on_table, on_surrogate)] for name in check.strategies
    }  # fmt: skip
    regret = {name: [float(np.nanmean(one)) for one in both] for name, both in finals.items()}
    true_regret = {}
    for name in check.strategies:
        ends = [_end(document) for document in on_surrogate.documents if document["strategy"] == name]
        rows = table.row_of_cell[[cell for cell in ends if cell is not None]]
        known = truth[rows[rows >= 0]]  # a surrogate of a part of the space has cells that the table does not
        true_regret[name] = float(best - np.nanmean(known)) if np.isfinite(known).any() else math.nan
    tau = float(kendalltau(*zip(*regret.values(), strict=True)).statistic)
    return {"regret": regret, "true_regret": true_regret, "tau": tau}


def _finals(results: Results, name: str) -> np.ndarray:
    runs = results.runs
    return runs.loc[runs["strategy"] == name].sort_values("seed")["val_regret"].to_numpy(float)


def _end(document: dict[str, Any]) -> int | None:
    """The cell with which a run ends."""
    steps = document["incumbents"]["step"]
    return int(document["steps"]["cell"][steps[-1]]) if steps else None


def _left_out(
    check: Check, table: Table, sample: Sample, fitted: Fitted, on_table: Results, name: str
) -> tuple[float, float]:
    """Kendall's tau on the cells that a strategy visited, of a surrogate fitted without them and of the real one."""
    space = table.space
    classes = space.classes("exact")
    visited = [document["steps"]["cell"] for document in on_table.documents if document["strategy"] == name]
    cells = np.unique(np.concatenate([np.array(one, np.int64) for one in visited]))
    cells = cells[table.row_of_cell[cells] >= 0]
    truth = table.curves(check.task, check.schedule).mean("val_acc")[table.row_of_cell[cells]]
    cells, truth = cells[~np.isnan(truth)], truth[~np.isnan(truth)]
    if len(cells) < 2:
        return math.nan, math.nan
    hidden = np.isin(classes, np.unique(classes[cells]))
    try:
        rest = draw_sample(table, check.task, check.predictor, check.n, check.seed, check.schedule, hidden)
    except NasbenchError:  # too few cells are left
        return math.nan, math.nan
    where = f"{check.n} cells of draw {check.seed} without those of {name}"
    without = fit(check.predictor, space, rest.cells, rest.labels, where)
    decisions = space_cells(space, cells)
    first, second = (float(kendalltau(one.predict(decisions), truth).statistic) for one in (without, fitted))
    return first, second


def verdict(facts: Mapping[str, Any]) -> str:
    """Whether conclusions carry over, and what could not be tested of it, in one sentence."""
    losses = {name: given - without for name, (without, given) in facts["left_out"].items() if not math.isnan(without)}
    tau = facts["tau"]
    if math.isnan(tau):
        return (
            "Whether conclusions carry over cannot be told: on the table or on the surrogate all strategies end alike."
        )
    alike = "alike" if tau >= AGREE else "differently"
    reasons = [f"strategies rank {alike} on surrogate and table (Kendall's tau {tau:.2f})"]
    doubts = False
    if not losses:
        doubts = True
        reasons.append("how cells that a strategy visits are predicted by a fit without them could not be tested")
    else:
        worst = max(losses, key=lambda name: losses[name])
        doubts = losses[worst] > LOSS
        reasons.append(f"fitting without what {worst} visits costs {max(losses[worst], 0):.2f} of tau there")
    if not facts["drift"] or math.isnan(facts["drift"][-1]["coverage_90"]):
        doubts = True
        reasons.append("there are no trainings that the fit never saw to hold predictions against")
    else:
        newest = facts["drift"][-1]
        doubts = doubts or newest["coverage_90"] < COVERED
        reasons.append(
            f"{WORDS[newest['name']]} are predicted {abs(newest['bias']):.2f} points too "
            f"{'high' if newest['bias'] >= 0 else 'low'}, {newest['coverage_90']:.0%} of them in the 90 % interval"
        )
    how = "do not carry over" if tau < AGREE else "carry over with care" if doubts else "carry over"
    return f"Conclusions {how}: {'; '.join(reasons)}."


def _write_drift(path: Path, groups: list[Group]) -> None:
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["group", "cell", "seed", "predicted", "spread", "trained", "seconds"])
        for one in groups:
            for row in zip(
                one.cells, one.seeds, one.predicted, one.spread, one.trained, one.seconds, strict=True
            ):  # fmt: skip
                writer.writerow([one.name, *row[:2], *(f"{value:.6g}" for value in row[2:])])


def _plain(value: Any) -> Any:
    """JSON has no nan: null stands for it."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
