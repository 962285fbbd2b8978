"""Findings: planted traits are found, chance is not; the paper's network has what it reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hnas.architecture.arch import SKIPPED, Arch, Block
from hnas.architecture.space import Frame, Space, distribution_space, size_space, skippable
from hnas.cost.flops import cost, dearest
from hnas.errors import InputError
from hnas.persist.record import as_json
from hnas.studies.findings.findings import LEVEL, Findings, Share, describe, find, order
from hnas.studies.findings.published import published_findings
from hnas.studies.objective.costs import Costs
from hnas.studies.plan.toml import load_preset
from hnas.studies.run.folder import Run
from hnas.studies.run.studies import StageStudy
from hnas.studies.trials.conditions import Conditions
from hnas.studies.trials.record import Record
from tests.support.generators import archs, spaces

FRAME = Frame(image=8, channels=1, patch=2, classes=10, d=12, M=6, N=3)
STAGE1 = distribution_space(FRAME, d_k=12, d_z=2, E=1, K=5)
WHOLE = size_space(FRAME, None, d_k=(6, 12), d_z=(2, 4), E=(1, 2), K=(3, 5, 9))
FREE = Costs(frame=FRAME, flops=cost(FRAME, dearest(WHOLE)).macs)


def network(*G: int, K: int = 5) -> Arch:
    return Arch(tuple(Block.of(G=g, L=3 - g, d_k=12, d_z=2, E=1, K=K) for g in G))


def found(chosen: Sequence[Arch], space: Space = STAGE1, seed: int = 0) -> Findings:
    return describe("test", chosen, space, FREE, elites="planted", seed=seed)


def shares(findings: Findings) -> dict[str, Share]:
    return {share.what: share for share in (*findings.kinds, *findings.kernels)}


def test_the_published_network_has_what_the_paper_reports() -> None:
    findings = published_findings()
    by = shares(findings)
    assert by["mixed"].share == 0.25  # "25% of blocks"
    assert by["K = 17"].count == 0  # never chosen
    assert (by["K = 31"].count, by["K = 45"].count, by["K = 17"].of) == (2, 2, 4)
    assert findings.order is not None
    assert (findings.order.turns, findings.order.neighbours) == (8, 11)
    # And one network of 12 blocks is too few to tell any of it from chance.
    assert {share.verdict for share in by.values()} == {"chance"}
    assert findings.order.turns_p > LEVEL
    # Of 4 kernels none is 17 with (2/3)^4 = 0.198, two-sided 0.395; what 1,000 draws can miss.
    assert by["K = 17"].p == pytest.approx(2 * (2 / 3) ** 4, abs=0.05)


@settings(max_examples=8)
@given(st.data())
def test_counts_add_up_and_intervals_hold_their_shares(data: st.DataObject) -> None:
    space = data.draw(spaces())
    chosen = data.draw(st.lists(archs(space), min_size=1, max_size=5))
    findings = describe("any", chosen, space, Costs(frame=space.frame), elites="")
    for group in (findings.kinds, findings.kernels):
        for share in group:
            assert share.low - 1e-9 <= share.share <= share.high + 1e-9
            assert share.chance_low - 1e-9 <= share.chance <= share.chance_high + 1e-9
            assert 0 < share.p <= 1
        assert not group or sum(share.count for share in group) == group[0].of
    blocks = [block for arch in chosen for block in arch.blocks]
    mean = np.mean([block.G / space.frame.N for block in blocks])
    assert np.mean(findings.depth) == pytest.approx(mean)


def test_skipped_blocks_are_counted() -> None:
    space = skippable(distribution_space(FRAME, d_k=12, d_z=2, E=1, K=5))
    shallow = Arch((*network(3, 3, 3, 3, 3, 3).blocks[:2], *[SKIPPED] * 4))
    findings = found([shallow] * 4, space)
    assert shares(findings)["skipped"].count == 16
    assert shares(findings)["skipped"].verdict == "more"
    assert findings.depth == (1, 1, 0, 0, 0, 0)


def test_a_network_without_blocks_has_no_order() -> None:
    frame = replace(FRAME, stem="residual", pool="mean")
    space = skippable(distribution_space(frame, d_k=12, d_z=2, E=1, K=5))
    bare = found([Arch((SKIPPED,) * frame.M)] * 4, space).order
    assert bare is not None and (bare.trend, bare.turns) == (0, 0)
    assert bare.trend_p == bare.turns_p == 1
    with_one = found([network(0, 1, 2, 3, 3, 3), Arch((SKIPPED,) * frame.M)], space).order
    alone = found([network(0, 1, 2, 3, 3, 3)], space).order
    assert with_one is not None and alone is not None
    assert with_one.trend == pytest.approx(alone.trend / 2)


def test_a_common_trait_is_told_from_chance() -> None:
    planted = [network(1, 2, 1, 2, 1, 2, K=9), network(2, 2, 1, 1, 1, 2, K=9)] * 2
    by = shares(found(planted, WHOLE))
    assert by["mixed"].verdict == "more"
    assert by["global"].verdict == by["local"].verdict == "less"
    assert (by["K = 3"].verdict, by["K = 9"].verdict) == ("less", "more")


def test_random_networks_seldom_differ_from_chance() -> None:
    rng = np.random.default_rng(1)
    verdicts = [
        share.verdict
        for seed in range(12)
        for share in found([FREE.sample(STAGE1, rng) for _ in range(8)], seed=seed).kinds
    ]
    assert len(verdicts) == 36
    assert sum(verdict != "chance" for verdict in verdicts) <= 5  # 36 x 0.05 = 1.8 on average


def test_the_budget_is_part_of_chance() -> None:
    """Where only cheap networks fit, cheap ones are no finding."""
    tight = Costs(frame=FRAME, flops=cost(FRAME, network(0, 0, 0, 0, 0, 0)).macs)
    space = size_space(FRAME, network(0, 0, 0, 0, 0, 0), d_k=(12,), d_z=(2,), E=(1, 2), K=(5, 9))
    chosen = [network(0, 0, 0, 0, 0, 0)]
    free = describe("free", chosen, space, FREE, elites="")
    bound = describe("bound", chosen, space, tight, elites="")
    assert free.kernels[0].p < LEVEL < bound.kernels[0].p
    assert bound.kernels[0].chance == 1


def test_a_distribution_that_was_handed_over_is_no_finding() -> None:
    arch = network(3, 0, 1, 3, 0, 1)
    findings = found([arch], size_space(FRAME, arch, d_k=(12,), d_z=(2,), E=(1,), K=(3, 5)))
    assert (findings.kinds, findings.order) == ((), None)
    assert findings.depth == pytest.approx((1, 0, 1 / 3, 1, 0, 1 / 3))
    assert [share.what for share in findings.kernels] == ["K = 3", "K = 5"]


def test_no_kernels_where_nothing_is_local() -> None:
    arch = network(3, 3, 3, 3, 3, 3)
    space = size_space(FRAME, arch, d_k=(6, 12), d_z=(2, 4), E=(1, 2), K=(3, 5))
    assert found([arch], space).kernels == ()


# Order. Six blocks have 720 orders, all of which are tried.


def ordered(*chosen: Arch) -> tuple[float, float, float, float, float]:
    o = order(chosen, np.random.default_rng(0))
    return o.trend, o.trend_p, o.turns, o.turns_chance, o.turns_p


def test_local_first_and_global_last_is_a_trend() -> None:
    trend, trend_p, turns, _, _ = ordered(network(0, 0, 1, 2, 3, 3))
    assert trend == pytest.approx(0.971, abs=0.001)  # scipy.stats.spearmanr's, ties and all
    assert trend_p == pytest.approx(8 / 720)  # 2 x 2 ways to order the ties, and both directions
    assert turns == 1


def test_an_hourglass_has_all_turns_there_are() -> None:
    trend, _, turns, chance, p = ordered(network(3, 0, 3, 0, 3, 0))
    assert turns == 5
    assert chance == pytest.approx(3)  # 5 x 2 x 3 x 3 / (6 x 5)
    assert p == pytest.approx(2 * 36 / 720)  # either kind first
    assert trend < 0


def test_one_kind_alone_has_no_order() -> None:
    assert ordered(network(1, 1, 1, 1, 1, 1)) == (0, 1, 0, 0, 1)


def test_a_skipped_block_is_neither_local_nor_global() -> None:
    def skipping(*G: int) -> Arch:
        return Arch(tuple(SKIPPED if g < 0 else network(g).blocks[0] for g in G))

    assert ordered(skipping(3, 3, 3, -1, -1, -1)) == (0, 1, 0, 0, 1)
    assert ordered(skipping(3, -1, 3, -1, 3, -1)) == (0, 1, 0, 0, 1)
    trend, _, turns, _, _ = ordered(skipping(0, 0, 3, 3, -1, -1))
    assert trend > 0 and turns == 1


def test_relatives_do_not_make_an_order_surer() -> None:
    one = network(3, 0, 1, 0, 3, 1)
    assert ordered(*[one] * 20) == pytest.approx(ordered(one))


# Elites


def record(number: int, accuracy: float, macs: int, arch: Arch) -> Record:
    return Record(
        number=number, generation=0, arch=arch, accuracy=accuracy, loss=1.0, macs=macs, params=1,
        seconds=0.0,
    )  # fmt: skip


CONDITIONS = Conditions(
    space=STAGE1, scorer={}, budget=FREE.flops, objective="flops", seed=0, population=2,
    proposer="nsga2",
)  # fmt: skip
SEARCHED = StageStudy(
    run=Run(Path("run"), load_preset("digits"), "", "run"),
    number=1,
    attrs=as_json(CONDITIONS),
    records=(
        record(0, 0.9, 10, network(3, 3, 3, 3, 3, 3)),
        record(1, 0.8, 20, network(0, 0, 0, 0, 0, 0)),
        record(2, 0.7, 5, network(1, 1, 1, 1, 1, 1)),
    ),
)


@pytest.mark.parametrize(
    ("rule", "words", "kinds"),
    [
        ("top", "the 2 of highest score", (6, 0, 6)),
        ("front", "the 2 on the Pareto front", (6, 6, 0)),
        ("retrained", "the 1 trained alone", (0, 0, 6)),
    ],
)
def test_who_the_elites_are(rule: str, words: str, kinds: tuple[int, ...]) -> None:
    findings = find(SEARCHED, rule, retrained={network(0, 0, 0, 0, 0, 0)})
    assert findings is not None
    assert (findings.of, findings.elites, findings.trials) == ("stage1", words, 3)
    assert tuple(share.count for share in findings.kinds) == kinds
    assert findings.importances is None  # of three trials


def test_nobody_was_retrained() -> None:
    assert find(SEARCHED, "retrained") is None


def test_an_unknown_rule_is_told() -> None:
    with pytest.raises(InputError, match="one of top, front, retrained, got 'best'"):
        find(SEARCHED, "best")
