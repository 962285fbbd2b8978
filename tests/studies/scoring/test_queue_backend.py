"""Scoring by workers, as the search sees it."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import random
import threading
from datetime import datetime
from functools import partial

import pytest
from optuna.trial import TrialState

import hnas.studies.search.stage
from hnas.errors import StateError
from hnas.scoring.record import Score
from hnas.studies.scoring.claim import Claim
from hnas.studies.scoring.queue_backend import QueueBackend, _Signs
from hnas.studies.search.stage import run_stage
from hnas.studies.trials.database import close_storage, open_storage
from hnas.studies.trials.queue import TrialView
from hnas.studies.trials.study import open_study
from hnas.studies.trials.trial import records
from hnas.studies.trials.work_request import announce, dismiss
from tests.support.fake_scorer import FakeScorer
from tests.support.postgres import new_database, served
from tests.support.queued import (
    COSTS,
    FRAME,
    REQUEST,
    RULES,
    SCORER,
    SEARCH,
    SPACE,
    WORKER,
    Enough,
    Meanwhile,
    kill,
    one_generation,
    open_queued,
    python,
    search,
    states,
    timeless,
    worker,
    workers,
)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_values_do_not_depend_on_the_number_of_workers(study, database, here, count):
    told = []
    with workers(database, count, sleep=0.01 * count**2) as crew:
        result = search(study, on_trial=told.append)
        assert timeless(records(study)) == here
        assert sorted(event.record.number for event in told) == list(range(32))
        assert sorted(timeless(result.records), key=lambda r: r.number) == here
        dismiss(study._storage._backend, "s")
        assert [one.wait(300) for one in crew] == [0] * count
        scored = [[int(line) for line in one.stdout] for one in crew]
    assert sorted(itertools.chain(*scored)) == list(range(32))
    owners = [trial.user_attrs["worker"] for trial in study.trials]
    assert len(set(owners)) == sum(map(bool, scored))
    if count > 1:
        assert min(map(len, scored)) > 0


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
    """Each in the middle of a score; a moment later another takes its place."""
    rng = random.Random(0)
    lasting = [rng.randrange(1, 4) for _ in range(6)]  # trials, before each is stuck
    assert sum(lasting) < 32  # or a search might end before all are killed
    kills = []

    def start():
        return python(WORKER, database, 0.01, *([lasting.pop()] if lasting else []))

    def tend(one):
        while one is not None:
            stuck = "stuck\n" in one.stdout  # reads until it is, or until it ends
            kills.append(stuck)
            kill(one)
            one = start() if stuck else None

    announce(study, dataclasses.replace(REQUEST, lease=1.0))
    tending = [threading.Thread(target=tend, args=(start(),)) for _ in range(2)]
    for thread in tending:
        thread.start()
    found = search(study, lease=1.0)
    dismiss(study._storage._backend, "s")
    for thread in tending:
        thread.join()
    assert sum(kills) >= 5  # one that came late may have found nothing to do
    assert found.scored == len(study.trials) == 32
    assert timeless(records(study)) == here
    assert set(states(study)) == {TrialState.COMPLETE}


def test_a_search_that_is_killed_goes_on(study, database, here):
    """Workers that were there stay; what waited or ran meanwhile is not proposed again."""
    with workers(database, 2, sleep=0.02):
        for upto in (4, 13, 25):
            process = python(SEARCH, database)
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
        own = open_study(study._storage._backend, "s")
        with Claim(own, SPACE, SCORER.fingerprint, REQUEST.lease) as claim:
            for archs in claim.batches():
                for score in SCORER.score(archs):
                    claim.tell(score)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hnas.studies.search.stage.records", read_before_a_worker_works)
        patch.setattr("hnas.studies.scoring.queue_backend.Pause.wait", lambda pause: pytest.fail())
        rules = dataclasses.replace(RULES, trials=10)
        run_stage(study, SPACE, SCORER, rules, costs=COSTS, backend=QueueBackend)
    assert timeless(records(study)) == here[:10]


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
