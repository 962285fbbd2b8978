"""Studies and their trials: opened, read, written."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any, Literal

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import NSGAIISampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import create_engine

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.errors import InputError, MismatchError, StorageError
from hnas.studies.objective.costs import OBJECTIVES, Costs, Priced, metrics
from hnas.studies.trials.database import (
    _check_file,
    _parsed,
    _settings,
    _using,
    patiently,
    storage_errors,
)
from hnas.studies.trials.encoding import distributions, encode
from hnas.studies.trials.optuna_inside import database_of, study_id_of
from hnas.studies.trials.record import Record, Snapshot
from hnas.studies.trials.tables import Row, finished, has_trial, insert_trial, stored

GENERATION = "NSGAIISampler:generation"
"""Where Optuna's sampler keeps a trial's generation."""


CONSTRAINTS = "constraints"
"""The list form: optuna-dashboard reads no other, Optuna reads both."""


def directions(objective: str) -> list[Literal["maximize", "minimize"]]:
    """Of a study's values: accuracy up, costs down."""
    down: list[Literal["maximize", "minimize"]] = ["minimize"] * len(OBJECTIVES[objective])
    return ["maximize", *down]


@contextmanager
def quiet() -> Iterator[None]:
    """Within it Optuna says nothing about new studies and experimental methods."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def snapshots(url: str, names: Sequence[str]) -> dict[str, Snapshot]:
    """The studies of these names that a storage has, by name, read without opening them in Optuna.

    Raises InputError and StorageError as `open_storage`, MismatchError as `open_study`.
    """
    target = _parsed(url)
    if target.get_backend_name() == "sqlite":
        _check_file(url, target, create=False)
    with _using(url, target):
        engine = create_engine(target, **_settings(target))
        try:
            found = stored(engine, names)
        finally:
            engine.dispose()
    for name, study in found.items():
        _check_directions(name, study.directions, OBJECTIVES)
    return {
        name: Snapshot(name=name, user_attrs=study.user_attrs, records=_records(study.trials))
        for name, study in found.items()
    }


def study_names(storage: BaseStorage) -> list[str]:
    """The studies of a storage, sorted. Raises StorageError."""
    with storage_errors("the studies cannot be listed"):
        return sorted(optuna.get_all_study_names(storage))


def open_study(
    storage: BaseStorage, name: str, *, create: bool = False, objective: str = "flops"
) -> optuna.Study:
    """The study of that name; with `create` it is made, for the objective, where there is none.

    Its sampler is NSGA-II (Optuna's default for several objectives is not). Raises InputError where
    there is no such study, MismatchError where it has other objectives, StorageError.
    """
    asked = f"the study {name!r} cannot be opened"
    with storage_errors(asked), quiet():
        sampler = NSGAIISampler()
        if create:
            study = optuna.create_study(
                storage=storage,
                study_name=name,
                directions=directions(objective),
                sampler=sampler,
                load_if_exists=True,
            )
        elif name in (names := study_names(storage)):
            study = optuna.load_study(storage=storage, study_name=name, sampler=sampler)
        else:
            raise InputError(f"there is no study {name!r}; the storage has {names}")
        found = [direction.name.lower() for direction in study.directions]
        _check_directions(name, found, [objective] if create else OBJECTIVES)
        if create and study.metric_names is None:
            study.set_metric_names(metrics(objective))
        return study


def _check_directions(name: str, found: list[str], objectives: Iterable[str]) -> None:
    if found not in [directions(objective) for objective in objectives]:
        known = " or ".join(
            f"maximize {' and minimize '.join(metrics(objective))}" for objective in objectives
        )
        raise MismatchError(f"the study {name!r} must {known}, found {found}. Choose another name")


def waiting_trial(
    space: Space, arch: Arch, *, generation: int, spent: Priced, costs: Costs
) -> FrozenTrial:
    """An architecture as a trial that has no score yet; what it costs is `spent`."""
    latency = {} if spent.latency is None else {"latency_ns": spent.latency}
    return optuna.trial.create_trial(
        state=TrialState.WAITING,
        params=encode(space, arch),
        distributions=distributions(space),
        user_attrs={
            "arch": arch.to_json(),
            "macs": spent.macs,
            "params": spent.params,
            **latency,
        },
        system_attrs={GENERATION: generation, CONSTRAINTS: costs.excess(spent)},
    )


def write_trial(
    study: optuna.Study,
    space: Space,
    record: Record,
    *,
    costs: Costs,
    started: datetime,
    completed: datetime,
) -> None:
    """Stores a finished trial, in one transaction: after it returns the trial survives a kill.

    The storage numbers it; times are naive local ones, as Optuna's own. Raises StorageError.
    """
    trial = waiting_trial(
        space, record.arch, generation=record.generation, spent=record, costs=costs
    )
    trial.state, trial.values = TrialState.COMPLETE, costs.values(record)
    trial.user_attrs |= {"loss": record.loss, "seconds": record.seconds}
    trial.datetime_start, trial.datetime_complete = started, completed
    asked = f"trial {record.number} of the study {study.study_name!r} cannot be stored"
    with storage_errors(asked):
        if (database := database_of(study)) is None:
            study.add_trial(trial)
            return
        asked_before, arch = False, record.arch.to_json()

        def insert() -> None:
            nonlocal asked_before
            # No architecture is stored twice: it tells whether the answer alone was lost.
            if not (asked_before and has_trial(database, study_id_of(study), arch=arch)):
                asked_before = True
                insert_trial(database, study_id_of(study), trial)

        patiently(insert)


def records(study: optuna.Study, trial_ids: Collection[int] | None = None) -> list[Record]:
    """The finished trials of hnas, by number; trials of others are not ours. With `trial_ids`, of a
    database, only those among them.

    Raises StorageError.
    """
    asked = f"the trials of the study {study.study_name!r} cannot be read"
    trials: Sequence[Row | FrozenTrial]
    with storage_errors(asked):
        if (database := database_of(study)) is not None:
            trials = patiently(partial(finished, database, study_id_of(study), trial_ids))
        else:
            trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return list(_records(trials))


def _records(trials: Sequence[Row | FrozenTrial]) -> tuple[Record, ...]:
    return tuple(_record(trial) for trial in trials if "arch" in trial.user_attrs)


def _record(trial: Row | FrozenTrial) -> Record:
    attrs: dict[str, Any] = trial.user_attrs
    if missing := [name for name in ("loss", "seconds") if name not in attrs]:
        raise StorageError(
            f"trial {trial.number} was told without the attributes {', '.join(missing)}: a program "
            "that scores must set them before it tells. A finished trial cannot be mended: mend "
            "the program, delete the study and search it again"
        )
    return Record(
        number=trial.number,
        generation=trial.system_attrs[GENERATION],
        arch=Arch.from_json(attrs["arch"]),
        accuracy=trial.values[0],
        loss=attrs["loss"],
        macs=attrs["macs"],
        params=attrs["params"],
        seconds=attrs["seconds"],
        latency=attrs.get("latency_ns"),
    )
