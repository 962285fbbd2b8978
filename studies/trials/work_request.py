"""Requests for workers: a search writes its own into its studies, workers read all of them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import optuna
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy import select

from hnas.errors import InputError, RowError
from hnas.persist.record import later, recorded, restored
from hnas.studies.trials.database import read_rows, storage_errors
from hnas.studies.trials.optuna_inside import models
from hnas.studies.trials.study import open_study, set_attribute
from hnas.studies.trials.writing import parsed

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
    versions: Mapping[str, str] | None = later(None)
    """Of the search's hnas and its libraries; None before hnas said so."""


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
        set_attribute(study, WORKERS, recorded(request))


def dismiss(storage: RDBStorage, name: str) -> None:
    """Closes the requests of the run of this name: it needs no workers now. Raises StorageError."""
    for queue in queues(storage, lambda text: None):
        if queue.request.name == name and queue.request.open:
            announce(open_study(storage, queue.study), replace(queue.request, open=False))


def queues(storage: RDBStorage, note: Callable[[str], None]) -> list[StudyQueue]:
    """The studies that ever asked for workers, oldest first. `note` gets a sentence for each whose
    request is not understood: it is left out. Raises StorageError."""
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
    understood = []
    for study, text, waiting in found:
        try:
            request = _request(study, text)
        except RowError as error:
            note(str(error))
        else:
            understood.append(StudyQueue(study=study, request=request, waiting=waiting))
    return understood


def _request(study: str, text: str) -> WorkRequest:
    what = f"the attribute {WORKERS!r} of the study {study!r}"
    try:
        found = restored(WorkRequest, parsed(what, text))
        if found.stage < 1 or not 0 < found.lease < math.inf:
            raise InputError(f"stage={found.stage}, lease={found.lease}")
        return found
    except InputError as error:
        raise RowError(
            f"{what} is not what a search of this version writes: {error}. The study is passed "
            "over. For it, start workers of the search's version of hnas"
        ) from None
