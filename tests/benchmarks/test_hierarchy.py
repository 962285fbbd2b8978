"""The benchmark of the hierarchy: each way searches what it says, within its trials."""

from __future__ import annotations

import pytest

from benchmarks.search.hierarchy import (
    BUDGET,
    FIRST,
    FRAME,
    JOINT,
    WAYS,
    everything,
    hierarchical,
    lost,
)
from hnas.architecture.arch import Arch
from hnas.cost.flops import cost
from hnas.studies.trials.pareto import best_by_score, front
from tests.support.fake_scorer import FakeScorer


@pytest.fixture(scope="module")
def score() -> dict[Arch, float]:
    """Of everything within the budget: smooth, without noise."""
    archs = everything()
    scorer = FakeScorer(frame=FRAME, noise=0)
    return {arch: one.accuracy for arch, one in zip(archs, scorer.score(archs), strict=True)}


def test_everything_is_what_fits(score: dict[Arch, float]) -> None:
    assert JOINT.distinct == 1936 > len(score) > 1000
    assert all(arch in JOINT and cost(FRAME, arch).macs <= BUDGET for arch in score)


@pytest.mark.parametrize("way", WAYS)
def test_a_way_keeps_to_its_trials_and_is_told_what_it_loses(
    score: dict[Arch, float], way: str
) -> None:
    found = WAYS[way](score, trials=48, seed=1)
    assert 40 <= len(found) <= 48
    # A stage scores anew what it starts from, with a supernet of its own in a real search.
    twice = len(found) - len({record.arch for record in found})
    assert twice <= {"joint": 0, "hierarchical": 1}.get(way, 16)
    again = WAYS[way](score, trials=48, seed=1)
    assert [record.arch for record in found] == [record.arch for record in again]
    by_score, by_judge = lost(score, {arch: -one for arch, one in score.items()}, found)
    best = max(record.accuracy for record in found)
    assert by_score == -by_judge == pytest.approx(max(score.values()) - best)


def test_refining_goes_on_from_the_front_with_half_of_stage_2s_trials(
    score: dict[Arch, float],
) -> None:
    before = hierarchical(score, trials=48, seed=2)
    found = WAYS["refined"](score, trials=48, seed=2)
    assert len(found) == 48
    second = found[16:32]
    assert second == before[16:32] and all(one.arch in FIRST for one in found[:16])
    given = {tuple(b.G for b in one.arch.blocks) for one in second}
    assert len(given) == 1
    assert {tuple(b.G for b in one.arch.blocks) for one in found[32:]} > given
    assert {one.arch for one in front(second)} < {one.arch for one in found[32:]}


def test_stage_2_keeps_the_distribution_of_the_best(score: dict[Arch, float]) -> None:
    found = hierarchical(score, trials=60, seed=0)
    first, second = found[:16], found[16:]
    assert all(one.arch in FIRST for one in first)
    (best,) = best_by_score(first, 1)
    assert {tuple(b.G for b in one.arch.blocks) for one in second} == {
        tuple(b.G for b in best.arch.blocks)
    }
    assert best.accuracy == max(one for arch, one in score.items() if arch in FIRST)
