"""Scoring by workers: real processes on a real PostgreSQL."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import itertools
import math
import os
import random
import subprocess
import sys
import threading
import time
from datetime import datetime
from functools import partial
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

import hnas.studies.search.stage
from hnas.architecture.space import Frame, distribution_space
from hnas.cost.flops import cost
from hnas.errors import InputError, MismatchError, StateError
from hnas.scoring.record import Score
from hnas.studies.objective.costs import Costs
from hnas.studies.scoring.claim import Claim
from hnas.studies.scoring.fake import FakeScorer
from hnas.studies.scoring.queue_backend import QueueBackend, _Signs
from hnas.studies.scoring.worker import Worker, reach
from hnas.studies.search.stage import SearchRules, run_stage
from hnas.studies.trials.database import close_storage, open_storage
from hnas.studies.trials.queue import (
    LOST,
    TrialView,
    open_queue,
    put_back,
    take,
)
from hnas.studies.trials.study import open_study
from hnas.studies.trials.trial import records
from hnas.studies.trials.work_request import WorkRequest, announce, dismiss
from tests.support.postgres import new_database, served

FRAME = Frame(image=32, channels=3, patch=4, classes=10, d=192, M=12, N=3)
SPACE = distribution_space(FRAME, d_k=192, d_z=4, E=1, K=31)
COSTS = Costs(frame=FRAME, flops=cost(FRAME, FRAME.all_global()).macs)
SCORER = FakeScorer(frame=FRAME)
RULES = SearchRules(trials=32, population=10, seed=3)
REQUEST = WorkRequest(run="nowhere", name="s", stage=1, lease=20.0)

WORKER = """
import sys
from hnas.studies.scoring.fake import FakeScorer
from hnas.studies.scoring.worker import Worker, reach

def load(request, space):
    return FakeScorer(frame=space.frame, sleep=float(sys.argv[2]))

def told(told):
    print(told.number, flush=True)

storage = reach(sys.argv[1], 30, print)
print("ready", flush=True)
Worker(storage, load, idle=0.5, on_trial=told).work()
"""
SEARCH = """
import sys
sys.path.insert(0, sys.argv[2])
from test_worker import search, open_queued

