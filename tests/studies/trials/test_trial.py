"""Trials, written and read."""

import json
from datetime import timedelta

import optuna
import pytest

from hnas.cost.flops import cost
from hnas.errors import RowError, StorageError
from hnas.studies.objective.costs import metrics
from hnas.studies.trials.database import open_storage
from hnas.studies.trials.study import directions, open_study
from hnas.studies.trials.trial import records
from tests.support.one_trial import ARCH, FRAME, RECORD, STARTED, write


def test_a_trial_comes_back_as_it_was(url):
    storage = open_storage(url)
    assert optuna.get_all_study_names(storage) == ["s"]
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
    assert trial.constraints == {"0": cost(FRAME, ARCH).macs - 100}
    assert json.loads(trial.user_attrs["arch"]) == ARCH.to_dict()
    assert max(map(len, trial.user_attrs["arch"].split(" "))) < 60  # a page breaks its lines there
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


def test_trials_are_read_by_number(url):
    """Whatever the order of their rows."""
    storage = open_storage(url)
    write(open_study(storage, "s"))
    with storage.engine.begin() as connection:
        connection.exec_driver_sql("update trials set number = 1 - number")
    assert [record.number for record in records(open_study(storage, "s"))] == [0, 1]


def test_two_trials_of_one_number_are_told(url):
    storage = open_storage(url)
    write(open_study(storage, "s"))
    with storage.engine.begin() as connection:
        connection.exec_driver_sql("update trials set number = 0")
    with pytest.raises(RowError, match=r"trial 0 is there twice. Another program changed"):
        records(open_study(storage, "s"))


ATTRS, VALUES = "trial_user_attributes set value_json", "trial_values set value"
ADDED = "trial_user_attributes (trial_id, key, value_json) values (1,"


@pytest.mark.parametrize(
    "damage",
    [
        *(f"update {ATTRS} = '{value}' where key = 'arch'" for value in ("5", "{", '"{}"', '"["')),
        *(f"update {ATTRS} = '{value}' where key = 'macs'" for value in ("{", '"9"', "-1", "null")),
        *(f"update {ATTRS} = '{value}' where key = 'loss'" for value in ('"x"', "NaN", "[]")),
        *(
            f"update {ATTRS} = printf('1%.*c', 400, '0') where key = '{k}'"
            for k in ("macs", "loss")
        ),
        f"update {ATTRS} = printf('%.*c', 100000, '[') where key = 'seconds'",
        *(f"insert into {ADDED} '{k}', '[]')" for k in ("latency_ns", "right", "standard_error")),
        *(f"insert into {ADDED} '{key}', -1)" for key in ("latency_ns", "right")),
        "update trials set number = null",
        *(f"update {VALUES} = {value} where objective = 0" for value in ("1e308", "-0.1", "null")),
        "delete from trial_values",
        "delete from trial_user_attributes where key = 'params'",
        "delete from trial_system_attributes where key like '%generation'",
    ],
)
def test_a_row_that_others_changed_is_told(url, damage):
    """By all readers: the error names the trial, and what is wrong with it."""
    storage = open_storage(url)
    with storage.engine.begin() as connection:
        connection.exec_driver_sql(damage)
    with pytest.raises(StorageError, match=r"trial (0|None) (is damaged: |is no JSON: )\w"):
        records(open_study(storage, "s"))
