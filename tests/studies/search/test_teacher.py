"""A small CNN, trained first, teaches the networks of a run."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hnas.errors import InputError
from hnas.settings import DistillationRules
from hnas.studies.plan.plan import Plan
from hnas.studies.run.folder import Run, begin_run
from hnas.studies.run.history import read_history
from hnas.studies.run.networks import identity_of
from hnas.studies.search.network import teacher_hash
from hnas.studies.search.retrain import retrain_network
from hnas.studies.search.session import Session
from hnas.studies.search.teacher import teacher
from hnas.training.processes import World
from tests.support.broken_off import CPU, BreaksOff, Broken


@pytest.fixture
def run(tmp_path: Path, tiny: Plan) -> Run:
    retrain = replace(tiny.retrain, distillation=DistillationRules(teacher="cnn"))
    return begin_run(tmp_path / "tiny", replace(tiny, retrain=retrain))


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
    rows = read_history(run)["checkpoints/teacher"]
    assert [row.epoch for row in rows] == [1, 2] and rows[-1].kept is not None


def test_networks_learn_from_it_and_say_so(run: Run) -> None:
    with contextlib.closing(Session(run, CPU)) as session:
        made, _ = retrain_network(session, run.plan.net.all_global(), "all-global")
        taught = teacher(session)
        assert taught is not None
        identity = identity_of(run, made.key)
        assert identity.teacher == teacher_hash(taught)
        assert identity.distillation == DistillationRules(teacher="cnn")


def test_several_processes_refuse_it_by_name(run: Run) -> None:
    with contextlib.closing(Session(run, CPU)) as session:
        session.world = World(0, 2)
        with pytest.raises(InputError, match="'cnn' is trained by one process, and 2 are here"):
            teacher(session)
