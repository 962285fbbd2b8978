"""Shares of a queue: a worker takes some trials at once, and finishes them, in a transaction.

Optuna's `ask` and `tell` do it for one trial, in some forty statements. The rows are the same, so
that workers of hnas and programs that call Optuna take from one queue; tests compare.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import takewhile
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.trial import TrialState
from sqlalchemy import Connection, bindparam, func, insert, null, select, union_all, update

from hnas.errors import RowError
from hnas.studies.trials.database import NOT_FOUND, patiently, storage_errors
from hnas.studies.trials.optuna_inside import models, study_id_of
from hnas.studies.trials.queue import LOST, OWNER, database_with, fail
from hnas.studies.trials.record import ARCH
from hnas.studies.trials.tables import set_attributes, utc, value_rows
from hnas.studies.trials.writing import parsed

RECENT = 100
"""Trials before the oldest that waits whose workers count as there still."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A trial that a worker has taken."""

    trial_id: int
    number: int
    attrs: Mapping[str, Any]
    """Its user attributes."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a worker has found out about a trial."""

    trial_id: int
    values: Sequence[float]
    attrs: Mapping[str, Any]
    """User attributes to add."""
    started: datetime
    completed: datetime
    """Naive local times, as Optuna's own."""


@dataclass
class _Rows:
    """A trial as the tables have it."""

    trial_id: int
    number: int
    attrs: list[tuple[str, str]] = field(default_factory=list)
    """Names and JSON."""
    params: list[tuple[float, str]] = field(default_factory=list)
    """Values, and their distributions as JSON."""
    feared: bool = False
    """A worker was lost with it."""

    @property
    def arch(self) -> str:
        return dict(self.attrs).get(ARCH, "")


def take(study: optuna.Study, owner: str, least: int = 1) -> list[Taken]:
    """The oldest trials that wait, of which no other worker gets one; none if none waits.

    Neighbours in the queue begin with the same blocks. A worker gets a share of what waits, which
    shrinks as the queue does, to `least`, so that all workers end at the same time; a share ends
    where neighbours have least in common. A trial with which a worker was lost is taken alone: it
    may be the reason. One whose rows cannot be read fails, and says why. Raises StorageError.
    """
    storage = database_with(study)

    def claimed() -> list[_Rows]:
        with storage.engine.begin() as connection:
            return _claimed(connection, study_id_of(study), owner, least)

    with storage_errors(f"trials of {study.study_name!r} cannot be taken"):
        while found := patiently(claimed):
            if taken := [one for rows in found if (one := _readable(study, rows))]:
                return taken
    return []


def finish(study: optuna.Study, finished: Sequence[Finished]) -> set[int]:
    """Stores the results of RUNNING trials, all or none, and gives their ids; others, which waited
    again or were finished by another worker meanwhile, stay as they are. Raises StorageError."""
    storage, trials = database_with(study), models.TrialModel
    asked = {one.trial_id: one for one in finished}
    states = select(trials.trial_id, trials.state).where(trials.trial_id.in_(asked))

    def stored() -> set[int]:
        with storage.engine.begin() as connection:
            query = states.order_by(trials.trial_id).with_for_update()
            found = {trial_id: state for trial_id, state in connection.execute(query)}
            if len(found) < len(asked):
                raise KeyError(NOT_FOUND)
            kept = {i: asked[i] for i, state in found.items() if state == TrialState.RUNNING}
            if kept:
                _store(connection, kept)
            return set(kept)

    with storage_errors(f"trials of {study.study_name!r} cannot be stored"):
        return patiently(stored)


