"""The queue of a study: trials that wait for workers.

One process puts a generation in (`hnas.studies.scoring.queue_backend`), any number take from it
(`hnas.studies.scoring.worker`). What waits is a WAITING trial of Optuna with its parameters, and
Optuna's own `study.ask` takes it. Where a worker dies its trial is put back: the same trial waits
again. So an architecture has one trial, whatever happens, and nothing can be lost or scored into
two.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Container, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, delete, insert, select, update

from hnas.errors import InputError, StateError
from hnas.studies.trials.database import patiently, storage_errors
from hnas.studies.trials.optuna_inside import (
    CachedStorage,
    database_of,
    models,
    study_id_of,
    waiting_stub,
)
from hnas.studies.trials.study import open_study
from hnas.studies.trials.tables import insert_trials, lock_study

CALL = "workers"
"""Attribute of a study whose trials are scored by workers."""
LOST = "hnas:lost"
"""Attribute of a trial: how many workers were lost while they had it."""
ERROR = "error"
"""Attribute of a trial that no worker shall try again: why."""
LOSSES = 5
"""Workers that one trial may lose before it is taken to be the reason."""
OLDEST = 16
"""Waiting trials that a worker looks at to get one of them: others take some meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A search asks for workers: what they have to know of one of its studies."""

    run: str
    """The run's folder, where the search sees it."""
    name: str
    """What the run's studies are called."""
    stage: int
    lease: float
    """Seconds without a sign of life after which a worker counts as lost."""
    open: bool = True
    """Whether there is, or will be, something to score in this search."""


@dataclass(frozen=True, kw_only=True)
class Called:
    """A study that asks for workers."""

    study_id: int
    study: str
    call: Call
    waiting: bool
    """Whether it has something to score now."""


@dataclass(frozen=True)
class Seen:
    """A trial of the queue at one moment."""

    state: TrialState
    taken: datetime | None
    """When a worker took it last, by the worker's clock."""
    beat: datetime | None
    """The worker's last sign of life, by the database's clock."""


class _Nothing(Exception):
    """No trial waits."""


class _Oldest(CachedStorage):
    """What `study.ask` takes from: only trials that wait, and of them only the oldest.

    Optuna's own would make a trial where none waits, and read every parameter of all that do.
    """

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        if states == (TrialState.WAITING,):
            return patiently(partial(_oldest, self._backend, study_id))
        return super().get_all_trials(study_id, deepcopy, states)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        raise _Nothing


def is_shared(storage: RDBStorage) -> bool:
    """Whether several processes may write to a storage."""
    return bool(storage.engine.name != "sqlite")


def check_shared(storage: RDBStorage) -> None:
    """Raises InputError where a storage is not for several processes that write."""
    if not is_shared(storage):
        raise InputError(
            "scoring by workers needs a database server, such as --storage "
            "postgresql://user:password@host/name; SQLite's file is for one process that writes, "
            "got sqlite. To score in one process: hnas search without --workers"
        )


# What the search does


def announce(study: optuna.Study, call: Call) -> None:
    """Tells workers of a study, or that a search needs none any more. Raises StorageError."""
    with storage_errors(f"workers for {study.study_name!r} cannot be called"):
        study.set_user_attr(CALL, asdict(call))


def dismiss(storage: RDBStorage, name: str) -> None:
    """Tells workers that the run of this name needs none any more. Raises StorageError."""
    for called in calls(storage):
        if called.call.name == name and called.call.open:
            announce(open_study(storage, called.study), replace(called.call, open=False))


def put(study: optuna.Study, trials: Mapping[str, FrozenTrial]) -> dict[str, int]:
    """Puts trials, by their `arch`, into the queue, all or none; those that are in it stay.

    Gives the ids of them all. Raises StorageError.
    """
    storage = _database(study)

    def insert_absent() -> dict[str, int]:
        with storage.engine.begin() as connection:
            lock_study(connection, study_id_of(study))
            there = _unfinished(connection, study_id_of(study))
            new = {arch: trial for arch, trial in trials.items() if arch not in there}
            ids = insert_trials(connection, study_id_of(study), list(new.values()))
        there |= dict(zip(new, ids, strict=True))
        return {arch: there[arch] for arch in trials}

    with storage_errors(f"trials of {study.study_name!r} cannot be put into the queue"):
        return patiently(insert_absent)


def look(study: optuna.Study, trial_ids: Collection[int]) -> dict[int, Seen]:
    """How trials of the queue are, by id; one that was deleted is missing. Raises StorageError."""
    storage, trials, beats = _database(study), models.TrialModel, models.TrialHeartbeatModel
    query = (
        select(trials.trial_id, trials.state, trials._datetime_start_utc, beats.heartbeat)
        .outerjoin(beats, beats.trial_id == trials.trial_id)
        .where(trials.trial_id.in_(trial_ids))
    )

    def ask() -> dict[int, Seen]:
        with storage.engine.connect() as connection:
            return {trial_id: Seen(*rest) for trial_id, *rest in connection.execute(query)}

    with storage_errors(f"the queue of {study.study_name!r} cannot be read"):
        return patiently(ask)


