"""Which subnets a step sees: what each rule promises, over many steps and spaces."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest

from hnas.architecture.space import Frame, Own, distribution_space, size_space
from hnas.cost.flops import cheapest, cost, dearest
from hnas.sampling import PERIOD, RULES

FRAME = Frame(image=8, channels=1, patch=2, classes=10, d=48, M=4, N=3)
FIRST = distribution_space(FRAME, d_k=48, d_z=4, E=1, K=17)
WHOLE = size_space(FRAME, None, d_k=(24, 48, 96), d_z=(2, 4, 6), E=(1, 2, 4), K=(5, 9, 17))
SECOND = size_space(FRAME, FIRST.sample(np.random.default_rng(0)), d_k=(24, 48), d_z=(2, 4, 6),
                    E=(1, 2, 4), K=(5, 9, 17))  # fmt: skip
SPACES = (FIRST, SECOND, WHOLE)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", RULES)
def test_a_step_is_a_pure_function_of_seed_and_step(name, space):
    rule = RULES[name]
    steps = [rule.draw(space, seed=3, step=step) for step in range(80)]
    again = [rule.draw(space, seed=3, step=step) for step in reversed(range(80))]
    assert steps == again[::-1]
    assert {len(step) for step in steps} == {rule.passes(space)}
    assert all(arch in space for step in steps for arch in step)
    assert steps != [rule.draw(space, seed=4, step=step) for step in range(80)]


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("uniform", "1002d000ff92fd2f"),
        ("sandwich", "e2aada3f0fbcd5ab"),
        ("fair", "75072e5df50edd99"),
        ("near", "e6baf3287ac809eb"),
    ],
)
def test_these_subnets_for_ever(name, drawn):
    """A stored training goes on by its step: other draws would make another training of it."""
    steps = [RULES[name].draw(WHOLE, seed=0, step=step) for step in range(3)]
    text = "".join(str(arch.to_json()) for archs in steps for arch in archs)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == drawn


def test_the_passes_of_a_step():
    passes = {name: rule.passes(FIRST) for name, rule in RULES.items()}
    assert passes == {"uniform": 1, "sandwich": 4, "fair": 4, "near": 1}
    assert RULES["fair"].passes(SECOND) == 3


@pytest.mark.parametrize("step", range(20))
def test_fair_has_every_candidate_of_every_block_once_a_step(step):
    drawn = RULES["fair"].draw(FIRST, seed=0, step=step)
    for i in range(FRAME.M):
        assert sorted(arch.blocks[i].G for arch in drawn) == [0, 1, 2, 3]
    whole = RULES["fair"].draw(WHOLE, seed=0, step=step)
    assert sorted(arch.blocks[0].d_z for arch in whole)[:3] in ([2, 2, 4], [2, 4, 4], [2, 4, 6])


def test_fair_is_fair_over_many_steps_where_lists_differ_in_length():
    drawn = [arch for step in range(600) for arch in RULES["fair"].draw(WHOLE, seed=0, step=step)]
    for name in ("G", "d_z"):
        counts = Counter(getattr(arch.blocks[2], name) for arch in drawn)
        assert max(counts.values()) - min(counts.values()) < 0.1 * len(drawn) / len(counts)


def test_the_sandwich_holds_two_random_ones_between_largest_and_smallest():
    first, second, *others = RULES["sandwich"].draw(WHOLE, seed=0, step=0)
    assert (first, second) == (dearest(WHOLE), cheapest(WHOLE))
    assert len(set(others)) == 2
    assert others != list(RULES["sandwich"].draw(WHOLE, seed=0, step=1)[2:])
    assert [name for name, rule in RULES.items() if rule.distils] == ["sandwich"]


def test_near_costs_alike_and_stays_uniform():
    def macs(name):
        drawn = (RULES[name].draw(WHOLE, seed=0, step=step)[0] for step in range(20 * PERIOD))
        return np.array([cost(FRAME, arch).macs for arch in drawn])

    near, uniform = macs("near"), macs("uniform")
    assert np.abs(np.diff(near)).mean() < 0.2 * np.abs(np.diff(uniform)).mean()
    assert np.abs(np.diff(near)).max() < np.ptp(uniform) / 2  # no jump from one end to the other
    assert near.mean() == pytest.approx(uniform.mean(), rel=0.02)
    assert near.std() == pytest.approx(uniform.std(), rel=0.1)


def test_fair_deals_each_kind_of_block_its_own_candidates():
    """The seven kernels of local blocks and the two of mixed ones, all as often as each other."""
    own = {"mixed": Own(K=(3, 5)), "local": Own(K=(1, 3, 5, 7, 9, 11, 13))}
    space = size_space(FRAME, None, d_k=(FRAME.d,), d_z=(2,), E=(1,), K=(3,), **own)
    drawn = [arch for step in range(400) for arch in RULES["fair"].draw(space, seed=0, step=step)]
    assert RULES["fair"].passes(space) == 7 and all(arch in space for arch in drawn)
    for kind, kernels in (("mixed", 2), ("local", 7)):
        blocks = [block for arch in drawn for block in arch.blocks if block.kind == kind]
        counts = Counter(block.K for block in blocks)
        assert len(counts) == kernels
        assert max(counts.values()) - min(counts.values()) < 0.2 * len(blocks) / kernels
