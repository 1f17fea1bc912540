"""Files are written whole or not at all: under a temporary name beside the target, then renamed."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import NasbenchError


@contextlib.contextmanager
def replacing(path: Path, sync: bool = True) -> Iterator[Path]:
    """A temporary path to write to, which becomes `path` when the block ends without an exception.

    Args:
        path: the target; its folder is made, and a former file stays whole until the new one is.
        sync: also survive a power cut right after, at the price of some milliseconds.

    Raises:
        NasbenchError: the system refuses to write there.
    """
    temporary = path.parent / f".{path.stem}-{secrets.token_hex(4)}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
        yield temporary
        if sync:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except (FileExistsError, NotADirectoryError):
        raise NasbenchError(f"cannot write {path}: a part of its path is a file, not a folder.") from None
    except OSError as error:
        raise NasbenchError(f"cannot write {path}: {error.strerror or error}.") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def holds(folder: Path) -> Iterator[Path]:
    """What is in a folder, but for hidden files, such as those that a kill left half written."""
    return (path for path in folder.iterdir() if not path.name.startswith("."))


def write_whole(path: Path, data: bytes | str, sync: bool = True) -> None:
    """Write `data`, text as UTF-8, whole or not at all; arguments and errors as for `replacing`."""
    with replacing(path, sync) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


def read_json(path: Path) -> Any:
    """What a JSON file holds; None where there is none or it is damaged, as by a power cut."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
