"""Databases of studies: what can be opened, and what is said if one cannot."""

import gc
import sqlite3
import traceback
from contextlib import closing

import pytest
import sqlalchemy
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import OperationalError

from hnas.errors import InputError, StorageError
from hnas.studies.trials import database
from hnas.studies.trials.database import open_storage, patiently
from hnas.studies.trials.optuna_inside import models
from hnas.studies.trials.study import open_study
from hnas.studies.trials.trial import records
from hnas.studies.trials.url import masked
from tests.support.one_trial import RECORD, url_of, write

SECRET = "postgresql://bob:hush@localhost:1/hnas"


def test_a_path_with_braces_is_a_path(tmp_path):
    open_storage(url_of(tmp_path / "{a}.db"), create=True)
    assert (tmp_path / "{a}.db").is_file()


def test_a_reader_creates_no_file(tmp_path):
    with pytest.raises(StorageError, match=r"there is no study storage .*none.db: check the path"):
        open_storage(url_of(tmp_path / "none.db"))
    assert not list(tmp_path.iterdir())


class Killed(BaseException):
    pass


@pytest.mark.parametrize("statement", [0, 3, 12])
def test_a_kill_while_tables_are_made_leaves_all_or_none(tmp_path, monkeypatch, statement):
    done = []

    def kill(connection, cursor, text, *rest):
        if text.lstrip().startswith("CREATE"):
            done.append(text)
            if len(done) > statement:
                raise Killed

    engine = sqlalchemy.create_engine

    def watched(*args, **kwargs):
        made = engine(*args, **kwargs)
        sqlalchemy.event.listen(made, "before_cursor_execute", kill)
        return made

    monkeypatch.setattr(database, "create_engine", watched)
    with pytest.raises(Killed):
        open_storage(url_of(tmp_path / "a.db"), create=True)
    with closing(sqlite3.connect(tmp_path / "a.db")) as left:
        assert left.execute("select count(*) from sqlite_master").fetchone() == (0,)


@pytest.mark.parametrize("name", ["studies", "trials"])
def test_tables_that_lost_their_indexes_get_them(tmp_path, name):
    """Without that of its names a storage would hold two studies of one name."""
    table = models.BaseModel.metadata.tables[name]
    url = url_of(tmp_path / "a.db")
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.schema.CreateTable(table))
        assert not sqlalchemy.inspect(connection).get_indexes(name)
    storage = open_storage(url, create=True)
    found = {index["name"] for index in sqlalchemy.inspect(engine).get_indexes(name)}
    assert found == {index.name for index in table.indexes} and found
    engine.dispose()
    assert open_study(storage, "a", create=True).study_name == "a"


def text_file(folder):
    (folder / "text").write_text("no database at all, but longer than a header\n" * 9)
    return folder / "text"


def under_a_file(folder):
    return text_file(folder) / "study.db"


def missing_folder(folder):
    return folder / "missing" / "study.db"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (text_file, "file is not a database"),
        (under_a_file, "unable to open database file"),
        (missing_folder, "unable to open database file"),
    ],
)
def test_a_path_that_cannot_hold_studies_is_refused(tmp_path, path, reason):
    with pytest.raises(StorageError) as caught:
        open_storage(url_of(path(tmp_path)), create=True)
    assert f": {reason}. Check that it is a study storage" in str(caught.value)
    assert "its folder exists and can be written" in str(caught.value)


def test_a_storage_that_nobody_closes_leaves_no_connection_open(tmp_path):
    storage, still_open = open_storage(url_of(tmp_path / "a.db"), create=True), set()
    storage.engine.dispose()
    sqlalchemy.event.listen(storage.engine, "connect", lambda one, _: still_open.add(id(one)))
    sqlalchemy.event.listen(storage.engine, "close", lambda one, _: still_open.remove(id(one)))
    storage.get_all_studies()
    assert len(still_open) == 1
    del storage
    gc.collect()
    assert still_open == set()


def test_a_database_of_something_else_is_not_changed(tmp_path):
    with closing(sqlite3.connect(tmp_path / "other.db")) as other, other:
        other.execute("create table things (name text)")
    before = (tmp_path / "other.db").read_bytes()
    with pytest.raises(
        StorageError, match=r"no such table: version_info. Check that it is a study"
    ):
        open_storage(url_of(tmp_path / "other.db"))
    assert (tmp_path / "other.db").read_bytes() == before


