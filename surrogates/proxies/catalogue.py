"""The proxies by name. A new one is one function of a Probe and one line here."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench.errors import unknown


@dataclass(frozen=True)
class Entry:
    """A proxy by name: calling it with a Probe scores that probe's cell, importing its module only then.

    Attributes:
        where: "module:function", the module one of this package or any that can be imported.
        paper: where it was published.
        needs: of `weights`, `network` (one through which the image can pass: a constant cell has no score), `images`,
            `labels` and `batches` (several of them); nothing for a count.
        stages: methods of Probe that have to be called before, in this order.
        of: proxies that an aggregate is made of; its function takes their scores by name and returns (n,).
        passes: forward passes per image that the work amounts to, a backward pass counting as two, and grasp's
            second derivatives as two such pairs.
        batches: how many batches it looks at; 0 for one made-up image, or for none.
    """

    where: str
    paper: str
    needs: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    of: tuple[str, ...] = ()
    passes: float = 0.0
    batches: int = 1

    def work(self, batch_size: int) -> tuple[int, float]:
        """Images that one score looks at, and forward passes of each that it amounts to."""
        return (self.batches * batch_size or 1) if self.passes else 0, self.passes

    def __call__(self, given: object) -> float:
        return float(self._function()(given))

    def combine(self, scores: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Scores (n,) of an aggregate from those of its parts."""
        combined: NDArray[np.float64] = self._function()({name: scores[name] for name in self.of})
        return combined

    def _function(self) -> Callable[[Any], Any]:
        module, _, name = self.where.partition(":")
        inside = f"{__package__}.{module}"
        home = inside if importlib.util.find_spec(inside) else module
        found: Callable[[Any], Any] = getattr(importlib.import_module(home), name)
        return found


_MELLOR, _ABDELFATTAH = "Mellor et al., ICML 2021", "Abdelfattah et al., ICLR 2021"
_LOSS = ("network", "images", "labels")
_GRADIENT = ("build", "look", "differentiate")
_JACOBIAN = ("build", "look", "attribute")

PROXIES: dict[str, Entry] = {
    "params": Entry("sizes:params", "a count"),
    "flops": Entry("sizes:flops", "a count"),
    "l2_norm": Entry("sizes:l2_norm", _ABDELFATTAH, ("weights",), ("build",)),
    "plain": Entry("saliency:plain", f"Mozer and Smolensky, NeurIPS 1988; {_ABDELFATTAH}", _LOSS, _GRADIENT, passes=3),
    "grad_norm": Entry("saliency:grad_norm", _ABDELFATTAH, _LOSS, _GRADIENT, passes=3),
    "snip": Entry("saliency:snip", f"Lee et al., ICLR 2019; {_ABDELFATTAH}", _LOSS, _GRADIENT, passes=3),
    "grasp": Entry("saliency:grasp", f"Wang et al., ICLR 2020; {_ABDELFATTAH}", _LOSS, ("build", "look"), passes=9),
    "fisher": Entry("saliency:fisher", f"Turner et al., ICLR 2020; {_ABDELFATTAH}", _LOSS, _GRADIENT, passes=3),
    "synflow": Entry(
        "synthetic:synflow", f"Tanaka et al., NeurIPS 2020; {_ABDELFATTAH}", ("network",), passes=3, batches=0
    ),
    "jacob_cov": Entry(
        "separation:jacob_cov", "Mellor et al., arXiv:2006.04647v1", ("network", "images"), _JACOBIAN, passes=3
    ),
    "nwot": Entry("separation:nwot", _MELLOR, ("network", "images"), ("build", "look"), passes=1),
    "epe_nas": Entry("separation:epe_nas", "Lopes et al., ICANN 2021", _LOSS, _JACOBIAN, passes=3),
    "zen": Entry("synthetic:zen", "Lin et al., ICCV 2021", ("network",), passes=2),
    "zico": Entry("saliency:zico", "Li et al., ICLR 2023", (*_LOSS, "batches"), _GRADIENT, passes=3, batches=2),
    "vote": Entry("aggregates:vote", _ABDELFATTAH, of=("synflow", "jacob_cov", "snip")),
}
"""Every proxy by name, the two counts first; larger scores are meant to be better."""


def entry_of(name: str) -> Entry:
    """The entry of a proxy; NasbenchError with the nearest name for one that there is not."""
    if name not in PROXIES:
        raise unknown("proxy", name, PROXIES)
    return PROXIES[name]
