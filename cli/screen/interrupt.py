"""Ctrl-C, and SIGTERM the same way: what is finished is kept, and the way to go on is told."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import FrameType

import click

ARGS = "hnas.args"
"""Where the context keeps the command line's arguments as they were given."""


def resumable(folder: Path) -> AbstractContextManager[None]:
    """Within it Ctrl-C and SIGTERM say how to go on."""
    return interruptible(f"What is finished is kept in {folder}; continue with: {typed()}")


@contextmanager
def interruptible(words: str) -> Iterator[None]:
    """Within it SIGTERM is what Ctrl-C is: a KeyboardInterrupt, and that says `words`."""
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
    """The command line as it was given, its passwords masked."""
    from hnas.cli.screen.processes import launcher
    from hnas.studies.trials.database import masked

    args = click.get_current_context().meta.get(ARGS, ())
    return shlex.join([*launcher(), "hnas", *map(masked, args)])
