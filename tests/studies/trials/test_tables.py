import time
from datetime import datetime, timedelta

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import func, select

from hnas.architecture.space import Frame, distribution_space, size_space
from hnas.studies.trials.database import open_storage
from hnas.studies.trials.encoding import distributions, encode
from hnas.studies.trials.optuna_inside import database_of, models, study_id_of
from hnas.studies.trials.study import key_of, open_study
from hnas.studies.trials.tables import (
    count_trials,
    has_trial,
    insert_trial,
    study_rows,
    trial_rows,
)
from hnas.studies.trials.trial import CONSTRAINTS, GENERATION

FRAME = Frame(image=32, channels=3, patch=4, classes=10, d=192, M=3, N=3)
STAGE1 = distribution_space(FRAME, d_k=192, d_z=4, E=1, K=31)
WHOLE = size_space(FRAME, None, d_k=(96, 192), d_z=(2, 4), E=(1, 2), K=(17, 31))
TABLES = (
    models.TrialModel,
    models.TrialParamModel,
    models.TrialValueModel,
    models.TrialUserAttributeModel,
    models.TrialSystemAttributeModel,
    models.TrialIntermediateValueModel,
)


def trial(space, seed):
    arch = space.sample(np.random.default_rng(seed))
    made = optuna.trial.create_trial(
        values=[0.1 + 0.2 * seed, 12_345_678_901],
        params=encode(space, arch),
        distributions=distributions(space),
        user_attrs={"arch": arch.to_json(), "loss": 1 / 3, "text": "ü"},
        system_attrs={GENERATION: seed, CONSTRAINTS: [-1.0]},
    )
    started = datetime(2026, 1, 2, 3, 4, 5, 678)
    made.datetime_start, made.datetime_complete = started, started + timedelta(seconds=1)
    return made


def dump(storage):
    """Every row of every table of trials."""
    with storage.engine.connect() as connection:
        return {
            model.__tablename__: sorted(map(tuple, connection.execute(select(model.__table__))))
            for model in TABLES
        }


@pytest.mark.parametrize("space", [STAGE1, WHOLE], ids=["stage 1", "whole"])
def test_a_trial_is_stored_row_for_row_as_optuna_does(tmp_path, space):
    dumps = []
    for name in ("ours", "optuna"):
        storage = open_storage(f"sqlite:///{tmp_path}/{name}.db", create=True)
        study = open_study(storage, "s", create=True)
        for seed in range(3):
            if name == "ours":
                insert_trial(storage, key_of(study), trial(space, seed))
            else:
                study.add_trial(trial(space, seed))
        dumps.append(dump(storage))
    assert dumps[0] == dumps[1]
    assert len(dumps[0]["trial_params"]) == 3 * len(distributions(space))


@pytest.fixture
def new_york(monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_times_are_what_optuna_stores_wherever_it_is(tmp_path, new_york):
    test_a_trial_is_stored_row_for_row_as_optuna_does(tmp_path, STAGE1)


def check_finished(storage):
    """Among trials of others, unfinished ones and other studies."""
    study, other = (open_study(storage, name, create=True) for name in ("s", "other"))
    study.ask()
    for seed in range(2):
        insert_trial(storage, key_of(study), trial(STAGE1, seed))
        insert_trial(storage, key_of(other), trial(STAGE1, 5))
    study.tell(study.ask(), [0.5, 1])
    study.tell(study.ask(), state=TrialState.FAIL)
    insert_trial(storage, key_of(study), trial(STAGE1, 2))
    expected = study.get_trials(states=(TrialState.COMPLETE,))
    found = trial_rows(storage, study_id_of(study))
    assert [row.number for row in found] == [1, 2, 3, 5]
    for ours, its in zip(found, expected, strict=True):
        assert (ours.number, ours.values) == (its.number, its.values)
        assert (ours.user_attrs, ours.system_attrs) == (its.user_attrs, its.system_attrs)
    check_stored(storage, study, other)


def check_stored(storage, *studies):
    """The whole of each study, as Optuna has it, among names that nobody has."""
    studies[0].set_user_attr("about", {"a": [1, 2.5, "ü"], "b": None})
    found = study_rows(storage.engine, ["nobody's", *(study.study_name for study in studies)])
    assert found.keys() == {study.study_name for study in studies}
    for study in studies:
        its = found[study.study_name]
        assert its.directions == [d.name.lower() for d in study.directions]
        assert its.user_attrs == study.user_attrs
        assert its.trials == trial_rows(storage, study_id_of(study))


def test_what_is_finished_is_read_as_optuna_reads_it(tmp_path):
    check_finished(open_storage(f"sqlite:///{tmp_path}/study.db", create=True))


def test_postgresql_too(database):
    storage = open_storage(database, create=True)
    check_finished(storage)
    storage.remove_session()
    storage.engine.dispose()


def test_a_trial_is_stored_whole_or_not_at_all(tmp_path):
    storage = open_storage(f"sqlite:///{tmp_path}/study.db", create=True)
    study = open_study(storage, "s", create=True)
    broken = trial(STAGE1, 0)
    broken.set_user_attr("set", {1})
    with pytest.raises(TypeError, match="not JSON serializable"):
        insert_trial(storage, key_of(study), broken)
    with storage.engine.connect() as connection:
        counts = [connection.scalar(select(func.count()).select_from(m)) for m in TABLES]
    assert counts == [0] * len(TABLES)
    insert_trial(storage, key_of(study), trial(STAGE1, 0))
    assert [t.number for t in study.trials] == [0]


def test_an_architecture_is_known_in_its_own_study_alone(tmp_path):
    storage = open_storage(f"sqlite:///{tmp_path}/study.db", create=True)
    study, other = (open_study(storage, name, create=True) for name in ("s", "other"))
    for seed in range(2):
        insert_trial(storage, key_of(study), trial(WHOLE, seed))
    archs = [trial(WHOLE, seed).user_attrs["arch"] for seed in range(3)]
    assert len(set(archs)) == 3
    assert [has_trial(storage, study_id_of(study), arch) for arch in archs] == [True, True, False]
    assert not any(has_trial(storage, study_id_of(other), arch) for arch in archs)
    study.ask()  # a trial that is not finished counts too
    assert [count_trials(storage, study_id_of(each)) for each in (study, other)] == [3, 0]


def test_only_a_database_has_tables(tmp_path):
    assert database_of(optuna.create_study()) is None
    storage = open_storage(f"sqlite:///{tmp_path}/study.db", create=True)
    assert database_of(open_study(storage, "s", create=True)) is storage
