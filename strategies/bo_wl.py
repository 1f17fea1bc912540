"""NAS-BOWL: Bayesian optimisation with a Gaussian process on the subtrees of a cell's graph.

Ru et al., "Interpretable Neural Architecture Search via Bayesian Optimisation with Weisfeiler-Lehman Kernels", ICLR
2021 (arXiv:2006.07556). As in the paper expected improvement decides; unlike there, the kernel is Matern 3/2 on the
normalised counts instead of their product, and all cells of the space are candidates. One round of relabelling; two
would be thousands of features. Charges trainings only.
"""

from __future__ import annotations

from surrogates.finite_process import FiniteProcess
from surrogates.gaussian_process import WeisfeilerLehman

from .gp_bo import GaussianProcessSearch, Settings

__all__ = ["Settings", "WeisfeilerLehmanSearch"]


class WeisfeilerLehmanSearch(GaussianProcessSearch):
    """`GaussianProcessSearch` on Weisfeiler-Lehman counts."""

    def process(self) -> FiniteProcess:
        kernel = WeisfeilerLehman(self.candidates.space.whole, rounds=1)
        return FiniteProcess(kernel.fit_transform(self.candidates.decisions), standardise=False)
