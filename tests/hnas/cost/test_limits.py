"""Limits on cost: what is drawn is within all of them, and what nothing fits is told."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame, distribution_space
from hnas.cost.flops import cheapest, cost, dearest
from hnas.cost.limits import check_within, flops_limit, latency_limit, sample_within
from hnas.errors import BudgetError
from tests.support.fake_latency import fake_table
from tests.support.generators import spaces
from tests.support.references import published


@settings(deadline=None)
@given(spaces(), st.floats(0, 1), st.integers(0, 2**32))
def test_sampling_within_a_budget_never_exceeds_it(space, share, seed):
    least = cost(space.frame, cheapest(space)).macs
    most = cost(space.frame, dearest(space)).macs
    budget = least + int(share * (most - least))
    arch = sample_within(space, (flops_limit(space.frame, budget),), np.random.default_rng(seed))
    assert arch in space
    assert cost(space.frame, arch).macs <= budget


def test_sampling_within_a_tight_budget_reaches_every_arch_that_fits():
    frame = Frame(image=8, channels=1, patch=4, classes=2, d=12, M=3, N=3)
    space = distribution_space(frame, d_k=12, d_z=4, E=4, K=9)
    archs = [Arch(blocks) for blocks in itertools.product(*space.choices)]
    costs = sorted(cost(frame, arch).macs for arch in archs)
    budget = costs[len(costs) // 8]
    fitting = {arch for arch in archs if cost(frame, arch).macs <= budget}
    rng = np.random.default_rng(0)
    limits = (flops_limit(frame, budget),)
    found = {sample_within(space, limits, rng) for _ in range(2000)}
    assert found == fitting


def test_a_budget_below_the_smallest_subnet_names_both_ends():
    space = distribution_space(published(192), d_k=192, d_z=4, E=1, K=31)
    least = cost(space.frame, cheapest(space)).macs
    most = cost(space.frame, dearest(space)).macs
    with pytest.raises(BudgetError, match=f"fits flops 1,000 .*{least:,}.*{most:,}"):
        check_within(space, (flops_limit(space.frame, 1000),))
    assert check_within(space, (flops_limit(space.frame, least),)) == cheapest(space)


@settings(deadline=None)
@given(spaces(), st.floats(0, 1), st.floats(0, 1), st.integers(0, 2**32))
def test_two_limits_hold_together_or_nothing_fits(space, cheap, fast, seed):
    """Against every architecture of a small space."""
    space = replace(space, frame=replace(space.frame, M=1), blocks=space.blocks[:1])
    everything = [Arch(blocks) for blocks in itertools.product(*space.choices)]
    table = fake_table(space, seed=seed)
    macs = sorted(cost(space.frame, arch).macs for arch in everything)
    times = sorted(map(table.of, everything))
    most = macs[int(cheap * (len(macs) - 1))]
    longest = times[int(fast * (len(times) - 1))]
    limits = (flops_limit(space.frame, most), latency_limit(table, longest))
    fitting = {
        arch
        for arch in everything
        if cost(space.frame, arch).macs <= most and table.of(arch) <= longest
    }
    rng = np.random.default_rng(seed)
    if fitting:
        assert check_within(space, limits) in fitting
        assert {sample_within(space, limits, rng) for _ in range(20)} <= fitting
    else:
        with pytest.raises(BudgetError, match=r"fits flops .* and latency .*ms together"):
            sample_within(space, limits, rng)
