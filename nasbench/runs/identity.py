"""What a strategy is, as JSON: enough to notice, when a comparison goes on, that another one goes by its name."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.util
import inspect
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import NasbenchError
from ..own_files import imported, is_own, load

PLAIN = (int, float, complex, str, bytes, bool, type(None))
"""Types whose values belong to what a strategy does, wherever it takes them from."""


def describe(factory: Any) -> dict[str, Any]:
    """Where a strategy comes from, its settings, and a digest of its code.

    The digest of a built-in strategy is of its file. That of a class or function of one's own, given in Python or by
    its file's name, covers what it uses of its own module, so that other lines of the same script may change.
    """
    listed = hasattr(factory, "where") or hasattr(factory, "path")  # in strategies.CATALOGUE, or a file of one's own
    if listed and dataclasses.is_dataclass(factory) and not isinstance(factory, type):
        home = getattr(factory, "where", ""), getattr(factory, "path", "")
        fields = dataclasses.asdict(factory)
        if home[1] and not fields["settings"]:
            del fields["settings"]
        digest = own_digest(fields["path"], fields["name"]) if home[1] else file_digest(home[0])
        model = fields["settings"].get("predictor") if isinstance(fields.get("settings"), dict) else None
        if isinstance(model, str) and is_own(model):
            path, _, name = model.rpartition(":")
            digest = hashlib.sha256(f"{digest} {own_digest(path, name)}".encode()).hexdigest()
        return {**fields, "sha256": digest}
    if isinstance(factory, functools.partial):
        settings = [*factory.args, *sorted(factory.keywords.items())]
        inner, arguments = describe(factory.func), _code(settings, getattr(factory.func, "__module__", ""))
        own = inner.get("settings")
        return {**inner, "settings": {**own, "arguments": arguments} if isinstance(own, dict) else arguments}
    named = factory if hasattr(factory, "__qualname__") else type(factory)
    return {
        "where": f"{named.__module__}:{named.__qualname__}",
        "family": "own",
        **said(factory),
        "sha256": _code(factory, named.__module__),
    }


def own_digest(path: str, name: str) -> str:
    """Of the code of what goes by this name in a file of one's own, as it was imported; "" where there is nothing."""
    try:
        load(path, name)
        return _digest(imported(path).__name__, name)
    except (NasbenchError, OSError):
        return ""


@functools.cache
def _digest(module: str, name: str) -> str:
    """Worked out once, before anything that the module remembers changes it; its name follows from its content."""
    return _code(getattr(sys.modules[module], name), module, module)


def said(strategy: Any) -> dict[str, Any]:
    """What a strategy of one's own says of itself: its `family` and, if that is "multi-objective", its `objective`."""
    family, objective = (getattr(strategy, name, None) for name in ("family", "objective"))
    found: dict[str, Any] = {"family": family} if isinstance(family, str) and family else {}
    if family == "multi-objective" and isinstance(objective, str):
        found["settings"] = {"objective": objective}
    return found


def same(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether two descriptions are of one strategy; where its file lies does not matter."""
    aside = {"path": ""}
    if old.get("path") and new.get("path"):  # what the class says of itself follows from the file
        aside |= {"family": "", "settings": ""}
        if old.get("sha256") == file_digest(f"{new['path']}:"):  # folders of former releases have that of the file
            aside["sha256"] = ""
    return {**old, **aside} == {**new, **aside}


def _code(thing: Any, module: str, unnamed: str | None = None) -> str:
    """Digest of what belongs to a thing of a module; `unnamed` is left out of it."""
    text = "\n".join(part.replace(unnamed, "") if unnamed else part for part in _parts(thing, module, {}))
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def file_digest(where: str) -> str:
    """SHA-256 of the file that `where`, "module:name" or "file.py:name", is in; "" for none to be read."""
    path = ""
    try:
        name = where.rpartition(":")[0]
        if is_own(where):
            path = name
        elif name in sys.modules:
            path = getattr(sys.modules[name], "__file__", None) or ""
        elif name:
            found = importlib.util.find_spec(name)
            path = (found and found.origin) or ""
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except (OSError, ImportError, ValueError):
        return ""


def _parts(thing: Any, module: str, seen: dict[int, Any]) -> Iterator[str]:
    """The code of a class or function, of what it uses of its own module, and the plain values that these hold."""
    if isinstance(thing, PLAIN):
        yield repr(thing)
        return
    if id(thing) in seen:
        return
    seen[id(thing)] = thing
    inside: list[Any] = []
    if isinstance(thing, (type, types.FunctionType)):
        if thing.__module__ != module:
            yield f"{thing.__module__}:{thing.__qualname__}"
            return
        yield _source(thing)
        if isinstance(thing, type):
            own = {name: part for name, part in vars(thing).items() if not name.startswith("__") or callable(part)}
            inside = [*thing.__bases__, *own.values()]
        else:
            inside = [thing.__defaults__, thing.__kwdefaults__, *_cells(thing), *_globals(thing)]
    elif isinstance(thing, (staticmethod, classmethod, types.MethodType)):
        inside = [thing.__func__, getattr(thing, "__self__", None)]
    elif isinstance(thing, property):
        inside = [thing.fget, thing.fset]
    elif isinstance(thing, functools.partial):
        inside = [thing.func, thing.args, thing.keywords]
    elif isinstance(thing, (tuple, list)):
        inside = list(thing)
    elif isinstance(thing, dict):
        inside = [part for item in thing.items() for part in item]
    elif isinstance(thing, (set, frozenset)):
        inside = sorted(map(repr, thing))
    elif isinstance(thing, np.ndarray):
        inside = [str(thing.dtype), *thing.shape, thing.tobytes()]
    else:
        yield f"{type(thing).__module__}:{type(thing).__qualname__}"
        yield repr(thing).partition(" at 0x")[0]
        inside = [getattr(thing, "__wrapped__", None)]
        if type(thing).__module__ == module or dataclasses.is_dataclass(thing):
            slots = [getattr(thing, name, None) for name in getattr(thing, "__slots__", ())]
            inside += [type(thing), getattr(thing, "__dict__", None), *slots]
    for part in inside:
        yield from _parts(part, module, seen)


def _cells(function: types.FunctionType) -> list[Any]:
    """What a function closes over."""
    cells = []
    for cell in function.__closure__ or ():
        try:
            cells.append(cell.cell_contents)
        except ValueError:  # not bound yet
            continue
    return cells


def _globals(function: types.FunctionType) -> list[Any]:
    """What a function and its inner functions name of their module, other modules excepted."""
    codes: list[types.CodeType] = [function.__code__]
    names: list[str] = []
    while codes:
        code = codes.pop()
        names += code.co_names
        codes += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    found = [function.__globals__[name] for name in names if name in function.__globals__]
    return [part for part in found if not isinstance(part, types.ModuleType)]


def _source(thing: Any) -> str:
    """Its text, or its compiled code for what was typed in at a prompt; both of a lambda, which may share a line."""
    code = getattr(thing, "__code__", None)
    try:
        text = inspect.getsource(thing)
    except (OSError, TypeError):
        text = ""
    return text if code is None or (text and code.co_name != "<lambda>") else text + _compiled(code)


def _compiled(code: types.CodeType) -> str:
    names = (code.co_names, code.co_varnames, code.co_freevars)
    constants = [_compiled(c) if isinstance(c, types.CodeType) else _ordered(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {names} {constants}"


def _ordered(constant: Any) -> str:
    return str(sorted(map(repr, constant))) if isinstance(constant, frozenset) else repr(constant)
