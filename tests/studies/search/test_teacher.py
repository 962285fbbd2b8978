"""A small CNN that is trained here teaches the networks of a run."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from hnas.architecture.stem import of_small_cnn
from hnas.errors import InputError, MismatchError
from hnas.settings import DistillationRules
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.strategies import of_a_cnn
from hnas.studies.run.agenda import TEACHER, agenda_of
from hnas.studies.run.folder import Run, begin_run
from hnas.studies.run.history import curves, read_history
from hnas.studies.run.networks import identity_of
from hnas.studies.run.remarks import lesson
from hnas.studies.run.result import Result
from hnas.studies.run.status import read_status
from hnas.studies.search.alone import begun
from hnas.studies.search.events import Listener
from hnas.studies.search.network import teacher_hash
from hnas.studies.search.retrain import refit as retrain_again
from hnas.studies.search.retrain import retrain, retrain_network
from hnas.studies.search.search import search_stage
from hnas.studies.search.session import Session
from hnas.studies.search.teacher import teacher
from hnas.studies.search.torchrun import join_network, join_teacher, share_teacher
from hnas.training.distillation import distilled
from hnas.training.processes import ONE_PROCESS
from tests.support.broken_off import CPU, BreaksOff, Broken, whole
from tests.support.one_memory import OneMemory

RULES = DistillationRules(teacher="cnn", rule="soft", weight=0.9)
RESIDUAL = {"stem": "residual", "patch": 2, "pool": "mean"}
"""Of the frame of `tiny`: the first layers of the small CNN, if d = 48."""


class Heard(Listener):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def taught(plan: Plan, **retrain: object) -> Plan:
    return replace(plan, retrain=replace(plan.retrain, distillation=RULES, **retrain))


@pytest.fixture
def run(tmp_path: Path, tiny: Plan) -> Run:
    return begin_run(tmp_path / "tiny", taught(tiny))


@pytest.fixture(scope="module")
def refit(tmp_path_factory: pytest.TempPathFactory, tiny: Plan) -> tuple[Run, Result]:
    plan = taught(tiny, refit=True, refit_epochs=3, start="supernet")
    run = begin_run(tmp_path_factory.mktemp("runs") / "refit", plan)
    return run, whole(run)


def test_it_is_trained_once_and_again_the_same(run: Run) -> None:
    with contextlib.closing(Session(run, CPU)) as session:
        found = teacher(session)
        assert found is not None and teacher(session) is found
        before = teacher_hash(found)
        x = session.data.mean.new_ones(2, 1, 8, 8)
        assert torch.equal(found(x), found.module(x)) and not found.module.training
    with contextlib.closing(Session(run, CPU, BreaksOff(1))) as session:  # nothing is trained
        again = teacher(session)
        assert again is not None and teacher_hash(again) == before
    for file in run.folder.glob("checkpoints/teacher*"):
        file.unlink()
    with contextlib.closing(Session(run, CPU, BreaksOff(1))) as session, pytest.raises(Broken):
        teacher(session)
    with contextlib.closing(Session(run, CPU)) as session:
        resumed = teacher(session)
        assert resumed is not None and teacher_hash(resumed) == before
    rows = read_history(run)[f"checkpoints/{run.teacher.name}"]
    assert [row.epoch for row in rows] == [1, 2] and rows[-1].kept is not None


def test_another_training_of_it_is_another_cnn(run: Run) -> None:
    """`[retrain]` of a run may change, and the metric if it is scored again."""
    plan = run.plan
    longer = replace(plan.retrain.training, epochs=plan.retrain.training.epochs + 1)
    changed = replace(run, plan=replace(plan, retrain=replace(plan.retrain, training=longer)))
    balanced = replace(run, plan=replace(plan, score=replace(plan.score, metric="balanced")))
    hashes = []
    for each in (run, changed, balanced, run):
        with contextlib.closing(Session(each, CPU)) as session:
            found = teacher(session)
            assert found is not None
            hashes.append(teacher_hash(found))
    assert hashes[0] == hashes[2] == hashes[3] != hashes[1]
    rows = read_history(run)
    assert len(rows[f"checkpoints/{changed.teacher.name}"]) == 1 + len(
        rows[f"checkpoints/{run.teacher.name}"]
    )


def test_networks_learn_from_it_and_say_so(run: Run) -> None:
    with contextlib.closing(Session(run, CPU)) as session:
        made, _ = retrain_network(session, run.plan.net.all_global(), "all-global")
        found = teacher(session)
        assert found is not None
        identity = identity_of(run, made.key)
        assert identity.teacher == teacher_hash(found)
        assert identity.distillation == RULES


def test_a_stage_trains_none_and_refuses_images_that_are_too_small(
    tmp_path: Path, tiny: Plan
) -> None:
    run = begin_run(tmp_path / "run", taught(tiny))
    with contextlib.closing(Session(run, CPU)) as session:
        search_stage(session, 1)
    assert not run.trained_epochs(run.teacher)
    small = replace(tiny.net, image=6, patch=2)
    run = begin_run(tmp_path / "small", replace(taught(tiny), net=small))
    with (
        contextlib.closing(Session(run, CPU)) as session,
        pytest.raises(InputError, match="at least 8 pixels a side for a CNN, got 6"),
    ):
        search_stage(session, 1)


def test_it_sees_held_out_images_and_then_teaches_nobody_who_is_judged_on_them(
    refit: tuple[Run, Result],
) -> None:
    run, result = refit
    with contextlib.closing(Session(run, CPU)) as session:
        assert teacher(session) is None
        found = teacher(session, held_out_too=True)
    assert found is not None
    for network in (*result.candidates, result.winner, result.all_global):
        identity = identity_of(run, network.key)
        its = (RULES, teacher_hash(found)) if identity.held_out_too else (None, None)
        assert (identity.distillation, identity.teacher) == its
    assert identity_of(run, result.winner.key).held_out_too
    assert identity_of(run, result.all_global.key).held_out_too


def test_it_is_asked_in_the_last_training_alone(
    tmp_path: Path, tiny: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an identity says, the weights come from."""
    asked: list[int] = []

    def counted(*given: Any) -> Tensor:
        asked.append(1)
        return distilled(*given)

    monkeypatch.setattr("hnas.training.distillation.distilled", counted)
    plan = taught(tiny, refit=True, refit_epochs=1, start="supernet")
    run = begin_run(tmp_path / "run", plan)
    with contextlib.closing(Session(run, CPU)) as session:
        search_stage(session, 1)
        search_stage(session, 2)
        first, *_ = retrain(session)
        assert not asked
        retrain_again(session, {"the winner": first})
    assert asked


