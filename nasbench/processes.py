"""What processes share: one thread for linear algebra, and an end at Ctrl-C and kills, said in one sentence by one."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import joblib
    from threadpoolctl import ThreadpoolController


def one_blas_thread() -> AbstractContextManager:
    """Linear algebra on one thread: it rounds alike in however many processes, and small matrices are faster."""
    return _blas("scipy.linalg" in sys.modules).limit(limits=1, user_api="blas")


@functools.cache
def _blas(scipy: bool) -> ThreadpoolController:
    """The libraries that are loaded; with `scipy`, one more of them."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as Ctrl-C does."""


@contextlib.contextmanager
def ending_cleanly() -> Iterator[None]:
    """SIGTERM raises `Terminated` in this block, and a Ctrl-C that Python would drop is raised again.

    Python cannot raise within a finaliser: it prints what was raised there, and goes on. Elsewhere than in the main
    thread, nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(*_: object) -> None:
        raise Terminated

    def raise_again(dropped: sys.UnraisableHookArgs) -> None:
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            hook(dropped)
            return
        kind = signal.SIGTERM if issubclass(dropped.exc_type, Terminated) else signal.SIGINT
        timers.append(threading.Timer(0.05, signal.pthread_kill, (threading.main_thread().ident, kind)))
        timers[-1].start()  # after the finaliser

    timers: list[threading.Timer] = []
    hook, before = sys.unraisablehook, signal.signal(signal.SIGTERM, terminate)
    sys.unraisablehook = raise_again
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()
        sys.unraisablehook = hook
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


@contextlib.contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Processes that are started in this block ignore Ctrl-C for good; elsewhere than in the main thread, nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)


def parallel(jobs: int, **options: Any) -> joblib.Parallel:
    """joblib's worker processes, which end when this one is gone, however it went; options as for `joblib.Parallel`."""
    import joblib

    return joblib.Parallel(n_jobs=jobs, initializer=_follow, initargs=(os.getpid(),), **options)


def _follow(parent: int) -> None:
    """Watch in a thread whether the process that started this one is still there."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
