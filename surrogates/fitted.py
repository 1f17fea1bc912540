"""Anybody's predictor at work: fitted, asked, and its answers checked, so that one sentence says what is wrong."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from nasbench.errors import NasbenchError, first_line, place
from nasbench.processes import one_blas_thread


@dataclass(frozen=True)
class Fitted:
    """A fitted predictor that gives finite numbers or none at all.

    Attributes:
        name: in surrogates.CATALOGUE.
        model: what learned.
        where: the training set in words, as in `20 cells of draw 0`.
    """

    name: str
    model: Any
    where: str

    @classmethod
    def to(cls, name: str, predictor: Any, X: np.ndarray, y: np.ndarray, where: str) -> Self:
        """Fit to labels y [n] of X [n, d]; NasbenchError where the predictor fails or does not return itself."""
        try:
            model = _quietly(predictor.fit, X, y)
        except NasbenchError:
            raise
        except (Exception, SystemExit) as error:
            reason = first_line(error) + place(error)
            raise NasbenchError(f"the predictor {name!r} failed to fit {where}: {reason}.") from error
        if not hasattr(model, "predict"):
            raise NasbenchError(
                f"the predictor {name!r} returned {_kind(model)} from fit, which returns the predictor ({where})."
            )
        return cls(name, model, where)

    def predict(self, X: np.ndarray, return_std: bool = False) -> Any:
        """Means [n] of X [n, d], float64, and with `return_std` their spreads [n]; both may come as [n, 1].

        NasbenchError where the predictor fails, or gives anything but n finite means and n finite spreads of at least
        0.
        """
        try:
            answer = _quietly(self.model.predict, X, return_std=True) if return_std else _quietly(self.model.predict, X)
        except NasbenchError:
            raise
        except (Exception, SystemExit) as error:
            reason = first_line(error) + place(error)
            raise NasbenchError(f"the predictor {self.name!r} failed to predict ({self.where}): {reason}.") from error
        if not return_std:
            return self._numbers(answer, len(X), "")
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise self._error(f"returned {_kind(answer)} for means and spreads", "")
        mean, spread = self._numbers(answer[0], len(X), ""), self._numbers(answer[1], len(X), "a spread of ")
        if (spread < 0).any():
            raise self._error(f"predicted a spread below 0 for {(spread < 0).sum()} of {len(X)} cells", "")
        return mean, spread

    def _numbers(self, found: Any, n: int, what: str) -> np.ndarray:
        try:
            values = np.asarray(found)
        except Exception:  # parts of unlike lengths, tensors on a device
            values = np.array(None)
        if values.dtype.kind not in "fiu":
            raise self._error(f"predicted {what}{_kind(found)}", f" instead of {n} numbers")
        if values.shape not in ((n,), (n, 1)):
            raise self._error(f"predicted {what}an array of shape {values.shape}", f" for {n} cells")
        values = values.reshape(n).astype(np.float64)
        for bad, word in ((np.isnan(values), "nan"), (np.isinf(values), "infinity")):
            if bad.any():
                raise self._error(f"predicted {what}{word}", f" for {bad.sum()} of {n} cells")
        return values

    def _error(self, did: str, rest: str) -> NasbenchError:
        return NasbenchError(f"the predictor {self.name!r} {did}{rest} ({self.where}).")


def _quietly(call: Any, *arguments: Any, **settings: Any) -> Any:
    with warnings.catch_warnings(), one_blas_thread():
        warnings.simplefilter("ignore")  # kernels at their bounds; the scores say how good a fit is
        return call(*arguments, **settings)


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