def test_it_is_trained_as_long_as_the_answer(refit: tuple[Run, Result]) -> None:
    run, result = refit
    epochs = of_a_cnn(run.plan).training.epochs
    rows = read_history(run)[f"checkpoints/{run.teacher.name}"]
    assert [row.epoch for row in rows] == [*range(1, epochs + 1)]
    assert "teacher" in curves(run, result)
    agenda = agenda_of(read_status(run))
    assert agenda is not None
    [step] = [step for step in agenda.steps if step.name == TEACHER]
    assert step.done == step.amount == epochs


def test_it_stands_beside_the_answer(refit: tuple[Run, Result]) -> None:
    run, result = refit
    *_, cnn = result.baselines
    with contextlib.closing(Session(run, CPU)) as session:
        data, found = session.data, teacher(session, held_out_too=True)
    assert found is not None
    assert (cnn.name, cnn.taught, cnn.accuracy) == ("small CNN", True, None)
    assert cnn.images == len(data.train) + len(data.held_out)
    assert lesson(result).endswith(
        "from the small CNN too. The CNN was trained on the held-out images "
        "as well, so they cannot judge it."
    )
    judged = replace(result, baselines=(replace(cnn, accuracy=0.5),))
    assert lesson(judged).endswith("learned from the small CNN too.")
    assert lesson(replace(result, baselines=())) == ""
    best = replace(result, baselines=(replace(cnn, test_accuracy=1.0),))
    assert best.verdict().endswith(
        "The small CNN is better than the winner: 1.0000 against "
        f"{result.winner.test_accuracy:.4f}."
    )


@pytest.mark.parametrize(("d", "begins"), [(48, True), (24, False)])
def test_a_stem_of_its_layers_begins_with_their_weights(
    tmp_path: Path, tiny: Plan, d: int, begins: bool
) -> None:
    """Those of winner and all-global network, in the last training; what does not fit is said."""
    net = replace(tiny.net, d=d, **RESIDUAL)
    plan = taught(replace(tiny, net=net), refit=True, refit_epochs=1, start="supernet")
    with_stem = replace(RULES, stem=True)
    plan = replace(plan, retrain=replace(plan.retrain, distillation=with_stem))
    heard = Heard()
    run = begin_run(tmp_path / "run", plan)
    result = whole(run, heard)
    notes = [note for note in heard.notes if note.startswith("retrain.distillation.stem has no")]
    assert len(notes) == (not begins)
    with contextlib.closing(Session(run, CPU)) as session:
        found = teacher(session, held_out_too=True)
        assert found is not None
        given = found.module.stem.state_dict()
        for network in (result.winner, result.all_global):
            of = identity_of(run, network.key)
            assert of.distillation is not None
            assert of.distillation.stem == begins == of_small_cnn(network.frame)
            own = begun(session, of, len(run.stages)).patch_embed.state_dict()
            shapes = [given[name].shape == tensor.shape for name, tensor in own.items()]
            assert all(shapes) == begins
            if begins:
                assert all(torch.equal(tensor, given[name]) for name, tensor in own.items())
            untaught = identity_of(run, network.picked)
            if begins:
                before = begun(session, untaught, len(run.stages)).patch_embed.conv1.weight
                assert not torch.equal(before, given["conv1.weight"])
    if begins:
        assert result.all_global.frame == result.winner.frame
    assert (
        lesson(result).count("Their stems began with its weights, so its epochs are theirs too.")
        == begins
    )


def test_the_other_processes_get_it_from_the_first(refit: tuple[Run, Result]) -> None:
    run, result = refit
    world = OneMemory()
    with contextlib.closing(Session(run, CPU)) as session:
        data, found = session.data, teacher(session, held_out_too=True)
        assert found is not None
        share_teacher(found.module, run.plan.net, {}, world)
    own = join_teacher(world.job, data, world)
    x = torch.rand(3, 1, 8, 8)
    assert torch.equal(own(x), found(x)) and not own(x).requires_grad
    identity = identity_of(run, result.winner.key)
    job = {"identity": identity.to_dict(), "seed": 0}
    join_network(job, data, ONE_PROCESS, own)
    other = replace(own, module=type(own.module)(image=8, channels=1, classes=10).reset(1))
    with pytest.raises(MismatchError, match="is not the one of the first process"):
        join_network(job, data, ONE_PROCESS, other)
