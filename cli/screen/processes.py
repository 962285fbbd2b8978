"""Processes that torchrun started: the first runs the command, the others help it.

The helpers run `hnas.studies.search.torchrun`, have neither terminal nor files, and end with the
first process.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from hnas.training.processes import World

NAMES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""Environment variables that a launcher sets."""


def are_several() -> bool:
    """Whether a launcher started other processes than this one."""
    return all(name in os.environ for name in NAMES) and os.environ["WORLD_SIZE"] != "1"


def run(command: click.Group) -> None:
    """Runs the command in the first process, and the jobs it sends in the others until it ends."""
    # hnas reports a lost connection in plain words, so the messages of PyTorch's C++ are off.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")
    first = os.environ["RANK"] == "0"
    if not first:
        # A launcher passes Ctrl-C on to all. The first process ends in order, the others with it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    from hnas.training.processes import connect

    world = connect()
    if not first:
        from hnas.studies.search.torchrun import serve

        serve(world)
    code: object = 0
    try:
        command(prog_name="hnas", obj=world)
    except SystemExit as end:
        code = end.code
    finally:
        world.close()
    _leave(code)


def _leave(code: object) -> NoReturn:
    """Ends this process at once. Now and then PyTorch's threads of talking abort one that ends in
    order, and then a launcher calls a search failed that has finished."""
    if isinstance(code, str):
        click.echo(code, err=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def launcher() -> tuple[str, ...]:
    """The words before `hnas` on the command line; only the user knows the launcher's options."""
    return ("torchrun", "...", "--no-python", "--") if are_several() else ()


def world() -> World:
    """The processes of the command that is running."""
    from hnas.training.processes import ONE_PROCESS, World

    return click.get_current_context().find_object(World) or ONE_PROCESS
