"""Proxies of how well an untrained network tells the images of a batch apart."""

from __future__ import annotations

import numpy as np

from .probe import Probe

SMALL = 1e-5
"""Added within logarithms and quotients, as in the published scores."""


def jacob_cov(probe: Probe) -> float:
    """-sum of log(v + k) + 1 / (v + k) over the eigenvalues v of the images' correlations, k = 1e-5.

    The correlations are those between the rows of the input Jacobian: one image's gradient of the sum of the logits
    (Mellor et al., Neural Architecture Search without Training, version 1, arXiv:2006.04647v1; `jacov` in
    NAS-Bench-Suite-Zero). Largest where no two images have similar gradients.
    """
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(probe.jacobian)) + SMALL
    return -float(np.sum(np.log(eigenvalues) + 1 / eigenvalues))


def epe_nas(probe: Probe) -> float:
    """Within-class correlations of the input Jacobian (Lopes et al., EPE-NAS, ICANN 2021).

    e_c = sum of log(|r| + k) over all entries r of the correlation matrix of class c's rows. Up to 100 classes: the sum
    of |e_c|. For more: e_c over the number of rows, and the sum of |e_c - e_d| over all pairs (both orders) of the
    classes seen, over their number.
    """
    labels = probe.batches[0].labels
    many = probe.skeleton.classes > 100
    values = []
    for label in np.unique(labels):
        rows = probe.jacobian[labels == label]
        correlations = np.atleast_2d(np.corrcoef(rows))
        value = float(np.log(np.abs(correlations) + SMALL).sum())
        values.append(value / len(rows) if many else value)
    if not many:
        return float(np.abs(values).sum())
    return float(np.abs(np.subtract.outer(values, values)).sum() / len(values))


def nwot(probe: Probe) -> float:
    """log |det K|, K_ij = number of ReLU units that images i and j both switch on or both switch off (Mellor et al.,
    Neural Architecture Search without Training, ICML 2021)."""
    size = len(probe.batches[0].labels)
    kernel = np.zeros((size, size))
    for seen in probe.relu_inputs:
        on = (seen.detach() > 0).reshape(size, -1).float()
        both = (on @ on.T).double().numpy()
        count = both.diagonal()
        kernel += on.shape[1] - count[:, None] - count[None, :] + 2 * both
    return float(np.linalg.slogdet(kernel)[1])
