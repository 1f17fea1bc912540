"""How a comparison was made: what its folder recorded, and the suite as a file from which it can be run again."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nasbench.errors import NasbenchError
from nasbench.tables import open_table

from .findings import listed
from .study import Study


def read_provenance(folder: Path) -> dict[str, Any]:
    """What provenance.json says, each entry "not recorded" where it is missing or of the wrong type."""
    found: Any = {}
    with contextlib.suppress(OSError, ValueError, RecursionError):
        found = json.loads((folder / "provenance.json").read_bytes())
    found = found if isinstance(found, dict) else {}
    kinds = {"command": str, "date": str, "platform": str, "jobs": int, "versions": dict}
    return {name: found[name] if isinstance(found.get(name), kind) else None for name, kind in kinds.items()}


def version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def to_toml(study: Study) -> str:
    """The suite as a file from which it can be run again: every field that is not at its default."""
    suite, known = study.suite, study.manifest["strategies"]
    fields = {field.name: getattr(suite, field.name) for field in dataclasses.fields(suite)}
    defaults = {
        field.name: field.default_factory() if callable(field.default_factory) else field.default
        for field in dataclasses.fields(suite)
    }
    kept = {name: value for name, value in fields.items() if value != defaults[name]}
    if suite.mode != "train":
        kept["table"] = suite.table
    kept["strategies"] = [
        f"{known[name]['path']}:{known[name].get('name', name)}" if known.get(name, {}).get("path") else name
        for name in suite.strategies
    ]
    return "".join(f"{name} = {_value(kept[name])}\n" for name in fields if name in kept)


def _value(value: Any) -> str:
    """A value as TOML."""
    if isinstance(value, Mapping):
        inside = ", ".join(f"{json.dumps(str(k), ensure_ascii=False)} = {_value(v)}" for k, v in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str):  # under the locale C, arguments hold the bytes of UTF-8 as surrogates
        with contextlib.suppress(UnicodeError):
            value = value.encode("utf-8", "surrogateescape").decode("utf-8")
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def from_python(study: Study) -> list[str]:
    """What the file cannot name, because it was passed to `compare` from Python."""
    import strategies

    suite, known, found = study.suite, study.manifest["strategies"], []
    if suite.mode != "train" and not _is_at_hand(suite.table, study.manifest["table"]):
        found.append("the table")
    own = [
        name for name in study.strategies
        if not known.get(name, {}).get("path")
        and getattr(strategies.CATALOGUE.get(name), "where", None) != known.get(name, {}).get("where")
    ]  # fmt: skip
    return found + ([f"the strategies {listed(own)}" if len(own) > 1 else f"the strategy {own[0]}"] if own else [])


def _is_at_hand(name: str, table: Mapping[str, Any]) -> bool:
    """Whether the recorded table is the one that the suite names; by its name alone if that is not at hand."""
    if Path(name).stem != table["name"]:
        return False
    try:
        return open_table(name).checksum == table["checksum"]
    except (NasbenchError, OSError):
        return True
