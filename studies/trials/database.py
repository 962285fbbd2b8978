"""Where studies are kept: an Optuna storage, its studies, and a trial as a record of ours.

Studies are Optuna's, so that Optuna and its dashboard read them as they find them; a database's
trials are written and read by `hnas.studies.trials.tables`, which is several times faster.
"""

from __future__ import annotations

import re
import sqlite3
import time
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial, wraps
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, TypeVar

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.samplers import NSGAIISampler
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
)

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.errors import InputError, MismatchError, StorageError
from hnas.studies.objective.costs import OBJECTIVES, Costs, Priced, metrics
from hnas.studies.trials.encoding import distributions, encode
from hnas.studies.trials.tables import Row, backend, finished, has_trial, insert_trial, stored

T = TypeVar("T")

GENERATION = "NSGAIISampler:generation"
"""Where Optuna's sampler keeps a trial's generation."""
CONSTRAINTS = "constraints"
"""The list form: optuna-dashboard reads no other, Optuna reads both."""
TIMEOUT = 30
"""Seconds to wait for SQLite's lock or a server's connection."""
PATIENCE = 60.0
"""Seconds in which a storage that was open and does not answer is asked again."""
CONNECT_TIMEOUT = {
    "postgresql",
    "postgresql+psycopg",
    "postgresql+psycopg2",
    "mysql",
    "mysql+mysqldb",
    "mysql+pymysql",
}
"""Drivers that know `connect_timeout`."""
ADVICE = "Once the storage answers and has room, run it again: what was stored before is kept"
FILE_ADVICE = (
    "Check that it is a study storage, that its folder exists and can be written and that the disk "
    "has room"
)
SERVER_ADVICE = (
    "Check that the server runs, its host, name, user and password, or use sqlite:///study.db"
)


@dataclass(frozen=True, kw_only=True)
class Record:
    """A finished trial."""

    number: int
    """Of the trial in its study, from 0."""
    generation: int
    arch: Arch
    accuracy: float
    """Held-out accuracy, 0 to 1."""
    loss: float
    """Held-out loss, in nats."""
    macs: int
    params: int
    seconds: float
    """Wall time that scoring took."""
    latency: int | None = None
    """Nanoseconds of a batch by the latency table; None where the search has none."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A study as it was when it was read."""

    name: str
    user_attrs: dict[str, Any]
    records: tuple[Record, ...]
    """The trials that `write_trial` stored, by number."""


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


def masked(url: str) -> str:
    """The URL with its passwords as `***`, also where it is no valid URL."""
    url = re.sub(r"(?<=://)([^/@]*?:).*(?=@)", r"\1***", url)
    return re.sub(r"(?i)([?&]\w*(?:password|passwd|pwd)\w*=)[^&]*", r"\1***", url)


def open_storage(url: str, *, create: bool = False) -> RDBStorage:
    """The storage at a database URL; the tables are made only with `create`.

    Raises InputError where the URL is malformed or its driver is not installed, StorageError where
    the storage does not answer, is no study storage or cannot be written. Passwords are masked.
    """
    target = _parsed(url)
    if target.get_backend_name() == "sqlite":
        _check_file(url, target, create)
    # RDBStorage fills in a template: braces are meant as they are.
    text = target.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
    with _using(url, target):
        return _Patient(text, engine_kwargs=_settings(target), skip_table_creation=not create)


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


def _settings(target: URL) -> dict[str, Any]:
    """What SQLAlchemy's engine is made with."""
    sqlite = target.get_backend_name() == "sqlite"
    wait = "timeout" if sqlite else "connect_timeout"
    waits = sqlite or target.drivername in CONNECT_TIMEOUT
    return {"connect_args": {wait: TIMEOUT} if waits else {}, "pool_pre_ping": not sqlite}


@contextmanager
def _using(url: str, target: URL) -> Iterator[None]:
    """Turns what goes wrong with a storage that is being opened into errors of ours."""
    sqlite = target.get_backend_name() == "sqlite"
    try:
        with storage_errors(
            f"the study storage {masked(url)} cannot be used",
            FILE_ADVICE if sqlite else SERVER_ADVICE,
        ):
            yield
    except (ImportError, ArgumentError) as error:  # ArgumentError: a dialect nobody knows
        raise InputError(
            f"the study storage {masked(url)} needs the Python driver of "
            f"{target.drivername!r}: {_reason(error)}. Install it (for PostgreSQL: "
            "pip install 'psycopg[binary]'), or use sqlite:///study.db"
        ) from None


