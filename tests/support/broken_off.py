"""A whole search, what must come of it, and ways to break it off: by an exception, by `kill -9`."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import time
from pathlib import Path

import torch

from hnas.studies.plan.toml import load_plan
from hnas.studies.run.folder import Run, begin_run
from hnas.studies.run.result import Result
from hnas.studies.search.events import Listener
from hnas.studies.search.finish import finish
from hnas.studies.search.retrain import retrain
from hnas.studies.search.search import search_stage
from hnas.studies.search.session import Session
from hnas.studies.trials.trial import records
from tests.support.forked import Process

PROGRAM = "import sys; from tests.support.broken_off import search; search(*sys.argv[1:])"

CPU = torch.device("cpu")


def whole(run: Run, listener: Listener | None = None) -> Result:
    with run.hold(), contextlib.closing(Session(run, CPU, listener)) as session:
        search_stage(session, 1)
        search_stage(session, 2)
        retrain(session)
        return finish(session)


def outcome(run: Run) -> dict:
    """Everything that must not depend on how often the run was broken off."""
    with contextlib.closing(Session(run, CPU)) as session:
        trials = [
            [
                (r.number, r.generation, r.arch, r.accuracy, r.loss)
                for r in records(session.study(s))
            ]
            for s in (1, 2)
        ]
    weights = {
        p.name: json.loads(p.read_text())["versions"][0]["sha256"]
        for folder in ("checkpoints", "networks")
        for p in sorted((run.folder / folder).glob("*.json"))
    }
    history = (run.folder / "history.jsonl").read_text()
    return {
        "trials": trials,
        "weights": weights,
        "result": run.read("result.json"),
        "history": history,
    }


class Broken(Exception):
    pass


class Ticks(Listener):
    """Hears events of any kind."""

    def tick(self) -> None:
        raise NotImplementedError

    def epoch(self, what, epoch):
        self.tick()

    def trial(self, stage, event):
        self.tick()


class BreaksOff(Ticks):
    """Raises at the n-th event."""

    def __init__(self, n: int) -> None:
        self.left = n

    def tick(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Broken


class Tells(Ticks):
    def tick(self) -> None:
        print("tick", flush=True)


def search(plan: str, folder: str) -> None:
    """A whole search in this process, which prints a line at its begin and at each event."""
    torch.set_num_threads(1)
    run = begin_run(Path(folder), load_plan(Path(plan)))
    with run.hold():
        session = Session(run, CPU, Tells())
        print("begun", flush=True)
        for number in range(1, len(run.stages) + 1):
            search_stage(session, number)
        finish(session)


def kill_and_resume(plan: Path, folder: Path, *, kills: int, most: int) -> None:
    """The search of a plan file, killed so often, each time a moment after one of its next lines,
    at `most` that many further; then it goes on to the end."""
    rng = random.Random(0)
    for _ in range(kills):
        with Process(["-c", PROGRAM, plan, folder]) as process:
            assert process.stdout is not None
            assert all(process.stdout.readline() for _ in range(rng.randint(1, most)))
            time.sleep(rng.uniform(0, 0.05))
            process.kill()
        assert process.returncode == -signal.SIGKILL
    with Process(["-c", PROGRAM, plan, folder]) as process:
        process.communicate()
    assert process.returncode == 0
