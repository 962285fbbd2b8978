"""Workers and their claims."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import threading
import time
from datetime import datetime, timedelta
from types import SimpleNamespace

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import event, select

from hnas.architecture.arch import Arch, Block
from hnas.errors import MismatchError, RowError, StateError
from hnas.persist.record import recorded
from hnas.studies.proposers.nsga2 import NSGA2
from hnas.studies.scoring.claim import Claim
from hnas.studies.scoring.queue_backend import QueueBackend
from hnas.studies.scoring.worker import Worker
from hnas.studies.search.stage import conditions
from hnas.studies.trials.conditions import asked_of, keep_conditions
from hnas.studies.trials.database import close_storage
from hnas.studies.trials.optuna_inside import database_of, models
from hnas.studies.trials.queue import (
    LOST,
    fail,
    look,
    put,
    put_back,
    withdraw,
)
from hnas.studies.trials.record import arch_key
from hnas.studies.trials.study import open_study
from hnas.studies.trials.taking import Finished, cut, finish, share, take
from hnas.studies.trials.trial import records
from hnas.studies.trials.work_request import announce, dismiss
from tests.support.fake_scorer import FakeScorer
from tests.support.queued import (
    COSTS,
    FRAME,
    REQUEST,
    RULES,
    SCORER,
    SPACE,
    Meanwhile,
    first_told,
    one_generation,
    states,
    worker,
)

STANDING = SimpleNamespace(monotonic=lambda: 1.0)


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
    own = open_study(study._storage._backend, "s")
    assert take(own, "me") == []
    one_generation(study)
    taken = [take(own, "me") for _ in range(7)]
    assert [one.number for some in taken for one in some] == list(range(10))
    assert taken[-1] == [] and max(map(len, taken)) > 1
    assert len(study.trials) == 10


def test_what_another_worker_is_just_taking_is_not_waited_for(study):
    one_generation(study)
    own, trials, taken = open_study(study._storage._backend, "s"), models.TrialModel, []
    held = select(trials.trial_id).order_by(trials.trial_id).limit(4).with_for_update()
    taking = threading.Thread(target=lambda: taken.extend(take(own, "me")), daemon=True)
    with database_of(study).engine.begin() as connection:
        connection.execute(held).all()
        taking.start()
        taking.join(20)
        assert [one.number for one in taken] == [4, 5, 6]


def test_a_share_is_smaller_if_more_workers_of_the_study_have_taken_some(study):
    one_generation(study)
    own = open_study(study._storage._backend, "s")
    assert [len(take(own, name)) for name in ("one", "another", "a third")] == [3, 2, 1]


def test_shares_shrink_with_what_waits_and_end_where_neighbours_differ_most():
    assert [share(48, crew) for crew in (1, 2, 4, 8)] == [12, 12, 6, 3]
    assert [share(waiting, 2) for waiting in (1, 2, 4, 5)] == [1, 1, 1, 2]
    archs = ["aaaa", "aaab", "aabb", "abbb", "abba", "abbc"]
    assert [cut(archs, most) for most in (5, 4, 3, 2, 1)] == [3, 3, 3, 2, 1]
    assert cut(archs, 6) == 6


@pytest.mark.parametrize(("quick", "clock"), [(0.0, time), (3600.0, time), (0.1, STANDING)])
def test_a_share_of_quick_scores_is_not_so_small_that_taking_it_costs_more(study, quick, clock):
    """Also if they are quicker than the clock."""
    one_generation(study)
    asked = []

    class Counting(FakeScorer):
        def score(self, archs):
            asked.append(len(archs))
            yield from super().score(archs)

    def on_trial(one):
        if sum(asked) == 10:
            dismiss(study._storage._backend, "s")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hnas.studies.scoring.claim.QUICK", quick)
        patch.setattr("hnas.studies.scoring.claim.time", clock)
        worker(study, Counting(frame=FRAME), on_trial=on_trial).work()
    assert sum(asked) == 10
    assert len(asked) == 2 if quick else len(asked) >= 5


@pytest.mark.parametrize("owner", ["me", "another"])
def test_a_share_costs_some_statements_however_large_it_is(study, owner):
    one_generation(study)
    own, counted = open_study(study._storage._backend, "s"), []
    engine = study._storage._backend.engine
    event.listen(engine, "before_cursor_execute", lambda *one: counted.append(one[2]))
    for least in (1, 6):
        counted.clear()
        taken = take(own, owner, least)
        asked_of(own)
        now = datetime.now()
        its = {"values": [0.5, 1.0], "attrs": {"loss": 1.0}, "started": now, "completed": now}
        finish(own, [Finished(trial_id=one.trial_id, **its) for one in taken])
        assert len(taken) > least / 2
        assert len(counted) <= 11, counted


def test_a_share_is_scored_together_and_stored_in_one_transaction(study):
    """What an architecture costs less because it begins as its neighbour does."""
    one_generation(study)
    asked, counts, told = [], [], []

    class Counting(FakeScorer):
        def score(self, archs):
            asked.append([arch.key for arch in archs])
            yield from super().score(archs)

    commits = Commits(study._storage._backend)

    def on_trial(one):
        told.append(one.number)
        counts.append(commits.count)
        if len(told) == 10:
            dismiss(study._storage._backend, "s")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hnas.studies.scoring.claim.OFTEN", 3600.0)
        worker(study, Counting(frame=FRAME), on_trial=on_trial).work()
    assert told == list(range(10)) and 1 < len(asked[0]) <= share(10, 1)
    assert [key for keys in asked for key in keys] == sorted(key for keys in asked for key in keys)
    assert len(set(counts)) == len(asked)


@pytest.mark.parametrize("owner", ["a worker that was lost", "none"])
def test_a_trial_that_a_worker_was_lost_with_is_taken_alone(study, owner):
    """It may be what ends workers: its neighbours shall not end with it."""
    one_generation(study)
    own = open_study(study._storage._backend, "s")
    held = take(own, "me")
    assert len(held) == 3
    for one in held:
        put_back(study, one.trial_id, counted=owner != "none")
    again = [[one.number for one in take(own, "me")] for _ in range(4)]
    assert (again[:3] == [[0], [1], [2]]) == (owner != "none")
    assert sorted(itertools.chain(*again)) == list(range(len([*itertools.chain(*again)])))


def test_a_result_is_stored_as_optuna_stores_it(study):
    one_generation(study)
    own = open_study(study._storage._backend, "s")
    theirs, ours = study.ask(), take(own, "me")[0]
    for name, value in (("worker", "me"), ("loss", 0.5), ("right", "ü")):
        theirs.set_user_attr(name, value)
    study.tell(theirs, [0.25, 2.0**40])
    before = study.trials[1].datetime_start
    now = datetime.now()
    found = Finished(
        trial_id=ours.trial_id,
        values=[0.25, 2.0**40],
        attrs={"loss": 0.5, "right": "ü"},
        started=now - timedelta(seconds=2),
        completed=now,
    )
    assert finish(own, [found]) == {ours.trial_id}
    assert finish(own, [found]) == set()
    stock, its = study.trials[:2]
    assert abs(before - stock.datetime_start) < timedelta(hours=1)  # one zone
    assert (its.datetime_start, its.datetime_complete) == (found.started, found.completed)
    for one in (stock, its):
        assert one.state is TrialState.COMPLETE and one.values == [0.25, 2.0**40]
        assert {k: one.user_attrs[k] for k in ("worker", "loss", "right")} == {
            **{"worker": "me", "loss": 0.5, "right": "ü"}
        }


def test_a_worker_takes_from_its_study_alone(study):
    one_generation(study)
    storage = study._storage._backend
    open_study(storage, "other", create=True)
    assert take(open_study(storage, "other"), "me") == []
    assert states(study) == [TrialState.WAITING] * 10


def test_who_scores_gives_signs_of_life_for_what_it_holds(study):
    one_generation(study)
    own = open_study(study._storage._backend, "s")
    seen, until = set(), time.monotonic() + 300
    with Claim(own, SPACE, SCORER.fingerprint, lease=0.5) as claim:
        held = len(next(claim.batches()))
        first, *others = (trial._trial_id for trial in study.trials)
        while len(seen - {None}) < 3:
            assert time.monotonic() < until
            seen.add(look(study, [first])[first].beat)
            time.sleep(0.02)
        beats = [view.beat is None for view in look(study, others).values()]
        assert 1 < held < 10 and beats == [False] * (held - 1) + [True] * (10 - held)


def test_a_trial_that_was_taken_anew_stays_with_its_worker(study):
    """And its lease begins with the new worker's first sign of life."""
    one_generation(study)
    storage, own = study._storage._backend, open_study(study._storage._backend, "s")
    first, second = (one.trial_id for one in take(own, "me")[:2])
    for trial_id in (first, second):
        storage.record_heartbeat(trial_id)
    before = look(study, [first])[first]
    put_back(study, first, counted=False, last=before)
    assert take(own, "other")[0].trial_id == first
    now = look(study, [first, second])
    assert now[first].beat is None and now[second].beat is not None
    put_back(study, first, counted=False, last=before)
    assert look(study, [first])[first] == now[first]
    put_back(study, first, counted=False, last=now[first])
    assert look(study, [first])[first].state is TrialState.WAITING


