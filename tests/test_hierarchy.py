"""The benchmark of the hierarchy: each way searches what it says, within its trials."""

from __future__ import annotations

import pytest

from benchmarks.hierarchy import BUDGET, FIRST, FRAME, JOINT, WAYS, everything, hierarchical, lost
from hnas.arch import Arch
from hnas.cost import cost
from studies.fake import FakeScorer


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
    assert len(found) <= 48
    # Stage 2 scores stage 1's best anew, with a supernet of its own in a real search.
    assert len(found) - len({record.arch for record in found}) <= (way != "joint")
    again = WAYS[way](score, trials=48, seed=1)
    assert [record.arch for record in found] == [record.arch for record in again]
    by_score, by_judge = lost(score, {arch: -one for arch, one in score.items()}, found)
    best = max(record.accuracy for record in found)
    assert by_score == -by_judge == pytest.approx(max(score.values()) - best)


def test_refining_goes_on_from_what_the_stages_found(score: dict[Arch, float]) -> None:
    before = hierarchical(score, trials=24, seed=2)
    found = WAYS["refined"](score, trials=48, seed=2)
    assert found[: len(before)] == before
    assert {tuple(b.G for b in one.arch.blocks) for one in found[len(before) :]} > {
        tuple(b.G for b in before[0].arch.blocks)
    }


def test_stage_2_keeps_the_distribution_of_the_best(score: dict[Arch, float]) -> None:
    first, *second = hierarchical(score, trials=60, seed=0)
    assert first.arch in FIRST
    assert {tuple(b.G for b in one.arch.blocks) for one in second} == {
        tuple(b.G for b in first.arch.blocks)
    }
    assert first.accuracy == max(one for arch, one in score.items() if arch in FIRST)
