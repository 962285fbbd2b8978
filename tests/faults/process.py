"""The command line of hnas with one fault in it, in a process of its own.

    python -m tests.faults.process ARGS     without a fault
    python -m tests.faults.process serve    as often as it is asked for on stdin

Checkpoints are written after every epoch, so that there are some to be hit in the second that a
training takes. Elites' drawings are empty: to draw them would take two thirds of such a search.
"""

from __future__ import annotations

import datetime
import importlib
import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

import hnas.studies.dashboard.annotate
import hnas.studies.scoring.local_backend
import hnas.studies.trials.database
import hnas.training.loop
from hnas.cli.main import hnas as command
from hnas.cli.screen import processes
from tests.faults.points import Point, path_of, strike
from tests.support.forked import prepare

DISK = "HNAS_FAULTS_DISK"
"""Environment variable: the folder where the disk is that `fill` fills."""
PATIENCE = "HNAS_FAULTS_PATIENCE"
"""Environment variable: seconds to wait for a storage, instead of what hnas waits."""
STRUCK = "HNAS_FAULTS_STRUCK"
"""Environment variable: fault and point, as JSON, of a process that is started by itself."""
BALLAST = ".ballast"
"""The file that fills the disk; where it is removed there is room again."""


def _kill(*args: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _tear(descriptor: int) -> None:
    """What a power cut leaves of a file that was not synced yet: half of it."""
    path = path_of(descriptor)
    os.truncate(path, os.path.getsize(path) // 2)
    _kill()


def _interrupt(*args: object) -> None:
    os.kill(os.getpid(), signal.SIGINT)


def _terminate(*args: object) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _fill(*args: object) -> None:
    """To the last byte."""
    with open(os.path.join(os.environ[DISK], BALLAST), "wb", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            try:
                while file.write(b"\0" * size):
                    pass
            except OSError:
                continue


def _out_of_memory(*args: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")


def _nan(optimizer: Any) -> None:
    """In one gradient, as an overflow leaves it."""
    optimizer.param_groups[0]["params"][0].grad.fill_(float("nan"))


def _explode(optimizer: Any) -> None:
    """All weights times 10^4, as a step that is far too long leaves them."""
    for group in optimizer.param_groups:
        for weight in group["params"]:
            weight.data.mul_(1e4)


def _nan_logits(tree: Any, *args: object) -> None:
    """Of a supernet whose weights are no numbers."""
    for weight in tree.net.parameters():
        weight.data.fill_(float("nan"))


def _turn_back(*args: object) -> None:
    """The clock, a second further back at every look: what a bad time server does, and worse."""
    now, looks = time.time(), itertools.count(1)
    real = datetime.datetime

    class Backwards(real):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return real.fromtimestamp(time.time(), tz)

    time.time = lambda: now - next(looks)
    assert hnas.studies.scoring.local_backend.datetime is real
    hnas.studies.scoring.local_backend.datetime = Backwards


ACTS: dict[str, Callable[..., None]] = {
    "kill": _kill,
    "tear": _tear,
    "interrupt": _interrupt,
    "terminate": _terminate,
    "fill": _fill,
    "out of memory": _out_of_memory,
    "nan": _nan,
    "explode": _explode,
    "nan logits": _nan_logits,
    "turn back": _turn_back,
}


def run(fault: str, point: Mapping[str, Any] | None, args: Sequence[str]) -> None:
    """A command of hnas in this process, with a fault at a point; ends the process."""
    defaults = hnas.training.loop.Context.__init__.__kwdefaults__
    assert defaults["every"] > 0
    defaults["every"] = 0.0
    hnas.studies.dashboard.annotate.network = lambda drawn: drawn
    hnas.studies.dashboard.annotate.svg = lambda figure: "<svg/>"
    if PATIENCE in os.environ:
        hnas.studies.trials.database.TIMEOUT = int(os.environ[PATIENCE])
        hnas.studies.trials.database.PATIENCE = float(os.environ[PATIENCE])
    if point is not None:
        strike(Point(**point), ACTS[fault])
    if processes.are_several():
        sys.argv[1:] = args
        processes.run(command)
    else:
        command([*args], prog_name="hnas")


def serve() -> None:
    """Runs what stdin asks for, a JSON line each, in a process of its own each, and tells how it
    ended. Each is forked off this one, which has imported everything: that takes longest."""
    prepare()
    for name in ("data", "export", "import_weights", "status"):
        importlib.import_module(f"hnas.cli.commands.{name}")
    importlib.import_module("hnas.exchange.import_weights")
    for line in sys.stdin:
        asked = json.loads(line)
        process = os.fork()
        if process == 0:
            for descriptor, name in ((0, os.devnull), (1, asked["out"]), (2, asked["err"])):
                os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC), descriptor)
            os.environ.update(asked["environment"])
            run(asked["fault"], asked["point"], asked["args"])
        if asked["after"] is not None:
            _kill_after(process, asked["after"])
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _kill_after(process: int, seconds: float) -> None:
    """Kills a process wherever it is by then, unless it has ended."""
    end = time.monotonic() + seconds
    while os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() >= end:
            os.kill(process, signal.SIGKILL)
            return
        time.sleep(0.001)


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    else:
        fault, point = json.loads(os.environ.get(STRUCK, '["none", null]'))
        run(fault, point, sys.argv[1:])
