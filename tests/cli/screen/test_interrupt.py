"""Signals that end a command, and one that its starter has it ignore."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from hnas.cli.screen.interrupt import interruptible


@pytest.fixture
def ignored() -> Iterator[None]:
    """Ctrl-C, as `nohup` and a shell's `&` in a script have it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def test_sigterm_ends_a_command_that_ignores_ctrl_c(ignored: None) -> None:
    reached = False
    with pytest.raises(KeyboardInterrupt, match=r"Interrupted\. Go on\."), interruptible("Go on."):
        os.kill(os.getpid(), signal.SIGINT)
        reached = True
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("it goes on")
    assert reached


def test_afterwards_sigterm_means_what_it_did() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with interruptible(""):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
