"""Studies, opened and read as they are."""

import sqlite3
from contextlib import closing

import optuna
import pytest

from hnas.errors import InputError, MismatchError, RowError, StorageError
from hnas.studies.trials.database import open_storage, reading
from hnas.studies.trials.marks import marks_of
from hnas.studies.trials.optuna_inside import models
from hnas.studies.trials.study import open_study, stored_studies
from hnas.studies.trials.trial import records, records_of
from tests.support.one_trial import RECORD, url_of


def test_opening_again_changes_nothing_and_says_nothing(url, capfd):
    before = optuna.logging.get_verbosity()
    study = open_study(open_storage(url, create=True), "s", create=True)
    assert records(study) == [RECORD]
    open_study(open_storage(url, create=True), "new", create=True)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before


def test_a_study_that_is_not_there_is_named_with_those_that_are(url):
    with pytest.raises(InputError, match=r"there is no study 't'; the storage has \['s'\]"):
        open_study(open_storage(url), "t")


def test_a_study_of_other_objectives_is_refused(url):
    storage = open_storage(url)
    optuna.create_study(storage=storage, study_name="other", direction="minimize")
    with pytest.raises(MismatchError, match=r"found \['minimize'\]. Choose another name"):
        open_study(storage, "other", create=True)


def test_a_study_is_read_without_opening_it(url):
    study = open_study(open_storage(url), "s")
    study.set_user_attr("handoff", {"arch": None})
    [(name, found)] = stored_studies(url, ["s", "t"]).items()
    assert name == "s"
    assert found.user_attrs == study.user_attrs
    assert found.study_id == study._study_id
    assert records_of(found.trials) == (RECORD,)


def test_a_stored_study_of_other_objectives_is_refused(url):
    optuna.create_study(storage=open_storage(url), study_name="other", direction="minimize")
    with pytest.raises(MismatchError, match=r"'other' must .* found \['minimize'\]. Choose"):
        stored_studies(url, ["other"])


def test_a_storage_whose_tables_are_not_made_yet_has_no_studies(tmp_path):
    file = tmp_path / "killed.db"
    file.touch()
    assert stored_studies(url_of(file), ["s"]) == {}
    with reading(url_of(file)) as engine:
        models.StudyModel.__table__.create(engine)  # as if killed between two tables
    assert stored_studies(url_of(file), ["s"]) == {}
    open_study(open_storage(url_of(file), create=True), "s", create=True)
    assert [*stored_studies(url_of(file), ["s"])] == ["s"]


def test_studies_of_no_study_storage_are_refused(tmp_path):
    with pytest.raises(StorageError, match=r"there is no study storage .*none.db: check the path"):
        stored_studies(url_of(tmp_path / "none.db"), ["s"])
    with closing(sqlite3.connect(tmp_path / "other.db")) as other, other:
        other.execute("create table things (name text)")
    with pytest.raises(StorageError, match=r"other.db cannot be used: no such table: studies. Che"):
        stored_studies(url_of(tmp_path / "other.db"), ["s"])
    with pytest.raises(InputError, match="needs the Python driver of 'mysql\\+nosuch': "):
        stored_studies("mysql+nosuch://bob:hush@h/d", ["s"])


@pytest.mark.parametrize("value", ["'SIDEWAYS'", "5", "''"])
def test_a_direction_that_is_none_is_told(url, value):
    """By all readers, and by who continues the study."""
    storage = open_storage(url)
    with storage.engine.begin() as connection:
        connection.exec_driver_sql(f"update study_directions set direction = {value}")
    for read in (lambda: stored_studies(url, ["s"]), lambda: open_study(open_storage(url), "s")):
        with pytest.raises(RowError, match=r"a row of it is damaged: .*Another program changed"):
            read()


@pytest.mark.parametrize("table", ["trial_user_attributes", "trial_system_attributes"])
def test_a_cell_of_nothing_is_told(url, table):
    storage = open_storage(url)
    with storage.engine.begin() as connection:
        connection.exec_driver_sql(f"update {table} set value_json = null")
    for read in (lambda: stored_studies(url, ["s"]), lambda: records(open_study(storage, "s"))):
        with pytest.raises(RowError, match=r"the attribute .* of trial 0 is no JSON: "):
            read()


def test_a_mark_of_nothing_is_told(url):
    storage = open_storage(url)
    study = open_study(storage, "s")
    study.set_user_attr("handoff", 1)
    with storage.engine.begin() as connection:
        connection.exec_driver_sql("update study_user_attributes set value_json = null")
    with pytest.raises(RowError, match="a row of it is damaged: the JSON object must be"):
        marks_of(study)
    with pytest.raises(RowError, match="the study's attribute 'handoff' is no JSON"):
        stored_studies(url, ["s"])


@pytest.mark.parametrize("create", [True, False])
def test_a_damaged_file_names_the_study(url, create):
    """Whatever is asked of it first: here the table of studies is a page of noise."""
    open_study(open_storage(url), "s", create=True)
    path = url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as database:
        [page] = database.execute("select rootpage from sqlite_master where name = 'studies'")
        [size] = database.execute("pragma page_size")
    with open(path, "r+b") as file:
        file.seek((page[0] - 1) * size[0])
        file.write(b"\xff" * size[0])
    with pytest.raises(StorageError, match=r"^the study 's' cannot be opened: .*malformed"):
        open_study(open_storage(url), "s", create=create)