def withdraw(study: optuna.Study) -> None:
    """Takes out of the queue what is left in it: marked as failed, so that no worker tells it."""
    if (storage := database_of(study)) is None:
        return  # a study that only this process knows

    def fail() -> None:
        with storage.engine.begin() as connection:
            if left := _unfinished(connection, study_id_of(study)):
                trials = models.TrialModel
                connection.execute(
                    update(trials)
                    .where(trials.trial_id.in_(left.values()), trials.state.in_(_UNFINISHED))
                    .values(state=TrialState.FAIL)
                )

    with storage_errors(f"the queue of {study.study_name!r} cannot be emptied"):
        patiently(fail)


# What workers do


def calls(storage: RDBStorage) -> list[Called]:
    """The studies that ever asked for workers, oldest first. Raises StateError, StorageError."""
    studies, attrs, trials = models.StudyModel, models.StudyUserAttributeModel, models.TrialModel
    waits = select(trials.trial_id).where(
        trials.study_id == studies.study_id, trials.state == TrialState.WAITING
    )
    query = (
        select(studies.study_id, studies.study_name, attrs.value_json, waits.exists())
        .join(attrs, attrs.study_id == studies.study_id)
        .where(attrs.key == CALL)
        .order_by(studies.study_id)
    )

    def ask() -> list[Called]:
        with storage.engine.connect() as connection:
            return [
                Called(study_id=i, study=name, call=_call(name, text), waiting=waiting)
                for i, name, text, waiting in connection.execute(query)
            ]

    with storage_errors("the studies that ask for workers cannot be read"):
        return patiently(ask)


def open_queue(storage: RDBStorage, name: str) -> optuna.Study:
    """A study to `take` from. Raises as `hnas.studies.trials.study.open_study`."""
    return open_study(_Oldest(storage), name)


def take(study: optuna.Study) -> optuna.Trial | None:
    """A trial to score, by Optuna's `ask`; None where none waits. Raises StorageError."""
    with storage_errors(f"a trial of {study.study_name!r} cannot be taken"):
        try:
            return study.ask()
        except _Nothing:
            return None


# What both do


def put_back(
    study: optuna.Study, trial_id: int, *, counted: bool, last: Seen | None = None
) -> None:
    """Lets a trial that is RUNNING wait again; another stays as it is. Raises StorageError.

    Where a worker was lost with it, that is `counted`: after LOSSES it has failed. With `last`,
    what was seen of it last, only
    where it still looks so.
    """
    storage, trials = _database(study), models.TrialModel
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
            if last is not None and last != Seen(*found, beat):
                return
            # The next worker's lease begins with its own first sign of life.
            connection.execute(delete(beats).where(beats.trial_id == trial_id))
            state = TrialState.WAITING
            if counted and _count(connection, trial_id) >= LOSSES:
                state = TrialState.FAIL
                reason = f"{LOSSES} workers were lost while they had it; their own output says why"
                row = {"trial_id": trial_id, "key": ERROR, "value_json": json.dumps(reason)}
                connection.execute(insert(models.TrialUserAttributeModel).values(row))
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
    its = (attrs.trial_id == trial_id, attrs.key == LOST)
    before = connection.scalar(select(attrs.value_json).where(*its))
    if before is None:
        row = {"trial_id": trial_id, "key": LOST, "value_json": "1"}
        connection.execute(insert(attrs).values(row))
        return 1
    count = int(json.loads(before)) + 1
    connection.execute(update(attrs).where(*its).values(value_json=json.dumps(count)))
    return count


_UNFINISHED = (TrialState.WAITING, TrialState.RUNNING)


def _unfinished(connection: Connection, study_id: int) -> dict[str, int]:
    """The ids of hnas's trials that wait or run, by their `arch`."""
    trials, attrs = models.TrialModel, models.TrialUserAttributeModel
    found = connection.execute(
        select(attrs.value_json, trials.trial_id)
        .join(trials, trials.trial_id == attrs.trial_id)
        .where(trials.study_id == study_id, trials.state.in_(_UNFINISHED), attrs.key == "arch")
    )
    return {json.loads(text): trial_id for text, trial_id in found}


def _oldest(storage: RDBStorage, study_id: int) -> list[FrozenTrial]:
    trials = models.TrialModel
    query = (
        select(trials.trial_id, trials.number)
        .where(trials.study_id == study_id, trials.state == TrialState.WAITING)
        .order_by(trials.trial_id)
        .limit(OLDEST)
    )
    with storage.engine.connect() as connection:
        return [waiting_stub(trial_id, number) for trial_id, number in connection.execute(query)]


def _call(study: str, text: str) -> Call:
    try:
        call = Call(**json.loads(text))
        if not (isinstance(call.run, str) and isinstance(call.stage, int) and call.lease > 0):
            raise ValueError(text)
        return call
    except (TypeError, ValueError) as error:
        raise StateError(
            f"the attribute {CALL!r} of the study {study!r} is not what a search of this version "
            f"writes: {error}. Start the search again with the workers' version of hnas"
        ) from None


def _database(study: optuna.Study) -> RDBStorage:
    storage = database_of(study)
    assert storage is not None, "a queue is in a database: check_shared"
    return storage
