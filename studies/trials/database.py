"""Databases that hold studies: opening one, waiting for it, its errors in plain words.

Studies are Optuna's, so that Optuna and its dashboard read them as they are. hnas writes and reads
the trials of a database by `hnas.studies.trials.tables`, which is several times faster.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from importlib.util import find_spec
from json import JSONDecodeError
from pathlib import Path
from typing import Any, TypeVar
from weakref import finalize

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy import URL, Engine, Executable, create_engine, exc, inspect, make_url, text

from hnas.errors import InputError, RowError, StorageError
from hnas.studies.trials.optuna_inside import models
from hnas.studies.trials.url import masked

T = TypeVar("T")

TIMEOUT = 30
"""Seconds to wait for SQLite's lock or a server's connection."""
PATIENCE = 60.0
"""Seconds for which a storage that was open and does not answer is asked again."""
CONNECT_TIMEOUT = {
    *("postgresql", "postgresql+psycopg", "postgresql+psycopg2"),
    *("mysql", "mysql+mysqldb", "mysql+pymysql"),
}
"""Drivers that know `connect_timeout`."""
MADE = ("version_info", "alembic_version")
"""Tables of one row, which Optuna writes once all others are there."""
TIMES = (0.1, 0.2, 0.4, 0.8)
"""Seconds between tries to make tables that others make too."""
ADVICE = "Once the storage answers and has room, run it again: what was stored before is kept"
NOT_FOUND = "Record does not exist"
"""Optuna's words for a study or a trial that is gone."""
FORMS = ("defined enum values", "isoformat", "the JSON object must be")
"""Words of SQLAlchemy and Python for a cell that is no direction, state, time or text."""
DELETED = (
    "it was deleted from the storage meanwhile, by the dashboard or another program. "
    "Run it again: a study that is gone is searched anew"
)
CHANGED = "Another program changed the storage: restore it, or delete the study and search it again"
FILE_ADVICE = (
    "Check that it is a study storage, that its folder exists and can be written and that the disk "
    "has room"
)
SERVER_ADVICE = (
    "Check that the server runs, its host, name, user and password, or use sqlite:///study.db"
)


def open_storage(url: str, *, create: bool = False) -> RDBStorage:
    """The storage at a database URL; the tables are made only with `create`.

    Raises InputError if the URL is malformed or its driver is not installed, StorageError if the
    storage does not answer, is no study storage or cannot be written. Passwords are masked.
    """
    target = _parsed(url)
    in_file = target.get_backend_name() == "sqlite"
    if in_file:
        _check_file(url, target, create)
    with _using(url, target):
        if create:
            if in_file:
                _made(lambda: _make_tables(target))
            return _made(lambda: _opened(target, create=True))
        _check_tables(target)
        return _opened(target, create=False)


def _opened(target: URL, *, create: bool) -> RDBStorage:
    # RDBStorage fills in a template: braces are meant as they are.
    url = target.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
    return _Patient(url, engine_kwargs=_settings(target), skip_table_creation=not create)


def _make_tables(target: URL) -> None:
    """Makes Optuna's tables in a file with their indexes, all or none whatever kills this process.

    SQLite would commit statement by statement, where a server does so in the end: a table left
    without its index, which Optuna does not make any more, may hold two studies of one name. What
    such a kill has left before is completed.
    """
    engine = create_engine(target, **_settings(target))
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            models.BaseModel.metadata.create_all(connection)
            for table in models.BaseModel.metadata.sorted_tables:
                for index in table.indexes:
                    index.create(connection, checkfirst=True)
    finally:
        engine.dispose()


def _made(make: Callable[[], T]) -> T:
    """What `make` makes, unless it is there. Others who make the tables at the same moment are
    first by one table or row, which is an error here; what they made is found the next time."""
    for pause in TIMES:
        try:
            return make()
        except exc.DBAPIError as error:
            if not isinstance(error, exc.IntegrityError) and "exists" not in str(error.orig):
                raise
        time.sleep(pause)
    return make()


def _check_tables(target: URL) -> None:
    """Raises SQLAlchemyError if a storage's tables are not all there: Optuna would write into those
    of a search that begins just now, or into a database of something else."""
    engine = create_engine(target, **_settings(target))
    try:
        with engine.connect() as connection:
            for table in MADE:
                if connection.execute(text(f"select 1 from {table}")).first() is None:
                    raise exc.NoSuchTableError(f"its table {table} is empty")
    finally:
        engine.dispose()


def has_tables(engine: Engine) -> bool:
    """Whether there is more than some of a storage's tables: all of them, or those of something
    else. A search that has just begun makes its tables, and a kill may leave it a few or none."""
    return not set(inspect(engine).get_table_names()) <= set(models.BaseModel.metadata.tables)


@contextmanager
def reading(url: str) -> Iterator[Engine]:
    """An engine to read the storage at a URL with, which is not opened in Optuna.

    Raises InputError and StorageError as `open_storage`.
    """
    target = _parsed(url)
    if target.get_backend_name() == "sqlite":
        _check_file(url, target, create=False)
    with _using(url, target):
        engine = create_engine(target, **_settings(target))
        try:
            yield engine
        finally:
            engine.dispose()


