"""What users bring in Python files of their own: `path/to/file.py:Name`."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

from .errors import NasbenchError, first_line


def is_own(name: str) -> bool:
    """Whether a name is that of something in a file, as in `mine.py:Mine`."""
    return name.rpartition(":")[0].endswith(".py")


def load(path: str, name: str, what: str = "class") -> Any:
    """The thing of this name in a file; `what` it is, for errors.

    NasbenchError if the file or the thing is not there or the file cannot be imported.
    """
    if not Path(path).is_file():
        raise NasbenchError(f"there is no file {path} with a {what} {name!r}.")
    module = imported(path)
    if not hasattr(module, name):
        raise NasbenchError(f"{path} has no {what} {name!r}.")
    return getattr(module, name)


def imported(path: str) -> types.ModuleType:
    """The file as a module, imported once for each content and named after it; NasbenchError where that fails."""
    file = Path(path).resolve()
    digest = hashlib.sha256(str(file).encode("utf-8", "surrogateescape") + file.read_bytes()).hexdigest()
    module = f"nasbench_own_{file.stem}_{digest[:16]}"
    if module not in sys.modules:
        spec = importlib.util.spec_from_file_location(module, file)
        if spec is None or spec.loader is None:
            raise NasbenchError(f"{path} is not a Python file.")
        found = importlib.util.module_from_spec(spec)
        sys.modules[module] = found
        sys.path.insert(0, str(file.parent))  # as for a script, so that it can import its neighbours
        try:
            spec.loader.exec_module(found)
        except (Exception, SystemExit) as error:
            del sys.modules[module]
            raise NasbenchError(f"{path} cannot be imported: {first_line(error)}.") from error
        finally:
            with contextlib.suppress(ValueError):
                sys.path.remove(str(file.parent))
    return sys.modules[module]
