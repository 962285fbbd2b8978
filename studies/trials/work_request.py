"""Requests for workers: a search writes its own into its studies, workers read all of them."""

import json
from dataclasses import asdict, dataclass, replace

import optuna
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy import select

from hnas.errors import InputError, StateError
from hnas.studies.trials.database import read_rows, storage_errors
from hnas.studies.trials.optuna_inside import models
from hnas.studies.trials.study import open_study

WORKERS = "workers"
"""Attribute of a study whose trials are scored by workers: a `WorkRequest`."""


@dataclass(frozen=True, kw_only=True)
class WorkRequest:
    """A search asks for workers: what they have to know of one of its studies."""

    run: str
    """The run's folder, as the search sees it."""
    name: str
    """What the run's studies are called."""
    stage: int
    lease: float
    """Seconds without a sign of life after which a worker counts as lost."""
    open: bool = True
    """Whether this search has, or will have, something to score."""


@dataclass(frozen=True, kw_only=True)
class StudyQueue:
    """A study that asked for workers, as they see it."""

    study: str
    request: WorkRequest
    waiting: bool
    """Whether it has something to score now."""


def is_shared(storage: RDBStorage) -> bool:
    """Whether several processes may write to a storage."""
    return bool(storage.engine.name != "sqlite")


def check_shared(storage: RDBStorage) -> None:
    """Raises InputError if a storage is not for several processes that write."""
    if not is_shared(storage):
        raise InputError(
            "scoring by workers needs a database server, such as --storage "
            "postgresql://user:password@host/name; SQLite's file is for one process that writes, "
            "got sqlite. To score in one process: hnas search without --workers"
        )


def announce(study: optuna.Study, request: WorkRequest) -> None:
    """Writes the request into its study, for workers to see. Raises StorageError."""
    with storage_errors(f"workers for {study.study_name!r} cannot be called"):
        study.set_user_attr(WORKERS, asdict(request))


def dismiss(storage: RDBStorage, name: str) -> None:
    """Closes the requests of the run of this name: it needs no workers now. Raises StorageError."""
    for queue in queues(storage):
        if queue.request.name == name and queue.request.open:
            announce(open_study(storage, queue.study), replace(queue.request, open=False))


def queues(storage: RDBStorage) -> list[StudyQueue]:
    """The studies that ever asked for workers, oldest first. Raises StateError, StorageError."""
    studies, attrs, trials = models.StudyModel, models.StudyUserAttributeModel, models.TrialModel
    waits = select(trials.trial_id).where(
        trials.study_id == studies.study_id, trials.state == TrialState.WAITING
    )
    query = (
        select(studies.study_name, attrs.value_json, waits.exists())
        .join(attrs, attrs.study_id == studies.study_id)
        .where(attrs.key == WORKERS)
        .order_by(studies.study_id)
    )
    with storage_errors("the studies that ask for workers cannot be read"):
        found = read_rows(storage, query)
    return [StudyQueue(study=n, request=_request(n, text), waiting=w) for n, text, w in found]


def _request(study: str, text: str) -> WorkRequest:
    try:
        found = WorkRequest(**json.loads(text))
        if not (isinstance(found.run, str) and isinstance(found.stage, int) and found.lease > 0):
            raise ValueError(text)
        return found
    except (TypeError, ValueError) as error:
        raise StateError(
            f"the attribute {WORKERS!r} of the study {study!r} is not what a search of this "
            f"version writes: {error}. Start the search again with the workers' version of hnas"
        ) from None
