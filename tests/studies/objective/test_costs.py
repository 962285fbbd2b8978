"""What is minimised and what is allowed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hnas.architecture.arch import Arch
from hnas.cost.conventions import macs_by_part
from hnas.cost.flops import cost
from hnas.cost.latency_table import LatencyTable
from hnas.errors import BudgetError, InputError
from hnas.studies.objective.costs import OBJECTIVES, Spent, measures, metrics, minimised
from hnas.studies.plan.change import override
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.quantities import parse_latency
from hnas.studies.plan.toml import from_toml, to_toml
from tests.support.fake_latency import fake_table


@pytest.fixture
def table(tiny: Plan) -> LatencyTable:
    return fake_table(tiny.space1(), tiny.space2())


def test_an_objective_says_what_is_minimised() -> None:
    spent = Spent(macs=7, params=1, latency=2_500_000)
    assert [minimised(spent, name) for name in OBJECTIVES] == [(7,), (2_500_000,), (7, 2_500_000)]
    assert metrics("both") == ["held-out accuracy", "FLOPs (MACs)", "latency (ms)"]
    assert [one.show(one.of(spent) or 0) for one in measures("both")] == ["7 MACs", "2.5 ms"]
    with pytest.raises(InputError, match="every network has a latency"):
        minimised(Spent(macs=7, params=1, latency=None), "latency")


def test_without_latency_everything_is_as_before(tiny: Plan) -> None:
    costs = tiny.costs()
    assert (costs.objective, costs.flops, costs.latency) == ("flops", tiny.budget(), None)
    assert not tiny.needs_latency
    arch = tiny.net.all_global()
    assert costs.spent(arch) == Spent(
        macs=cost(tiny.net, arch).macs, params=cost(tiny.net, arch).params, latency=None
    )


def test_what_bounds_by_default(tiny: Plan, table: LatencyTable) -> None:
    """FLOPs that nobody asked to bound forbid nothing where latency alone is minimised."""
    mean = sum(table.of(arch) for arch in everything(tiny)) / len(everything(tiny))
    only = override(tiny, objective="latency").costs(table)
    assert only.flops is None and only.latency == pytest.approx(mean, abs=tiny.net.M)
    assert only.latency > table.of(tiny.net.all_global())  # which would leave nothing else
    both = override(tiny, objective="both").costs(table)
    assert (both.flops, both.latency) == (tiny.budget(), only.latency)
    asked = override(tiny, objective="latency", flops=25_000, latency="0.25ms").costs(table)
    assert (asked.flops, asked.latency) == (25_000, 250_000)
    beside = override(tiny, latency="0.25ms").costs(table)
    assert (beside.objective, beside.flops, beside.latency) == ("flops", tiny.budget(), 250_000)


def everything(plan: Plan) -> list[Arch]:
    return [Arch(blocks) for blocks in itertools.product(*plan.space1().choices)]


def test_what_is_drawn_is_within_both_limits(tiny: Plan, table: LatencyTable) -> None:
    costs = override(tiny, objective="both").costs(table)
    rng = np.random.default_rng(0)
    for arch in {costs.sample(tiny.space2(), rng) for _ in range(50)}:
        spent = costs.spent(arch)
        assert costs.allow(arch) and arch in tiny.space2()
        assert spent.latency == table.shared + sum(map(table.block, arch.blocks))
        assert max(costs.excess(arch)) <= 0
    assert costs.words() == f"at most {costs.flops:,} MACs an image and at most " + (
        f"{(costs.latency or 0) / 1e6:.6f}".rstrip("0") + "ms for an image"
    )


def test_a_budget_by_the_release_s_count_allows_what_an_exact_one_does_not(tiny: Plan) -> None:
    rng = np.random.default_rng(0)
    free = [cost(tiny.net, tiny.space2().sample(rng)).macs for _ in range(200)]
    most = sorted(free)[150]
    plans = [override(tiny, flops=most, convention=name) for name in ("exact", "glit")]
    exact, glit = (plan.costs() for plan in plans)
    drawn = {glit.sample(tiny.space2(), rng) for _ in range(200)}
    over = [arch for arch in drawn if not exact.allow(arch)]
    assert over and all(map(glit.allow, drawn))
    for arch in drawn:
        counted = sum(macs_by_part(tiny.net, arch, "glit"))
        assert (glit.excess(arch), exact.excess(arch)) == (
            [counted - most],
            [cost(tiny.net, arch).macs - most],
        )
        assert glit.spent(arch) == exact.spent(arch)  # what is minimised is exact
        assert glit.spent(arch).macs <= glit.bounds[0]
    (macs,) = measures("flops")
    assert (exact.most(macs), glit.most(macs)) == (most, None)  # no line at an axis of exact MACs
    assert glit.words() == f"at most {most:,} MACs (glit) an image"
    assert from_toml(to_toml(plans[1])) == plans[1]
    with pytest.raises(InputError, match="convention 'thop' is unknown; Known: exact, glit"):
        override(tiny, convention="thop")


def test_a_latency_that_nothing_has_names_the_fastest(tiny: Plan, table: LatencyTable) -> None:
    costs = override(tiny, objective="latency", latency="1us").costs(table)
    fastest = min(table.of(arch) for arch in everything(tiny))
    with pytest.raises(
        BudgetError, match=f"latency 0.001ms: the fastest takes 0.{fastest:06}"[:-1]
    ):
        costs.check(tiny.space1())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2.5ms", "2.5ms"),
        ("2500 us", "2.5ms"),
        ("0.0025s", "2.5ms"),
        ("1ns", "0.000001ms"),
        ("", ""),
    ],
)
def test_times(text: str, value: str) -> None:
    assert parse_latency(text) == value


@pytest.mark.parametrize("text", ["2.5", "fast", "-1ms", "0ms", 3, "1e3ms"])
def test_what_is_no_time_is_told(text: object) -> None:
    with pytest.raises(InputError, match=r"latency must be a time with its unit, .*; got"):
        parse_latency(text)


def test_a_plan_keeps_them(tiny: Plan) -> None:
    asked = override(tiny, objective="both", latency="2500us")
    assert (asked.search.objective, asked.search.latency) == ("both", "2.5ms")
    assert from_toml(to_toml(asked)) == asked
    with pytest.raises(InputError, match="objective 'speed' is unknown; Known: flops, latency, bo"):
        override(tiny, objective="speed")
