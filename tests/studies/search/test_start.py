"""Networks that start from a supernet's weights, and the comparison with one that does not."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hnas.errors import InputError
from hnas.scoring.score import evaluate
from hnas.studies.experiments.rank import RankRules, rank
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.strategies import from_scratch
from hnas.studies.plan.tables import Retrain
from hnas.studies.run.folder import Run, begin_run
from hnas.studies.run.networks import identity_of, network_path, stored_network
from hnas.studies.run.result import best_trained
from hnas.studies.scoring.supernet_scorer import weights_hash
from hnas.studies.search.alone import subnet
from hnas.studies.search.handoff import handoff
from hnas.studies.search.retrain import (
    Asked,
    retrain,
    retrain_all_global,
    retrain_networks,
    retrain_trials,
)
from hnas.studies.search.search import search_stage
from hnas.studies.search.session import Session
from hnas.studies.search.supernets import supernet
from hnas.studies.search.torchrun import join_network
from hnas.studies.trials.pareto import best_by_score
from hnas.studies.trials.trial import records
from hnas.training import checkpoint
from hnas.training.processes import ONE_PROCESS
from tests.support.broken_off import CPU, BreaksOff, Broken, outcome, whole


def inheriting(plan: Plan) -> Plan:
    return replace(plan, retrain=replace(plan.retrain, start="supernet"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny: Plan) -> Run:
    run = begin_run(tmp_path_factory.mktemp("runs") / "tiny", inheriting(tiny))
    whole(run)
    return run


@pytest.fixture
def session(finished: Run) -> Iterator[Session]:
    with contextlib.closing(Session(finished, CPU)) as opened:
        yield opened


def test_a_network_starts_as_it_was_scored(session: Session) -> None:
    for stage in (1, 2):
        for record in best_by_score(records(session.study(stage)), 3):
            net = subnet(session, record.arch, stage)
            found = evaluate(net, session.data.held_out, session.data, batch=512)
            assert found.accuracy == record.accuracy
            assert found.loss == pytest.approx(record.loss, rel=1e-5)


def test_another_supernet_another_rule_or_scratch_are_other_networks(
    finished: Run, tmp_path: Path
) -> None:
    finished = replace(finished, folder=shutil.copytree(finished.folder, tmp_path / "tiny"))
    session = Session(finished, CPU)
    winner = finished.read("result.json")["winner"]
    made_from = identity_of(finished, winner["key"])
    assert made_from.start is not None
    assert made_from.start.supernet == weights_hash(supernet(session, 2).state_dict())
    assert made_from.start.recalibration == finished.plan.score.recalibration

    def key(session: Session, rules: Retrain | None = None) -> str:
        [made] = retrain_networks(
            session, [Asked(arch=made_from.arch, what="", rules=rules, stage=2)]
        )
        return made.key

    assert key(session) == made_from.key
    seen = {made_from.key, key(session, replace(finished.plan.retrain, start="scratch"))}
    score = replace(finished.plan.score, recalibration=16)
    measured = replace(finished, plan=replace(finished.plan, score=score))
    seen.add(key(Session(measured, CPU)))
    with torch.no_grad():
        supernet(session, 2).head.bias += 1
    seen.add(key(session))
    assert len(seen) == 4


def test_what_is_compared_is_trained_as_long_and_it_is_said(finished: Run) -> None:
    result = finished.read("result.json")
    winner, plain = result["winner"], result["all_global"]
    assert (winner["inherited"], winner["epochs"]) == (3 + 2, 2)
    assert "inherited" not in plain and plain["epochs"] == 3 + 2 + 2
    made_from = identity_of(finished, plain["key"])
    first = finished.plan.stage1.training
    assert made_from.start is None
    assert made_from.augment == finished.plan.augment != finished.plan.retrain.augment
    assert (made_from.training.lr, made_from.training.dropout) == (first.lr, first.dropout)
    assert made_from.training.drop_path == finished.plan.retrain.training.drop_path


def test_rules_from_scratch_count_the_epochs_of_every_stage(tiny: Plan) -> None:
    assert from_scratch(tiny) == tiny.retrain
    for strategy in ("hierarchical", "high-level", "flat", "random"):
        plan = replace(inheriting(tiny), search=replace(tiny.search, strategy=strategy))
        assert from_scratch(plan).training.epochs == 7
        assert from_scratch(plan).start == "scratch"
    fair = replace(tiny.stage1, training=replace(tiny.stage1.training, subnets="fair"))
    assert from_scratch(replace(inheriting(tiny), stage1=fair)).training.subnets == "uniform"


def test_an_all_global_network_that_the_supernet_has_may_start_from_it_too(
    tmp_path: Path, tiny: Plan
) -> None:
    plan = replace(inheriting(tiny), search=replace(tiny.search, strategy="high-level"))
    with contextlib.closing(Session(begin_run(tmp_path / "run", plan), CPU)) as session:
        search_stage(session, 1)
        best, net = retrain_all_global(session, plan.net, plan.net.all_global())
        arch = plan.net.all_global()
        asked = [
            Asked(arch=arch, what="", rules=from_scratch(plan)),
            Asked(arch=arch, what="", stage=1),
        ]
        both = retrain_networks(session, asked)
        assert [network.inherited for network in both] == [0, 5]
        assert best == best_trained(both)
        assert evaluate(net, session.data.held_out, session.data, batch=512).loss == best.loss
        frame = replace(plan.net, d=6)
        narrower, _ = retrain_all_global(session, frame, frame.all_global())
        assert narrower.inherited == 0


def test_the_papers_handoff_starts_from_the_supernet_of_its_stage(
    tmp_path: Path, tiny: Plan
) -> None:
    plan = replace(inheriting(tiny), handoff=replace(tiny.handoff, rule="retrained", top=2))
    run = begin_run(tmp_path / "run", plan)
    with contextlib.closing(Session(run, CPU)) as session:
        search_stage(session, 1)
        handoff(session)
        first = weights_hash(supernet(session, 1).state_dict())
        for record in best_by_score(records(session.study(1)), 2):
            made = retrain_trials(session, [record], stage=1)[0]
            start = identity_of(run, made.key).start
            assert start is not None and start.supernet == first
            assert made.inherited == 3


def test_a_ranking_trains_from_scratch(tmp_path: Path, tiny: Plan) -> None:
    run = begin_run(tmp_path / "run", inheriting(tiny))
    with contextlib.closing(Session(run, CPU)) as session:
        search_stage(session, 1)
        found = rank(session, RankRules(stage=1, architectures=4, seeds=1), draws=10)
    assert found.epochs == 7
    for one in found.ranked:
        assert identity_of(run, one.networks[0]).start is None


def test_broken_off_it_ends_as_the_unbroken_one(finished: Run, tmp_path: Path) -> None:
    run = begin_run(tmp_path / "tiny", finished.plan)
    breaks = 0
    for n in (16, 18, 1, 1, 2, 1, 3, 100):
        try:
            whole(run, BreaksOff(n))
            break
        except Broken:
            breaks += 1
    assert breaks >= 6
    assert outcome(run) == outcome(finished)


def test_a_process_that_joins_needs_no_supernet(finished: Run, session: Session) -> None:
    made_from = identity_of(finished, finished.read("result.json")["winner"]["key"])
    job = {"identity": made_from.to_dict(), "seed": finished.seed(f"training {made_from.key}")}
    data, session.supernets = session.data, {}
    join_network(job, data, ONE_PROCESS)
    assert not session.supernets


def test_a_finished_network_needs_its_supernet_no_more(finished: Run, tmp_path: Path) -> None:
    key = finished.read("result.json")["winner"]["key"]
    kept = checkpoint.load(network_path(finished, key))
    assert kept is not None
    stored = stored_network(finished, key)
    assert stored.arch == identity_of(finished, key).arch


def test_what_it_starts_from_is_one_of_two(tiny: Plan) -> None:
    with pytest.raises(InputError, match=r"start must be one of .*'supernet'.*, got 'teacher'"):
        replace(tiny.retrain, start="teacher")


def test_retraining_again_trains_nothing(finished: Run) -> None:
    with contextlib.closing(Session(finished, CPU, BreaksOff(1))) as session:
        assert len(retrain(session)) == 2
