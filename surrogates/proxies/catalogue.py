"""The proxies by name. A new one is one function of a Probe and one line here."""

from __future__ import annotations

import importlib
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
        where: "module:function".
        paper: where it was published.
        needs: of `weights`, `network` (one through which the image can pass: a constant cell has no score), `images`,
            `labels` and `batches` (several of them); nothing for a count.
        stages: methods of Probe that have to be called before, in this order.
        of: proxies that an aggregate is made of; its function takes their scores by name and returns (n,).
    """

    where: str
    paper: str
    needs: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    of: tuple[str, ...] = ()

    def __call__(self, given: object) -> float:
        return float(self._function()(given))

    def combine(self, scores: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Scores (n,) of an aggregate from those of its parts."""
        combined: NDArray[np.float64] = self._function()({name: scores[name] for name in self.of})
        return combined

    def _function(self) -> Callable[[Any], Any]:
        module, _, name = self.where.partition(":")
        found: Callable[[Any], Any] = getattr(importlib.import_module(f"{__package__}.{module}"), name)
        return found


_MELLOR, _ABDELFATTAH = "Mellor et al., ICML 2021", "Abdelfattah et al., ICLR 2021"
_LOSS = ("network", "images", "labels")
_GRADIENT = ("build", "look", "differentiate")
_JACOBIAN = ("build", "look", "attribute")

PROXIES: dict[str, Entry] = {
    "params": Entry("sizes:params", "a count"),
    "flops": Entry("sizes:flops", "a count"),
    "l2_norm": Entry("sizes:l2_norm", _ABDELFATTAH, ("weights",), ("build",)),
    "plain": Entry("saliency:plain", f"Mozer and Smolensky, NeurIPS 1988; {_ABDELFATTAH}", _LOSS, _GRADIENT),
    "grad_norm": Entry("saliency:grad_norm", _ABDELFATTAH, _LOSS, _GRADIENT),
    "snip": Entry("saliency:snip", f"Lee et al., ICLR 2019; {_ABDELFATTAH}", _LOSS, _GRADIENT),
    "grasp": Entry("saliency:grasp", f"Wang et al., ICLR 2020; {_ABDELFATTAH}", _LOSS, ("build", "look")),
    "fisher": Entry("saliency:fisher", f"Turner et al., ICLR 2020; {_ABDELFATTAH}", _LOSS, _GRADIENT),
    "synflow": Entry("synthetic:synflow", f"Tanaka et al., NeurIPS 2020; {_ABDELFATTAH}", ("network",)),
    "jacob_cov": Entry("separation:jacob_cov", "Mellor et al., arXiv:2006.04647v1", ("network", "images"), _JACOBIAN),
    "nwot": Entry("separation:nwot", _MELLOR, ("network", "images"), ("build", "look")),
    "epe_nas": Entry("separation:epe_nas", "Lopes et al., ICANN 2021", _LOSS, _JACOBIAN),
    "zen": Entry("synthetic:zen", "Lin et al., ICCV 2021", ("network",)),
    "zico": Entry("saliency:zico", "Li et al., ICLR 2023", (*_LOSS, "batches"), _GRADIENT),
    "vote": Entry("aggregates:vote", _ABDELFATTAH, of=("synflow", "jacob_cov", "snip")),
}
"""Every proxy by name, the two counts first; larger scores are meant to be better."""


def entry_of(name: str) -> Entry:
    """The entry of a proxy; NasbenchError with the nearest name for one that there is not."""
    if name not in PROXIES:
        raise unknown("proxy", name, PROXIES)
    return PROXIES[name]