def test_a_storage_that_may_only_be_read_can_be_read(url, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between Optuna's own tries
    read_only = url.replace("sqlite:///", "sqlite:///file:") + "?mode=ro&uri=true"
    study = open_study(open_storage(read_only), "s")
    assert records(study) == [RECORD]
    with pytest.raises(StorageError) as caught:
        write(study)
    assert str(caught.value) == (
        "trial 0 of the study 's' cannot be stored: attempt to write a readonly database. "
        "Once the storage answers and has room, run it again: what was stored before is kept"
    )


def test_a_full_disk_is_said_and_what_was_stored_is_kept(url, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    storage = open_storage(url)
    study = open_study(storage, "s")

    @sqlalchemy.event.listens_for(storage.engine, "checkout")
    def no_room(connection, *_):
        connection.execute("pragma max_page_count = 1")  # SQLite keeps what there is

    with pytest.raises(StorageError, match=r"cannot be stored: database or disk is full. Once"):
        for _ in range(100):
            write(study)
    stored = records(open_study(open_storage(url), "s"))
    assert [record.number for record in stored] == list(range(len(stored)))
    assert stored[0] == RECORD


def test_a_server_that_does_not_answer_is_named_without_its_password():
    pytest.importorskip("psycopg", reason="the PostgreSQL driver is not installed")
    with pytest.raises(StorageError) as caught:
        open_storage("postgresql://bob:hush%40hush@localhost:1/hnas", create=True)
    text = str(caught.value)
    assert "postgresql://bob:***@localhost:1/hnas cannot be used: " in text
    assert ". Check that the server runs, its host, name, user and password" in text
    assert "hush" not in text


def test_a_servers_error_is_told_without_the_password(monkeypatch):
    def refuse(*_, **__):
        error = OSError("connection refused\nIs the server running?")
        raise sqlalchemy.exc.OperationalError("connect to bob:hush", {}, error)

    monkeypatch.setattr("hnas.studies.trials.database.RDBStorage.__init__", refuse)
    with pytest.raises(StorageError) as caught:
        open_storage("postgresql://bob:hush@localhost:1/hnas", create=True)
    assert str(caught.value) == (
        "the study storage postgresql://bob:***@localhost:1/hnas cannot be used: connection "
        "refused. Check that the server runs, its host, name, user and password, or use "
        "sqlite:///study.db"
    )


@pytest.mark.parametrize(
    "error",
    [
        sqlalchemy.exc.OperationalError(f"connect to {SECRET}", {}, OSError("no answer")),
        StorageInternalError(f"of {SECRET}"),
        OSError("no answer"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_traceback_has_the_password(monkeypatch, error):
    """The errors below ours may say it; Python prints those that an error was raised from."""

    def refuse(*_, **__):
        raise error from OSError("no answer")

    monkeypatch.setattr("hnas.studies.trials.database.RDBStorage.__init__", refuse)
    with pytest.raises(StorageError) as caught:
        open_storage(SECRET, create=True)
    printed = "".join(traceback.format_exception(caught.value))
    assert "no answer" in printed and "hush" not in printed


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("mysql+nosuch://bob:hush@h/d", "needs the Python driver of 'mysql+nosuch': "),
        ("nosuch://bob:hush@h/d", "needs the Python driver of 'nosuch': "),
        ("study.db", "a study storage is a database URL such as sqlite:///study.db or "),
        ("postgresql://bob:hush@h:port/d", "got 'postgresql://bob:***@h:port/d'"),
        ("postgresql://bob:hu@hush@h/d", "no '@': write %40 for one in the password (and %2F for "),
        ("mysql+pymysql://bob:@hush@h/d?x=1", "for '/'), got 'mysql+pymysql://bob:***@h/d?x=***'"),
        ("sqlite://", "a study storage needs a file, such as sqlite:///study.db, got 'sqlite://'"),
        ("sqlite:///:memory:", "a study storage needs a file"),
    ],
)
def test_a_url_that_is_none_is_refused(url, text):
    with pytest.raises(InputError) as caught:
        open_storage(url, create=True)
    assert text in str(caught.value)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://bob:hush@h/d", "postgresql://bob:***@h/d"),
        ("postgresql://bob:hu:s/h@h@host/d", "postgresql://bob:***@host/d"),
        ("postgresql://:hush@h/d", "postgresql://:***@h/d"),
        ("mysql://h/d?user=bob&password=hush&ssl=1", "mysql://h/d?user=bob&password=***&ssl=1"),
        ("sqlite:///study.db", "sqlite:///study.db"),
        ("postgresql://bob@h/d", "postgresql://bob@h/d"),
        ("postgresql:///d?host=h&port=1", "postgresql:///d?host=h&port=1"),
        ("sqlite:////home/me@work/study.db", "sqlite:////home/me@work/study.db"),
        ("study.db", "study.db"),
        ("./runs/study", "./runs/study"),
    ],
)
def test_passwords_are_masked(url, expected):
    assert masked(url) == expected
    assert masked(expected) == expected


@pytest.mark.parametrize(
    "url",
    [
        *("postgresql:/bob:hush@h/d", "postgresql//bob:hush@h/d", "postgresql:///bob:hush@h/d"),
        *("postgresql://bob:hush", "postgresql://bob%3Ahush@h/d", "postgresql://bob@hush@h/d"),
        *("postgresql://bob:hush\n@h/d", "postgresql:\n//bob:hush@h/d", "postgresql://bob hush@h"),
        *("host=h user=bob password=hush", "bob:hush@h/d", "bob:hush", "hush", "'hush'", "PW=hush"),
        *("mssql+pyodbc:///?odbc_connect=PWD%3Dhush", "mysql://h/d?user=bob&passwd=hush@h"),
        *("postgresql://h/d?sslpassword=hush", "postgresql://h/d?x=1;token=hush"),
        *("sqlite://bob:hush@h/d", "bob:hush@://h", "postgresql://bob:a/b?c=hush@h/d"),
    ],
)
def test_whatever_is_typed_for_a_url_its_password_is_not_shown(url):
    assert "hush" not in masked(url)
    assert masked(masked(url)) == masked(url)
    with pytest.raises((InputError, StorageError)) as caught:
        open_storage(url.replace("@h", "@127.0.0.1:1").replace("//h", "//127.0.0.1:1"))
    assert "hush" not in str(caught.value)


def test_waits_are_twice_as_long_each_time_up_to_eight_seconds(monkeypatch) -> None:
    """For a minute in all: then the error is raised."""
    waits: list[float] = []
    monkeypatch.setattr(database.time, "sleep", waits.append)
    monkeypatch.setattr(database.time, "monotonic", lambda: sum(waits))

    def locked() -> None:
        raise OperationalError("", {}, sqlite3.OperationalError("database is locked"))

    with pytest.raises(OperationalError):
        patiently(locked)
    assert waits == [0.5, 1.0, 2.0, 4.0, *[8.0] * 6]