def test_the_last_reason_of_a_trial_is_kept(study):
    one_generation(study)
    own = open_study(study._storage._backend, "s")
    trial = own.ask()
    trial.set_user_attr("error", "of another worker")
    fail(study, trial._trial_id, "of this one")
    assert study.trials[0].user_attrs["error"] == "of this one"
    fail(study, trial._trial_id, "too late")
    assert study.trials[0].user_attrs["error"] == "of this one"


@pytest.mark.parametrize("now", ["waits", "runs", "is finished"])
def test_a_late_result_is_not_a_second_one(study, here, now):
    """Of a worker that was taken for lost."""
    one_generation(study)

    def taken_away():
        put_back(study, study.trials[0]._trial_id, counted=True)
        if now != "waits":
            own = optuna.load_study(study_name="s", storage=study._storage._backend)
            trial = own.ask()
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


def test_what_a_worker_took_waits_again_if_others_change_its_study(study):
    one_generation(study)
    own = open_study(study._storage._backend, "s")
    study.set_user_attr("scorer", 5)
    with Claim(own, SPACE, SCORER.fingerprint, lease=20) as claim:
        with pytest.raises(RowError, match="damaged attribute 'scorer': it must be a dict, got 5"):
            next(claim.batches())
        assert TrialState.RUNNING in states(study)
    assert states(study) == [TrialState.WAITING] * 10


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


