"""How much one wants to train a cell, given what a model says of it: larger is better, all arrays [m]."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr


def expected_improvement(mean: np.ndarray, spread: np.ndarray, best: float) -> np.ndarray:
    """E[max(f - best, 0)] for f normal (Jones, Schonlau and Welch, Journal of Global Optimization 1998)."""
    spread = np.maximum(spread, 1e-12)
    excess = (mean - best) / spread
    density = np.exp(-0.5 * excess**2) / np.sqrt(2 * np.pi)
    improvement: np.ndarray = spread * (excess * ndtr(excess) + density)
    return improvement


def upper_confidence_bound(mean: np.ndarray, spread: np.ndarray, weight: float = 1.0) -> np.ndarray:
    """mean + weight * spread (Srinivas et al., ICML 2010, with a constant weight)."""
    return mean + weight * spread


def independent_thompson_sampling(mean: np.ndarray, spread: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One independent draw a cell from its own normal distribution (White et al., BANANAS, AAAI 2021, section 4)."""
    return rng.normal(mean, np.maximum(spread, 1e-12))
