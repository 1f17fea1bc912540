"""What the neural meta-learners share: cells as standardised features, small perceptrons, and episodes.

An episode is a task, some cells whose standings are shown and others that are asked for, all of one source; a
meta-learner is trained so that what is shown helps with what is asked. Everything runs on one thread in float32 from a
seeded generator, so that the same sources give the same predictor.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from nasbench.spaces import Space
from nasbench.tables.source_tasks import Sources

from ..encoder import encode, varying
from ..neural.ensemble import Scaling
from .standings import normal_scores

Weights = dict[str, Tensor]
Score = tuple[Tensor, Tensor]
"""Index [n] of a source's cells and their standings [n]."""


class Episode(NamedTuple):
    """Of each of t tasks: cells [t, n, f] that are shown with standings [t, n], and cells that are asked for."""

    shown: Tensor
    told: Tensor
    asked: Tensor
    truth: Tensor


def cell_features(space: Space) -> Tensor:
    """[len(space), f] the encodings `path_counts` and `summary`, or `one_hot` where the space has none of them."""
    features = encode(space, space.cells)
    features = features[:, varying(features)]
    return torch.as_tensor(Scaling(features)(features), dtype=torch.float32)


def scores_of(sources: Sources) -> list[Score]:
    """Of every source."""
    return [
        (torch.as_tensor(task.index), torch.as_tensor(normal_scores(task.accuracies), dtype=torch.float32))
        for task in sources
    ]


def parted(scores: Sequence[Score], share: int, generator: torch.Generator) -> tuple[list[Score], list[Score]]:
    """Of every source all cells but one in `share`, drawn at random, and the others; all in both of fewer cells."""
    kept, left = [], []
    for index, z in scores:
        order, count = torch.randperm(len(index), generator=generator), len(index) // share
        seen, unseen = order[count:], order[:count] if count else order
        kept.append((index[seen], z[seen]))
        left.append((index[unseen], z[unseen]))
    return kept, left


def episodes(
    features: Tensor, scores: Sequence[Score], shown: Sequence[int], asked: int, tasks: int, count: int,
    generator: torch.Generator,
) -> Iterator[Episode]:  # fmt: skip
    """`count` episodes of `tasks` tasks each; how many cells are shown is drawn from `shown`, and none is asked for."""
    least = min(len(index) for index, _ in scores)
    for _ in range(count):
        size = min(shown[int(torch.randint(len(shown), (1,), generator=generator))], least // 2)
        more = min(asked, least - size)
        parts = []
        for task in torch.randperm(len(scores), generator=generator)[:tasks].tolist():
            index, z = scores[task]
            drawn = torch.randperm(len(index), generator=generator)[: size + more]
            x = features[index[drawn]]
            parts.append((x[:size], z[drawn[:size]], x[size:], z[drawn[size:]]))
        yield Episode(*(torch.stack(part) for part in zip(*parts, strict=True)))


def perceptron(sizes: Sequence[int], generator: torch.Generator) -> Weights:
    """First weights of a perceptron: He et al., ICCV 2015, and a last layer of a tenth of that."""
    weights = {}
    for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        gain = 0.02 if i == len(sizes) - 2 else 2.0
        weights[f"w{i}"] = torch.randn(inputs, outputs, generator=generator) * (gain / inputs) ** 0.5
        weights[f"b{i}"] = torch.zeros(outputs)
    return weights


def evaluate(weights: Weights, x: Tensor) -> Tensor:
    """The perceptron at x [..., f]: [..., outputs]. Softplus, which is smooth, as second derivatives want it."""
    layers = len(weights) // 2
    for i in range(layers):
        x = x @ weights[f"w{i}"] + weights[f"b{i}"]
        if i < layers - 1:
            x = softplus(x)
    return x


def flat(weights: Weights) -> list[Tensor]:
    """The tensors, in one order, as leaves that gradients gather in."""
    return [tensor.requires_grad_(True) for tensor in weights.values()]
