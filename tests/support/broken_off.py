"""A whole search in this process, what must come of it, and ways to break it off."""

from __future__ import annotations

import contextlib
import json

import torch

from hnas.studies.run.folder import Run
from hnas.studies.run.result import Result
from hnas.studies.search.events import Listener
from hnas.studies.search.finish import finish
from hnas.studies.search.retrain import retrain
from hnas.studies.search.search import search_stage
from hnas.studies.search.session import Session
from hnas.studies.trials.trial import records

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
    return {"trials": trials, "weights": weights, "result": run.read("result.json")}


class Broken(Exception):
    pass


class BreaksOff(Listener):
    """Raises at the n-th event of any kind."""

    def __init__(self, n: int) -> None:
        self.left = n

    def _tick(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Broken

    def epoch(self, what, epoch):
        self._tick()

    def trial(self, stage, event):
        self._tick()
