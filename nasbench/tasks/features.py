"""What a task is like, from its training images alone: numbers by which tasks can be compared without their images.

Images are seen through 48 fixed random convolutions, whose statistics tell textures and colours apart well enough to
say which tasks are alike (Saxe et al., "On Random Weights and Unsupervised Feature Learning", ICML 2011). About a
second a task.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .task import Images, Task

FILTERS, SIZE, SEED = 48, 3, 20260101
MOST = 2000
"""Training images that are looked at, the first ones of the task's balanced order."""
BATCH = 250
GRAPH_FACTS = ("n_nodes", "n_edges", "n_features", "n_classes")
DIGITS = 4
"""Significant digits that are kept, so that machines that round differently agree."""


def task_features(task: Task) -> dict[str, object]:
    """Plain values: everything but the sizes and channel means that `Task.descriptor` has.

    channel_correlations: of the pixels of every pair of channels, [1] for grey.
    separability: the share of the variance of the features that lies between classes, mean over features.
    nearest_mean: the share of images nearest to their own class's mean feature, means of one half, images of the other.
    embedding: [144] for each feature mean and deviation over images, and the share between classes.
    """
    labels = task.y_train[:MOST].astype(np.int64)
    found = random_features(task.normalised("train")[:MOST])
    overall = found.var(axis=0)
    between, nearest = np.zeros(FILTERS), 0.0
    half = np.arange(len(found)) % 2 == 0
    scale = np.where(overall > 0, np.sqrt(overall), 1.0)
    known = np.unique(labels)
    means = []
    for label in known:
        mine = found[labels == label]
        between += len(mine) / len(found) * (mine.mean(axis=0) - found.mean(axis=0)) ** 2
        means.append(found[half & (labels == label)].mean(axis=0) if (half & (labels == label)).any() else mine[0])
    distance = (((found[~half, None] - np.array(means)) / scale) ** 2).sum(axis=2)
    nearest = float((known[distance.argmin(axis=1)] == labels[~half]).mean())
    share = np.divide(between, overall, out=np.zeros(FILTERS), where=overall > 0)
    pixels = task.normalised("train")[:MOST].reshape(-1, task.image_shape[2])
    with np.errstate(invalid="ignore"):  # a channel without contrast correlates with none
        correlations = np.atleast_2d(np.corrcoef(pixels, rowvar=False))
    pairs = correlations[np.triu_indices(len(correlations), 1)] if len(correlations) > 1 else np.ones(1)
    embedding = np.concatenate([found.mean(axis=0), np.sqrt(overall), share])
    return {
        "channel_correlations": _kept(pairs),
        "separability": _kept(share.mean(keepdims=True))[0],
        "nearest_mean": _kept(np.array([nearest]))[0],
        "embedding": _kept(embedding),
    }


def random_features(images: Images) -> np.ndarray:
    """[n, 48] mean over places of ReLU of fixed random 3 x 3 convolutions of normalised images, n x h x w x c; grey
    images count as three equal channels, and images of fewer than 3 pixels have zeros around them."""
    lacking = [max(0, SIZE - side) for side in images.shape[1:3]]
    padding = ((0, 0), (0, lacking[0]), (0, lacking[1]), (0, 0))
    filters = np.random.default_rng(SEED).standard_normal((SIZE, SIZE, 3, FILTERS)) / (SIZE * np.sqrt(3))
    if images.shape[3] == 1:
        filters = filters.sum(axis=2, keepdims=True)
    elif images.shape[3] != 3:  # other channels than colours: each filter's colours in turn
        filters = filters[:, :, np.arange(images.shape[3]) % 3]
    parts = []
    for start in range(0, len(images), BATCH):
        batch = np.pad(images[start : start + BATCH].astype(np.float64), padding)
        windows = sliding_window_view(batch, (SIZE, SIZE), axis=(1, 2))
        maps = np.einsum("nhwcij,ijcf->nhwf", windows, filters, optimize=True)
        parts.append(np.maximum(maps, 0).mean(axis=(1, 2)))
    return np.concatenate(parts)


def _kept(values: np.ndarray) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in np.nan_to_num(values)]


def descriptor_vector(attributes: Mapping[str, Any]) -> NDArray[np.float64] | None:
    """The numbers [k] of a table's task by which tasks can be compared; None where it records none.

    For images logarithms of the numbers of training images and of classes, and what `task_features` says; for graphs
    logarithms of the numbers of nodes, edges, features and classes.
    """
    if set(GRAPH_FACTS) <= set(attributes):
        return np.log([attributes[name] for name in GRAPH_FACTS])
    if not {"n_train", "classes", "embedding", "separability", "nearest_mean"} <= set(attributes):
        return None
    sizes = np.log([attributes["n_train"], len(attributes["classes"])])
    return np.concatenate(
        [sizes, [attributes["separability"], attributes["nearest_mean"]], np.asarray(attributes["embedding"], float)]
    )
