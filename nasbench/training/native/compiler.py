"""Compile the C++ step once per machine and load it; without a compiler, say so once and return None.

The library lies in $XDG_CACHE_HOME/nasbench (or ~/.cache/nasbench) under a hash of its source, the compiler's
version, the flags and what the processor can do. Several processes may build it at once: each writes a file
of its own and renames it. NASBENCH_NO_NATIVE=1 switches the step off; CXX names another compiler. Building
takes a few seconds.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

logger = logging.getLogger(__name__)

SOURCE = Path(__file__).with_name("step.cpp")
FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-std=c++17", "-shared", "-fPIC")


def cache_folder() -> Path:
    """The folder for compiled libraries; it need not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "nasbench"


def find_compiler() -> str | None:
    """The C++ compiler that is used: $CXX, else g++, clang++ or c++, whichever is found first; None without
    one."""
    for name in (os.environ.get("CXX", ""), "g++", "clang++", "c++"):
        found = shutil.which(name) if name else None
        if found:
            return found
    return None


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout


def library_path(compiler: str) -> Path:
    """Where the library for this source, compiler and processor lies, built or not."""
    # With -march=native, -Q prints the instruction sets that were found (gcc); clang says so in -###.
    try:
        target = _run(compiler, "-march=native", "-Q", "--help=target")
    except subprocess.CalledProcessError:
        done = subprocess.run(
            [compiler, "-march=native", "-###", "-x", "c++", "-c", os.devnull],
            capture_output=True,
            text=True,
            timeout=60,
        )
        target = "\n".join(
            line for line in done.stderr.splitlines() if "-target-cpu" in line or "-target-feature" in line
        )
    sources = sorted(path for path in SOURCE.parent.iterdir() if path.suffix in (".cpp", ".h"))
    text = "\n".join((_run(compiler, "--version"), " ".join(FLAGS), target))
    digest = hashlib.sha256(text.encode() + b"".join(path.read_bytes() for path in sources)).hexdigest()
    return cache_folder() / f"step-{digest[:20]}.so"


def build(compiler: str) -> Path:
    """Compile the step unless its library is there already; returns the library's path."""
    path = library_path(compiler)
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(suffix=".so", prefix=".building-", dir=path.parent)
    os.close(handle)
    try:
        _run(compiler, *FLAGS, "-o", temporary, str(SOURCE))
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return path


def build_name() -> str:
    """The loaded build of the step, such as `step-3f...c0`: equal names, equal bits; empty without one."""
    library = load_library()
    return "" if library is None else Path(library._name).stem


@functools.cache
def load_library() -> ctypes.CDLL | None:
    """The compiled step, or None (with one logged line) where it is switched off or cannot be built."""
    if os.environ.get("NASBENCH_NO_NATIVE", "") not in ("", "0"):
        logger.info("NASBENCH_NO_NATIVE is set: networks are trained with plain torch.")
        return None
    compiler = find_compiler()
    if compiler is None:
        logger.warning("No C++ compiler (g++ or clang++) was found: networks are trained with plain torch, 4x slower.")
        return None
    try:
        library = ctypes.CDLL(str(build(compiler)))
    except (OSError, subprocess.SubprocessError) as error:
        detail = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        reason = next((line for line in detail if "error" in line), detail[0] if detail else type(error).__name__)
        logger.warning(
            "%s could not build the native step (%s): networks are trained with plain torch.",
            compiler,
            reason,
        )
        return None
    library.nasbench_train.restype = ctypes.c_int
    library.nasbench_lanes.restype = ctypes.c_int
    return library
