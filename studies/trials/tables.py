"""Optuna's tables, written and read without its object mapper, as a search does for every trial.

`Study.add_trial` asks the database twice for every parameter, and `Study.get_trials` makes an
object of every row (docs/performance.md has both in milliseconds). What is stored is the same, row
for row. The tables are private to Optuna: `optuna>=5,<6` is pinned, and tests compare both ways.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from optuna.distributions import distribution_to_json
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from hnas.studies.trials.optuna_inside import models
from hnas.studies.trials.record import ARCH
from hnas.studies.trials.writing import Key, lock_study, parsed, writing


@dataclass(kw_only=True)
class TrialRow:
    """A finished trial without its parameters."""

    number: int
    values: list[float] = field(default_factory=list)
    user_attrs: dict[str, Any] = field(default_factory=dict)
    system_attrs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StudyRows:
    """A study in the tables."""

    study_id: int
    directions: list[str]
    """`maximize` or `minimize`, an objective each."""
    user_attrs: dict[str, Any]
    trials: list[TrialRow]
    """The COMPLETE ones, by number."""


def insert_trial(storage: RDBStorage, study: Key, trial: FrozenTrial) -> None:
    """Stores a finished trial with finite values, in one transaction, numbered by the storage."""
    with writing(storage, study) as connection:
        insert_trials(connection, study, [trial])


def insert_trials(connection: Connection, study: Key, trials: Sequence[FrozenTrial]) -> list[int]:
    """The ids of new trials in a locked study; they get the next numbers, in their order.

    Raises KeyError if the study is gone.
    """
    model = models.TrialModel
    ids: list[int] = []
    for trial in trials:
        made = connection.execute(
            insert(model).values(
                study_id=study.study_id,
                state=trial.state,
                datetime_start=utc(trial.datetime_start),
                datetime_complete=utc(trial.datetime_complete),
            )
        )
        assert made.inserted_primary_key is not None
        ids.append(made.inserted_primary_key[0])
    if ids:
        lock_study(connection, study)  # now SQLite is locked by this transaction
        before = select(func.count()).where(
            model.study_id == study.study_id, model.trial_id < ids[0]
        )
        first = connection.scalar(before) or 0
        connection.execute(
            update(model).where(model.trial_id == bindparam("its")).values(number=bindparam("n")),
            [{"its": trial_id, "n": number} for number, trial_id in enumerate(ids, first)],
        )
    for table, rows_of in (
        (models.TrialParamModel, _params),
        (models.TrialValueModel, lambda trial: value_rows(trial.values or ())),
        (models.TrialUserAttributeModel, lambda trial: _attribute_rows(trial.user_attrs)),
        (models.TrialSystemAttributeModel, lambda trial: _attribute_rows(trial.system_attrs)),
    ):
        its = zip(ids, trials, strict=True)
        if rows := [{"trial_id": i, **row} for i, trial in its for row in rows_of(trial)]:
            connection.execute(insert(table), rows)
    return ids


def count_trials(storage: RDBStorage, study_id: int) -> int:
    """Trials of a study, in whatever state; Optuna's `get_n_trials` reads all of them for that."""
    trials = models.TrialModel
    query = select(func.count()).where(trials.study_id == study_id)
    with storage.engine.connect() as connection:
        return connection.scalar(query) or 0


def has_trial(storage: RDBStorage, study_id: int, arch: str) -> bool:
    """Whether a study has a trial with this `arch`."""
    trials, kept = models.TrialModel, models.TrialUserAttributeModel
    same = select(kept.trial_id).where(kept.key == ARCH, kept.value_json == json.dumps(arch))
    query = select(trials.trial_id).where(trials.study_id == study_id, trials.trial_id.in_(same))
    with storage.engine.connect() as connection:
        return connection.execute(query).first() is not None


def utc(moment: datetime | None) -> datetime | None:
    """From naive local time, which Optuna gives and takes, to naive UTC, which its tables hold."""
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)


def _params(trial: FrozenTrial) -> list[dict[str, Any]]:
    return [
        {
            "param_name": name,
            "param_value": trial.distributions[name].to_internal_repr(value),
            "distribution_json": distribution_to_json(trial.distributions[name]),
        }
        for name, value in trial.params.items()
    ]


