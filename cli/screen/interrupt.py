"""Ctrl-C and SIGTERM: the command keeps finished work and prints how to resume."""

import shlex
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import FrameType

import click

from hnas.cli.screen.processes import launcher
from hnas.cli.screen.title import shown

ARGS = "hnas.args"
"""Key of the command line's arguments in the context."""


def resumable(folder: Path) -> AbstractContextManager[None]:
    """Makes Ctrl-C and SIGTERM print how to resume."""
    return interruptible(f"Finished work is kept in {folder}. Resume with: {typed()}")


@contextmanager
def interruptible(words: str) -> Iterator[None]:
    """Makes Ctrl-C and SIGTERM a KeyboardInterrupt that says `words`."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Interrupted. {words}") from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def typed() -> str:
    """The command line as the user typed it, with passwords masked."""
    args = click.get_current_context().meta.get(ARGS, ())
    return shlex.join([*launcher(), "hnas", *shown(args)])
