"""What a stage takes over: an exhausted stage's trials, a large front, the supernets before."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hnas.errors import StateError
from hnas.studies.plan.change import override, refined
from hnas.studies.plan.plan import Plan
from hnas.studies.run.folder import begin_run
from hnas.studies.scoring.supernet_scorer import weights_hash
from hnas.studies.search import handoff, supernets
from hnas.studies.search.session import Session
from hnas.studies.trials.marks import Marks, marks_of, write_marks
from hnas.studies.trials.record import Record
from tests.support import fake_runs
from tests.support.broken_off import CPU


def test_a_stage_that_found_no_more_is_finished(tmp_path: Path, tiny: Plan) -> None:
    run = begin_run(tmp_path / "run", tiny)
    fake_runs.search(run, 1, trials=7)
    with contextlib.closing(Session(run, CPU)) as session:
        with pytest.raises(StateError, match=r"stage 2 needs a finished stage 1: .* 7 of 12 tria"):
            session.finished(1, "stage 2")
        write_marks(session.study(1), Marks(exhausted=True))
        assert len(session.finished(1, "stage 2")) == 7


def test_a_supernet_is_trained_by_the_plans_seed(
    tmp_path: Path, tiny: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def untrained(*_: object, seed: int, context: object) -> None:
        seeds.append(seed)

    monkeypatch.setattr(supernets, "train_supernet", untrained)
    seeds: list[int] = []
    weights = set()
    for seed in (0, 0, 1):
        run = begin_run(tmp_path / f"{len(seeds)}", override(tiny, seed=seed))
        with contextlib.closing(Session(run, CPU)) as session:
            weights.add(weights_hash(supernets.supernet(session, 1).state_dict()))
    assert seeds[0] == seeds[1] != seeds[2] and len(weights) == 2


def test_a_supernet_grows_out_of_all_before_it(
    tmp_path: Path, tiny: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stage 2 lacks of stage 3's space may be in stage 1's."""
    run, given = begin_run(tmp_path / "run", refined(tiny)), []
    monkeypatch.setattr(supernets, "stage_space", lambda *_: run.plan.space2(None))
    monkeypatch.setattr(supernets, "grow", lambda old, *_, **more: given.append((old, more)))
    before: Any = ["of stage 1", "of stage 2"]
    with contextlib.closing(Session(run, CPU)) as session:
        supernets._untrained(session, before, 3)
    ((old, more),) = given
    assert (old, more["before"]) == ("of stage 2", ["of stage 1"])
    assert more["seed"] == run.seed("supernet 3 weights")


@pytest.mark.parametrize(("elites", "chosen"), [([3, 0], [0, 3]), ([], [0, 1])])
def test_of_a_large_front_the_proposer_chooses(
    tiny: Plan, monkeypatch: pytest.MonkeyPatch, elites: list[int], chosen: list[int]
) -> None:
    """Best score first; without a choice the best are taken."""
    rng, plan = np.random.default_rng(0), refined(tiny)
    space = plan.space2(None)
    front = [
        Record(number=i, generation=0, arch=space.sample(rng), accuracy=0.9 - i / 10, loss=1.0,
               macs=900 - i, params=0, seconds=0.0)
        for i in range(4)
    ]  # fmt: skip

    def kept(_space: object, _costs: object, found: Any, count: int) -> list[Record]:
        assert count == 2
        return [one for one in found if one.number in elites]

    proposer = SimpleNamespace(elites=kept)
    asked = SimpleNamespace(from_front=True, population=2, proposer=proposer)
    session: Any = SimpleNamespace(
        plan=plan,
        costs=None,
        run=SimpleNamespace(stage=lambda number: asked, study_name=lambda number: "s3"),
        study=lambda number: f"study {number}",
        finished=lambda number, what: front,
    )
    written: list[tuple[object, Marks]] = []
    monkeypatch.setattr(handoff, "marks_of", lambda study: Marks())
    monkeypatch.setattr(handoff, "write_marks", lambda *mark: written.append(mark))
    monkeypatch.setattr(handoff, "stage_space", lambda session, stage: space)
    archs = tuple(front[i].arch for i in chosen)
    assert handoff.start(session, 3) == archs
    ((study, mark),) = written
    assert study == "study 2" and mark.front is not None
    assert mark.front.archs == archs


def test_a_stage_scored_again_is_linked_and_the_old_studies_keep_their_marks(
    tmp_path: Path, tiny: Plan
) -> None:
    run = begin_run(tmp_path / "run", refined(tiny))

    def studies(session: Session) -> list[Marks]:
        return [marks_of(session.study(number)) for number in (1, 2, 3)]

    def check(marks: list[Marks], *names: str) -> None:
        first, second, _ = marks
        assert first.handoff and second.handoff and second.front
        assert (first.handoff.giver, first.handoff.to) == (None, names[1])
        assert (second.handoff.giver, second.handoff.to) == (names[0], None)
        assert first.handoff.arch == second.handoff.arch and second.front.to == names[2]

    with contextlib.closing(Session(run, CPU)) as session:
        fake_runs.search(run, 1)
        handoff.handoff(session)
        handoff.link(session, 2)
        fake_runs.search(run, 2)
        handoff.start(session, 3)
        handoff.link(session, 3)
        fake_runs.search(run, 3)
        old = studies(session)
        check(old, "run-stage1", "run-stage2", "run-stage3")
        session.run = run.rescore(1)
        fake_runs.search(session.run, 1)
        handoff.handoff(session)
        handoff.link(session, 2)  # it does not yet know that stage 2 is to be scored again
        assert studies(session)[1:] == old[1:]
        session.run = session.run.rescore(2)
        handoff.link(session, 2)
        fake_runs.search(session.run, 2)
        handoff.start(session, 3)
        handoff.link(session, 3)
        assert studies(session)[1].front.to is None
        session.run = session.run.rescore(3)
        handoff.link(session, 3)
        new = studies(session)
        check(new, "run-stage1-rescored1", "run-stage2-rescored1", "run-stage3-rescored1")
        session.run = run
        assert studies(session) == old


def test_a_stage_alone_scored_again_is_the_one_that_goes_on(tmp_path: Path, tiny: Plan) -> None:
    run = begin_run(tmp_path / "run", tiny)
    fake_runs.search(run, 1)
    with contextlib.closing(Session(run, CPU)) as session:
        handoff.handoff(session)
        handoff.link(session, 2)
        fake_runs.search(run, 2)
        session.run = run.rescore(2)
        handoff.link(session, 2)
        first, second = (marks_of(session.study(number)).handoff for number in (1, 2))
    assert first and second
    assert (first.to, second.giver) == ("run-stage2-rescored1", "run-stage1")
