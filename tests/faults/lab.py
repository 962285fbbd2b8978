"""A place to break searches in: a plan that takes a second, processes, and the unbroken run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.faults.outcome import outcome
from tests.faults.points import Point
from tests.faults.process import STRUCK
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
        self._expected: dict[tuple[str, ...], dict[str, Any]] = {}
        self.seconds: dict[tuple[str, ...], float] = {}
        """What the unbroken searches took."""

    def hnas(
        self,
        *args: object,
        fault: str = "none",
        point: Point | None = None,
        after: float | None = None,
        **more: str,
    ) -> Ran:
        """A command of hnas, in a process of its own, with a fault at a point, or killed after so
        many seconds."""
        out, err = self.place / "out", self.place / "err"
        asked = {
            "args": [str(arg) for arg in args],
            "fault": fault,
            "point": point and asdict(point),
            "after": after,
            "environment": more,
            "out": str(out),
            "err": str(err),
        }
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.write(json.dumps(asked).encode() + b"\n")
        self._server.stdin.flush()
        code = int(self._server.stdout.readline())
        return Ran(code=code, out=out.read_text(), err=err.read_text())

    @cached_property
    def _server(self) -> Process:
        command = ["-m", "tests.faults.process", "serve"]
        return Process(command, env=environment(), stdin=subprocess.PIPE)

    def close(self) -> None:
        if "_server" in self.__dict__:
            assert self._server.stdin is not None
            self._server.stdin.close()
            self._server.communicate()

    def start(self, *args: object, point: Point | None = None, **more: str) -> Process:
        """A command that is not waited for; at a point it is killed."""
        command = ["-m", "tests.faults.process", *args]
        struck = {STRUCK: json.dumps(["kill", asdict(point)])} if point else {}
        return Process(command, env=environment(**struck, **more), stderr=subprocess.PIPE)

    def search(self, run: Path, *more: object) -> tuple[object, ...]:
        """The arguments of a whole search of the plan."""
        return ("search", "--plan", self.plan, "--run", run, "--device", "cpu", *more)

    @cached_property
    def unbroken(self) -> Path:
        """A run that nothing happened to."""
        return self.place / "unbroken" / "run" if self.expected_of() else self.place

    @property
    def expected(self) -> dict[str, Any]:
        return self.expected_of()

    def expected_of(self, *more: str) -> dict[str, Any]:
        """What a search with these options comes to where nothing happens to it."""
        if more not in self._expected:
            run = self.place / " ".join(("unbroken", *more)) / "run"
            began = time.monotonic()
            ran = self.hnas(*self.search(run, *more))
            assert ran.code == 0, ran.err
            self._expected[more] = outcome(run)
            self.seconds[more] = time.monotonic() - began
        return self._expected[more]

    def copy(self, name: str) -> Path:
        """The unbroken run, to be changed."""
        return Path(shutil.copytree(self.unbroken, self.place / name / "run"))


def environment(**more: str) -> dict[str, str]:
    """Of a process of the lab."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **more}
