"""What the importers of NAS-Bench-201 results share: names, provenance and the parameter count of a cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

TASKS = ("cifar10", "cifar100", "ImageNet16-120")

PROTOCOL = (
    "NAS-Bench-201, arXiv:2001.00326 table 1: SGD with Nesterov momentum 0.9, batch 256, weight decay "
    "5e-4, learning rate 0.1 to 0 along a cosine, random flip and crop; 16 channels, 5 cells a stage"
)

CITATION = (
    "Dong and Yang, NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search, ICLR "
    "2020, arXiv:2001.00326"
)

SPLITS: dict[str, dict[str, Any]] = {
    "cifar10": {
        "training": "25,000 images: one half of the original training set (the source's cifar10-valid)",
        "validation": "the other 25,000 images of the original training set",
    },
    "cifar100": {
        "training": "all 50,000 images of the original training set",
        "validation": "5,000 images: one half of the original test set",
    },
    "ImageNet16-120": {
        "training": "151,700 images of 16 x 16 pixels: the training set of ImageNet's first 120 classes",
        "validation": "3,000 images: one half of the original validation set of those classes",
    },
}
"""Which images a network was trained on, and which its validation accuracy was measured on (section 2.2)."""

_WITHOUT_CELLS = {"cifar10": 73_306, "cifar100": 79_156, "ImageNet16-120": 80_456}
_CONVOLUTION_1X1, _CONVOLUTION_3X3 = 28_000, 243_040

PARAMETERS = (
    "every operation of the cell counts, on a live path or not; {runs} runs of the source are recorded "
    "with another count (D-X-Y/NATS-Bench issue 36), and the count of all operations stands here instead"
)


def parameter_counts(cells: Sequence[Sequence[int]] | np.ndarray, task: str) -> np.ndarray:
    """Trainable parameters, int32 [m], of the networks of m cells [m, 6] on `task`."""
    codes = np.asarray(cells).reshape(-1, 6)
    small, large = (codes == 2).sum(axis=1), (codes == 3).sum(axis=1)
    counts: np.ndarray = (_WITHOUT_CELLS[task] + _CONVOLUTION_1X1 * small + _CONVOLUTION_3X3 * large).astype(np.int32)
    return counts
