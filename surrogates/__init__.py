"""Predictors of accuracy and cost: scikit-learn estimators that take cells.

    predictor = surrogates.build("gp", space="nasbench201")
    predictor.fit(cells, accuracies)                       # cells as decisions [n, d]: space.cells[rows]
    mean, spread = predictor.predict(space.cells, return_std=True)

Each is a pipeline of a cell encoder and a regressor, so it clones, pickles and tunes like any other estimator. One more
is one function from a space's name to an estimator and one line in CATALOGUE; it is then in `nasbench fit`, the
contract tests and the reports.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nasbench.own_files import is_own, load

if TYPE_CHECKING:
    from nasbench.spaces import Space


@dataclass(frozen=True)
class Entry:
    """A predictor of the catalogue.

    Attributes:
        home: module and function, "surrogates.trees:xgboost"; the function takes a space's name, or for `curves` the
            number of epochs of a whole training.
        family: what kind of model it is.
        paper: source.
        package: what has to be installed beside nasbench[predict]; the extra `predictors` has it.
        sees: the columns of X: `cells` (decisions [n, d]); `curves` (the first epochs of a training, see
            surrogates.curves); `cells, curves and proxies` side by side; or `tasks` (cells, after other tasks: see
            surrogates.meta).
    """

    home: str
    family: str
    paper: str
    package: str = ""
    sees: str = "cells"


CATALOGUE: dict[str, Entry] = {
    "ridge": Entry("surrogates.linear:ridge", "linear", "Hoerl and Kennard, Technometrics 1970"),
    "bayesian_ridge": Entry("surrogates.linear:bayesian_ridge", "linear", "MacKay, Neural Computation 1992"),
    "gp": Entry("surrogates.gaussian_process:gp", "Gaussian process", "Rasmussen and Williams, MIT Press 2006"),
    "gp_wl": Entry("surrogates.gaussian_process:gp_wl", "Gaussian process", "Ru et al., ICLR 2021 (arXiv:2006.07556)"),
    "random_forest": Entry("surrogates.trees:random_forest", "trees", "Breiman, Machine Learning 2001"),
    "xgboost": Entry("surrogates.trees:xgboost", "trees", "Chen and Guestrin, KDD 2016 (arXiv:1603.02754)"),
    "lightgbm": Entry("surrogates.trees:lightgbm", "trees", "Ke et al., NeurIPS 2017", "lightgbm"),
    "ngboost": Entry("surrogates.trees:ngboost", "trees", "Duan et al., ICML 2020 (arXiv:1910.03225)", "ngboost"),
    "mlp": Entry("surrogates.neural.mlp:mlp", "neural", "Rumelhart et al., Nature 1986", "torch"),
    "bananas": Entry("surrogates.neural.mlp:bananas", "neural", "White et al., AAAI 2021 (arXiv:1910.11858)", "torch"),
    "gcn": Entry("surrogates.neural.graph_networks:gcn", "neural", "Wen et al., ECCV 2020 (arXiv:1912.00848)", "torch"),
    "gin": Entry("surrogates.neural.graph_networks:gin", "neural", "Xu et al., ICLR 2019 (arXiv:1810.00826)", "torch"),
    "seminas": Entry(
        "surrogates.neural.seminas:seminas", "neural", "Luo et al., NeurIPS 2020 (arXiv:2002.10389)", "torch"
    ),
    "brp_nas": Entry(
        "surrogates.neural.pairwise:pairwise", "neural", "Dudziak et al., NeurIPS 2020 (arXiv:2007.08668)", "torch"
    ),
    "last_value": Entry("surrogates.curves:last_value", "learning curve", "the last epoch seen", sees="curves"),
    "sotl_e": Entry(
        "surrogates.curves:sotl_e", "learning curve", "Ru et al., NeurIPS 2021 (arXiv:2006.04492)", sees="curves"
    ),
    "power_law": Entry("surrogates.curves:power_law", "learning curve", "Domhan et al., IJCAI 2015", sees="curves"),
    "curve_svr": Entry(
        "surrogates.curves:curve_svr", "learning curve", "Baker et al., arXiv:1705.10823", sees="curves"
    ),
    "omni": Entry(
        "surrogates.omni:omni",
        "combination",
        "White et al., NeurIPS 2021 (arXiv:2104.01177)",
        sees="cells, curves and proxies",
    ),
    "ensemble": Entry("surrogates.ensemble:ensemble", "ensemble", "members weighted by cross-validated Kendall tau"),
    "rank_transfer": Entry(
        "surrogates.meta.transfer:rank_transfer", "meta-learned", "mean rank on other tasks", sees="tasks"
    ),
    "stacked": Entry("surrogates.meta.transfer:stacked", "meta-learned", "Wolpert, Neural Networks 1992", sees="tasks"),
    "gp_transfer": Entry(
        "surrogates.meta.transfer:gp_transfer",
        "meta-learned",
        "Gaussian process around other tasks' mean",
        sees="tasks",
    ),
    "xgboost_transfer": Entry(
        "surrogates.meta.transfer:xgboost_transfer", "meta-learned", "boosting from other tasks' mean", sees="tasks"
    ),
    "task_conditioned": Entry(
        "surrogates.meta.conditioned:task_conditioned", "meta-learned", "Lee et al., ICLR 2021", "torch", "tasks"
    ),
    "deep_kernel": Entry(
        "surrogates.meta.deep_kernel:deep_kernel",
        "meta-learned",
        "Patacchiola et al., NeurIPS 2020 (arXiv:1910.05199); Shala et al., ICLR 2023",
        "torch",
        "tasks",
    ),
    "maml": Entry(
        "surrogates.meta.gradient:maml", "meta-learned", "Finn et al., ICML 2017 (arXiv:1703.03400)", "torch", "tasks"
    ),
    "fomaml": Entry(
        "surrogates.meta.gradient:fomaml", "meta-learned", "Finn et al., ICML 2017, section 5.2", "torch", "tasks"
    ),
    "reptile": Entry(
        "surrogates.meta.gradient:reptile", "meta-learned", "Nichol et al., arXiv:1803.02999", "torch", "tasks"
    ),
}


OWN_SEES = ("cells", "curves")
"""What predictors in files of one's own can see."""


