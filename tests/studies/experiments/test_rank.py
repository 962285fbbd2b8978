"""Ranking a run: what is drawn, what is trained once, and what a changed supernet says."""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hnas.cost.flops import cost
from hnas.errors import InputError, MismatchError, StateError
from hnas.scoring.score import evaluate
from hnas.studies.experiments.rank import RankRules, draw, rank
from hnas.studies.experiments.rank_statistics import agreement
from hnas.studies.objective.costs import Costs
from hnas.studies.run.folder import Run, begin_run, open_run
from hnas.studies.run.networks import stored_network
from hnas.studies.run.ranking import Ranking, read_ranking
from hnas.studies.search.events import Listener
from hnas.studies.search.handoff import handoff
from hnas.studies.search.retrain import Asked, retrain_network, retrain_networks
from hnas.studies.search.search import search_stage
from hnas.studies.search.session import Session
from hnas.studies.trials.pareto import front
from hnas.studies.trials.trial import records
from hnas.training.loop import Epoch

CPU = torch.device("cpu")
RULES = RankRules(stage=1, architectures=6, seeds=2)


class Trained(Listener):
    """The networks that were trained, not read."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def epoch(self, what: str, epoch: Epoch) -> None:
        self.names.add(what)


def ranked(run: Run, rules: RankRules = RULES, listener: Listener | None = None) -> Ranking:
    with run.hold(), contextlib.closing(Session(run, CPU, listener)) as session:
        return rank(session, rules, draws=20)


@pytest.fixture(scope="module")
def searched(tmp_path_factory, tiny) -> Run:
    """A finished stage 1, not to be changed."""
    run = begin_run(tmp_path_factory.mktemp("runs") / "run", tiny)
    with run.hold(), contextlib.closing(Session(run, CPU)) as session:
        search_stage(session, 1)
    return run


@pytest.fixture
def run(searched: Run, tmp_path: Path) -> Run:
    """A copy to rank; its name is part of its studies' names."""
    folder = shutil.copytree(searched.folder, tmp_path / "run")
    return open_run(folder)


@pytest.fixture(scope="module")
def trained(searched: Run, tmp_path_factory) -> Run:
    """Ranked, not to be changed."""
    run = open_run(shutil.copytree(searched.folder, tmp_path_factory.mktemp("ranked") / "run"))
    ranked(run)
    return run


@pytest.fixture
def again(trained: Run, tmp_path: Path) -> Run:
    """A copy whose networks have been trained."""
    return open_run(shutil.copytree(trained.folder, tmp_path / "run"))


