"""Searches whose trials wait for workers: real processes on a real PostgreSQL."""

from __future__ import annotations

import contextlib
import dataclasses
from functools import partial

import pytest

from hnas.architecture.space import Frame, distribution_space
from hnas.cost.flops import cost
from hnas.studies.objective.costs import Costs
from hnas.studies.scoring.queue_backend import QueueBackend
from hnas.studies.scoring.worker import Worker
from hnas.studies.search.stage import SearchRules, run_stage
from hnas.studies.trials.database import open_storage
from hnas.studies.trials.study import open_study
from hnas.studies.trials.work_request import WorkRequest, announce
from tests.support.fake_scorer import FakeScorer
from tests.support.forked import Process

FRAME = Frame(image=32, channels=3, patch=4, classes=10, d=192, M=12, N=3)
SPACE = distribution_space(FRAME, d_k=192, d_z=4, E=1, K=31)
COSTS = Costs(frame=FRAME, flops=cost(FRAME, FRAME.all_global()).macs)
SCORER = FakeScorer(frame=FRAME)
RULES = SearchRules(trials=32, population=10, seed=3)
REQUEST = WorkRequest(run="nowhere", name="s", stage=1, lease=20.0)
WORKER = """
import sys, time
from tests.support.fake_scorer import FakeScorer
from hnas.studies.scoring.worker import Worker
from hnas.studies.trials.reach import reach

class Stuck(FakeScorer):
    "Scores so many, and is never done with the next."
    def score(self, archs):
        for one in super().score(archs):
            if not left:
                print("stuck", flush=True)
                time.sleep(10**6)
            left.pop()
            yield one

def load(request, space):
    kind = Stuck if len(sys.argv) > 3 else FakeScorer
    return kind(frame=space.frame, sleep=float(sys.argv[2]))

def told(told):
    print(told.number, flush=True)

left = [None] * int((sys.argv + [0, 0])[3])

storage = reach(sys.argv[1], 30, print)
print("ready", flush=True)
Worker(storage, load, idle=0.5, on_trial=told).work()
"""
SEARCH = """
import sys
from tests.support.queued import search, open_queued

search(open_queued(sys.argv[1]), on_trial=lambda event: print(event.done, flush=True))
"""


def python(code, *args):
    return Process(["-c", code, *args])


@contextlib.contextmanager
def workers(url, count, *, sleep=0.01):
    """So many processes that wait for trials; killed at the end where they are still there."""
    crew = [python(WORKER, url, sleep) for _ in range(count)]
    try:
        for one in crew:
            assert one.stdout.readline() == "ready\n"
        yield crew
    finally:
        for one in crew:
            kill(one)


def kill(process):
    process.kill()
    process.stdout.close()
    process.wait()


def timeless(found):
    return [dataclasses.replace(record, seconds=0.0) for record in found]


def open_queued(url, request=REQUEST):
    study = open_study(open_storage(url, create=True), "s", create=True)
    announce(study, request)
    return study


def search(study, *, lease=REQUEST.lease, **more):
    backend = partial(QueueBackend, lease=lease)
    return run_stage(study, SPACE, SCORER, RULES, costs=COSTS, backend=backend, **more)


def states(study):
    return [trial.state for trial in study.get_trials(deepcopy=False)]


def worker(study, scorer=SCORER, **more):
    """One in this process, for what waits now."""
    storage = study._storage._backend
    return Worker(storage, lambda request, space: scorer, idle=0.0, **more)


def one_generation(study):
    """Puts the first generation into the queue, as a search that ends then does."""

    class Ended(Exception):
        pass

    def end(self, seen):
        raise Ended

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Ended):
        patch.setattr("hnas.studies.scoring.queue_backend._Alone.look", end)
        search(study)


class Meanwhile:
    """A scorer while whose first score something else happens."""

    fingerprint = SCORER.fingerprint

    def __init__(self, happens):
        self.happens = happens

    def score(self, archs):
        for i, score in enumerate(SCORER.score(archs)):
            if i == 0:
                score = self.happens() or score
            yield score


class Enough(KeyboardInterrupt):
    pass


def first_told(study, scorer):
    """Lets a worker score one trial, and Ctrl-C end it then."""
    told = []

    def end(one):
        told.append(one)
        raise Enough

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Enough):
        patch.setattr("hnas.studies.scoring.claim.OFTEN", 0.0)  # each score is stored at once
        worker(study, scorer, on_trial=end).work()
    return told[0]
