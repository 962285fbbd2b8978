"""Plans for pretrained weights: the network is theirs, a budget cuts it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hnas.architecture.arch import SKIP, Block
from hnas.architecture.space import Frame
from hnas.data import Survey
from hnas.errors import BudgetError, InputError
from hnas.studies.plan.budget import Asked, Budget, average
from hnas.studies.plan.fine_tuning import Start
from hnas.studies.plan.limits import LIMITS
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.proposal import grid, propose
from hnas.studies.plan.strategies import from_scratch
from hnas.studies.plan.toml import from_toml

PHOTOS = Survey(images=600, classes=5, side=100, channels=1, own_test=False)
DEIT = Frame(image=224, channels=3, patch=16, classes=1000, d=192, M=12, N=3, activation="gelu")
START = Start(
    file="/deit.pth",
    frame=DEIT,
    block=Block(G=3, L=0, d_k=192, d_z=4),
    mean=(0.5,) * 3,
    std=(0.5,) * 3,
    taken=("activation gelu",),
)


def proposed(start: Start = START, device: str = "cpu", **asked: str) -> Plan:
    return propose(PHOTOS, "photos", device=device, asked=Asked(**asked), start=start).plan


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_network_is_that_of_the_weights_in_the_plan_s_images(device: str) -> None:
    plan, usual = proposed(device=device), propose(PHOTOS, "photos", device=device).plan
    local, (_, patch) = usual.net, grid(PHOTOS.side, LIMITS[device])
    assert plan.net == replace(DEIT, image=local.image, patch=patch, classes=5, local=local.local)
    assert not plan.retrain.distillation.teacher  # a CNN from scratch knows less
    assert (plan.data.mean, plan.data.std) == ((0.5,) * 3, (0.5,) * 3)
    assert plan.pretrained.file == "/deit.pth"
    assert (plan.stage1.d_k, plan.stage1.d_z) == (192, 4)
    assert (plan.stage2.d_k, plan.stage2.d_z) == ((96, 192), (1, 2, 3, 4))
    for rules in (plan.stage1.training, plan.stage2.training, plan.retrain.training):
        assert rules.layer_decay < 1 and rules.epochs < usual.stage1.training.epochs
    assert plan.stage1.training.head_warmup > 0
    assert plan.retrain.start == "supernet"


def test_the_plan_is_written_with_its_reasons() -> None:
    proposal = propose(PHOTOS, "photos", device="cpu", start=START)
    assert from_toml(proposal.toml()) == proposal.plan
    assert proposal.taken == ("activation gelu",)
    reasons = dict(proposal.reasons)
    assert reasons["net.d 192, M 12"] == "of the pretrained weights, with FFNs of 4 x d in stage 1"


def test_a_network_from_scratch_is_trained_as_such() -> None:
    rules = from_scratch(proposed()).training
    assert (rules.layer_decay, rules.head_warmup) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("share", "cut"),
    [
        ("100%", (12, 192, 4, False)),
        ("70%", (12, 192, 2, False)),
        ("40%", (12, 96, 1, False)),
        ("30%", (12, 96, 1, True)),
        ("20%", (8, 96, 1, True)),
    ],
)
def test_a_budget_cuts_ffns_then_queries_then_depth(share: str, cut: tuple[int, ...]) -> None:
    plan = proposed(flops=share)
    assert plan.net.d == 192
    assert (plan.net.M, plan.stage1.d_k, plan.stage1.d_z, plan.stage1.skip) == cut
    blocks = [block.G for block in plan.space1().blocks]
    assert blocks == [(0, 1, 2, 3)] + [(SKIP, 0, 1, 2, 3) if cut[-1] else (0, 1, 2, 3)] * (
        plan.net.M - 1
    )


@settings(max_examples=10, deadline=None)
@given(st.floats(0.05, 1.2), st.floats(0.05, 1.2))
def test_what_is_cut_leaves_half_of_the_distributions_room(flops: float, params: float) -> None:
    plan = proposed(flops=f"{100 * flops:.2f}%", params=f"{100 * params:.2f}%")
    asked = Budget(flops=plan.search.flops, params=plan.search.params)
    mean = average(plan, plan.net, asked)
    assert mean.flops <= plan.search.flops and mean.params <= plan.search.params


def test_a_budget_below_one_block_is_refused() -> None:
    with pytest.raises(BudgetError, match="flops"):
        proposed(flops="1%")


def test_one_start_is_enough() -> None:
    plan = proposed()
    with pytest.raises(InputError, match=r"give one of them, got '/deit.pth' and 'net'"):
        replace(plan, stage1=replace(plan.stage1, init_from="net"))


def test_other_sizes_of_the_weights_are_kept() -> None:
    start = replace(START, block=Block(G=3, L=0, d_k=99 * 3, d_z=2))
    plan = proposed(start)
    assert (plan.stage1.d_k, plan.stage1.d_z) == (297, 2)
    assert (plan.stage2.d_k, plan.stage2.d_z) == ((297,), (1, 2))
