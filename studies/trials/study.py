"""Studies of a storage: opened in Optuna, or read as they are."""

import warnings
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal
from uuid import uuid4

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import NSGAIISampler
from optuna.storages import BaseStorage, RDBStorage

from hnas.errors import InputError, MismatchError
from hnas.studies.objective.costs import OBJECTIVES, metrics
from hnas.studies.trials.database import has_tables, patiently, reading, storage_errors
from hnas.studies.trials.optuna_inside import KnownStudy, database_of, storage_of, study_id_of
from hnas.studies.trials.tables import StudyRows, study_rows
from hnas.studies.trials.writing import (
    IDENTITY,
    Key,
    read_attributes,
    remove_orphans,
    write_attribute,
)


def directions(objective: str) -> list[Literal["maximize", "minimize"]]:
    """Directions of a study's values: accuracy up, costs down."""
    down: list[Literal["maximize", "minimize"]] = ["minimize"] * len(OBJECTIVES[objective])
    return ["maximize", *down]


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps Optuna from messages about new studies and experimental methods."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def stored_studies(url: str, names: Sequence[str]) -> dict[str, StudyRows]:
    """The studies of these names that a storage has, by name, read without opening them in Optuna;
    none while its tables are not there.

    Raises InputError and StorageError as `open_storage`, MismatchError as `open_study`.
    """
    with reading(url) as engine:
        found = study_rows(engine, names) if has_tables(engine) else {}
    for name, study in found.items():
        _check_directions(name, study.directions, OBJECTIVES)
    return found


def open_study(
    storage: BaseStorage, name: str, *, create: bool = False, objective: str = "flops"
) -> optuna.Study:
    """The study of that name; `create` makes it, for the objective, if there is none.

    Its sampler is NSGA-II with the population of the study, so that `study.optimize` continues its
    generations (Optuna's own has another). Raises InputError if there is no such study,
    MismatchError if it has other objectives, StorageError.
    """
    asked = f"the study {name!r} cannot be opened"
    with storage_errors(asked), quiet():
        names = sorted(optuna.get_all_study_names(storage))
        if create:
            if isinstance(storage, RDBStorage) and name not in names:
                remove_orphans(storage.engine)
            study = optuna.create_study(
                storage=storage,
                study_name=name,
                directions=directions(objective),
                load_if_exists=True,
            )
        elif name in names:
            study = optuna.load_study(storage=storage, study_name=name)
        else:
            raise InputError(f"there is no study {name!r}; the storage has {names}")
        found = [direction.name.lower() for direction in study.directions]
        _check_directions(name, found, [objective] if create else OBJECTIVES)
        if create and study.metric_names is None:
            study.set_metric_names(metrics(objective))
        study.sampler = _sampler(study.user_attrs.get("population"))
        return KnownStudy.of(study, _identity(study, create))


def _sampler(population: object) -> NSGAIISampler:
    """NSGA-II; of a study that has no population yet, with Optuna's own."""
    if isinstance(population, int) and population >= 2:
        return NSGAIISampler(population_size=population)
    return NSGAIISampler()


def _identity(study: optuna.Study, create: bool) -> str | None:
    """What tells a study from others that have had, or will have, its id; given once."""
    storage, study_id = storage_of(study), study_id_of(study)
    if create and IDENTITY not in storage.get_study_system_attrs(study_id):
        storage.set_study_system_attr(study_id, IDENTITY, uuid4().hex)
    return storage.get_study_system_attrs(study_id).get(IDENTITY)


def key_of(study: optuna.Study) -> Key:
    """The study as it was when it was opened."""
    return Key(study_id_of(study), getattr(study, "identity", None))


def study_attributes(study: optuna.Study, names: Collection[str]) -> dict[str, Any]:
    """Those of a study's user attributes, as they are now. Raises KeyError if it is gone."""
    if (database := database_of(study)) is None:
        return {name: study.user_attrs[name] for name in names if name in study.user_attrs}
    return read_attributes(database, study_id_of(study), names)


def set_attribute(study: optuna.Study, name: str, value: Any) -> None:
    """Sets a user attribute of a study. Raises KeyError if it is gone, as Optuna does."""
    if (database := database_of(study)) is None:
        study.set_user_attr(name, value)
    else:
        patiently(lambda: write_attribute(database, key_of(study), name, value))


def _check_directions(name: str, found: list[str], objectives: Iterable[str]) -> None:
    if found not in [directions(objective) for objective in objectives]:
        known = " or ".join(
            f"maximize {' and minimize '.join(metrics(objective))}" for objective in objectives
        )
        raise MismatchError(f"the study {name!r} must {known}, found {found}. Choose another name")
