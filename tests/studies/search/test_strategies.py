"""The strategies: each whole on a tiny plan, at equal effort, broken off and killed."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
import torch

from hnas.cost.flops import cost
from hnas.errors import InputError, MismatchError, StateError
from hnas.studies.plan.change import override, refined, with_values
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.strategies import stages
from hnas.studies.plan.tables import STRATEGIES
from hnas.studies.plan.toml import to_toml
from hnas.studies.run.folder import Run, begin_run, open_run
from hnas.studies.run.status import read_status
from hnas.studies.search.events import Listener
from hnas.studies.search.finish import finish
from hnas.studies.search.search import search_stage
from hnas.studies.search.session import Session
from hnas.studies.trials.marks import marks_of
from hnas.studies.trials.pareto import front
from hnas.studies.trials.trial import records
from tests.support.broken_off import BreaksOff, Broken, kill_and_resume

CPU = torch.device("cpu")


BASELINES = STRATEGIES[1:]


def plan_of(tiny: Plan, way: str) -> Plan:
    """By a strategy, or the hierarchical one refined."""
    return refined(tiny) if way == "refined" else override(tiny, strategy=way)


def whole(run: Run, listener: Listener | None = None) -> None:
    with run.hold(), contextlib.closing(Session(run, CPU, listener)) as session:
        for number in range(1, len(run.stages) + 1):
            search_stage(session, number)
        finish(session)


def outcome(run: Run) -> tuple:
    """What must not depend on how often the run was broken off."""
    with contextlib.closing(Session(run, CPU)) as session:
        trials = [
            [
                (r.number, r.generation, r.arch, r.accuracy, r.loss)
                for r in records(session.study(i))
            ]
            for i in range(1, len(run.stages) + 1)
        ]
    return trials, run.read("result.json")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny: Plan) -> Callable[[str], Run]:
    """A finished run of a strategy, or refined, made once."""
    folder, made = tmp_path_factory.mktemp("runs"), {}

    def run(strategy: str) -> Run:
        if strategy not in made:
            made[strategy] = begin_run(folder / "tiny", plan_of(tiny, strategy))
            whole(made[strategy])
            made[strategy].folder.rename(folder / strategy)
            made[strategy] = open_run(folder / strategy)
        return made[strategy]

    return run


@pytest.mark.parametrize(
    ("strategy", "names", "found"),
    [
        ("hierarchical", {}, [("", "nsga2"), ("", "nsga2")]),
        ("hierarchical", {"search": "spos"}, [("spos", "spos")] * 2),
        ("hierarchical", {"stage2": "spos"}, [("", "nsga2"), ("spos", "spos")]),
        ("hierarchical", {"search": "tpe", "stage1": "gp"}, [("gp", "gp"), ("tpe", "tpe")]),
        ("high-level", {"search": "spos", "stage1": "nsga2"}, [("nsga2", "nsga2")]),
        ("flat", {"stage1": "nsga2"}, [("", "spos")]),
        ("flat", {"search": "nsga2", "stage1": "spos"}, [("nsga2", "nsga2")]),
        ("random", {"stage1": "nsga2"}, [("", "random")]),
    ],
)
def test_a_stage_proposes_as_it_is_told_else_as_all_are(
    tiny: Plan, strategy: str, names: dict[str, str], found: list[tuple[str, str]]
) -> None:
    values = {f"{table}.sampler": name for table, name in names.items()}
    plan = with_values(override(tiny, strategy=strategy), values)
    assert [(s.sampler, s.proposer.name) for s in stages(plan)] == found
    every = stages(override(plan, sampler="random"))
    assert {stage.sampler for stage in every} == {"random"}


@pytest.mark.parametrize("strategy", BASELINES)
def test_a_search_is_full_distinct_and_within_the_budget(
    finished: Callable[[str], Run], strategy: str
) -> None:
    run = finished(strategy)
    study = optuna.load_study(study_name=f"tiny-{strategy}", storage=run.storage)
    assert [d.name for d in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.best_trials
    found = records(study)
    assert len(found) == len({r.arch for r in found}) == 23
    space = run.stages[0].space(None)
    for record in found:
        assert record.arch in space
        assert cost(run.plan.net, record.arch).macs == record.macs <= run.plan.budget()
    assert [r.generation for r in found] == [i // 5 for i in range(23)]


@pytest.mark.parametrize("strategy", BASELINES)
def test_its_best_are_retrained_and_the_best_of_them_is_tested(
    finished: Callable[[str], Run], strategy: str
) -> None:
    run = finished(strategy)
    status = read_status(run)
    assert status.finished and status.handoff is None and len(status.stages) == 1
    assert (status.stages[0].epochs, status.stages[0].asked.training.epochs) == (5, 5)
    found = records(optuna.load_study(study_name=f"tiny-{strategy}", storage=run.storage))
    best = sorted(found, key=lambda r: (-r.accuracy, r.macs, r.number))[:2]
    result = status.result
    assert result is not None
    assert [c.arch for c in result.candidates] == [r.arch for r in best]
    assert result.winner.accuracy == max(c.accuracy for c in result.candidates)
    assert result.winner.test_accuracy is not None


def test_flat_and_random_share_a_supernet_to_the_bit(finished: Callable[[str], Run]) -> None:
    hashes = []
    for strategy in ("flat", "random"):
        run = finished(strategy)
        study = optuna.load_study(study_name=f"tiny-{strategy}", storage=run.storage)
        hashes.append(study.user_attrs["scorer"])
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize("strategy", [*BASELINES, "refined"])
def test_broken_off_it_ends_as_the_unbroken_one(
    finished: Callable[[str], Run], tmp_path: Path, tiny: Plan, strategy: str
) -> None:
    run = begin_run(tmp_path / "tiny", plan_of(tiny, strategy))
    breaks = 0
    for n in (2, 4, 1, 7, 3, 9, 6, 2, 3, 1, 1, 2, 100):
        try:
            whole(run, BreaksOff(n))
            break
        except Broken:
            breaks += 1
    assert breaks >= 4  # what is written of an epoch depends on the clock
    assert outcome(run) == outcome(finished(strategy))


@pytest.mark.parametrize("strategy", ["flat", "refined"])
def test_the_last_stage_survives_kill_9(
    finished: Callable[[str], Run], tmp_path: Path, tiny: Plan, strategy: str
) -> None:
    run = begin_run(tmp_path / "tiny", plan_of(tiny, strategy))
    with run.hold(), contextlib.closing(Session(run, CPU)) as session:
        for number in range(1, len(run.stages)):
            search_stage(session, number)
    plan = tmp_path / "plan.toml"
    plan.write_text(to_toml(plan_of(tiny, strategy)))
    kill_and_resume(plan, tmp_path / "tiny", kills=4, most=3)
    assert outcome(open_run(tmp_path / "tiny")) == outcome(finished(strategy))


def study(run: Run, stage: int) -> optuna.Study:
    return optuna.load_study(study_name=run.study_name(stage), storage=run.storage)


def test_stage_3_begins_with_the_front_of_stage_2(finished: Callable[[str], Run]) -> None:
    run = finished("refined")
    found, before = records(study(run, 3)), front(records(study(run, 2)))
    begun = {r.arch for r in found if r.generation == 0}
    assert {r.arch for r in before} < begun
    assert len(found) == len({r.arch for r in found}) == 5
    for record in found:
        assert record.arch in run.plan.space2(None)
        assert cost(run.plan.net, record.arch).macs == record.macs <= run.plan.budget()
    given = study(run, 2).user_attrs["front"]
    assert given["to"] == study(run, 3).study_name
    assert given["archs"] == study(run, 3).user_attrs["start"]
    assert len({study(run, i).user_attrs["scorer"]["supernet"] for i in (1, 2, 3)}) == 3
    result = read_status(run).result
    assert result is not None and {c.arch for c in result.candidates} <= {r.arch for r in found}


def test_a_front_stays_the_start_when_trials_are_added(
    finished: Callable[[str], Run], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(finished("refined").folder, tmp_path / "copy"))
    plan = open_run(folder).plan
    second, third = replace(plan.stage2, trials=12), replace(plan.refine, trials=9)
    run = begin_run(folder, replace(plan, stage2=second, refine=third))
    started = study(run, 3).user_attrs["start"]
    whole(run)
    assert [len(records(study(run, i))) for i in (1, 2, 3)] == [12, 12, 9]
    assert study(run, 3).user_attrs["start"] == started


def test_scored_anew_it_begins_with_the_front_that_was_scored_anew(
    finished: Callable[[str], Run], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(finished("refined").folder, tmp_path / "copy"))
    plan = open_run(folder).plan
    plan = replace(plan, score=replace(plan.score, recalibration=64))
    run = begin_run(folder, plan, rescore=True)
    with run.hold(), contextlib.closing(Session(run, CPU, rescore=True)) as session:
        for number in (1, 2, 3):
            search_stage(session, number)
        run = session.run
    assert run.study_name(3) == "tiny-stage3-rescored1"
    begun = {r.arch for r in records(study(run, 3)) if r.generation == 0}
    assert begun >= {r.arch for r in front(records(study(run, 2)))}
    one, two = (marks_of(study(run, number)) for number in (1, 2))
    assert one.handoff and two.handoff and two.front
    assert (one.handoff.to, two.handoff.giver) == (run.study_name(2), run.study_name(1))
    assert two.front.to == run.study_name(3)


def test_stage_3_needs_a_finished_stage_2(tmp_path: Path, tiny: Plan) -> None:
    run = begin_run(tmp_path / "tiny", refined(tiny))
    with contextlib.closing(Session(run, CPU)) as session:
        search_stage(session, 1)
        with pytest.raises(StateError, match=r"^stage 3 needs a finished stage 2: .* 0 of 6 tri"):
            search_stage(session, 3)


def test_another_strategy_is_refused_where_a_run_has_begun(
    finished: Callable[[str], Run], tiny: Plan
) -> None:
    folder = finished("flat").folder
    with pytest.raises(MismatchError) as caught:
        begin_run(folder, override(tiny, strategy="random"))
    message = str(caught.value)
    assert "\n  search.strategy: stored 'flat', asked 'random'\n" in message
    assert message.endswith("Ask for what is stored, or use another --run")


def test_there_is_no_stage_2_of_one_stage(finished: Callable[[str], Run]) -> None:
    run = finished("flat")
    with pytest.raises(InputError) as caught:
        search_stage(Session(run, CPU), 2)
    assert str(caught.value) == (
        f"the search of {run.folder} has no stage 2: its strategy 'flat' has 1. "
        "Leave --stage out, or begin another --run"
    )


def test_a_study_goes_on_with_the_proposer_it_began_with(tmp_path: Path, tiny: Plan) -> None:
    """A study kept under one name: the trials of two proposers are not one search."""
    run = begin_run(tmp_path / "tiny", override(tiny, strategy="flat"))
    with pytest.raises(Broken):
        whole(run, BreaksOff(9))
    with contextlib.closing(Session(run, CPU)) as session:
        session.study(1).set_user_attr("proposer", "nsga2")
        with pytest.raises(MismatchError, match="\n  proposer: stored 'nsga2', asked 'spos'\n"):
            search_stage(session, 1)