def value_rows(values: Sequence[float]) -> list[dict[str, Any]]:
    """The rows of a trial's finite values, without its id."""
    finite = models.TrialValueModel.TrialValueType.FINITE
    return [
        {"objective": i, "value": value, "value_type": finite} for i, value in enumerate(values)
    ]


def _attribute_rows(attrs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of attributes, without the trial's id."""
    return [{"key": key, "value_json": json.dumps(value)} for key, value in attrs.items()]


def set_attributes(
    connection: Connection,
    table: Any,
    given: Mapping[int, Mapping[str, Any]],
    *,
    new: bool = False,
) -> None:
    """Gives trials user or system attributes, by their ids. A name that one of them gets is first
    removed from all, unless it is known to be `new` to them."""
    if not new:
        names = {name for its in given.values() for name in its}
        connection.execute(delete(table).where(table.trial_id.in_(given), table.key.in_(names)))
    rows = [{"trial_id": i, **row} for i, its in given.items() for row in _attribute_rows(its)]
    connection.execute(insert(table), rows)


def trial_rows(
    storage: RDBStorage, study_id: int, trial_ids: Collection[int] | None = None
) -> list[TrialRow]:
    """The COMPLETE trials of a study, or those among `trial_ids`, by number."""
    with storage.engine.connect() as connection:
        return _trial_rows(connection, study_id, trial_ids)


def study_rows(engine: Engine, names: Sequence[str]) -> dict[str, StudyRows]:
    """The existing studies of these names, by name.

    It needs no Optuna storage, which would import alembic and set up the object mapper first: a
    third of the time of `hnas status`.
    """
    studies = _columns(models.StudyModel)
    query = select(studies.study_name, studies.study_id).where(studies.study_name.in_(names))
    with engine.connect() as connection:
        found = connection.execute(query).all()
        return {name: _study_rows(connection, study_id) for name, study_id in found}


def _study_rows(connection: Connection, study_id: int) -> StudyRows:
    attrs = _columns(models.StudyUserAttributeModel)
    directions = _columns(models.StudyDirectionModel)
    of_study = select(directions.direction).where(directions.study_id == study_id)
    found = connection.scalars(of_study.order_by(directions.objective)).all()
    texts = select(attrs.key, attrs.value_json).where(attrs.study_id == study_id)
    return StudyRows(
        study_id=study_id,
        directions=[direction.name.lower() for direction in found],
        user_attrs={
            key: parsed(f"the study's attribute {key!r}", text)
            for key, text in connection.execute(texts)
        },
        trials=_trial_rows(connection, study_id),
    )


def _columns(model: Any) -> Any:
    """The columns of a model's table; the model itself would set up the object mapper."""
    return model.__table__.c


def _trial_rows(
    connection: Connection, study_id: int, trial_ids: Collection[int] | None = None
) -> list[TrialRow]:
    trials, values = _columns(models.TrialModel), _columns(models.TrialValueModel)
    of_study: tuple[ColumnElement[bool], ...] = (
        trials.study_id == study_id,
        trials.state == TrialState.COMPLETE,
        *(() if trial_ids is None else (trials.trial_id.in_(trial_ids),)),
    )
    found = connection.execute(
        select(trials.trial_id, trials.number).where(*of_study).order_by(trials.number)
    )
    rows = {trial_id: TrialRow(number=number) for trial_id, number in found}
    measured = connection.execute(
        select(values.trial_id, values.value)
        .join(models.TrialModel.__table__, trials.trial_id == values.trial_id)
        .where(*of_study)
        .order_by(values.objective)
    )
    # A trial that finished since the first query is left for the next call.
    for trial_id, value in measured:
        if trial_id in rows:
            rows[trial_id].values.append(value)
    for kind, model in (
        ("user_attrs", models.TrialUserAttributeModel),
        ("system_attrs", models.TrialSystemAttributeModel),
    ):
        its = _columns(model)
        attrs = connection.execute(
            select(its.trial_id, its.key, its.value_json)
            .join(models.TrialModel.__table__, trials.trial_id == its.trial_id)
            .where(*of_study)
        )
        for trial_id, key, text in attrs:
            if trial_id in rows:
                what = f"the attribute {key!r} of trial {rows[trial_id].number}"
                getattr(rows[trial_id], kind)[key] = parsed(what, text)
    return list(rows.values())
