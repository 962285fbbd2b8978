"""Queues of trials that wait for workers, one a study.

One process puts a generation in (`hnas.studies.scoring.queue_backend`), any number take from it
(`hnas.studies.scoring.worker`, `hnas.studies.trials.taking`). What waits is a WAITING trial of
Optuna with its parameters; Optuna's own `study.ask` takes it too. If a worker dies, its trials are
put back and wait again. So an architecture has one trial, whatever happens: nothing is lost,
nothing is scored into two.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, delete, select, update

from hnas.studies.trials.database import patiently, read_rows, storage_errors
from hnas.studies.trials.optuna_inside import database_of, models, study_id_of
from hnas.studies.trials.record import ARCH, arch_key
from hnas.studies.trials.study import key_of
from hnas.studies.trials.tables import insert_trials, set_attributes
from hnas.studies.trials.writing import writing

LOST = "hnas:lost"
"""Attribute of a trial: how many workers were lost while they had it."""
OWNER = "worker"
"""Attribute of a trial: the worker that took it last."""
ERROR = "error"
"""Attribute of a trial that no worker shall try again: why."""
LOSSES = 5
"""Workers that one trial may lose before it counts as the reason."""


@dataclass(frozen=True)
class TrialView:
    """A trial of the queue at one moment."""

    state: TrialState
    taken: datetime | None
    """When a worker took it last, by the worker's clock."""
    beat: datetime | None
    """The worker's last sign of life, by the database's clock."""


def put(study: optuna.Study, trials: Mapping[str, FrozenTrial]) -> dict[str, int]:
    """Puts trials, by their architecture's JSON, into the queue, all or none.

    A trial that waits or runs already stays, and so does one that a worker finished since its
    search last looked. Gives the ids of them all. Raises StorageError.
    """
    storage = database_with(study)

    def insert_absent() -> dict[str, int]:
        with writing(storage, key_of(study)) as connection:
            there = _by_arch(connection, study_id_of(study), (*_UNFINISHED, TrialState.COMPLETE))
            new = {arch: trial for arch, trial in trials.items() if arch not in there}
            ids = insert_trials(connection, key_of(study), list(new.values()))
        there |= dict(zip(new, ids, strict=True))
        return {arch: there[arch] for arch in trials}

    with storage_errors(f"trials of {study.study_name!r} cannot be put into the queue"):
        return patiently(insert_absent)


def look(study: optuna.Study, trial_ids: Collection[int]) -> dict[int, TrialView]:
    """How trials of the queue are, by id; a deleted one is missing. Raises StorageError."""
    storage, trials, beats = database_with(study), models.TrialModel, models.TrialHeartbeatModel
    query = (
        select(trials.trial_id, trials.state, trials._datetime_start_utc, beats.heartbeat)
        .outerjoin(beats, beats.trial_id == trials.trial_id)
        .where(trials.trial_id.in_(trial_ids))
    )
    with storage_errors(f"the queue of {study.study_name!r} cannot be read"):
        return {trial_id: TrialView(*rest) for trial_id, *rest in read_rows(storage, query)}


def withdraw(study: optuna.Study) -> None:
    """Empties the queue: what is left in it has failed, so that no worker reports it."""
    if (storage := database_of(study)) is None:
        return  # a study that only this process knows

    def fail() -> None:
        with storage.engine.begin() as connection:
            if left := _by_arch(connection, study_id_of(study), _UNFINISHED):
                trials = models.TrialModel
                connection.execute(
                    update(trials)
                    .where(trials.trial_id.in_(left.values()), trials.state.in_(_UNFINISHED))
                    .values(state=TrialState.FAIL)
                )

    with storage_errors(f"the queue of {study.study_name!r} cannot be emptied"):
        patiently(fail)


def fail(study: optuna.Study, trial_id: int, reason: str) -> None:
    """Ends a RUNNING trial that no worker can score, and says why. Raises StorageError."""
    storage, trials = database_with(study), models.TrialModel

    def end() -> None:
        with storage.engine.begin() as connection:
            running = (trials.trial_id == trial_id, trials.state == TrialState.RUNNING)
            ended = update(trials).where(*running).values(state=TrialState.FAIL)
            if connection.execute(ended).rowcount:
                _give_reason(connection, trial_id, reason)

    with storage_errors(f"a trial of {study.study_name!r} cannot be ended"):
        patiently(end)


def _give_reason(connection: Connection, trial_id: int, reason: str) -> None:
    set_attributes(connection, models.TrialUserAttributeModel, {trial_id: {ERROR: reason}})


def put_back(
    study: optuna.Study, trial_id: int, *, counted: bool, last: TrialView | None = None
) -> None:
    """Lets a RUNNING trial wait again; another stays as it is. Raises StorageError.

    `counted` says that a worker was lost with it: after LOSSES of them the trial has failed. With
    `last`, the trial goes back only if it still looks like that.
    """
    storage, trials = database_with(study), models.TrialModel
    beats = models.TrialHeartbeatModel

    def back() -> None:
        with storage.engine.begin() as connection:
            found = connection.execute(
                select(trials.state, trials._datetime_start_utc)
                .where(trials.trial_id == trial_id)
                .with_for_update()
            ).first()
            beat = connection.scalar(select(beats.heartbeat).where(beats.trial_id == trial_id))
            if found is None or found[0] != TrialState.RUNNING:
                return
            if last is not None and last != TrialView(*found, beat):
                return
            # The next worker's lease begins with its own first sign of life.
            connection.execute(delete(beats).where(beats.trial_id == trial_id))
            state = TrialState.WAITING
            if counted and _count(connection, trial_id) >= LOSSES:
                state = TrialState.FAIL
                reason = f"{LOSSES} workers were lost while they had it; their own output says why"
                _give_reason(connection, trial_id, reason)
            connection.execute(
                update(trials)
                .where(trials.trial_id == trial_id)
                .values(state=state, datetime_start=None)
            )

    with storage_errors(f"a trial of {study.study_name!r} cannot be put back"):
        patiently(back)


def _count(connection: Connection, trial_id: int) -> int:
    """Workers lost with a trial, this one too."""
    attrs = models.TrialSystemAttributeModel
    its = select(attrs.value_json).where(attrs.trial_id == trial_id, attrs.key == LOST)
    found = _value(connection.scalar(its) or "0")
    count = found + 1 if isinstance(found, int) else 1
    set_attributes(connection, attrs, {trial_id: {LOST: count}})
    return count


_UNFINISHED = (TrialState.WAITING, TrialState.RUNNING)


def _by_arch(
    connection: Connection, study_id: int, states: Collection[TrialState]
) -> dict[str, int]:
    """The ids of hnas's trials in one of these states, by their architecture's JSON.

    One that others damaged is by what is there, which no architecture is: whoever takes it says so.
    """
    trials, attrs = models.TrialModel, models.TrialUserAttributeModel
    found = connection.execute(
        select(attrs.value_json, trials.trial_id)
        .join(trials, trials.trial_id == attrs.trial_id)
        .where(trials.study_id == study_id, trials.state.in_(states), attrs.key == ARCH)
    )
    values = ((_value(text), text, trial_id) for text, trial_id in found)
    return {
        arch_key(value) if isinstance(value, str) else str(text): trial_id
        for value, text, trial_id in values
    }


def _value(text: str) -> Any:
    """Of a row; None if others damaged it."""
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None


def database_with(study: optuna.Study) -> RDBStorage:
    """The database of a study that has a queue."""
    storage = database_of(study)
    assert storage is not None, "a queue is in a database: check_shared"
    return storage
