"""Reading and writing one study: if it is still there and, to write, still the same."""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from optuna.storages import RDBStorage
from sqlalchemy import Connection, Engine, delete, insert, select

from hnas.errors import RowError
from hnas.studies.trials.database import CHANGED, NOT_FOUND, read_rows
from hnas.studies.trials.optuna_inside import models

IDENTITY = "hnas:identity"
"""System attribute of a study: chance, given when hnas makes it."""


@dataclass(frozen=True)
class Key:
    """A study by what no other one has: SQLite gives the id of a deleted one to the next."""

    study_id: int
    identity: str | None = None
    """Its system attribute IDENTITY; None in studies that others or older versions made."""


@contextmanager
def writing(storage: RDBStorage, study: Key) -> Iterator[Connection]:
    """A transaction in which a study is locked. Raises KeyError if the study is gone; nothing that
    was stored while it went is left."""
    try:
        with storage.engine.begin() as connection:
            lock_study(connection, study)
            yield connection
    except KeyError:
        remove_orphans(storage.engine)
        raise


def remove_orphans(engine: Engine) -> None:
    """Removes trials that have no study: a new study may get the id of one that was deleted.

    SQLite keeps a trial that is stored while another process deletes its study.
    """
    trials = models.TrialModel
    orphaned = trials.study_id.not_in(select(models.StudyModel.study_id))
    with engine.begin() as connection:
        for model in (
            *(models.TrialParamModel, models.TrialValueModel, models.TrialUserAttributeModel),
            *(models.TrialSystemAttributeModel, models.TrialIntermediateValueModel),
            models.TrialHeartbeatModel,
        ):
            of = select(trials.trial_id).where(orphaned)
            connection.execute(delete(model).where(model.trial_id.in_(of)))
        connection.execute(delete(trials).where(orphaned))


def lock_study(connection: Connection, study: Key) -> None:
    """Lets writers wait for each other, because the numbers of trials are counted.

    Raises KeyError, as Optuna does, if the study is gone.
    """
    studies = models.StudyModel
    query = select(studies.study_id).where(studies.study_id == study.study_id)
    found = connection.execute(query.with_for_update()).first()
    if found is None or study.identity not in (None, identity_in(connection, study.study_id)):
        raise KeyError(NOT_FOUND)


def identity_in(connection: Connection, study_id: int) -> str | None:
    """The identity of the study that has an id now."""
    attrs = models.StudySystemAttributeModel
    its = select(attrs.value_json).where(attrs.study_id == study_id, attrs.key == IDENTITY)
    text = connection.scalar(its)
    return None if text is None else str(parsed(f"the study's attribute {IDENTITY!r}", text))


def write_attribute(storage: RDBStorage, study: Key, name: str, value: Any) -> None:
    """Sets a user attribute of a study. Raises KeyError if the study is gone."""
    _write(storage, study, models.StudyUserAttributeModel, {name: value})


def write_system_attributes(storage: RDBStorage, study: Key, values: Mapping[str, Any]) -> None:
    """Sets system attributes of a study in one transaction. Raises KeyError if the study is
    gone."""
    _write(storage, study, models.StudySystemAttributeModel, values)


def _write(storage: RDBStorage, study: Key, attrs: Any, values: Mapping[str, Any]) -> None:
    with writing(storage, study) as connection:
        its = (attrs.study_id == study.study_id, attrs.key.in_(values))
        connection.execute(delete(attrs).where(*its))
        lock_study(connection, study)  # now SQLite is locked by this transaction
        rows = [
            {"study_id": study.study_id, "key": name, "value_json": json.dumps(value)}
            for name, value in values.items()
        ]
        connection.execute(insert(attrs), rows)


def read_attributes(storage: RDBStorage, study_id: int, names: Collection[str]) -> dict[str, Any]:
    """User attributes of a study, in one statement; Optuna reads all, in two. Raises KeyError if
    the study is gone."""
    studies, attrs = models.StudyModel, models.StudyUserAttributeModel
    its = (attrs.study_id == studies.study_id) & attrs.key.in_(names)
    query = select(attrs.key, attrs.value_json).select_from(studies).outerjoin(attrs, its)
    if not (found := read_rows(storage, query.where(studies.study_id == study_id))):
        raise KeyError(NOT_FOUND)
    return {key: json.loads(text) for key, text in found if key is not None}


def parsed(what: str, text: str) -> Any:
    """The value of a row. Raises RowError if it is no JSON."""
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise RowError(f"{what} is no JSON: {error}. {CHANGED}") from None
