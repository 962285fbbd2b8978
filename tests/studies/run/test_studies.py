"""A run's studies are read as they stand, from SQLite and PostgreSQL, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from hnas.errors import StateError
from hnas.studies.findings.findings import find
from hnas.studies.plan.change import override
from hnas.studies.plan.plan import Plan
from hnas.studies.run.folder import begin_run
from hnas.studies.run.studies import read_searched
from hnas.studies.trials.database import close_storage, open_storage
from hnas.studies.trials.pareto import best_by_score
from hnas.studies.trials.study import open_study
from tests.support.fake_runs import search


def test_a_study_says_what_was_searched_and_found(tmp_path: Path, tiny: Plan) -> None:
    run = begin_run(tmp_path / "run", tiny)
    handed_over = best_by_score(search(run, 1, 2)[0].records, 1)[0].arch
    first, second = read_searched(run)
    assert (first.stage, second.stage) == ("stage1", "stage2")
    assert first.space == tiny.space1()
    assert second.space == tiny.space2(handed_over)
    assert (first.costs.flops, first.population) == (tiny.budget(), 5)
    assert [record.number for record in first.records] == list(range(12))
    assert all(record.arch in second.space for record in second.records)


@pytest.mark.parametrize("strategy", ["high-level", "flat", "random"])
def test_of_any_strategy(tmp_path: Path, tiny: Plan, strategy: str) -> None:
    run = begin_run(tmp_path / "run", override(tiny, strategy=strategy))
    search(run, 1)
    (searched,) = read_searched(run)
    assert searched.stage == strategy
    assert searched.space == run.stage(1).space(None)
    findings = find(searched)
    assert findings is not None and len(findings.kinds) == 3
    assert bool(findings.kernels) == (strategy != "high-level")


def test_one_without_trials_is_left_out(tmp_path: Path, tiny: Plan) -> None:
    run = begin_run(tmp_path / "run", tiny)
    assert read_searched(run) == ()
    search(run, 1)
    assert [searched.stage for searched in read_searched(run)] == ["stage1"]


def test_reading_changes_nothing_and_waits_for_no_one(tmp_path: Path, tiny: Plan) -> None:
    run = begin_run(tmp_path / "run", tiny)
    search(run, 1)
    with run.hold():
        was = {path: path.read_bytes() for path in run.folder.iterdir()}
        read_searched(run)
        assert {path: path.read_bytes() for path in run.folder.iterdir()} == was


def test_from_postgresql(tmp_path: Path, tiny: Plan, database: str) -> None:
    run = begin_run(tmp_path / "run", tiny, storage=database)
    search(run, 1)
    here = begin_run(tmp_path / "here" / "run", tiny)
    search(here, 1)
    (there,), (local,) = read_searched(run), read_searched(here)
    assert there.space == local.space
    assert [r.arch for r in there.records] == [r.arch for r in local.records]


def test_a_study_that_does_not_say_what_it_searches(tmp_path: Path, tiny: Plan) -> None:
    run = begin_run(tmp_path / "run", tiny)
    search(run, 1)
    storage = open_storage(run.storage)
    open_study(storage, "run-stage1").set_user_attr("space", {"frame": {}})
    close_storage(storage)
    with pytest.raises(StateError, match="'run-stage1' does not say what it searches"):
        read_searched(run)
