"""Predictors of accuracy that are neural networks, one file per method; importing this loads torch."""

from __future__ import annotations

from .graph_networks import GCNRegressor, GINRegressor
from .mlp import MLP, BananasEnsemble
from .pairwise import PairwiseRanker
from .seminas import SemiNAS

__all__ = ["MLP", "BananasEnsemble", "GCNRegressor", "GINRegressor", "PairwiseRanker", "SemiNAS"]
