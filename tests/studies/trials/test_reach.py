"""Databases that are not there yet, and many that begin with them at the same moment."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy

from hnas.errors import InputError, StorageError
from hnas.studies.plan.toml import to_toml
from hnas.studies.request.begin import begin
from hnas.studies.request.decide import decide
from hnas.studies.request.request import Request
from hnas.studies.trials.database import close_storage, open_storage
from hnas.studies.trials.reach import reach
from hnas.studies.trials.study import open_study
from tests.support.one_trial import url_of
from tests.support.postgres import new_database, served


def together(url, kinds):
    """What each of these says, which begin with a database in the same moment."""
    ready = threading.Barrier(len(kinds))

    def begin_one(kind):
        ready.wait()
        try:
            close_storage(open_storage(url, create=kind == "search"))
        except StorageError as error:
            return str(error)
        return "ok"

    with ThreadPoolExecutor(len(kinds)) as pool:
        return list(pool.map(begin_one, kinds))


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_many_may_begin_an_empty_database_together(kind, request, tmp_path):
    """Searches, and workers and dashboards that look meanwhile: only searches write."""
    url = url_of(tmp_path / "study.db")
    if kind == "postgresql":
        url = request.getfixturevalue("database")
    *searches, reader = together(url, ["search"] * 4 + ["reader"])
    assert searches == ["ok"] * 4
    early = ("does not exist", "no such table", "is empty", "there is no study storage")
    assert reader == "ok" or any(word in reader for word in early)
    storage = open_storage(url)
    assert open_study(storage, "s", create=True).trials == []
    close_storage(storage)


def test_a_reader_writes_nothing_into_an_empty_database(database):
    with pytest.raises(StorageError, match=r"version_info.* does not exist"):
        open_storage(database)
    engine = sqlalchemy.create_engine(database.replace("://", "+psycopg://"))
    assert sqlalchemy.inspect(engine).get_table_names() == []
    with engine.begin() as connection:
        for table in ("version_info", "alembic_version"):  # a search that begins just now
            connection.exec_driver_sql(f"create table {table} (version_num int)")
    with pytest.raises(StorageError, match="its table version_info is empty"):
        open_storage(database)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("select * from alembic_version").all() == []
    engine.dispose()


def test_a_search_that_begins_while_the_server_is_down_waits_for_it(tmp_path, monkeypatch, tiny):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.toml").write_text(to_toml(tiny))
    with served() as server:
        url, notes = new_database(server.url), []
        server.stop()
        back = threading.Timer(1.0, server.start)
        back.start()
        asked = Request(plan="plan.toml", run="run", storage=url)
        run = begin(decide(asked), notes.append)
        back.join()
        assert [note.endswith("It is asked again for 60 s") for note in notes] == [True]
        assert run.storage == url
        begin(decide(asked), notes.append)  # it is there now
        assert len(notes) == 1
    gc.collect()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_storage_that_is_not_there_yet_is_waited_for(database):
    notes = []
    made = threading.Timer(1.0, lambda: close_storage(open_storage(database, create=True)))
    made.start()
    close_storage(reach(database, 20.0, notes.append))
    assert len(notes) == 1 and "asked again for 20 s" in notes[0]
    gc.collect()  # the connections of tries that failed


def test_sqlite_is_refused(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    open_storage(url, create=True)
    with pytest.raises(InputError, match=r"workers needs a database server, .* without --workers"):
        reach(url, 20.0, print)
