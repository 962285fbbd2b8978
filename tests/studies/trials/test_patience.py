"""A storage that is gone for a while: a real server, stopped and started again."""

from __future__ import annotations

import dataclasses
import threading
import time

import pytest
from sqlalchemy.exc import OperationalError

import hnas.studies.trials.database
import hnas.studies.trials.trial
from hnas.architecture.space import Frame, distribution_space
from hnas.errors import StorageError
from hnas.studies.objective.costs import Costs
from hnas.studies.search.stage import SearchRules, run_stage
from hnas.studies.trials.database import close_storage, open_storage, patiently
from hnas.studies.trials.study import open_study
from hnas.studies.trials.trial import records
from tests.support.fake_scorer import FakeScorer
from tests.support.postgres import new_database, served

FRAME = Frame(image=32, channels=3, patch=4, classes=10, d=192, M=6, N=3)
SPACE = distribution_space(FRAME, d_k=192, d_z=4, E=1, K=31)
RULES = SearchRules(trials=16, population=8, seed=3)
COSTS = Costs(frame=FRAME, flops=10**9)


def search(url, on_trial=None):
    storage = open_storage(url, create=True)
    study = open_study(storage, "s", create=True)
    try:
        run_stage(study, SPACE, FakeScorer(frame=FRAME), RULES, costs=COSTS, on_trial=on_trial)
        return [dataclasses.replace(record, seconds=0.0) for record in records(study)]
    finally:
        close_storage(storage)


def test_a_server_that_comes_back_is_waited_for_and_one_that_does_not_is_told(
    tmp_path, monkeypatch
):
    whole = search(f"sqlite:///{tmp_path / 'study.db'}")
    with served() as server:
        url = new_database(server.url)
        back = threading.Timer(2, server.start)

        def gone_at_5(event):
            if event.done == 5:
                server.stop()
                back.start()

        assert search(url, gone_at_5) == whole
        back.join()

        url = new_database(server.url)
        monkeypatch.setattr(hnas.studies.trials.database, "PATIENCE", 1.0)

        def gone_for_good(event):
            if event.done == 5:
                server.stop()

        began = time.monotonic()
        with pytest.raises(StorageError, match=r"of the study 's' cannot be stored: .*once|Once"):
            search(url, gone_for_good)
        assert time.monotonic() - began < 30
        server.start()
        for _ in range(50):  # it listens a moment before it answers
            try:
                assert search(url) == whole
                break
            except StorageError:
                time.sleep(0.1)
        else:
            pytest.fail("PostgreSQL does not answer")


def test_a_trial_whose_answer_was_lost_is_not_stored_twice(tmp_path, monkeypatch):
    insert = hnas.studies.trials.trial.insert_trial
    lost = []

    def without_an_answer(*args):
        insert(*args)
        if len(lost) < 3:
            lost.append(args)
            raise OperationalError("COMMIT", {}, Exception("the server closed the connection"))

    whole = search(f"sqlite:///{tmp_path / 'whole.db'}")
    monkeypatch.setattr(hnas.studies.trials.trial, "insert_trial", without_an_answer)
    monkeypatch.setattr(hnas.studies.trials.database.time, "sleep", lambda seconds: None)
    assert search(f"sqlite:///{tmp_path / 'study.db'}") == whole
    assert len(lost) == 3


def test_what_no_waiting_mends_is_raised_at_once(monkeypatch):
    import sqlite3

    asked = []

    def full():
        asked.append(1)
        raise OperationalError("INSERT", {}, sqlite3.OperationalError("database or disk is full"))

    with pytest.raises(OperationalError):
        patiently(full)
    assert len(asked) == 1