def share(waiting: int, crew: int, least: int = 1) -> int:
    """How many of the trials that wait one of `crew` workers takes at once, if there are so many.

    Half of an equal share, so that who comes later or is slower finds some; there may be another
    worker that has taken nothing yet. Not less than `least`: a share costs as much as it is small.
    """
    return max(least, -(-waiting // (2 * max(crew, 2))))


def cut(archs: Sequence[str], most: int) -> int:
    """How many of the architectures to take, more than half of `most`: where the next one has least
    in common with the last one taken. `archs` has one more than `most` if more wait."""

    def common(count: int) -> int:
        pairs = zip(archs[count - 1], archs[count], strict=False)
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

    if len(archs) <= most:
        return len(archs)
    return min(range(most, most // 2, -1), key=common)


def _claimed(connection: Connection, study_id: int, owner: str, least: int) -> list[_Rows]:
    """Trials that run now for this worker."""
    trials, waiting, others = models.TrialModel, *_counted(connection, study_id, owner)
    if not waiting:
        return []
    most = share(waiting, others + 1, least)
    waits = (trials.study_id == study_id, trials.state == TrialState.WAITING)
    oldest = select(trials.trial_id, trials.number).where(*waits).order_by(trials.trial_id)
    locked = oldest.limit(most + 1).with_for_update(skip_locked=True)
    rows = {one: _Rows(one, number) for one, number in connection.execute(locked)}
    if not rows:
        return []
    _read(connection, rows)
    its = list(rows.values())
    count = cut([one.arch for one in its], most)
    if (until := next((n for n, one in enumerate(its) if one.feared), None)) is not None:
        count = min(count, until or 1)
    _run(connection, its[:count], owner)
    return its[:count]


def _counted(connection: Connection, study_id: int, owner: str) -> tuple[int, int]:
    """Trials that wait, and other workers that took one of the RECENT before them or since."""
    trials, attrs = models.TrialModel, models.TrialUserAttributeModel
    waits = (trials.study_id == study_id, trials.state == TrialState.WAITING)
    first = select(func.min(trials.number)).where(*waits).scalar_subquery()
    others = (
        select(func.count(attrs.value_json.distinct()))
        .join(trials, trials.trial_id == attrs.trial_id)
        .where(trials.study_id == study_id, trials.number >= first - RECENT)
        .where(attrs.key == OWNER, attrs.value_json != json.dumps(owner))
    )
    waiting = select(func.count()).where(*waits)
    counts = select(waiting.scalar_subquery(), others.scalar_subquery())
    found, those = connection.execute(counts).one()
    return found, those


def _read(connection: Connection, rows: Mapping[int, _Rows]) -> None:
    """Fills in attributes and parameters of trials, by id, and whether a worker was lost with
    them."""
    attrs, params = models.TrialUserAttributeModel, models.TrialParamModel
    marks = models.TrialSystemAttributeModel
    of_attrs = select(attrs.trial_id, attrs.key, null(), attrs.value_json)
    of_params = select(params.trial_id, null(), params.param_value, params.distribution_json)
    lost = select(marks.trial_id, marks.key, null(), null()).where(marks.key == LOST)
    several = union_all(
        of_attrs.where(attrs.trial_id.in_(rows)),
        of_params.where(params.trial_id.in_(rows)),
        lost.where(marks.trial_id.in_(rows)),
    )
    for trial_id, key, value, text in connection.execute(several):
        if key == LOST and text is None:
            rows[trial_id].feared = True
        elif key is not None:
            rows[trial_id].attrs.append((key, text))
        else:
            rows[trial_id].params.append((value, text))


def _run(connection: Connection, rows: Collection[_Rows], owner: str) -> None:
    trials, ids = models.TrialModel, [one.trial_id for one in rows]
    running = {"state": TrialState.RUNNING, "datetime_start": utc(datetime.now())}
    connection.execute(update(trials).where(trials.trial_id.in_(ids)).values(**running))
    had = any(OWNER in dict(one.attrs) for one in rows)
    owned = {trial_id: {OWNER: owner} for trial_id in ids}
    set_attributes(connection, models.TrialUserAttributeModel, owned, new=not had)


def _store(connection: Connection, finished: Mapping[int, Finished]) -> None:
    trials = models.TrialModel
    values = [
        {"trial_id": i, **row} for i, one in finished.items() for row in value_rows(one.values)
    ]
    connection.execute(insert(models.TrialValueModel), values)
    found = {i: one.attrs for i, one in finished.items()}
    set_attributes(connection, models.TrialUserAttributeModel, found)
    connection.execute(
        update(trials)
        .where(trials.trial_id == bindparam("its"))
        .values(
            state=TrialState.COMPLETE,
            datetime_start=bindparam("began"),
            datetime_complete=bindparam("ended"),
        ),
        [
            {"its": i, "began": utc(one.started), "ended": utc(one.completed)}
            for i, one in finished.items()
        ],
    )


def _readable(study: optuna.Study, rows: _Rows) -> Taken | None:
    """What a trial of this worker asks for. None if it cannot be read: then it has failed."""
    try:
        for value, text in rows.params:  # else Optuna's own tools could not read the study
            _distribution(text).to_external_repr(value)
        attrs = {key: parsed(f"the attribute {key!r}", text) for key, text in rows.attrs}
    except (LookupError, TypeError, ValueError, RecursionError, RowError) as error:
        fail(study, rows.trial_id, damage(error))
        return None
    return Taken(trial_id=rows.trial_id, number=rows.number, attrs=attrs)


def damage(error: Exception) -> str:
    """Why a trial that nobody can score has failed."""
    return f"the trial is damaged: {type(error).__name__}: {error}"


@lru_cache(maxsize=1024)
def _distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)
