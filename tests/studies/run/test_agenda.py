"""The steps of a search, how far each is, and the time that is left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hnas.cost.flops import cost, small_cnn_macs
from hnas.studies.plan.change import with_values
from hnas.studies.plan.plan import Plan
from hnas.studies.run.agenda import BACKWARD, TEACHER, Agenda, Step, agenda_of
from hnas.studies.run.folder import begin_run
from hnas.studies.run.status import read_status
from hnas.studies.run.times import Times
from tests.support import fake_runs


def step(name: str, amount: int, work: float = 1.0, *, scores: bool = False) -> Step:
    return Step(name=name, amount=amount, work=work, scores=scores)


STEPS = Agenda(
    steps=(
        step("supernet of stage 1", 10, 3.0),
        step("stage 1", 20, scores=True),
        step("supernet of stage 2", 10, 6.0),
        step("stage 2", 20, 2.0, scores=True),
        step("networks alone", 12, 3.0),
    )
)


def test_the_time_that_is_left_follows_from_what_was_measured() -> None:
    assert STEPS.seconds_left() is None
    agenda = STEPS.after("supernet of stage 1", done=1, total=10, seconds=6.0)
    # 2 seconds a unit of work, also of scoring, as long as none was measured.
    assert agenda.seconds_left() == 2 * (9 * 3 + 20 + 60 + 40 + 36)
    # Stage 1 has begun, so its supernet is trained. Scoring takes half a second a unit.
    agenda = agenda.after("stage 1", done=10, total=20, seconds=0.5)
    assert agenda.seconds_left() == 0.5 * (10 + 40) + 2 * (60 + 36)
    # A step goes by its own times; the networks after it by those of all training so far, the
    # epoch before the last by half: it was a tenth of the step ago.
    agenda = agenda.after("supernet of stage 2", done=9, total=10, seconds=3.0)
    assert agenda.seconds_left() == 0.5 * 40 + 3.0 / 6 * 6 + (3.0 + 3.0) / (1.5 + 6) * 36


def test_the_time_that_is_left_follows_a_machine_that_becomes_slower() -> None:
    agenda = STEPS
    for epoch in range(1, 6):
        agenda = agenda.after("supernet of stage 1", done=epoch, total=10, seconds=3.0)
    work = 5 * 3 + 20 + 60 + 40 + 36
    assert agenda.seconds_left() == pytest.approx(work)
    for epoch in range(6, 10):
        agenda = agenda.after("supernet of stage 1", done=epoch, total=10, seconds=30.0)
    left = agenda.seconds_left()
    assert left is not None and 9 * (work - 12) < left < 10 * (work - 12)


@pytest.mark.parametrize(("what", "alike"), [("stage 2", 1), ("networks alone", 0)])
def test_times_of_an_earlier_session_are_forgotten_at_the_first_alike(
    what: str, alike: int
) -> None:
    slow = [replace(one, done=1, measured=1, seconds=90.0, earlier=True) for one in STEPS.steps[:2]]
    agenda = replace(STEPS, steps=(*slow, *STEPS.steps[2:]))
    assert agenda.seconds_left() == 30 * (27 + 60 + 36) + 90 * (19 + 40)
    agenda = agenda.after(what, done=1, total=20, seconds=1.0)
    kept = [one.seconds for one in agenda.steps[:2]]
    assert kept[alike] == 0 and kept[1 - alike] == 90.0


def test_a_step_of_many_trials_keeps_its_time_positive() -> None:
    agenda = replace(STEPS, steps=(step("stage 1", 20_000, scores=True),))
    for trial in range(1, 15_000):
        agenda = agenda.after("stage 1", done=trial, total=20_000, seconds=2.0)
    assert agenda.seconds_left() == pytest.approx(2.0 * 5_001)


def test_the_place_of_work_is_said() -> None:
    assert STEPS.place("stage 2") == "step 4 of 5"
    assert STEPS.place("network of trial 3") == "step 5 of 5"
    assert STEPS.place("latencies") == ""
    assert STEPS.after("latencies", done=1, total=2, seconds=1.0) is STEPS


def test_a_network_that_ended_early_counts_as_whole() -> None:
    agenda = STEPS.after("network of trial 3", done=1, total=4, seconds=1.0)
    agenda = agenda.after("network of trial 3", done=2, total=4, seconds=1.0)
    assert agenda.steps[-1].done == 2
    agenda = agenda.after("network of trial 5", done=1, total=4, seconds=1.0)
    assert agenda.steps[-1].done == 5
    agenda = agenda.after("network of all-global", done=1, total=4, seconds=1.0)
    assert agenda.steps[-1].done == 9


@pytest.mark.parametrize("together", [2, 3])
def test_networks_that_are_trained_at_the_same_time_count_epoch_by_epoch(together: int) -> None:
    agenda, names = replace(STEPS, together=together), [f"network of trial {i}" for i in range(5)]
    for epoch in range(1, 4):
        for name in names[:together]:
            agenda = agenda.after(name, done=epoch, total=4, seconds=1.0)
    assert agenda.steps[-1].done == 3 * together
    # The first has ended early, so another one begins: that counts as whole.
    for name in names[1:together]:
        agenda = agenda.after(name, done=4, total=4, seconds=1.0)
    agenda = agenda.after(names[together], done=1, total=4, seconds=1.0)
    assert agenda.steps[-1].done == 4 * together + 1


def test_a_hand_off_that_trains_networks_is_a_step_of_its_own() -> None:
    steps = (*STEPS.steps[:2], step("hand-off", 8), *STEPS.steps[2:])
    agenda = replace(STEPS, steps=steps).after("stage 1", done=20, total=20, seconds=1.0)
    assert agenda.place("network of trial 1") == "step 3 of 6"
    agenda = agenda.after("network of trial 1", done=4, total=4, seconds=1.0)
    agenda = agenda.after("network of trial 2", done=1, total=4, seconds=1.0)
    agenda = agenda.after("supernet of stage 2", done=1, total=10, seconds=1.0)
    assert [one.left for one in agenda.steps[:3]] == [0, 0, 0]
    agenda = agenda.after("stage 2", done=20, total=20, seconds=1.0)
    assert agenda.place("network of trial 9") == "step 6 of 6"
    agenda = agenda.after("network of trial 9", done=1, total=4, seconds=1.0)
    assert agenda.steps[-1].done == 1


def test_a_run_has_none_before_its_images_are_split(tiny: Plan, tmp_path: Path) -> None:
    assert agenda_of(read_status(begin_run(tmp_path / "run", tiny))) is None


def test_the_agenda_of_a_run_begins_with_what_is_done(tiny: Plan, tmp_path: Path) -> None:
    run = begin_run(tmp_path / "run", tiny)
    fake_runs.search(run, 1)
    run.write("split.json", {"train": [*range(90)], "held_out": [*range(9)], "test": None})
    status = read_status(run)
    status = replace(status, times=Times(seconds={"supernet of stage1": 6.0}))
    found = agenda_of(status)
    assert found is not None
    assert [(one.name, one.done, one.amount) for one in found.steps] == [
        ("supernet of stage 1", 3, 3),
        ("stage 1", 12, 12),
        ("supernet of stage 2", 0, 2),
        ("stage 2", 0, 11),
        ("networks alone", 0, 6),
    ]
    assert found.now == found.steps[2] and found.steps[0].seconds == 6.0
    assert (found.seconds_left() or 0) > 4.0
    alone = agenda_of(status, stage=2)
    assert alone is not None
    assert [one.name for one in alone.steps] == ["supernet of stage 2", "stage 2"]


def test_only_networks_of_the_plan_as_it_is_now_count(tiny: Plan, tmp_path: Path) -> None:
    run = begin_run(tmp_path / "run", tiny)
    fake_runs.search(run, 1)
    run.write("split.json", {"train": [*range(90)], "held_out": [*range(9)], "test": None})
    now = fake_runs.alone(tiny)
    before = replace(now, training=replace(now.training, lr=0.5))
    for epochs, identity in ((1, now), (2, before), (2, replace(now, repeat=1))):
        meta = {"epoch": epochs, "identity": identity.to_dict()}
        run.write(f"networks/{identity.key}.json", {"versions": [{"meta": meta}]})
    found = agenda_of(read_status(run))
    assert found is not None and found.steps[-1].done == 1


def test_a_finished_run_has_nothing_left(tiny: Plan, tmp_path: Path) -> None:
    run = begin_run(tmp_path / "run", tiny)
    fake_runs.finish(run, trials=12)
    found = agenda_of(read_status(run))
    assert found is not None and found.now is None and found.at == 5


@pytest.mark.parametrize(
    ("values", "more"),
    [
        ({"handoff.rule": "retrained"}, ["hand-off"]),
        ({"retrain.distillation.teacher": "cnn"}, ["the teacher"]),
        ({"refine.trials": 4, "refine.epochs": 1}, ["supernet of stage 3", "stage 3"]),
    ],
)
def test_what_a_plan_adds_is_a_step(
    tiny: Plan, tmp_path: Path, values: dict[str, object], more: list[str]
) -> None:
    names = []
    for i, plan in enumerate((tiny, with_values(tiny, values))):
        found = agenda_at_the_start(tmp_path / f"{i}", plan)
        names.append([one.name for one in found.steps])
    assert [name for name in names[1] if name not in names[0]] == more


@pytest.mark.parametrize(("refit", "teacher"), [(False, 2), (True, 5)])
def test_a_cnn_that_teaches_the_hand_offs_networks_is_trained_before_them(
    tiny: Plan, tmp_path: Path, refit: bool, teacher: int
) -> None:
    """One that sees the held-out images teaches the last training alone, and comes late."""
    values = {"handoff.rule": "retrained", "retrain.distillation.teacher": "cnn"}
    agenda = agenda_at_the_start(tmp_path, with_values(tiny, {**values, "retrain.refit": refit}))
    assert agenda.steps[teacher].name == TEACHER
    agenda = agenda.after(TEACHER, done=1, total=4, seconds=1.0)
    ended = [one.name for one in agenda.steps if not one.left]
    assert ended == [one.name for one in agenda.steps[:teacher]]


@pytest.mark.parametrize("refit", [False, True])
def test_the_work_of_a_training_is_that_of_its_network_and_its_images(
    tiny: Plan, tmp_path: Path, refit: bool
) -> None:
    """A CNN is no all-global network. The last trainings, and a CNN that teaches only them, see the
    held-out images too."""
    values = {"retrain.distillation.teacher": "cnn", "retrain.refit": refit}
    plan = with_values(tiny, values)
    steps = {step.name: step for step in agenda_at_the_start(tmp_path, plan).steps}
    assert steps[TEACHER].work == BACKWARD * small_cnn_macs(plan.net) * (99 if refit else 90)
    alone, plain = steps["networks alone"], cost(plan.net, plan.net.all_global()).macs
    epochs, refitted = plan.retrain.training.epochs, 2 * refit
    images = epochs * ((plan.retrain.top + 1) * 90 + refitted * 99)
    assert alone.amount == epochs * (plan.retrain.top + 1 + refitted)
    assert alone.amount * alone.work == pytest.approx(BACKWARD * plain * images)


def agenda_at_the_start(folder: Path, plan: Plan) -> Agenda:
    """The agenda of a run that has its images, 90 to train on and 9 held out, and nothing else."""
    run = begin_run(folder / "run", plan)
    run.write("split.json", {"train": [*range(90)], "held_out": [*range(9)], "test": None})
    found = agenda_of(read_status(run))
    assert found is not None
    return found