ATTRS = "update trial_user_attributes set value_json"
BAD = {
    "no architecture": ATTRS + " = '5' where key = 'arch' and {first}",
    "no JSON": ATTRS + " = '{{' where key = 'macs' and {first}",
    "no costs": "delete from trial_user_attributes where key = 'params' and {first}",
    "costs that are no counts": ATTRS + " = '[9]' where key = 'macs' and {first}",
    "outside of the space": ATTRS + " = '{outside}' where key = 'arch' and {first}",
    "no distribution": "update trial_params set distribution_json = '[]' where {first}",
    "nothing as a distribution": "update trial_params set distribution_json = null where {first}",
}


@pytest.mark.parametrize("damage", BAD)
def test_a_waiting_trial_that_cannot_be_scored_fails_at_once_and_alone(study, damage):
    one_generation(study)
    storage = study._storage._backend
    first = f"trial_id = {study.trials[0]._trial_id}"
    outside = json.dumps(Arch((Block(G=3, L=0, d_k=192, d_z=2),)).to_json())
    asked = BAD[damage].format(first=first, outside=outside)
    with storage.engine.begin() as connection:
        assert connection.exec_driver_sql(asked).rowcount > 0
    assert work(study, 9) == [*range(1, 10)]
    with storage.engine.connect() as connection:
        query = "select state from trials order by number"
        found = [state for (state,) in connection.exec_driver_sql(query)]
        reason = "select value_json from trial_user_attributes where key = 'error' and " + first
        assert connection.exec_driver_sql(reason).scalar_one()
    assert found == ["FAIL"] + ["COMPLETE"] * 9