search(open_queued(sys.argv[1]), on_trial=lambda event: print(event.done, flush=True))
"""


def python(code, *args):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.PIPE,
        text=True,
    )


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


@pytest.fixture(scope="module")
def here():
    """The trials of the search in one process."""
    study = open_study(optuna.storages.InMemoryStorage(), "s", create=True)
    return timeless(run_stage(study, SPACE, SCORER, RULES, costs=COSTS).records)


@pytest.fixture
def study(database):
    """A new study that asks for workers."""
    study = open_queued(database)
    yield study
    close_storage(study._storage._backend)


def open_queued(url, request=REQUEST):
    study = open_study(open_storage(url, create=True), "s", create=True)
    announce(study, request)
    return study


def search(study, *, lease=REQUEST.lease, **more):
    backend = partial(QueueBackend, lease=lease)
    return run_stage(study, SPACE, SCORER, RULES, costs=COSTS, backend=backend, **more)


def states(study):
    return [trial.state for trial in study.get_trials(deepcopy=False)]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_values_do_not_depend_on_the_number_of_workers(study, database, here, count):
    told = []
    with workers(database, count) as crew:
        result = search(study, on_trial=told.append)
        assert timeless(records(study)) == here
        assert sorted(event.number for event in told) == list(range(32))
        assert sorted(timeless(result.records), key=lambda r: r.number) == here
        dismiss(study._storage._backend, "s")
        assert [one.wait(20) for one in crew] == [0] * count
        scored = [[int(line) for line in one.stdout] for one in crew]
    assert sorted(itertools.chain(*scored)) == list(range(32))
    owners = [trial.user_attrs["worker"] for trial in study.trials]
    assert len(set(owners)) == sum(map(bool, scored))
    if count > 1:
        assert min(map(len, scored)) > 0


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


def test_stored_trials_are_those_of_one_process(study, database):
    whole = open_study(open_storage(database, create=True), "whole", create=True)
    run_stage(whole, SPACE, SCORER, RULES, costs=COSTS)
    with workers(database, 1):
        search(study)

    def told(trial):
        attrs = {k: v for k, v in trial.user_attrs.items() if k not in ("worker", "seconds")}
        return (trial.number, trial.state, trial.values, trial.params, trial.distributions,
                attrs, trial.system_attrs)  # fmt: skip

    assert [told(trial) for trial in study.trials] == [told(trial) for trial in whole.trials]
    for trial in study.trials:
        assert trial.datetime_start <= trial.datetime_complete
    close_storage(whole._storage._backend)


def test_workers_that_are_killed_lose_and_double_nothing(study, database, here):
    kills = []

    def reap(crew, ended):
        """Kills one as soon as it has told a few, and starts another in its place."""
        rng = random.Random(0)
        while not ended.is_set() and len(kills) < 8:
            i = rng.randrange(len(crew))
            for _ in range(rng.randrange(1, 4)):
                crew[i].stdout.readline()
            time.sleep(rng.uniform(0, 0.04))
            kill(crew[i])
            kills.append(i)
            crew[i] = python(WORKER, database, 0.04)
            crew[i].stdout.readline()

    announce(study, dataclasses.replace(REQUEST, lease=1.0))
    ended = threading.Event()
    with workers(database, 2, sleep=0.04) as crew:
        reaper = threading.Thread(target=reap, args=(crew, ended))
        reaper.start()
        found = search(study, lease=1.0)
        ended.set()
        dismiss(study._storage._backend, "s")
        reaper.join()
    assert len(kills) >= 3
    assert found.scored == len(study.trials) == 32
    assert timeless(records(study)) == here
    assert set(states(study)) == {TrialState.COMPLETE}


def test_a_search_that_is_killed_goes_on(study, database, here):
    """Workers that were there stay; what waited or ran meanwhile is not proposed again."""
    with workers(database, 2, sleep=0.02):
        for upto in (4, 13, 25):
            process = python(SEARCH, database, Path(__file__).parent)
            for line in process.stdout:
                if int(line) >= upto:
                    break
            kill(process)
        assert len(records(study)) < 32
        search(study)
    assert timeless(records(study)) == here
    assert len(study.trials) == 32


def test_what_a_worker_finishes_while_a_search_resumes_is_not_scored_again(study, here):
    one_generation(study)
    read = hnas.studies.search.stage.records

    def read_before_a_worker_works(asked):
        found = read(asked)
        own = open_queue(study._storage._backend, "s")
        with Claim(own, SCORER.fingerprint, REQUEST.lease) as claim:
            for arch in claim.archs():
                claim.tell(*SCORER.score([arch]))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hnas.studies.search.stage.records", read_before_a_worker_works)
        patch.setattr("hnas.studies.scoring.queue_backend.Pause.wait", lambda pause: pytest.fail())
        rules = dataclasses.replace(RULES, trials=10)
        run_stage(study, SPACE, SCORER, rules, costs=COSTS, backend=QueueBackend)
    assert timeless(records(study)) == here[:10]


def test_stock_optuna_takes_every_trial_once(study, database):
    one_generation(study)
    taken, ready = [], threading.Barrier(4)

    def take_two():
        storage = optuna.storages.RDBStorage(database.replace("://", "+psycopg://"))
        own = optuna.load_study(study_name="s", storage=storage)
        ready.wait()
        taken.extend(own.ask().number for _ in range(2))
        close_storage(storage)

    threads = [threading.Thread(target=take_two) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(taken) == list(range(8))
    assert states(study) == [TrialState.RUNNING] * 8 + [TrialState.WAITING] * 2


def test_a_worker_makes_no_trial_where_none_waits(study, database):
    own = open_queue(study._storage._backend, "s")
    assert take(own) is None
    one_generation(study)
    assert [take(own).number for _ in range(10)] == list(range(10))
    assert take(own) is None
    assert len(study.trials) == 10


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

    with pytest.raises(Enough):
        worker(study, scorer, on_trial=end).work()
    return told[0]


@pytest.mark.parametrize("now", ["waits", "runs", "is finished"])
def test_a_late_result_is_not_a_second_one(study, here, now):
    """Of a worker that was taken for lost."""
    one_generation(study)

    def taken_away():
        put_back(study, study.trials[0]._trial_id, counted=True)
        if now != "waits":
            own = open_queue(study._storage._backend, "s")
            trial = take(own)
            if now == "is finished":
                own.tell(trial, [0.5, 1.0])

    told = first_told(study, Meanwhile(taken_away))
    assert (told.number, told.kept) == (0, now == "runs")
    first, *others = study.trials
    state = TrialState.WAITING if now == "waits" else TrialState.COMPLETE
    assert first.state is state
    if now == "runs":  # the same score, whoever tells it
        assert first.values[0] == here[0].accuracy
    assert [trial.state for trial in others] == [TrialState.WAITING] * 9


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError("no room")])
def test_what_a_worker_had_waits_again_when_it_ends(study, error):
    one_generation(study)

    def end():
        raise error

    with pytest.raises(type(error)):
        worker(study, Meanwhile(end)).work()
    assert states(study) == [TrialState.WAITING] * 10
    assert study.trials[0].system_attrs.get(LOST, 0) == isinstance(error, Exception)


def test_a_trial_that_every_worker_is_lost_with_ends_the_search(study, database):
    class Deadly(FakeScorer):
        def score(self, archs):
            for _ in archs:
                yield 1 / 0

    def work():
        for _ in range(6):
            with contextlib.suppress(ZeroDivisionError):
                worker(study, Deadly(frame=FRAME)).work()

    thread = threading.Thread(target=work)
    with pytest.raises(StateError, match=r"trial 0 of .* failed: 5 workers were lost while they"):
        thread.start()
        search(study)
    dismiss(study._storage._backend, "s")
    thread.join()
    assert states(study)[0] is TrialState.FAIL


def test_a_score_that_is_no_number_ends_the_search_and_is_tried_anew(study, database, here):
    nan = Score(accuracy=0.5, loss=math.nan, images=10, seconds=0.1)
    errors = []

    def work():
        with pytest.raises(StateError, match="finite loss, got") as caught:
            worker(study, Meanwhile(lambda: nan)).work()
        errors.append(caught.value)

    thread = threading.Thread(target=work)
    thread.start()
    with pytest.raises(StateError, match=r"trial 0 of .* failed: a score must .* Run it again"):
        search(study)
    thread.join()
    assert len(errors) == 1
    with workers(database, 1):
        search(study)
    assert [(r.arch, r.accuracy) for r in sorted(records(study), key=lambda r: r.arch.key)] == [
        (r.arch, r.accuracy) for r in sorted(here, key=lambda r: r.arch.key)
    ]


def test_without_workers_what_waited_is_scored_here(study, here):
    one_generation(study)
    run_stage(study, SPACE, SCORER, RULES, costs=COSTS)
    found = [dataclasses.replace(record, number=record.number - 10) for record in records(study)]
    assert timeless(found) == here
    assert states(study)[:10] == [TrialState.FAIL] * 10


def test_other_conditions_empty_the_queue(study):
    one_generation(study)
    rules = dataclasses.replace(RULES, seed=4)
    run_stage(study, SPACE, SCORER, rules, costs=COSTS)
    assert states(study)[:10] == [TrialState.FAIL] * 10


def test_a_worker_that_scores_with_something_else_scores_nothing(study):
    one_generation(study)
    other = FakeScorer(frame=FRAME, seed=1)
    with pytest.raises(MismatchError, match=r"the same:\n  seed: stored '0', asked '1'\nGive it"):
        worker(study, other).work()
    assert states(study) == [TrialState.WAITING] * 10


def test_a_supernet_that_changes_is_loaded_again(study):
    one_generation(study)
    loaded = []

    def load(request, space):
        loaded.append(FakeScorer(frame=FRAME, seed=len(loaded)))
        return loaded[-1]

    def change(told):
        if told.number == 2:
            study.set_user_attr("scorer", FakeScorer(frame=FRAME, seed=1).fingerprint)
        if told.number == 9:
            dismiss(study._storage._backend, "s")

    Worker(study._storage._backend, load, idle=0.0, on_trial=change).work()
    assert len(loaded) == 2
    expected = [next(loaded[i > 2].score([r.arch])).accuracy for i, r in enumerate(records(study))]
    assert [record.accuracy for record in records(study)] == expected


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_storage_that_is_not_there_yet_is_waited_for(database):
    notes = []
    made = threading.Timer(1.0, lambda: close_storage(open_storage(database, create=True)))
    made.start()
    close_storage(reach(database, 20.0, notes.append))
    assert len(notes) == 1 and "asked again for 20 s" in notes[0]
    gc.collect()  # the connections of tries that failed


def test_sqlite_is_refused(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    open_storage(url, create=True)
    with pytest.raises(InputError, match=r"workers needs a database server, .* without --workers"):
        reach(url, 20.0, print)


def test_a_database_that_restarts_is_waited_for_by_all(here):
    with served() as server:
        url = new_database(server.url)
        study = open_queued(url)
        back = threading.Timer(2, server.start)

        def gone_at_5(event):
            if event.done == 5:
                server.stop()
                back.start()

        with workers(url, 2):
            search(study, on_trial=gone_at_5)
        back.join()
        assert timeless(records(study)) == here
        close_storage(study._storage._backend)


def test_that_no_worker_is_there_is_told(study, monkeypatch):
    monkeypatch.setattr("hnas.studies.scoring.queue_backend.ALONE", 0.1)
    notes = []

    def note(text):
        notes.append(text)
        raise Enough

    with pytest.raises(Enough):
        backend = partial(QueueBackend, note=note)
        run_stage(study, SPACE, SCORER, RULES, costs=COSTS, backend=backend)
    assert notes == [
        "10 trials wait and no worker takes one. Start some: hnas worker --storage with the same "
        "URL"
    ]


def test_only_what_looks_the_same_for_a_whole_lease_is_lost():
    now = [0.0]
    signs = _Signs(2.0, clock=lambda: now[0])
    running, waiting = (
        TrialView(TrialState.RUNNING, None, None),
        TrialView(TrialState.WAITING, None, None),
    )

    def after(seconds, seen):
        now[0] += seconds
        return [trial_id for trial_id, _ in signs.lost(seen)]

    assert after(0.5, {1: running, 2: waiting}) == []
    for _ in range(4):
        assert after(0.5, {1: running, 2: waiting}) == []
    assert after(0.5, {1: running, 2: waiting}) == [1]
    beat = TrialView(TrialState.RUNNING, None, datetime(2026, 1, 1))
    assert after(0.5, {1: beat, 2: running}) == []  # a sign of life
    assert after(3600.0, {1: beat, 2: running}) == []  # nobody looked
    assert after(1.0, {1: beat, 2: running}) == []
    assert after(1.0, {1: beat, 2: running}) == [1, 2]