def test_the_pick_comes_first_then_elites_then_all_of_the_range(searched, tiny) -> None:
    with contextlib.closing(Session(searched, CPU)) as session:
        found = records(session.study(1))
    best = max(found, key=lambda record: (record.accuracy, -record.macs))
    drawn = draw(tiny.space1(), found, count=30, costs=tiny.costs(), seed=0)
    assert drawn[0] == (best.arch, True)
    assert {arch for arch, is_elite in drawn if is_elite} == {r.arch for r in front(found)}
    assert len({arch for arch, _ in drawn}) == len(drawn) == 30
    assert max(cost(tiny.net, arch).macs for arch, _ in drawn) <= tiny.budget()
    everything = draw(tiny.space1(), found, count=99, costs=tiny.costs(), seed=0)
    assert len(everything) == 64  # 4^3: there are no more
    # The first four of a sequence that halves the range each time: one a quarter of the costs.
    others = [arch for arch, is_elite in everything if not is_elite]
    by_macs = sorted(others, key=lambda arch: (cost(tiny.net, arch).macs, arch.key))
    quarters = [by_macs.index(arch) * 4 // len(by_macs) for arch in others[:4]]
    assert sorted(quarters) == [0, 1, 2, 3]


def test_more_architectures_are_added_to_those_there_are(searched, tiny) -> None:
    with contextlib.closing(Session(searched, CPU)) as session:
        found = records(session.study(1))

    def names(count: int) -> set:
        return {
            arch
            for arch, _ in draw(
                tiny.space1(), found, count=count, costs=Costs(frame=tiny.net, flops=10**9), seed=0
            )
        }

    assert names(4) < names(9) < names(20) < names(21)


def test_a_ranking_is_what_was_trained(again: Run) -> None:
    run, found = again, ranked(again)
    assert (found.stage, found.epochs, len(found.ranked)) == (1, 2, 6)
    with contextlib.closing(Session(run, CPU)) as session:
        scores = {record.arch: record.accuracy for record in records(session.study(1))}
        first = found.ranked[0]
        assert first.score == scores[first.arch]  # scored anew, and the same
        asked = [Asked(arch=first.arch, what="", repeat=repeat) for repeat in (1, 2)]
        made = retrain_networks(session, asked)
        seen = [stored_network(run, network.key) for network in made]
        accuracies = [
            evaluate(net, session.data.held_out, session.data, batch=512).accuracy for net in seen
        ]
        assert found.images == len(session.data.held_out)
    assert list(first.accuracies) == accuracies
    one, other = (next(net.parameters()) for net in seen)
    assert not torch.equal(one, other)  # another seed, other weights
    assert found.agreement == agreement(
        np.array([one.score for one in found.ranked]),
        np.array([one.accuracies for one in found.ranked]).T,
        pick=0,
        draws=20,
    )
    written = json.loads((run.folder / "ranking-stage1.json").read_text())
    assert written["ranked"][0]["accuracies"] == accuracies
    assert written["agreement"]["tau"]["value"] == found.agreement.tau.value
    assert written["agreement"]["reference"] is None  # two seeds
    assert read_ranking(run, 1) == found
    assert "<svg" in (run.folder / "ranking-stage1.svg").read_text()


def test_what_is_trained_is_not_trained_again(again: Run) -> None:
    run = again
    before = json.loads((run.folder / "ranking-stage1.json").read_text())
    listener = Trained()
    ranked(run, listener=listener)
    assert listener.names == set()
    assert json.loads((run.folder / "ranking-stage1.json").read_text()) == before
    more = ranked(run, replace(RULES, architectures=7, seeds=3), listener)
    assert len(listener.names) == 6 * 1 + 1 * 3
    assert [one.accuracies[:2] for one in more.ranked if one.arch == more.ranked[0].arch] == [
        tuple(before["ranked"][0]["accuracies"])
    ]


def test_its_networks_are_not_the_retrained_ones(again: Run) -> None:
    run, found = again, ranked(again)
    with contextlib.closing(Session(run, CPU)) as session:
        own, _ = retrain_network(session, found.ranked[0].arch, "")
    assert own.key not in {key for one in found.ranked for key in one.networks}


def test_stage_2_is_ranked_within_its_distribution(run: Run) -> None:
    with run.hold(), contextlib.closing(Session(run, CPU)) as session:
        search_stage(session, 2)
        given = handoff(session)
    found = ranked(run, replace(RULES, stage=2, seeds=1, epochs=1))
    assert found.epochs == 1
    for one in found.ranked:
        assert [block.G for block in one.arch.blocks] == [block.G for block in given.blocks]
    assert (run.folder / "ranking-stage2.json").exists()


def test_a_stage_without_trials_says_what_to_run(tmp_path: Path, tiny) -> None:
    run = begin_run(tmp_path / "run", tiny)
    with pytest.raises(StateError, match=r"ranking needs scored trials: .*hnas search --stage 1"):
        ranked(run)


def test_scores_of_another_supernet_are_refused(run: Run) -> None:
    with contextlib.closing(Session(run, CPU)) as session:
        scorer = dict(session.study(1).user_attrs["scorer"])
        session.study(1).set_user_attr("scorer", {**scorer, "supernet": "0" * 16})
    with pytest.raises(MismatchError, match="scored with other weights or images"):
        ranked(run)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"architectures": 3}, "architectures must be >= 4, got 3"),
        ({"seeds": 0}, "seeds must be >= 1, got 0"),
    ],
)
def test_rules_are_checked_at_once(wrong: dict, text: str) -> None:
    with pytest.raises(InputError, match=text):
        replace(RULES, **wrong)
