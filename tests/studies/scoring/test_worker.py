"""Workers and their claims."""

from __future__ import annotations

import threading

import optuna
import pytest
from optuna.trial import TrialState

from hnas.errors import MismatchError
from hnas.studies.scoring.worker import Worker
from hnas.studies.trials.database import close_storage
from hnas.studies.trials.queue import (
    LOST,
    open_queue,
    put_back,
    take,
)
from hnas.studies.trials.trial import records
from hnas.studies.trials.work_request import dismiss
from tests.support.fake_scorer import FakeScorer
from tests.support.queued import (
    FRAME,
    Meanwhile,
    first_told,
    one_generation,
    states,
    worker,
)


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