def patiently(ask: Callable[[], T]) -> T:
    """What `ask` answers. Where the database is away or locked it is asked again, after half a
    second and then ever less often, for PATIENCE seconds; then what it raises is raised.

    What is asked may have been done although no answer came: it must bear being asked twice.
    """
    until, wait = time.monotonic() + PATIENCE, 0.5
    while True:
        try:
            return ask()
        except (DBAPIError, StorageInternalError) as error:
            if not _is_away(error) or time.monotonic() + wait > until:
                raise
        time.sleep(wait)
        wait = min(2 * wait, 8.0)


def _is_away(error: BaseException) -> bool:
    """Whether it may be another matter in a while: a lock of SQLite, a server that is gone."""
    if isinstance(error, StorageInternalError) and error.__cause__:
        error = error.__cause__
    if not isinstance(error, (OperationalError, InterfaceError)):
        return False
    return "locked" in str(error.orig) or not isinstance(error.orig, sqlite3.Error)


class _Patient(RDBStorage):
    """Optuna's storage, whose methods, but for those that add trials, are called `patiently`."""

    def __init__(self, *args: Any, **named: Any) -> None:
        try:
            super().__init__(*args, **named)
        except BaseException:
            if hasattr(self, "engine"):  # a connection left open would keep the file's disk busy
                self.engine.dispose()
            raise


def _patient(method: Callable[..., T]) -> Callable[..., T]:
    @wraps(method)
    def called(self: RDBStorage, *args: Any, **named: Any) -> T:
        return patiently(lambda: method(self, *args, **named))

    return called


for _name in BaseStorage.__abstractmethods__ - {"create_new_trial"}:
    setattr(_Patient, _name, _patient(getattr(RDBStorage, _name)))


def close_storage(storage: RDBStorage) -> None:
    """Closes a storage's connections; those of other threads have to be idle."""
    storage.remove_session()
    storage.engine.dispose()


def _parsed(url: str) -> URL:
    try:
        target = make_url(url)
    except (ArgumentError, ValueError):
        raise InputError(
            "a study storage is a database URL such as sqlite:///study.db or "
            f"postgresql://user:password@host/name, got {masked(url)!r}"
        ) from None
    if target.drivername == "postgresql" and find_spec("psycopg"):
        return target.set(drivername="postgresql+psycopg")  # before SQLAlchemy 2.1: psycopg2
    return target


def _check_file(url: str, target: URL, create: bool) -> None:
    if target.database in (None, "", ":memory:"):
        raise InputError(f"a study storage needs a file, such as sqlite:///study.db, got {url!r}")
    file = target.database.startswith("file:")  # SQLite's own URI: it says itself what to create
    if not create and not file and not Path(target.database).is_file():
        raise StorageError(
            f"there is no study storage {target.database}: check the path, or run the search "
            "that creates it"
        )


@contextmanager
def storage_errors(asked: str, advice: str = ADVICE) -> Iterator[None]:
    """Turns what a database raises within it into a StorageError that says what to do."""
    try:
        yield
    except ArgumentError:
        raise  # a matter of the URL
    except (SQLAlchemyError, StorageInternalError, RuntimeError, OSError) as error:
        # Not chained: a driver's own message may hold the password.
        raise StorageError(f"{asked}: {_reason(error)}. {advice}") from None


def _reason(error: BaseException) -> str:
    """The database's own words, in one line."""
    if isinstance(error, (StorageInternalError, ImportError)) and error.__cause__:
        error = error.__cause__
    error = getattr(error, "orig", None) or error
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


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
        if (database := backend(study)) is None:
            study.add_trial(trial)
            return
        asked_before, arch = False, record.arch.to_json()

        def insert() -> None:
            nonlocal asked_before
            # No architecture is stored twice: it tells whether the answer alone was lost.
            if not (asked_before and has_trial(database, study._study_id, arch=arch)):
                asked_before = True
                insert_trial(database, study._study_id, trial)

        patiently(insert)


def records(study: optuna.Study, trial_ids: Collection[int] | None = None) -> list[Record]:
    """The finished trials of hnas, by number; trials of others are not ours. With `trial_ids`, of a
    database, only those among them.

    Raises StorageError.
    """
    asked = f"the trials of the study {study.study_name!r} cannot be read"
    trials: Sequence[Row | FrozenTrial]
    with storage_errors(asked):
        if (database := backend(study)) is not None:
            trials = patiently(partial(finished, database, study._study_id, trial_ids))
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
