"""A study of meta-learned predictors (`nasbench fit --meta`), read from its folder; surrogates.meta.study describes it.

Scores are means over draws of labels first and over held-out targets then, so that every target counts alike.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nasbench.errors import NasbenchError
from nasbench.tasks.subsets import share_images

FORMAT = 1
QUOTED = (0, 10, 50)
"""Numbers of labels that sentences speak of, or the nearest that were asked."""
EQUAL = 1e-9
"""Differences of mean tau up to this are ties: the same order of cells, summed up in another order."""
CURRENCIES = ("seconds", "epochs", "flops", "evaluations")
COLUMNS = ("predictor", "task", "sources", "n", "seed", "metric", "value")
BASELINE = "rank_transfer"
"""The mean rank on the sources, which nothing is learned for: what a meta-learned predictor has to beat."""
RANKS = ("kendall", "spearman", "sparse_kendall")


class MetaStudy:
    """A study's folder, read.

    Attributes:
        facts: meta.json.
        targets: held-out tasks.
        sizes: numbers of labels, ascending.
        learned: predictors that learn on other tasks, the best mean tau at `middle` labels first.
        scratch: predictors that see the target's labels only, in the same order.
        unasked: predictors from scratch for which no number of labels is large enough.
        scores: [predictor, task, sources, n, seed, metric, value] with all sources; `fewer`: with some of them.
        constant: draws in which a predictor gave all cells the same value. They count as a tau of 0.
        tau: mean over draws, rows (predictor, task), columns n; nan where nothing was asked.
        helps: [source, task, value].

    Raises:
        NasbenchError: the folder lacks something or is damaged.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self.facts: dict[str, Any] = json.loads((folder / "meta.json").read_bytes())
            if self.facts["format"] != FORMAT:
                raise ValueError
            frames = [pd.read_csv(folder / name)[list(COLUMNS)] for name in ("scores.csv", "seconds.csv")]
            self.helps = pd.read_csv(folder / "helps.csv")[["source", "task", "value"]]
            self._read(pd.concat(frames, ignore_index=True))
        except FileNotFoundError as error:
            raise NasbenchError(
                f"{folder} lacks {Path(error.filename).name}; the same `nasbench fit --meta` finishes it."
            ) from None
        except _Unfinished as error:
            raise NasbenchError(
                f"scores.csv in {folder} lacks {error}; the same `nasbench fit --meta` finishes it."
            ) from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
            raise NasbenchError(f"the study in {folder} is damaged or of another release.") from None

    def _read(self, scores: pd.DataFrame) -> None:
        self.targets = [str(name) for name in self.facts["targets"]]
        self.sizes = sorted(int(n) for n in self.facts["train_sizes"])
        for frame in (scores, self.helps):
            frame["value"] = frame["value"].astype(np.float64)
        empty = scores["metric"].isin(RANKS) & scores["value"].isna()
        self.constant = int((empty & (scores["metric"] == "kendall")).sum())
        scores.loc[empty, "value"] = 0.0
        whole = {target: len(self.facts["tasks"][target]["sources"]) for target in self.targets}
        with_all = scores["sources"] == scores["task"].map(whole)
        self.scores, self.fewer = scores[with_all], scores[~with_all]
        asked = [name for name in self.facts["predictors"] if self.facts["sees"][name] == "tasks" or self.sizes[-1] > 1]
        self.unasked = [name for name in self.facts["predictors"] if name not in asked]
        self._check_complete(asked)
        self.tau = self.by_target("kendall")
        order = self.tau[self.middle].groupby("predictor").mean()
        asked.sort(key=lambda name: -order[name] if np.isfinite(order[name]) else np.inf)
        self.learned = [name for name in asked if self.facts["sees"][name] == "tasks"]
        self.scratch = [name for name in asked if self.facts["sees"][name] != "tasks"]
        for target in self.targets:
            entry = self.facts["tasks"][target]
            if len(entry["cost"]) != len(CURRENCIES) or "ceiling" not in entry or "descriptor" not in entry:
                raise ValueError

    def _check_complete(self, asked: Sequence[str]) -> None:
        counts = self.scores[self.scores["metric"] == "kendall"].groupby(["predictor", "task", "n"])["seed"].nunique()
        for name in asked:
            for target in self.targets:
                for n in self.sizes:
                    wanted = 0 if n < 2 and self.facts["sees"][name] != "tasks" else self.facts["seeds"]
                    if counts.get((name, target, n), 0) < wanted:
                        raise _Unfinished(f"draws of {name} on {target} with {n} labels")

    @property
    def names(self) -> list[str]:
        return [*self.learned, *self.scratch]

    @property
    def middle(self) -> int:
        """Ten labels, or the nearest number that was asked."""
        return self.nearest(10)

    @property
    def quoted(self) -> list[int]:
        """The numbers of labels that sentences speak of."""
        return list(dict.fromkeys(self.nearest(n) for n in QUOTED))

    def nearest(self, n: int) -> int:
        return min(self.sizes, key=lambda size: (abs(size - n), size))

    def by_target(self, metric: str) -> pd.DataFrame:
        """Mean over draws, rows (predictor, task), columns n."""
        chosen = self.scores[self.scores["metric"] == metric]
        found = chosen.pivot_table("value", ["predictor", "task"], "n", "mean", dropna=False)
        rows = pd.MultiIndex.from_product([self.facts["predictors"], self.targets], names=["predictor", "task"])
        return found.reindex(index=rows, columns=self.sizes)

    def mean(self, metric: str = "kendall") -> pd.DataFrame:
        """Mean over draws and then over targets, predictors by n."""
        values = self.tau if metric == "kendall" else self.by_target(metric)
        return values.groupby("predictor", sort=False).mean().reindex(self.names)

    def of(self, name: str) -> pd.DataFrame:
        """Mean tau over draws, targets by n."""
        return self.tau.loc[name].reindex(self.targets)

    def asked(self, name: str) -> list[int]:
        """Numbers of labels that a predictor was asked with."""
        return [n for n in self.sizes if n > 1 or name in self.learned]

    def draws(self, name: str, target: str) -> np.ndarray:
        """Tau [seed, n] for the n that it was asked with."""
        s = self.scores
        chosen = s[(s["metric"] == "kendall") & (s["predictor"] == name) & (s["task"] == target)]
        return chosen.pivot_table("value", "seed", "n", "mean")[self.asked(name)].to_numpy()

    def best(self, names: Sequence[str], n: int) -> str | None:
        """The one of these with the highest mean tau at n labels; of several the mean rank, which is the simplest."""
        first = self.firsts(names, n)
        return BASELINE if BASELINE in first else first[0] if first else None

    def firsts(self, names: Sequence[str], n: int) -> list[str]:
        """All of these whose mean tau at n labels is the highest."""
        means = self.mean()[n].reindex(list(names)).dropna()
        return [str(name) for name in means.index[means >= means.max() - EQUAL]]

    def ceilings(self) -> dict[str, float]:
        """Target -> noise ceiling, of those where it is known."""
        found = {target: self.facts["tasks"][target]["ceiling"] for target in self.targets}
        return {target: float(value) for target, value in found.items() if value is not None}

    def cost(self) -> dict[str, float]:
        """Mean over targets of what their sources cost, nan in currencies that are not known."""
        costs = np.array([self.facts["tasks"][target]["cost"] for target in self.targets], dtype=np.float64)
        known = ~np.isnan(costs)
        total = np.where(known, costs, 0).sum(axis=0)
        means = np.divide(total, known.sum(axis=0), out=np.full(len(total), np.nan), where=known.any(axis=0))
        return dict(zip(CURRENCIES, means.tolist(), strict=True))

    @property
    def source_range(self) -> str:
        """How many sources a target has, as in `6` or `4 to 6`."""
        counts = {len(self.facts["tasks"][target]["sources"]) for target in self.targets}
        return str(min(counts)) if len(counts) == 1 else f"{min(counts)} to {max(counts)}"

    def leaks(self) -> list[str]:
        """Targets among whose sources are tasks that share images with them."""
        return [t for t in self.targets if any(share_images(s, t) for s in self.facts["tasks"][t]["sources"])]


class _Unfinished(Exception):
    """What is missing, in words."""


def with_labels(n: int) -> str:
    """As in `with 10 labels`."""
    return "without labels" if n == 0 else "with one label" if n == 1 else f"with {n} labels"