def _settings(target: URL) -> dict[str, Any]:
    """Arguments of SQLAlchemy's engine."""
    sqlite = target.get_backend_name() == "sqlite"
    wait = "timeout" if sqlite else "connect_timeout"
    waits = sqlite or target.drivername in CONNECT_TIMEOUT
    return {"connect_args": {wait: TIMEOUT} if waits else {}, "pool_pre_ping": not sqlite}


@contextmanager
def _using(url: str, target: URL) -> Iterator[None]:
    """Turns the errors of opening a storage into errors of ours."""
    advice = FILE_ADVICE if target.get_backend_name() == "sqlite" else SERVER_ADVICE
    try:
        with storage_errors(f"the study storage {masked(url)} cannot be used", advice):
            yield
    except (ImportError, exc.ArgumentError) as error:  # ArgumentError: a dialect nobody knows
        raise InputError(
            f"the study storage {masked(url)} needs the Python driver of "
            f"{target.drivername!r}: {_reason(error)}. Install it (for PostgreSQL: "
            "pip install 'psycopg[binary]'), or use sqlite:///study.db"
        ) from None


def patiently(ask: Callable[[], T]) -> T:
    """The answer of `ask`, which is called again while the database is away or locked.

    The first wait is half a second, later ones are longer; after PATIENCE seconds the error is
    raised. `ask` may have done its work although no answer came: calling it twice must do no harm.
    """
    until, wait = time.monotonic() + PATIENCE, 0.5
    while True:
        try:
            return ask()
        except (exc.DBAPIError, StorageInternalError) as error:
            if not _is_away(error) or time.monotonic() + wait > until:
                raise
        time.sleep(wait)
        wait = min(2 * wait, 8.0)


def read_rows(storage: RDBStorage, query: Executable) -> Sequence[Any]:
    """All rows that a query finds, asked for `patiently`."""

    def ask() -> Sequence[Any]:
        with storage.engine.connect() as connection:
            return connection.execute(query).all()

    return patiently(ask)


def _is_away(error: BaseException) -> bool:
    """Whether the error may pass in a while: a lock of SQLite, a server that is gone."""
    if isinstance(error, StorageInternalError) and error.__cause__:
        error = error.__cause__
    if not isinstance(error, (exc.OperationalError, exc.InterfaceError)):
        return False
    return "locked" in str(error.orig) or not isinstance(error.orig, sqlite3.Error)


class _Patient(RDBStorage):
    """Optuna's storage; all its methods but `create_new_trial` are called `patiently`."""

    def __init__(self, *args: Any, **named: Any) -> None:
        try:
            super().__init__(*args, **named)
        except BaseException:
            if hasattr(self, "engine"):  # a connection left open would keep the file's disk busy
                self.engine.dispose()
            raise
        # So is one that nobody closed: Python 3.13 warns of a connection that is left open.
        finalize(self, self.engine.dispose).atexit = False


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
    except (exc.ArgumentError, ValueError):
        raise InputError(
            "a study storage is a database URL such as sqlite:///study.db or "
            f"postgresql://user:password@host/name, got {masked(url)!r}"
        ) from None
    if "@" in (target.host or ""):
        raise InputError(
            "the host of a study storage's URL must have no '@': write %40 for one in the password "
            f"(and %2F for '/'), got {masked(url)!r}"
        )
    if target.drivername == "postgresql" and find_spec("psycopg"):
        return target.set(drivername="postgresql+psycopg")  # before SQLAlchemy 2.1: psycopg2
    return target


def _check_file(url: str, target: URL, create: bool) -> None:
    if target.database in (None, "", ":memory:"):
        raise InputError(
            f"a study storage needs a file, such as sqlite:///study.db, got {masked(url)!r}"
        )
    file = target.database.startswith("file:")  # SQLite's own URI: it says itself what to create
    if not create and not file and not Path(target.database).is_file():
        raise StorageError(
            f"there is no study storage {target.database}: check the path, or run the search "
            "that creates it"
        )


@contextmanager
def storage_errors(asked: str, advice: str = ADVICE) -> Iterator[None]:
    """Turns the errors of a database into a StorageError that says what to do."""
    try:
        yield
    except exc.ArgumentError:
        raise  # a matter of the URL
    except KeyError as error:
        if NOT_FOUND not in str(error):
            raise
        raise RowError(f"{asked}: {DELETED}") from None
    except (JSONDecodeError, RecursionError) as error:
        raise RowError(f"{asked}: a row of it is no JSON: {error}. {CHANGED}") from None
    except (LookupError, TypeError, ValueError) as error:
        if not any(words in str(error) for words in FORMS):
            raise
        raise RowError(f"{asked}: a row of it is damaged: {error}. {CHANGED}") from None
    except (exc.SQLAlchemyError, StorageInternalError, RuntimeError, OSError) as error:
        # Not chained: a driver's own message may hold the password.
        raise StorageError(f"{asked}: {_reason(error)}. {advice}") from None


def _reason(error: BaseException) -> str:
    """The database's own words, in one line."""
    if isinstance(error, (StorageInternalError, ImportError)) and error.__cause__:
        error = error.__cause__
    error = getattr(error, "orig", None) or error
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
