"""A study that someone deletes while a search uses it: an error that names it, and no orphans."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage
from sqlalchemy import text

from hnas.errors import StorageError
from hnas.studies.objective.costs import Costs
from hnas.studies.trials import writing
from hnas.studies.trials.conditions import conditions_of
from hnas.studies.trials.database import close_storage, open_storage, storage_errors
from hnas.studies.trials.marks import Marks, write_marks
from hnas.studies.trials.optuna_inside import study_id_of
from hnas.studies.trials.parents import keep_parents
from hnas.studies.trials.queue import put
from hnas.studies.trials.study import key_of, open_study
from hnas.studies.trials.trial import waiting_trial
from tests.support.one_trial import ARCH, FRAME, RECORD, SPACE, url_of, write

STORAGES = ("sqlite", "postgresql")


def waits(study: optuna.Study) -> None:
    trial = waiting_trial(SPACE, ARCH, 0, RECORD, Costs(frame=FRAME, flops=100))
    put(study, {ARCH.to_json(): trial})


USES: dict[str, Callable[[optuna.Study], object]] = {
    "trial 1 of the study 's' cannot be stored": lambda s: write(s, replace(RECORD, number=1)),
    "trials of 's' cannot be put into the queue": waits,
    "the mark 'exhausted' of 's' cannot be stored": lambda s: write_marks(s, Marks(exhausted=True)),
    "the parents of 's' cannot be stored": lambda s: keep_parents(s, 0, [RECORD]),
    "the study 's' cannot be read": conditions_of,
}


@pytest.fixture(params=STORAGES)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RDBStorage]:
    """With the study `s` of one trial."""
    new = url_of(tmp_path / "study.db")
    url = str(request.getfixturevalue("database")) if request.param == "postgresql" else new
    storage = open_storage(url, create=True)
    write(open_study(storage, "s", create=True))
    yield storage
    close_storage(storage)


def orphans(storage: RDBStorage) -> int:
    """Rows of trials that have no study, and of what such trials had."""
    trials = "select count(*) from trials where study_id not in (select study_id from studies)"
    rows = "select count(*) from trial_{} where trial_id not in (select trial_id from trials)"
    of = ("params", "values", "user_attributes", "system_attributes")
    with storage.engine.connect() as connection:
        queries = (trials, *(rows.format(each) for each in of))
        return sum(int(connection.execute(text(query)).scalar_one()) for query in queries)


@pytest.mark.parametrize("asked", USES)
def test_it_is_told_and_leaves_no_orphans(storage: RDBStorage, asked: str) -> None:
    study = open_study(storage, "s")
    optuna.delete_study(study_name="s", storage=storage)
    with pytest.raises(StorageError, match=rf"^{asked}: it was deleted .* searched anew$"):
        USES[asked](study)
    assert orphans(storage) == 0
    write(open_study(storage, "s", create=True))
    assert len(open_study(storage, "s").trials) == 1


def test_what_was_stored_while_it_went_goes_too(tmp_path: Path) -> None:
    """SQLite checks no foreign keys: the deleter knows only the trials that it had read."""
    storage = open_storage(url_of(tmp_path / "study.db"), create=True)
    study = open_study(storage, "s", create=True)
    write(study)
    with storage.engine.begin() as connection:
        connection.execute(text("delete from studies"))
    assert orphans(storage) == 1
    with pytest.raises(StorageError, match="it was deleted"):
        write(study, replace(RECORD, number=1))
    assert orphans(storage) == 0


def test_an_attribute_replaces_its_own_value_and_no_other(storage: RDBStorage) -> None:
    one, other = open_study(storage, "s"), open_study(storage, "other", create=True)
    for study, value in ((one, [1]), (other, {"a": 2}), (one, "ü")):
        for name in ("x", "y"):
            writing.write_attribute(storage, key_of(study), name, [value, name])
    assert one.user_attrs == {"x": ["ü", "x"], "y": ["ü", "y"]}
    assert other.user_attrs == {"x": [{"a": 2}, "x"], "y": [{"a": 2}, "y"]}


def test_a_new_study_inherits_no_trials(tmp_path: Path) -> None:
    """Also where the search was killed before it could clear them away."""
    storage = open_storage(url_of(tmp_path / "study.db"), create=True)
    write(open_study(storage, "s", create=True))
    optuna.delete_study(study_name="s", storage=storage)
    with storage.engine.begin() as connection:
        late = "insert into trials (study_id, number, state) values (1, 0, 'COMPLETE')"
        connection.execute(text(late))
    assert orphans(storage) == 1
    assert open_study(storage, "other", create=True).trials == []
    assert orphans(storage) == 0


@pytest.mark.parametrize(
    "asked", [asked for asked in USES if "trial 1" in asked or "mark" in asked]
)
def test_one_deleted_between_two_statements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    """SQLite locks no row: another may delete the study after it was seen."""
    url = url_of(tmp_path / "study.db")
    storage = open_storage(url, create=True)
    study = open_study(storage, "s", create=True)
    real, seen = writing.lock_study, []

    def lock(connection: object, key: object) -> None:
        real(connection, key)  # type: ignore[arg-type]
        if not seen:
            seen.append(optuna.delete_study(study_name="s", storage=open_storage(url)))

    monkeypatch.setattr(writing, "lock_study", lock)
    with pytest.raises(StorageError, match="it was deleted from the storage meanwhile"):
        USES[asked](study)
    assert orphans(storage) == 0


def test_other_missing_keys_are_defects() -> None:
    with pytest.raises(KeyError, match="scorer"), storage_errors("asked"):
        raise KeyError("scorer")


@pytest.mark.parametrize("asked", [asked for asked in USES if "read" not in asked])
def test_another_study_of_the_same_id_gets_nothing(tmp_path: Path, asked: str) -> None:
    """SQLite gives the id of a deleted study to the next one, whoever makes it."""
    url = url_of(tmp_path / "study.db")
    storage = open_storage(url, create=True)
    study = open_study(storage, "s", create=True)
    optuna.delete_study(study_name="s", storage=open_storage(url))
    other = open_study(open_storage(url), "other", create=True)
    assert study_id_of(other) == study_id_of(study)
    with pytest.raises(StorageError, match=rf"^{asked}: it was deleted"):
        USES[asked](study)
    assert (other.user_attrs, other.trials) == ({}, [])


def test_a_study_of_an_older_version_is_known_by_its_id(tmp_path: Path) -> None:
    """It gets an identity when a search continues it; who only reads it gives none."""
    storage = open_storage(url_of(tmp_path / "study.db"), create=True)
    write(open_study(storage, "s", create=True))
    with storage.engine.begin() as connection:
        connection.execute(text("delete from study_system_attributes where key like 'hnas:%'"))
    assert key_of(open_study(storage, "s")).identity is None
    write(open_study(storage, "s"), replace(RECORD, number=1))
    assert key_of(open_study(storage, "s", create=True)).identity is not None
