"""Unpickling that admits plain data only, so that opening somebody's file cannot run somebody's code.

A pickle may name any function of any module to be called while it loads. Here the named things are limited to
containers, numbers, strings, `collections.OrderedDict` and numpy arrays, scalars and dtypes of plain numbers,
bools and strings, under the names that numpy 1.x and 2.x write; everything else is refused by name before it
is imported. Numpy's own reconstruction functions are not called: they accept a dtype description that lies
about its content.
"""

from __future__ import annotations

import bz2
import io
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import NasbenchError

MAX_BYTES = 1 << 28
"""Largest pickle in bytes, after decompression: the largest in use here has two million."""


class _Dtype:
    """Stands for a numpy dtype while its array or scalar is being put together."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.dtype = np.dtype(code) if isinstance(code, str) else np.dtype("O")
        if self.dtype.kind not in "biufcSU":
            raise NasbenchError(f"a numpy array of type {code!r}")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if len(state) < 7 or any(part is not None for part in state[2:5]):
            raise NasbenchError("a numpy array of records")
        size = f"{state[5] // (4 if self.dtype.kind == 'U' else 1)}" if self.dtype.kind in "SU" else ""
        self.dtype = np.dtype(f"{self.dtype.kind}{size or self.dtype.itemsize}").newbyteorder(state[1])


class _Array(np.ndarray):
    """An array that takes its content from a pickle only through a `_Dtype`."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        version, shape, dtype, fortran, content = state
        super().__setstate__((version, shape, dtype.dtype, fortran, bytes(content)))


def _array(*_: Any) -> np.ndarray:
    return _Array((0,), np.int8)


def _array_from_buffer(content: bytes, dtype: _Dtype, shape: tuple[int, ...], order: str) -> np.ndarray:
    return np.frombuffer(bytes(content), dtype=dtype.dtype).reshape(shape, order="F" if order == "F" else "C")


def _scalar(dtype: _Dtype, content: bytes | str) -> Any:
    raw = content.encode("latin1") if isinstance(content, str) else bytes(content)
    return np.frombuffer(raw, dtype=dtype.dtype)[0]


def _old_bytes(text: str = "", encoding: str = "latin1") -> bytes:
    return text.encode("latin1")


def _set(items: Iterable[Any] = ()) -> set[Any]:
    return set(items)


_MODULES = ("numpy.core", "numpy._core")
_ADMITTED: dict[str, Callable[..., Any] | str] = {
    "collections.OrderedDict": OrderedDict,
    "numpy.dtype": lambda *arguments: _Dtype(*arguments),
    "numpy.ndarray": "numpy.ndarray",
    **{f"{module}.multiarray._reconstruct": _array for module in _MODULES},
    **{f"{module}.multiarray.scalar": _scalar for module in _MODULES},
    **{f"{module}.numeric._frombuffer": _array_from_buffer for module in _MODULES},
    "_codecs.encode": _old_bytes,
    **{f"{module}.set": _set for module in ("builtins", "__builtin__")},
    **{f"{module}.bytes": lambda: b"" for module in ("builtins", "__builtin__")},
}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" not in _ADMITTED:
            raise NasbenchError(f"{module}.{name}")
        return _ADMITTED[f"{module}.{name}"]


def loads(content: bytes, source: str | Path) -> Any:
    """The plain data in the pickle `content`; numpy arrays come as (a subclass of) ndarray.

    NasbenchError, naming `source`, where it holds anything else, is cut short, or is no pickle.
    """
    try:
        return _PlainUnpickler(io.BytesIO(content)).load()
    except NasbenchError as refused:
        raise NasbenchError(f"refused to load {source}: it contains {refused}, which is not plain data.") from None
    except Exception as error:
        raise NasbenchError(f"{source} is not a whole pickle file ({error}); copy or download it again.") from None


def load(path: str | Path) -> Any:
    """The plain data in the pickle file at `path`, decompressed first if it is bz2.

    NasbenchError as for `loads`, and where the file cannot be read or grows beyond MAX_BYTES.
    """
    try:
        with open(path, "rb") as file:
            packed = file.read(3) == b"BZh"
        with bz2.open(path, "rb") if packed else open(path, "rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except EOFError:
        raise NasbenchError(f"{path} is cut short; copy or download it again.") from None
    except OSError as error:
        reason = error.strerror or "its bz2 compression is damaged"
        raise NasbenchError(f"{path} cannot be read: {reason}; copy or download it again.") from None
    if len(content) > MAX_BYTES:
        raise NasbenchError(f"{path} holds more than {MAX_BYTES >> 20} MiB, more than any results file should.")
    return loads(content, path)