@pytest.mark.parametrize("text", ["[5]", "{", "[" * 100_000, '"x"'])
def test_a_damaged_row_of_a_trial_stops_no_other(study, text):
    """Neither who puts trials in, nor who puts one back."""
    one_generation(study)
    trials = {arch_key(trial.user_attrs["arch"]): trial for trial in study.trials}
    first, storage = study.trials[0]._trial_id, study._storage._backend
    assert take(open_study(storage, "s"), "me")[0].trial_id == first
    study._storage.set_trial_system_attr(first, LOST, 1)
    with storage.engine.begin() as connection:
        for table, key in (("system", LOST), ("user", "arch")):
            asked = f"update trial_{table}_attributes set value_json = %s"
            asked += f" where key = '{key}' and trial_id = {first}"
            assert connection.exec_driver_sql(asked, (text,)).rowcount == 1
    put_back(study, first, counted=True)
    assert look(study, [first])[first].state is TrialState.WAITING
    ids = put(study, trials)
    assert len(set(ids.values())) == 10 and first not in ids.values()
    withdraw(study)
    with storage.engine.connect() as connection:
        found = connection.exec_driver_sql("select state, count(*) from trials group by state")
        assert found.all() == [("FAIL", 11)]


def test_a_trial_that_failed_ends_its_search_with_the_reason(study):
    one_generation(study)
    fail(study, open_study(study._storage._backend, "s").ask()._trial_id, "it is odd")
    ids = {trial._trial_id for trial in study.trials}
    backend = QueueBackend(study, SPACE, SCORER, COSTS)
    with pytest.raises(StateError, match=r"trial 0 of the study 's' failed: it is odd. Run it"):
        backend._check(ids, look(study, ids))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"priority": 3}, r"WorkRequest has no field priority. The study is passed over. For it"),
        ({"lease": "long"}, r"lease must be float, got 'long'"),
        ({"lease": 0.0}, r"stage=1, lease=0.0"),
        ({"stage": 0}, r"stage=0, lease=20.0"),
        (
            {"versions": {"hnas": "99.0 (abc)"}},
            r"with hnas 99.0 \(abc\) \(here 1.0\): it is",
        ),
    ],
)
def test_a_request_that_is_not_understood_is_passed_over_and_told_once(
    study, database, asked, told
):
    one_generation(study)
    other = open_study(study._storage._backend, "newer", create=True)
    other.set_user_attr("workers", {**recorded(REQUEST), **asked})
    notes = []
    assert len(work(study, 10, note=notes.append, versions={"hnas": "1.0"})) == 10
    (note,) = notes
    assert re.search(told, note) and "'newer'" in note


def test_other_libraries_are_told_and_other_commits(study):
    one_generation(study)
    theirs = {"hnas": "1.0 (abc)", "torch": "2.9", "python": "3.11"}
    announce(study, dataclasses.replace(REQUEST, versions=theirs))
    notes = []
    ours = {"hnas": "1.0 (abd)", "torch": "3.0", "python": "3.11"}
    assert len(work(study, 10, note=notes.append, versions=ours)) == 10
    assert notes == [
        "the study 's' is searched with hnas 1.0 (abc) (here 1.0 (abd)), torch 2.9 (here 3.0): "
        "last digits may differ"
    ]


@pytest.mark.parametrize("key", ["scorer", "space", "objective"])
def test_a_study_that_others_changed_is_passed_over(study, key):
    """The worker goes on with the others."""
    one_generation(study)
    storage = study._storage._backend
    broken = open_queued_as(storage, "broken")
    broken.set_user_attr(key, 5)
    broken.enqueue_trial({})
    notes = []
    assert len(work(study, 10, note=notes.append)) == 10
    assert len(notes) == 1 and "'broken'" in notes[0]


def test_a_study_that_is_deleted_while_it_is_scored_is_passed_over(study):
    one_generation(study)
    storage = study._storage._backend
    notes, gone = [], lambda: optuna.delete_study(study_name="s", storage=storage)
    assert worker(study, Meanwhile(gone), note=notes.append).work() == 0
    (note,) = notes
    assert "was deleted from the storage meanwhile" in note


class Commits:
    """Counts the transactions of a storage."""

    def __init__(self, storage):
        self.count = 0
        event.listen(storage.engine, "commit", self._one)

    def _one(self, connection):
        self.count += 1


def open_queued_as(storage, name):
    study = open_study(storage, name, create=True)
    keep_conditions(study, conditions(SPACE, SCORER, RULES, COSTS, NSGA2), new=True)
    announce(study, dataclasses.replace(REQUEST, name=name))
    return study


def work(study, count, **more):
    """The trials that a worker scores, until it has so many and the search needs no more."""
    done = []

    def told(trial):
        done.append(trial.number)
        if len(done) == count:
            dismiss(study._storage._backend, "s")

    worker(study, on_trial=told, **more).work()
    return done
