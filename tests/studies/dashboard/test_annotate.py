"""What studies carry for the dashboard: where it is, and that nothing else is touched."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from filelock import FileLock
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial
from optuna_dashboard import save_note
from optuna_dashboard._note import get_note_from_system_attrs

from hnas.errors import StateError, StorageError
from hnas.studies.dashboard.annotate import ATTACHED, annotate, artifacts
from hnas.studies.plan.change import override, refined
from hnas.studies.plan.plan import Plan
from hnas.studies.run.folder import Run, begin_run
from hnas.studies.run.result import read_result, write_result
from hnas.studies.trials.database import close_storage, open_storage
from hnas.studies.trials.pareto import front
from hnas.studies.trials.record import Record
from hnas.studies.trials.study import open_study
from hnas.studies.trials.trial import records
from hnas.studies.trials.writing import Key, write_system_attributes
from tests.support import fake_runs
from tests.support.drawings import draw_all


@contextmanager
def opened(run: Run, stage: int) -> Iterator[optuna.Study]:
    storage = open_storage(run.storage)
    yield open_study(storage, run.study_name(stage))
    close_storage(storage)


def trials_of(run: Run, stage: int) -> list[FrozenTrial]:
    with opened(run, stage) as study:
        return study.trials


def elites_of(run: Run, stage: int) -> list[Record]:
    with opened(run, stage) as study:
        return front(records(study))


def attrs_of(run: Run, stage: int) -> dict[str, Any]:
    with opened(run, stage) as study:
        return study._storage.get_study_system_attrs(study._study_id)


def study_id(run: Run, stage: int) -> int:
    with opened(run, stage) as study:
        return int(study._study_id)


def note_of(run: Run, stage: int, trial: int | None = None) -> str:
    """Of the study, or of a trial by its number."""
    number = None if trial is None else trials_of(run, stage)[trial]._trial_id
    note = get_note_from_system_attrs(attrs_of(run, stage), number)
    return str(note["body"])


def drawn(run: Run, stage: int) -> dict[int, str]:
    """The drawings, by the number of their trial."""
    numbers = {trial._trial_id: trial.number for trial in trials_of(run, stage)}
    found = {}
    for key, value in attrs_of(run, stage).items():
        if key.startswith(ATTACHED) and json.loads(value):
            trial_id, name = key.removeprefix(ATTACHED).split(":")
            found[numbers[int(trial_id)]] = name
    return found


def noted(run: Run, stage: int) -> set[int]:
    """The numbers of trials that have a note."""
    attrs = attrs_of(run, stage)
    return {
        trial.number
        for trial in trials_of(run, stage)
        if get_note_from_system_attrs(attrs, trial._trial_id)["body"]
    }


def test_elites_alone_have_a_note_and_a_drawing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_all(monkeypatch)
    annotate(run)
    texts = {path.read_text("utf-8") for path in artifacts(run).iterdir()}
    assert len(texts) == len({*drawn(run, 1).values(), *drawn(run, 2).values()}) > 1
    for stage in (1, 2):
        elites = {record.number for record in elites_of(run, stage)}
        assert 1 <= len(elites) < 12
        assert noted(run, stage) == set(drawn(run, stage)) == elites
        for number, name in drawn(run, stage).items():
            assert (artifacts(run) / name).read_text("utf-8").startswith("<svg")
            assert f"/{name})" in note_of(run, stage, number)


def test_notes_tell_and_link(run: Run) -> None:
    annotate(run)
    with opened(run, 1) as first, opened(run, 2) as second:
        handed = first.user_attrs["handoff"]["trial"]
        one, two = (f"/dashboard/studies/{study._study_id}" for study in (first, second))
    assert f"[stage 2, `found-stage2`]({two})" in note_of(run, 1)
    trial = f"[trial {handed}]({one}/trials?numbers={handed})"
    assert f"Stage 2 continues from {trial}." in note_of(run, 1)
    assert "12 of 11 trials are done." in note_of(run, 2)
    assert "held-out accuracy (up), FLOPs (MACs) (down)" in note_of(run, 2)
    best = elites_of(run, 2)[-1]
    text = note_of(run, 2, best.number)
    assert text.startswith(f"## The winner: trial {best.number}, on the front of stage 2\n")
    assert f"has the global and local groups of {trial} of stage 1" in text
    assert f"**{best.accuracy:.4f}** ± " in text and f"**{best.macs:,} MACs**" in text
    assert "the winner of the search: 0.9000 on 200 test images" in text
    assert len([line for line in text.splitlines() if line.startswith("|")]) == 2 + 3
    assert "stage 2 continues from this trial" in note_of(run, 1, handed)


def test_the_winner_is_found_also_if_it_is_not_on_the_front(run: Run) -> None:
    with opened(run, 2) as study:
        behind = next(r for r in records(study) if r not in front(records(study)))
    result = read_result(run)
    assert result is not None
    changed = replace(result, winner=replace(result.winner, arch=behind.arch))
    (run.folder / "result.json").unlink()
    write_result(run, changed)
    annotate(run)
    for stage in (1, 2):
        text = note_of(run, stage)
        assert f"**The winner** is [trial {behind.number}](/dashboard/studies/" in text
        assert ": 0.9000 on 200 test images." in text
    assert behind.number in noted(run, 2) and behind.number in drawn(run, 2)
    title = f"## The winner: trial {behind.number}, not on the front of stage 2\n"
    assert note_of(run, 2, behind.number).startswith(title)
    assert "the winner of the search: 0.9000" in note_of(run, 2, behind.number)


def test_a_study_is_written_in_one_transaction(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Any] = []

    def write(storage: RDBStorage, study: Key, values: Mapping[str, Any]) -> None:
        written.append(study.study_id)
        write_system_attributes(storage, study, values)

    def refused(*_: Any) -> None:
        raise AssertionError("written by itself")

    monkeypatch.setattr("hnas.studies.dashboard.annotate.write_system_attributes", write)
    monkeypatch.setattr("hnas.studies.trials.database._Patient.set_study_system_attr", refused)
    annotate(run)
    assert written == [study_id(run, stage) for stage in (1, 2)]
    assert drawn(run, 2) and noted(run, 2)


def test_a_second_time_nothing_is_written(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    annotate(run)
    files = {path: path.stat().st_mtime_ns for path in artifacts(run).iterdir()}
    before = [attrs_of(run, stage) for stage in (1, 2)]

    def refused(*_: Any) -> None:
        raise AssertionError("written again")

    monkeypatch.setattr("hnas.studies.dashboard.annotate.write_system_attributes", refused)
    annotate(run)
    assert [attrs_of(run, stage) for stage in (1, 2)] == before
    assert {path: path.stat().st_mtime_ns for path in artifacts(run).iterdir()} == files


def test_trials_and_attributes_stay_as_they_were(run: Run) -> None:
    def stored() -> list[Any]:
        found = []
        for stage in (1, 2):
            with opened(run, stage) as study:
                found.append((study.trials, study.user_attrs, study.metric_names))
        return found

    before = stored()
    annotate(run)
    assert stored() == before
    stock = optuna.load_study(storage=run.storage, study_name=run.study_name(1))
    assert {t.number for t in stock.best_trials} >= set(drawn(run, 1))


def test_what_a_person_wrote_is_theirs(run: Run) -> None:
    annotate(run)
    for text in ("mine", ""):
        with opened(run, 1) as study:
            save_note(study, text)
        annotate(run)
        assert note_of(run, 1) == text


@pytest.mark.parametrize("value", [5, "x", [], None, {"a": 1}, "[" * 100_000])
def test_what_others_damaged_is_written_anew(run: Run, storage: RDBStorage, value: Any) -> None:
    annotate(run)
    before, (drawing, *_) = attrs_of(run, 2), drawn(run, 2).values()
    damaged = {key: value for key in before if key.startswith("dashboard:")}
    write_system_attributes(storage, Key(study_id(run, 2)), damaged)
    annotate(run)
    after = attrs_of(run, 2)
    assert {key: after[key] for key in before} == before
    assert drawing in drawn(run, 2).values()


def test_a_note_follows_the_trials(tmp_path: Path, tiny: Plan) -> None:
    run = begin_run(tmp_path / "grown", override(tiny, strategy="flat"))
    fake_runs.search(run, 1, trials=23)
    annotate(run)
    before = set(drawn(run, 1))
    fake_runs.search(run, 1, trials=60)
    annotate(run)
    elites = {record.number for record in elites_of(run, 1)}
    assert before - elites and elites - before, "otherwise it shows nothing"
    assert set(drawn(run, 1)) == noted(run, 1) == elites
    assert "60 of 23 trials" in note_of(run, 1)


def test_a_stage_that_goes_on_has_figures_and_no_elites(tmp_path: Path, tiny: Plan) -> None:
    run = begin_run(tmp_path / "begun", tiny)
    fake_runs.search(run, 1, trials=7)
    annotate(run)
    assert any(key.startswith("dashboard:plot_data:fronts:") for key in attrs_of(run, 1))
    assert "7 of 12 trials" in note_of(run, 1) and "### [The front]" in note_of(run, 1)
    assert not drawn(run, 1) and not noted(run, 1)
    assert "0 of 11 trials" in note_of(run, 2)


@pytest.mark.parametrize("strategy", ["high-level", "flat", "random"])
def test_a_search_of_one_stage_has_it_too(tmp_path: Path, tiny: Plan, strategy: str) -> None:
    run = begin_run(tmp_path / "alone", override(tiny, strategy=strategy))
    fake_runs.search(run, 1, trials=23)
    annotate(run)
    assert set(drawn(run, 1)) == {record.number for record in elites_of(run, 1)}
    assert f"## Stage 1 of the {strategy} search `alone`" in note_of(run, 1)
    assert "Stages:" not in note_of(run, 1)


def test_a_third_stage_says_that_it_begins_with_a_front(tmp_path: Path, tiny: Plan) -> None:
    run = begin_run(tmp_path / "found", refined(tiny))
    fake_runs.search(run, 1, 2, 3)
    with opened(run, 2) as second:
        archs = [record.arch.to_dict() for record in front(records(second))[1:]]
        second.set_user_attr("front", {"archs": archs, "to": run.study_name(3)})
    annotate(run)
    assert "Stage 3 begins with this stage's front." in note_of(run, 2)
    assert "This stage begins with the front of stage 2, scored again." in note_of(run, 3)
    for stage in (1, 2, 3):
        assert note_of(run, stage).count("`found-stage") == 3
    for elite in elites_of(run, 2):
        told = "stage 3 begins with this network" in note_of(run, 2, elite.number)
        assert told == (elite.arch.to_dict() in archs)
    again = [elite for elite in elites_of(run, 3) if elite.arch.to_dict() in archs]
    assert all("comes from the front of stage 2" in note_of(run, 3, r.number) for r in again)


def test_a_rescored_study_has_its_own(run: Run) -> None:
    annotate(run)
    old = attrs_of(run, 1)
    again = run.rescore(1)
    fake_runs.search(again, 1, trials=12)
    annotate(again)
    assert "found-stage1-rescored1" in note_of(again, 2)
    assert drawn(again, 1) and attrs_of(run, 1) == old


def test_where_another_is_at_it_it_is_left_to_that(run: Run) -> None:
    with FileLock(run.folder / ".annotations.lock"):
        annotate(run)
    assert not drawn(run, 1) and note_of(run, 1) == ""


def test_it_is_kept_in_postgresql(tmp_path: Path, tiny: Plan, database: str) -> None:
    run = begin_run(tmp_path / "served", tiny, storage=database)
    fake_runs.search(run, 1, 2, trials=12)
    annotate(run)
    assert set(drawn(run, 1)) == {record.number for record in elites_of(run, 1)}
    assert "served-stage2" in note_of(run, 1)


def test_a_drawing_that_is_gone_is_drawn_again(run: Run) -> None:
    annotate(run)
    (name, *_) = drawn(run, 1).values()
    (artifacts(run) / name).unlink()
    annotate(run)
    assert (artifacts(run) / name).exists()


def test_a_folder_that_cannot_be_written_is_told(run: Run) -> None:
    artifacts(run).write_text("a file")
    with pytest.raises(StateError, match="cannot be written"):
        annotate(run)


def test_a_run_that_has_not_begun_its_studies(tmp_path: Path, tiny: Plan) -> None:
    run = begin_run(tmp_path / "planned", tiny)
    with pytest.raises(StorageError, match="there is no study storage"):
        annotate(run)
    assert sorted(path.name for path in run.folder.iterdir()) == ["plan.toml", "run.json"]


def test_connections_are_closed(run: Run, storage: RDBStorage) -> None:
    annotate(run)
    close_storage(storage)
    Path(run.folder / "study.db").rename(run.folder / "moved.db")
    with pytest.raises(StorageError, match="there is no study storage"):
        annotate(run)
