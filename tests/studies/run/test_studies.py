"""A run's studies are read as they stand, from SQLite and PostgreSQL, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from hnas.errors import StateError
from hnas.studies.findings.findings import find
from hnas.studies.plan.change import override
from hnas.studies.plan.plan import Plan
from hnas.studies.run.folder import begin_run
from hnas.studies.run.status import read_status
from hnas.studies.run.studies import StageStudy, read_stages
from hnas.studies.trials.database import close_storage, open_storage
from hnas.studies.trials.pareto import best_by_score
from hnas.studies.trials.study import open_study
from tests.support.fake_runs import search


def test_a_study_says_what_was_searched_and_found(tmp_path: Path, tiny: Plan) -> None:
    run = begin_run(tmp_path / "run", tiny)
    handed_over = best_by_score(search(run, 1, 2)[0].records, 1)[0].arch
    first, second = read_stages(run)
    assert (first.stage, second.stage) == ("stage1", "stage2")
    assert first.conditions.space == tiny.space1()
    assert second.conditions.space == tiny.space2(handed_over)
    assert (first.costs.flops, first.conditions.population) == (tiny.budget(), 5)
    assert [record.number for record in first.records] == list(range(12))
    assert all(record.arch in second.conditions.space for record in second.records)


@pytest.mark.parametrize("strategy", ["high-level", "flat", "random"])
def test_of_any_strategy(tmp_path: Path, tiny: Plan, strategy: str) -> None:
    run = begin_run(tmp_path / "run", override(tiny, strategy=strategy))
    search(run, 1)
    (searched,) = read_stages(run)
    assert searched.stage == strategy
    assert searched.conditions.space == run.stage(1).space(None)
    findings = find(searched)
    assert findings is not None and len(findings.kinds) == 3
    assert bool(findings.kernels) == (strategy != "high-level")


def test_one_without_trials_is_not_searched(tmp_path: Path, tiny: Plan) -> None:
    run = begin_run(tmp_path / "run", tiny)
    none = tuple(StageStudy(run=run, number=number) for number in (1, 2))
    assert read_stages(run) == none and read_status(run).begun == ()
    search(run, 1)
    status = read_status(run)
    assert [stage.stage for stage in status.begun] == ["stage1", "stage2"]
    assert [stage.stage for stage in status.searched] == ["stage1"]
    assert (status.stages[1].best, status.stages[1].front) == (None, ())


def test_reading_changes_nothing_and_waits_for_no_one(tmp_path: Path, tiny: Plan) -> None:
    run = begin_run(tmp_path / "run", tiny)
    search(run, 1)
    with run.hold():
        was = {path: path.read_bytes() for path in run.folder.iterdir()}
        read_stages(run)
        assert {path: path.read_bytes() for path in run.folder.iterdir()} == was


def test_from_postgresql(tmp_path: Path, tiny: Plan, database: str) -> None:
    run = begin_run(tmp_path / "run", tiny, storage=database)
    search(run, 1)
    here = begin_run(tmp_path / "here" / "run", tiny)
    search(here, 1)
    there, local = read_stages(run)[0], read_stages(here)[0]
    assert there.conditions == local.conditions
    assert [r.arch for r in there.records] == [r.arch for r in local.records]


DAMAGES = {"space": {"frame": {}}, "scorer": 5, "population": "many", "start": [{"M": 1}]}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_conditions_are_told_when_they_are_asked_for(
    tmp_path: Path, tiny: Plan, name: str
) -> None:
    """The trials of such a study can be seen: `hnas status` asks for no conditions."""
    run = begin_run(tmp_path / "run", tiny)
    search(run, 1)
    whole = read_status(run).stages[0]
    storage = open_storage(run.storage)
    open_study(storage, "run-stage1").set_user_attr(name, DAMAGES[name])
    close_storage(storage)
    stage = read_status(run).stages[0]
    assert (stage.records, stage.front, stage.best) == (whole.records, whole.front, whole.best)
    assert stage.finished == whole.finished
    for ask in ("conditions", "costs"):
        with pytest.raises(StateError, match="'run-stage1' does not say what it searches"):
            getattr(stage, ask)
