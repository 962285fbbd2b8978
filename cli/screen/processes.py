"""hnas as several processes, started by torchrun: the first is the command, the others help it.

They have neither terminal nor files, and end with the first. What they run is
`hnas.studies.search.torchrun`.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from hnas.training.processes import World

NAMES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What a launcher sets in the environment."""


def are_several() -> bool:
    """Whether a launcher started more processes than this one."""
    return all(name in os.environ for name in NAMES) and os.environ["WORLD_SIZE"] != "1"


def run(command: click.Group) -> None:
    """The command in the first process; what it asks for in the others, until it ends."""
    # What its C++ says of a lost connection is said again in words, by hnas.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")
    first = os.environ["RANK"] == "0"
    if not first:
        # A launcher passes Ctrl-C on to all: the first one ends in order, and these with it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    from hnas.training.processes import connect

    world = connect()
    if not first:
        from hnas.studies.search.torchrun import serve

        serve(world)
    try:
        command(prog_name="hnas", obj=world)
    finally:
        world.close()


def launcher() -> tuple[str, ...]:
    """What stands before `hnas` on the command line; its own options only its user knows."""
    return ("torchrun", "...", "--no-python", "--") if are_several() else ()


def world() -> World:
    """The processes of the command that is running."""
    from hnas.training.processes import ONE_PROCESS, World

    return click.get_current_context().find_object(World) or ONE_PROCESS
