"""A place to break searches in: a plan that takes a second, processes, and the unbroken run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.faults.outcome import outcome
from tests.faults.points import Point
from tests.support.forked import Process
from tests.support.tiny import TINY

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A process that has ended."""

    code: int
    """Exit code, or minus the signal that ended it."""
    out: str
    err: str

    @property
    def message(self) -> str:
        """What it told its user: the last lines of stderr, as one."""
        return " ".join(self.err.strip().split())


class Lab:
    """Runs searches in subprocesses. Each folder of `place` is one experiment; its run is called
    `run` in all of them, so that their studies have the same names."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.plan = place / "plan.toml"
        place.mkdir(parents=True, exist_ok=True)
        self.plan.write_text(TINY)

    def hnas(
        self, *args: object, fault: str = "none", point: Point | None = None, **more: str
    ) -> Ran:
        """A command of hnas, in a process of its own, with a fault at a point."""
        out, err = self.place / "out", self.place / "err"
        asked = {
            "args": [str(arg) for arg in args],
            "fault": fault,
            "point": point and asdict(point),
            "environment": more,
            "out": str(out),
            "err": str(err),
        }
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.write(json.dumps(asked) + "\n")
        self._server.stdin.flush()
        code = int(self._server.stdout.readline())
        return Ran(code=code, out=out.read_text(), err=err.read_text())

    @cached_property
    def _server(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.faults.process", "serve"],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        if "_server" in self.__dict__:
            self._server.communicate()

    def start(self, *args: object) -> Process:
        """A command without a fault, not waited for."""
        command = ["-m", "tests.faults.process", *args]
        return Process(command, env=environment(), stderr=subprocess.PIPE)

    def search(self, run: Path, *more: object) -> tuple[object, ...]:
        """The arguments of a whole search of the plan."""
        return ("search", "--plan", self.plan, "--run", run, "--device", "cpu", *more)

    @cached_property
    def unbroken(self) -> Path:
        """A run that nothing happened to."""
        run = self.place / "unbroken" / "run"
        ran = self.hnas(*self.search(run))
        assert ran.code == 0, ran.err
        return run

    @cached_property
    def expected(self) -> dict[str, Any]:
        return outcome(self.unbroken)

    def copy(self, name: str) -> Path:
        """The unbroken run, to be changed."""
        return Path(shutil.copytree(self.unbroken, self.place / name / "run"))


def environment(**more: str) -> dict[str, str]:
    """Of a process of the lab."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **more}
