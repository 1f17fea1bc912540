"""Search strategies, one file each. CATALOGUE maps every name to what builds it; a new strategy is one line there."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nasbench.errors import NasbenchError, unknown
from nasbench.own_files import load
from nasbench.runs.identity import said
from nasbench.runs.strategy import Factory, Problem, Strategy


@dataclass(frozen=True)
class Entry:
    """A strategy by name: calling it builds one for a run, importing its module only then.

    Attributes:
        where: "module:Class"; the class is built as `Class(problem, rng, **settings)`.
        family: what the reports group it under.
        paper: where it was published.
        settings: keyword arguments for the class's settings dataclass; empty for its defaults.
    """

    where: str
    family: str
    paper: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, problem: Problem, rng: np.random.Generator) -> Strategy:
        module, _, name = self.where.partition(":")
        found = importlib.import_module(module)
        build = getattr(found, name)
        return build(problem, rng, found.Settings(**self.settings)) if self.settings else build(problem, rng)


CATALOGUE: dict[str, Entry] = {
    "random_search": Entry(
        "strategies.random_search:RandomSearch", "random", "Bergstra and Bengio, JMLR 2012; Li and Talwalkar, UAI 2019"
    ),
    "exhaustive": Entry("strategies.exhaustive:Exhaustive", "random", "linear search, without replacement"),
    "local_search": Entry("strategies.local_search:LocalSearch", "local search", "White et al., UAI 2021"),
    "local_search-paper": Entry(
        "strategies.local_search:LocalSearch", "local search", "White et al., UAI 2021", {"move": "best"}
    ),
    "regularized_evolution": Entry(
        "strategies.regularized_evolution:RegularizedEvolution", "evolution", "Real et al., AAAI 2019"
    ),
    "regularized_evolution-paper": Entry(
        "strategies.regularized_evolution:RegularizedEvolution",
        "evolution",
        "Real et al., AAAI 2019",
        {"population_size": 100, "sample_size": 25},
    ),
    "regularized_evolution-nasbench201": Entry(
        "strategies.regularized_evolution:RegularizedEvolution",
        "evolution",
        "Real et al., AAAI 2019; small population, as used for NAS-Bench-201 (from memory)",
        {"population_size": 10, "sample_size": 3},
    ),
    "genetic_algorithm": Entry(
        "strategies.genetic_algorithm:GeneticAlgorithm", "evolution", "Xie and Yuille, ICCV 2017"
    ),
    "genetic_algorithm-paper": Entry(
        "strategies.genetic_algorithm:GeneticAlgorithm",
        "evolution",
        "Xie and Yuille, ICCV 2017",
        {
            "population_size": 20,
            "tournament_size": 0,
            "elite": 0,
            "crossover_rate": 0.2,
            "mutation_rate": 0.8,
            "retries": 0,
        },
    ),
    "gp_bo": Entry("strategies.gp_bo:GaussianProcessSearch", "Bayesian optimisation", "Jones et al., JOGO 1998"),
    "gp_bo-bound": Entry(
        "strategies.gp_bo:GaussianProcessSearch",
        "Bayesian optimisation",
        "Srinivas et al., ICML 2010",
        {"acquisition": "bound"},
    ),
    "bo_wl": Entry("strategies.bo_wl:WeisfeilerLehmanSearch", "Bayesian optimisation", "Ru et al., ICLR 2021"),
    "tpe": Entry("strategies.optuna_bridge:OptunaSearch", "Bayesian optimisation", "Bergstra et al., NeurIPS 2011"),
    "bananas": Entry("strategies.bananas:Bananas", "predictor", "White et al., AAAI 2021"),
    "npenas": Entry("strategies.npenas:PredictorGuidedEvolution", "predictor", "Wei et al., TNNLS 2022"),
    "npenas-paper": Entry(
        "strategies.npenas:PredictorGuidedEvolution", "predictor", "Wei et al., TNNLS 2022", {"predictor": "gin"}
    ),
    "brp_nas": Entry("strategies.brp_nas:IterativeRanking", "predictor", "Dudziak et al., NeurIPS 2020"),
    "predictor_search": Entry("strategies.predictor_search:PredictorSearch", "predictor", "Wen et al., ECCV 2020"),
    "zero_cost": Entry("strategies.zero_cost:ZeroCostRanking", "zero-cost proxy", "Abdelfattah et al., ICLR 2021"),
    "zero_cost-synflow": Entry(
        "strategies.zero_cost:ZeroCostRanking",
        "zero-cost proxy",
        "Abdelfattah et al., ICLR 2021",
        {"proxy": "synflow", "cells": 100},
    ),
    "proxy_evolution": Entry(
        "strategies.proxy_evolution:ProxyEvolution", "zero-cost proxy", "Abdelfattah et al., ICLR 2021"
    ),
    "random_pareto": Entry("strategies.random_pareto:RandomPareto", "multi-objective", "random search, two objectives"),
    "nsga2": Entry("strategies.nsga2:NSGA2", "multi-objective", "Deb et al., IEEE TEC 2002"),
    "mo_bo": Entry("strategies.mo_bo:MultiObjectiveBO", "multi-objective", "Knowles, IEEE TEC 2006"),
    "reinforce": Entry("strategies.reinforce:Reinforce", "reinforcement learning", "Williams, Machine Learning 1992"),
    "reinforce_lstm": Entry(
        "strategies.reinforce_lstm:ReinforceLstm", "reinforcement learning", "Zoph and Le, ICLR 2017"
    ),
    "ppo": Entry("strategies.ppo:Ppo", "reinforcement learning", "Schulman et al., arXiv:1707.06347, 2017"),
    "q_learning": Entry("strategies.q_learning:QLearning", "reinforcement learning", "Baker et al., ICLR 2017"),
    "q_learning-paper": Entry(
        "strategies.q_learning:QLearning", "reinforcement learning", "Baker et al., ICLR 2017", {"random_cells": 1500}
    ),
    "learned_mutation": Entry(
        "strategies.learned_mutation:LearnedMutation", "hybrid", "Real et al., AAAI 2019; Thierens, GECCO 2005"
    ),
    "portfolio": Entry("strategies.portfolio:Portfolio", "hybrid", "Auer et al., Machine Learning 2002"),
    "successive_halving": Entry(
        "strategies.successive_halving:SuccessiveHalving", "multi-fidelity", "Jamieson and Talwalkar, AISTATS 2016"
    ),
    "hyperband": Entry("strategies.hyperband:Hyperband", "multi-fidelity", "Li et al., JMLR 2018"),
    "asha": Entry("strategies.asha:Asha", "multi-fidelity", "Li et al., MLSys 2020"),
    "bohb": Entry("strategies.bohb:Bohb", "multi-fidelity", "Falkner et al., ICML 2018"),
    "curve_stopping": Entry("strategies.curve_stopping:CurveStopping", "multi-fidelity", "Domhan et al., IJCAI 2015"),
    "dehb": Entry("strategies.dehb:Dehb", "multi-fidelity", "Awad et al., IJCAI 2021"),
    "darts": Entry("strategies.darts:Darts", "one-shot", "Liu et al., ICLR 2019"),
    "darts-second_order": Entry("strategies.darts:Darts", "one-shot", "Liu et al., ICLR 2019", {"second_order": True}),
    "gdas": Entry("strategies.gdas:Gdas", "one-shot", "Dong and Yang, CVPR 2019"),
    "drnas": Entry("strategies.drnas:DrNas", "one-shot", "Chen et al., ICLR 2021"),
    "enas": Entry("strategies.enas:Enas", "one-shot", "Pham et al., ICML 2018"),
    "rank_transfer": Entry("strategies.rank_transfer:RankTransferSearch", "meta-learned", "mean rank on other tasks"),
    "transfer_evolution": Entry(
        "strategies.transfer_evolution:TransferEvolution", "meta-learned", "Louis and McDonnell, IEEE TEC 2004"
    ),
    "meta_reinforce": Entry(
        "strategies.meta_reinforce:MetaReinforce", "meta-learned", "Nichol et al., arXiv:1803.02999, 2018"
    ),
    "meta_bo": Entry("strategies.meta_bo:MetaBayesianOptimisation", "meta-learned", "Shala et al., ICLR 2023"),
    "meta_bo-deep_kernel": Entry(
        "strategies.meta_bo:MetaBayesianOptimisation",
        "meta-learned",
        "Shala et al., ICLR 2023",
        {"predictor": "deep_kernel"},
    ),
    "task_to_cell": Entry("strategies.task_to_cell:TaskToCell", "meta-learned", "Lee et al., ICLR 2021"),
    "random_sharing": Entry("strategies.random_sharing:RandomSharing", "one-shot", "Li and Talwalkar, UAI 2019"),
}


def select(names: Iterable[str] | str) -> dict[str, Factory]:
    """The strategies with these names, in this order; a text is one name.

    A name may also be `path/to/file.py:Class`, a strategy of one's own, which then goes by the class's name.
    NasbenchError for a name that does not exist.
    """
    chosen: dict[str, Factory] = {}
    for name in [names] if isinstance(names, str) else names:
        if ":" in name:
            path, _, called = name.rpartition(":")
            own = OwnFile(path, called).described()
            name = own.name
            factory: Factory = own
        elif name in CATALOGUE:
            factory = CATALOGUE[name]
        elif name.endswith(".py"):
            raise NasbenchError(f"{name!r} is a file: name the class in it too, as in {name}:Mine.")
        else:
            raise unknown("strategy", name, CATALOGUE)
        if name in chosen or (name in CATALOGUE and factory is not CATALOGUE[name]):
            raise NasbenchError(f"two strategies go by the name {name!r}; rename the class of one.")
        chosen[name] = factory
    return chosen


@dataclass(frozen=True)
class OwnFile:
    """A strategy in a user's own file; can be sent to other processes, which load the file themselves.

    Its class may say under which `family` reports show it and, if that is "multi-objective", its second `objective`.
    """

    path: str
    name: str
    family: str = "own"
    settings: Mapping[str, Any] = field(default_factory=dict)

    def described(self) -> OwnFile:
        """With what its class says of itself; errors as for `load`."""
        return replace(self, **said(self.load()))

    def load(self) -> Any:
        """The class; NasbenchError if the file or the class is not there or the file cannot be imported."""
        return load(self.path, self.name)

    def __call__(self, problem: Problem, rng: np.random.Generator) -> Strategy:
        return self.load()(problem, rng)
