"""Optuna's tables, written and read without its object mapper: what a search does for every trial.

`Study.add_trial` asks the database twice for every parameter, and `Study.get_trials` makes an
object of every row (docs/performance.md has both in milliseconds). What is stored is the same, row
for row. The tables are private to Optuna: `optuna>=5,<6` is pinned, and tests compare both ways.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import distribution_to_json
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import ColumnElement, Connection, Engine, func, insert, select, update


@dataclass(kw_only=True)
class Row:
    """A finished trial without its parameters."""

    number: int
    values: list[float] = field(default_factory=list)
    user_attrs: dict[str, Any] = field(default_factory=dict)
    system_attrs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A study as it lies in the tables."""

    directions: list[str]
    """`maximize` or `minimize`, an objective each."""
    user_attrs: dict[str, Any]
    trials: list[Row]
    """The COMPLETE ones, by number."""


def backend(study: optuna.Study) -> RDBStorage | None:
    """The database of a study; None where it is kept elsewhere."""
    storage = getattr(study._storage, "_backend", study._storage)
    return storage if isinstance(storage, RDBStorage) else None


def insert_trial(storage: RDBStorage, study_id: int, trial: FrozenTrial) -> None:
    """Stores a finished trial with finite values, in one transaction, numbered by the storage."""
    trials, studies = models.TrialModel, models.StudyModel
    with storage.engine.begin() as connection:
        # Where several write, one after the other: numbers are counted.
        connection.execute(
            select(studies.study_id).where(studies.study_id == study_id).with_for_update()
        )
        made = connection.execute(
            insert(trials).values(
                study_id=study_id,
                state=trial.state,
                datetime_start=trial.datetime_start,
                datetime_complete=trial.datetime_complete,
            )
        )
        assert made.inserted_primary_key is not None
        its = {"trial_id": made.inserted_primary_key[0]}
        before = select(func.count()).where(
            trials.study_id == study_id, trials.trial_id < its["trial_id"]
        )
        number = connection.scalar(before)
        connection.execute(
            update(trials).where(trials.trial_id == its["trial_id"]).values(number=number)
        )
        _insert(connection, models.TrialParamModel, _params(its, trial))
        finite = models.TrialValueModel.TrialValueType.FINITE
        _insert(
            connection,
            models.TrialValueModel,
            [
                {**its, "objective": i, "value": value, "value_type": finite}
                for i, value in enumerate(trial.values)
            ],
        )
        for model, attrs in (
            (models.TrialUserAttributeModel, trial.user_attrs),
            (models.TrialSystemAttributeModel, trial.system_attrs),
        ):
            rows = [{**its, "key": key, "value_json": json.dumps(v)} for key, v in attrs.items()]
            _insert(connection, model, rows)


def has_trial(storage: RDBStorage, study_id: int, **attrs: Any) -> bool:
    """Whether a study has a trial with these user attributes."""
    trials, kept = models.TrialModel, models.TrialUserAttributeModel
    query = select(trials.trial_id).where(trials.study_id == study_id)
    for key, value in attrs.items():
        same = select(kept.trial_id).where(kept.key == key, kept.value_json == json.dumps(value))
        query = query.where(trials.trial_id.in_(same))
    with storage.engine.connect() as connection:
        return connection.execute(query).first() is not None


def _params(its: dict[str, int], trial: FrozenTrial) -> list[dict[str, Any]]:
    return [
        {
            **its,
            "param_name": name,
            "param_value": trial.distributions[name].to_internal_repr(value),
            "distribution_json": distribution_to_json(trial.distributions[name]),
        }
        for name, value in trial.params.items()
    ]


def _insert(connection: Connection, model: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(model), rows)


def finished(storage: RDBStorage, study_id: int) -> list[Row]:
    """The COMPLETE trials of a study, by number."""
    with storage.engine.connect() as connection:
        return _finished(connection, study_id)


def stored(engine: Engine, names: Sequence[str]) -> dict[str, Stored]:
    """The studies of these names that there are, by name.

    It needs no Optuna storage, which would import alembic and set up the object mapper first: a
    third of what `hnas status` takes.
    """
    studies, attrs = _columns(models.StudyModel), _columns(models.StudyUserAttributeModel)
    directions = _columns(models.StudyDirectionModel)
    with engine.connect() as connection:
        found = connection.execute(
            select(studies.study_name, studies.study_id).where(studies.study_name.in_(names))
        )
        return {
            name: Stored(
                directions=[
                    direction.name.lower()
                    for direction in connection.scalars(
                        select(directions.direction)
                        .where(directions.study_id == study_id)
                        .order_by(directions.objective)
                    )
                ],
                user_attrs={
                    key: json.loads(text)
                    for key, text in connection.execute(
                        select(attrs.key, attrs.value_json).where(attrs.study_id == study_id)
                    )
                },
                trials=_finished(connection, study_id),
            )
            for name, study_id in found.all()
        }


def _columns(model: Any) -> Any:
    """Of a model's table; the model itself would set up the object mapper."""
    return model.__table__.c


def _finished(connection: Connection, study_id: int) -> list[Row]:
    trials, values = _columns(models.TrialModel), _columns(models.TrialValueModel)
    of_study = (trials.study_id == study_id, trials.state == TrialState.COMPLETE)
    found = connection.execute(
        select(trials.trial_id, trials.number).where(*of_study).order_by(trials.number)
    )
    rows = {trial_id: Row(number=number) for trial_id, number in found}
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
        for trial_id, attrs in _attributes(connection, model, of_study):
            if trial_id in rows:
                getattr(rows[trial_id], kind).update(attrs)
    return list(rows.values())


def _attributes(
    connection: Connection, model: Any, of_study: tuple[ColumnElement[bool], ...]
) -> Iterator[tuple[int, dict[str, Any]]]:
    trials, its = _columns(models.TrialModel), _columns(model)
    attrs: dict[int, dict[str, Any]] = defaultdict(dict)
    found = connection.execute(
        select(its.trial_id, its.key, its.value_json)
        .join(models.TrialModel.__table__, trials.trial_id == its.trial_id)
        .where(*of_study)
    )
    for trial_id, key, text in found:
        attrs[trial_id][key] = json.loads(text)
    yield from attrs.items()
