"""Interrupts that arrive where Python drops them, and SIGTERM."""

from __future__ import annotations

import os
import signal
import time

import pytest

from nasbench.processes import Terminated, ending_cleanly


class Interrupted:
    """Its finaliser is interrupted."""

    def __init__(self, kind: int) -> None:
        self.kind = kind

    def __del__(self) -> None:
        os.kill(os.getpid(), self.kind)
        time.sleep(0.01)


def work_until_interrupted(kind: int) -> None:
    with ending_cleanly():
        Interrupted(kind)
        time.sleep(5)


@pytest.mark.parametrize(("kind", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_an_interrupt_within_a_finaliser_is_raised_after_it(kind, raised, capsys):
    with pytest.raises(KeyboardInterrupt) as found:
        work_until_interrupted(kind)
    assert found.type is raised
    assert capsys.readouterr().err == ""


def test_handlers_are_those_of_before():
    before = signal.getsignal(signal.SIGTERM)
    with ending_cleanly():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
