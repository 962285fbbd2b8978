"""Budgets: a plan keeps its width if that has room, else a width or depth that has is chosen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hnas.cost.flops import cost
from hnas.errors import BudgetError
from hnas.studies.plan.budget import ANY, Asked, Budget, changes, fit
from hnas.studies.plan.toml import PRESETS, load_preset

PLANS = {name: load_preset(name) for name in PRESETS}


def sizes(share: str, name: str = "digits", what: str = "flops") -> tuple[int, int]:
    plan = PLANS[name]
    asked = {what: share}
    net = fit(plan, Asked(**asked).of(plan.net)).net  # type: ignore[arg-type]
    return net.d, net.M


@pytest.mark.parametrize(
    ("share", "name", "what", "expected"),
    [
        ("100%", "digits", "flops", (48, 6)),
        ("90%", "digits", "flops", (48, 6)),
        ("80%", "digits", "flops", (42, 6)),
        ("40%", "digits", "flops", (30, 6)),
        ("1%", "digits", "flops", (6, 2)),
        ("250%", "digits", "flops", (48, 6)),
        ("40%", "digits", "params", (30, 6)),
        ("60%", "fashion-mnist", "flops", (48, 6)),
        ("40%", "glit-tiny", "flops", (126, 12)),
        ("40%", "glit-small", "params", (252, 12)),
    ],
)
def test_the_widest_that_leaves_room(
    share: str, name: str, what: str, expected: tuple[int, int]
) -> None:
    assert sizes(share, name, what) == expected


@given(st.sampled_from(PRESETS), st.floats(0.02, 1.5), st.floats(0.02, 1.5))
def test_half_of_the_distributions_fit_in_the_chosen_width(
    name: str, flops: float, params: float
) -> None:
    """And in no wider one; sizes of blocks follow; nothing else changes."""
    plan = PLANS[name]
    budget = Asked(flops=f"{100 * flops:.3f}%", params=f"{100 * params:.3f}%").of(plan.net)
    found = fit(plan, budget)
    assert (found.search.flops, found.search.params) == (budget.flops, budget.params)

    def fits(d: int) -> bool:
        frame = replace(found.net, d=d)
        d_k = plan.stage1.d_k * d // plan.net.d // (frame.N * frame.heads)
        s = found.stage1
        blocks = [
            frame.block(G, d_k * frame.N * frame.heads, s.d_z, s.E, s.K) for G in range(frame.N + 1)
        ]
        nets = [replace(frame.all_global(), blocks=(block,) * frame.M) for block in blocks]
        each = [cost(frame, net) for net in nets]
        return sum(one.macs for one in each) <= len(each) * (budget.flops or 0) and sum(
            one.params for one in each
        ) <= len(each) * (budget.params or 0)

    step = 2 * plan.net.N * plan.net.heads
    if found.net.M == plan.net.M:
        assert fits(found.net.d)
        assert found.net.d == plan.net.d or not fits(found.net.d + step)
    assert found.stage1.d_k == plan.stage1.d_k * found.net.d // plan.net.d
    assert found.stage2.d_k == tuple(d_k * found.net.d // plan.net.d for d_k in plan.stage2.d_k)
    kept = {name: getattr(plan, name) for name in ("net", "search", "stage1", "stage2")}
    assert replace(found, **kept) == plan


def test_the_same_budget_again_changes_nothing() -> None:
    plan = PLANS["digits"]
    budget = Asked(flops="40%", params="50%").of(plan.net)
    once = fit(plan, budget)
    assert fit(once, budget) == once and list(changes(once, once)) == []
    assert list(changes(plan, once)) == [
        "net.d 48 -> 30",
        "stage1.d_k 48 -> 30",
        "stage2.d_k 24, 48, 96 -> 15, 30, 60",
    ]


@pytest.mark.parametrize("asked", [{"flops": 10}, {"params": "12"}, {"flops": "0.001%"}])
def test_what_no_network_fits_is_told(asked: dict[str, Any]) -> None:
    plan = PLANS["digits"]
    with pytest.raises(BudgetError, match="no architecture of the space fits"):
        fit(plan, Asked(**asked).of(plan.net))


def test_what_was_asked_is_said_as_it_was_typed() -> None:
    asked = Asked(flops="40%", params=5000)
    assert (asked.given, asked.shares) == ({"flops": "40%", "params": "5000"}, {"flops": "40%"})
    assert bool(asked) and not ANY
    assert Budget(flops=10, params=2000).words() == "10 MACs and 2,000 parameters"