def build(name: str, space: str | Space = "nasbench201", horizon: int = 12) -> Any:
    """A new, unfitted predictor for cells of `space`, a name or a space, or for curves of `horizon` epochs.

    `name` is of the catalogue, or the home of a predictor of one's own, `module:function` or `path/to/file.py:name`.
    Strategies of a comparison with several processes need the latter, as those lack what was added to the catalogue.

    NasbenchError for an unknown name or space, where a package that it needs is not installed, and where its home makes
    none.
    """
    from nasbench.errors import NasbenchError, first_line, unknown
    from nasbench.spaces import open_space

    if name not in CATALOGUE and ":" not in name:
        raise unknown("predictor", name, CATALOGUE)
    open_space(space)
    entry = CATALOGUE.get(name) or Entry(name, "own", "", sees=_sees(name))
    package = entry.package
    if package and importlib.util.find_spec(package) is None:
        raise NasbenchError(f"the predictor {name!r} needs the package {package}: pip install 'nasbench[predictors]'.")
    home, argument = entry.home, horizon if entry.sees == "curves" else space
    module, _, function = home.rpartition(":")
    try:
        if is_own(home):
            return load(module, function, "predictor")(argument)
        return getattr(importlib.import_module(module), function)(argument)
    except NasbenchError:
        raise
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and not f"{module}.".startswith(f"{error.name}."):
            raise  # a package that the home imports
        raise NasbenchError(f"{home!r} does not make the predictor {name!r}: {first_line(error)}.") from error


def _sees(home: str) -> str:
    """What a predictor in a file of one's own sees: cells, or what its function says in an attribute `sees`."""
    from nasbench.errors import NasbenchError

    path, _, function = home.rpartition(":")
    sees = getattr(load(path, function, "predictor"), "sees", "cells") if is_own(home) else "cells"
    if sees not in OWN_SEES:
        raise NasbenchError(f"the predictor {home} sees {sees!r}; one in a file sees {' or '.join(OWN_SEES)}.")
    return str(sees)


def select(names: Iterable[str]) -> list[str]:
    """The names of predictors, those of one's own in a file, `path/to/file.py:function`, by their function's name.

    These are in the CATALOGUE from then on. NasbenchError where the file or the function is not there, or another
    predictor goes by its name.
    """
    from nasbench.errors import NasbenchError

    chosen = []
    for name in names:
        if name.endswith(".py"):
            raise NasbenchError(f"{name!r} is a file: name the function in it too, as in {name}:mine.")
        if is_own(name):
            function = name.rpartition(":")[2]
            entry = Entry(name, "own", "", sees=_sees(name))
            if CATALOGUE.get(function, entry) != entry:
                raise NasbenchError(f"two predictors go by the name {function!r}; rename the function of one.")
            CATALOGUE[function] = entry
            name = function
        chosen.append(name)
    return chosen


def available(sees: str = "cells") -> list[str]:
    """The predictors that see just this, `cells`, `curves` or `tasks`, and whose packages are installed."""
    return [
        name for name, entry in CATALOGUE.items()
        if entry.sees == sees and (not entry.package or importlib.util.find_spec(entry.package))
    ]  # fmt: skip
