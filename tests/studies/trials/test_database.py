import sqlite3
from datetime import datetime, timedelta

import optuna
import pytest
import sqlalchemy

from hnas.architecture.arch import Arch, Block
from hnas.architecture.space import Frame, distribution_space
from hnas.errors import InputError, MismatchError, StorageError
from hnas.studies.objective.costs import Costs, metrics
from hnas.studies.trials.database import masked, open_storage
from hnas.studies.trials.record import Record
from hnas.studies.trials.study import directions, open_study, snapshots, study_names
from hnas.studies.trials.trial import records, write_trial

FRAME = Frame(image=32, channels=3, patch=4, classes=10, d=192, M=3, N=3)
SPACE = distribution_space(FRAME, d_k=192, d_z=4, E=1, K=31)
ARCH = Arch(
    (
        Block(G=3, L=0, d_k=192, d_z=4),
        Block(G=0, L=3, d_z=4, E=1, K=31),
        Block(G=1, L=2, d_k=192, d_z=4, E=1, K=31),
    )
)
RECORD = Record(
    number=0, generation=2, arch=ARCH, accuracy=0.1 + 0.2, loss=1.5, macs=90, params=7, seconds=0.25
)
STARTED = datetime(2026, 1, 2, 3, 4, 5, 678)


def url_of(path):
    return f"sqlite:///{path}"


def write(study, record=RECORD):
    completed = STARTED + timedelta(seconds=1)
    costs = Costs(frame=FRAME, flops=100)
    write_trial(study, SPACE, record, costs=costs, started=STARTED, completed=completed)


@pytest.fixture
def url(tmp_path):
    """Of a storage with the study `s` of one trial."""
    url = url_of(tmp_path / "study.db")
    write(open_study(open_storage(url, create=True), "s", create=True))
    return url


def test_a_trial_comes_back_as_it_was(url):
    storage = open_storage(url)
    assert study_names(storage) == ["s"]
    assert records(open_study(storage, "s")) == [RECORD]


def test_a_trial_is_one_of_optunas(url):
    study = optuna.load_study(storage=url, study_name="s")
    (trial,) = study.trials
    assert [direction.name.lower() for direction in study.directions] == directions("flops")
    assert study.metric_names == metrics("flops")
    assert trial.state == optuna.trial.TrialState.COMPLETE
    assert trial.values == [0.1 + 0.2, 90]
    assert trial.params == {"b01.G": 3, "b02.G": 0, "b03.G": 1}
    assert (trial.datetime_start, trial.duration) == (STARTED, timedelta(seconds=1))
    assert trial.constraints == {"0": -10.0}
    assert trial.user_attrs["arch"] == ARCH.to_json()
    assert trial.user_attrs["params"] == 7


def test_trials_of_others_are_not_ours(url):
    study = open_study(open_storage(url), "s")
    study.tell(study.ask(), [0.5, 1])
    study.ask()
    assert len(study.trials) == 3
    assert records(study) == [RECORD]


def test_a_trial_told_by_a_program_that_forgot_something_is_named(url):
    study = open_study(open_storage(url), "s")
    trial = study.ask()
    trial.set_user_attr("arch", ARCH.to_json())
    trial.set_user_attr("loss", 0.5)
    study.tell(trial, [0.5, 1])
    with pytest.raises(StorageError, match=r"trial 1 was told without the attributes seconds: a"):
        records(study)


def test_opening_again_changes_nothing_and_says_nothing(url, capfd):
    before = optuna.logging.get_verbosity()
    study = open_study(open_storage(url, create=True), "s", create=True)
    assert records(study) == [RECORD]
    open_study(open_storage(url, create=True), "new", create=True)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before


def test_a_path_with_braces_is_a_path(tmp_path):
    open_storage(url_of(tmp_path / "{a}.db"), create=True)
    assert (tmp_path / "{a}.db").is_file()


def test_a_reader_creates_no_file(tmp_path):
    with pytest.raises(StorageError, match=r"there is no study storage .*none.db: check the path"):
        open_storage(url_of(tmp_path / "none.db"))
    assert not list(tmp_path.iterdir())


def test_a_study_that_is_not_there_is_named_with_those_that_are(url):
    with pytest.raises(InputError, match=r"there is no study 't'; the storage has \['s'\]"):
        open_study(open_storage(url), "t")


def test_a_study_of_other_objectives_is_refused(url):
    storage = open_storage(url)
    optuna.create_study(storage=storage, study_name="other", direction="minimize")
    with pytest.raises(MismatchError, match=r"found \['minimize'\]. Choose another name"):
        open_study(storage, "other", create=True)


def test_a_snapshot_is_the_study_without_opening_it(url):
    study = open_study(open_storage(url), "s")
    study.set_user_attr("handoff", {"arch": None})
    [(name, found)] = snapshots(url, ["s", "t"]).items()
    assert name == "s"
    assert found.user_attrs == study.user_attrs
    assert found.records == (RECORD,)


def test_a_snapshot_of_other_objectives_is_refused(url):
    optuna.create_study(storage=open_storage(url), study_name="other", direction="minimize")
    with pytest.raises(MismatchError, match=r"'other' must .* found \['minimize'\]. Choose"):
        snapshots(url, ["other"])


def test_a_snapshot_of_no_study_storage_is_refused(tmp_path):
    with pytest.raises(StorageError, match=r"there is no study storage .*none.db: check the path"):
        snapshots(url_of(tmp_path / "none.db"), ["s"])
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("create table things (name text)")
    with pytest.raises(StorageError, match=r"other.db cannot be used: no such table: studies. Che"):
        snapshots(url_of(tmp_path / "other.db"), ["s"])
    with pytest.raises(InputError, match="needs the Python driver of 'mysql\\+nosuch': "):
        snapshots("mysql+nosuch://bob:hush@h/d", ["s"])


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


def test_a_database_of_something_else_is_not_changed(tmp_path):
    with sqlite3.connect(tmp_path / "other.db") as other:
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
        open_storage("postgresql://bob:hush@localhost:1/hnas")
    assert str(caught.value) == (
        "the study storage postgresql://bob:***@localhost:1/hnas cannot be used: connection "
        "refused. Check that the server runs, its host, name, user and password, or use "
        "sqlite:///study.db"
    )


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("mysql+nosuch://bob:hush@h/d", "needs the Python driver of 'mysql+nosuch': "),
        ("nosuch://bob:hush@h/d", "needs the Python driver of 'nosuch': "),
        ("study.db", "a study storage is a database URL such as sqlite:///study.db or "),
        ("postgresql://bob:hush@h:port/d", "got 'postgresql://bob:***@h:port/d'"),
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
    ],
)
def test_passwords_are_masked(url, expected):
    assert masked(url) == expected
