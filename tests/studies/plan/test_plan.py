"""Plans: spaces, budgets, and the plans of the paper."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import replace
from pathlib import Path

import pytest

from hnas.architecture.arch import Arch, Block
from hnas.cost.latency_table import LatencyTable
from hnas.errors import BudgetError, InputError
from hnas.settings import AugmentRules, DistillationRules, TrainingRules
from hnas.studies.plan.budget import Asked, fit
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.toml import from_toml, load_plan, load_preset, to_toml
from tests.support.plans import MINIMAL, edited


def test_a_budget_that_nothing_fits_is_told_at_once() -> None:
    with pytest.raises(BudgetError) as caught:
        from_toml(edited("[net]", 'search = { flops = "1K" }\n[net]'))
    assert re.fullmatch(
        r"stage1: no architecture of the space fits flops 1,000 \(multiply-accumulates\): "
        r"the smallest needs [\d,]+, the largest [\d,]+\. Raise flops to at least \d+",
        str(caught.value),
    )


def test_a_kernel_that_the_grid_has_no_room_for() -> None:
    text = MINIMAL.replace("[net]", '[net]\nlocal = "attention"')
    with pytest.raises(InputError) as caught:
        from_toml(text)
    assert str(caught.value) == (
        "stage1.K must be at most 7 if local = 'attention': it is in patches a side, and in a "
        "grid of 4 x 4 there are none farther off; got 17"
    )
    fits = text.replace("K = 17", "K = 5").replace("K = [9, 17]", "K = [3, 5, 7]")
    assert from_toml(fits).net.local == "attention"
    assert from_toml(to_toml(from_toml(fits))) == from_toml(fits)


@pytest.mark.parametrize("slow", [0, 3])
def test_the_usual_latency_is_that_of_the_slower_of_all_global_and_the_mean(slow: int) -> None:
    """Of stage 1's networks, whose blocks take 10 ns each, or 50 with `slow` global groups."""
    plan = load_preset("digits")
    blocks = [block for row in plan.space1().choices for block in row]
    times = {block: 50 if slow == block.G else 10 for block in blocks}
    table = LatencyTable(batch=1, shared=7, blocks=times, spread=0.0, plain={}, whole=())
    search = dataclasses.replace(plan.search, objective="latency")
    latency = dataclasses.replace(plan, search=search).costs(table).latency
    assert {len(row) for row in plan.space1().choices} == {4}
    assert latency == 7 + plan.net.M * (50 if slow == plan.net.N else (50 + 3 * 10) // 4)


@pytest.mark.parametrize("local", ["conv2d", "attention"])
def test_the_documents_plans_are_glit_tiny_but_for_the_local_head(root: Path, local: str) -> None:
    ours, tiny = load_plan(root / f"docs/glit-tiny-{local}.toml"), load_preset("glit-tiny")
    assert ours.net == dataclasses.replace(tiny.net, local=local)
    for stage in ("stage1", "stage2"):
        for size in ("d_k", "d_z", "E"):
            assert getattr(getattr(ours, stage), size) == getattr(getattr(tiny, stage), size)
    assert ours.search == tiny.search


@pytest.mark.parametrize(
    ("name", "budget"),
    [("glit-tiny", 1_340_000_000), ("glit-small", 4_450_000_000), ("glit-base", 17_500_000_000)],
)
def test_the_paper_s_plans(name: str, budget: int) -> None:
    plan = load_preset(name)
    assert plan.space2().index_tuples == 324**12
    assert plan.space2().distinct == 198**12
    assert plan.space1().distinct == 4**12
    assert plan.budget() == budget
    assert plan.net.d // (plan.net.N * plan.net.heads) == 64  # as DeiT's heads
    assert (plan.stage2.trials, plan.stage2.population) == (1000, 50)


@pytest.mark.parametrize("name", ["glit-tiny", "glit-small", "glit-base"])
def test_the_paper_s_networks_are_retrained_as_deit(name: str) -> None:
    """2012.12877, table 9; the averaging's decay, the crop and the initial weights from its code,
    the clipping from the README of GLiT's release."""
    plan = load_preset(name)
    assert (plan.stage1.training.initial, plan.stage2.training.initial) == ("deit", "deit")
    rules = plan.retrain
    assert rules.training == TrainingRules(
        epochs=300, batch=1024, lr=5e-4 * 1024 / 512, warmup=0.0167, weight_decay=0.05,
        label_smoothing=0.1, dropout=0.0, drop_path=0.1, ema=0.99996, clip=1.0,
        mixup=0.8, cutmix=1.0, repeats=3, micro_batch=128, initial="deit",
    )  # fmt: skip
    assert rules.augment == AugmentRules(
        crop=0.08, flip=True, randaugment=9.0, randaugment_std=0.5, randaugment_ops=2,
        erase=0.25, erase_noise=True, randaugment_outside="mean",
    )  # fmt: skip
    assert (plan.data.interpolation, plan.data.crop_pct) == ("bicubic", 224 / 256)
    assert not rules.distillation.teacher  # GLiT's are not distilled


def test_stage_1_is_free_in_the_distribution_alone() -> None:
    space = from_toml(MINIMAL).space1()
    assert space.distinct == 4**2
    assert space.frame.all_global() in space


def test_stage_2_keeps_the_distribution() -> None:
    plan = from_toml(MINIMAL)
    distribution = Arch((Block(G=3, L=0, d_k=48, d_z=4), Block(G=0, L=3, d_z=4, E=1, K=17)))
    space = plan.space2(distribution)
    assert [block.G for block in space.blocks] == [(3,), (0,)]
    assert space.distinct == (2 * 2) * (2 * 2 * 2)
    assert distribution in space


def test_the_budget_is_the_all_global_network_s_unless_given() -> None:
    # The count by hand: per block 12 d^2 T + 2 T^2 d, patches, classifier.
    assert from_toml(MINIMAL).budget() == 2 * (12 * 48**2 * 17 + 2 * 17**2 * 48) + 16 * 4 * 48 + 480
    assert from_toml(edited("[net]", 'search = { flops = "1.5M" }\n[net]')).budget() == 1_500_000


def test_stage_2_chooses_by_kind_of_block() -> None:
    def own(text: str) -> str:
        return edited("E = [1, 2]", f"E = [1, 2]\n{text}")

    plan = from_toml(own("mixed = { K = [17], d_k = [48] }\nlocal = { d_z = [4] }"))
    assert (plan.stage2.mixed.K, plan.stage2.local.d_z) == ((17,), (4,))
    found = {(b.kind, b.d_z, b.K) for choices in plan.space2().choices for b in choices}
    assert {K for kind, _, K in found if kind == "mixed"} == {17}
    assert {d_z for kind, d_z, _ in found if kind == "local"} == {4}
    assert {d_z for kind, d_z, _ in found if kind == "global"} == {2, 4}
    assert from_toml(to_toml(plan)) == plan
    half = fit(plan, Asked(flops="40%").of(plan.net))
    assert half.stage2.mixed.d_k == (half.net.d,) and half.net.d < 48
    for wrong, message in (
        ("mixed = { d_z = [2] }", "stage2.mixed.d_z must reach stage1.d_z = 4"),
        ("local = { d_k = [48] }", "stage2.local.d_k has no meaning"),
        ("local = { K = [4] }", "stage2.K must be odd"),
    ):
        with pytest.raises(InputError, match=re.escape(message)):
            from_toml(own(wrong))


@pytest.mark.parametrize(
    ("teacher", "stem", "d", "objective", "gives"),
    [
        ("cnn", True, 48, "flops", True),
        ("cnn", False, 48, "flops", False),
        ("net", True, 48, "flops", False),
        ("", True, 48, "flops", False),
        ("cnn", True, 60, "flops", False),  # other channels
        ("cnn", True, 48, "latency", False),
        ("cnn", True, 48, "both", False),
    ],
)
def test_when_the_teacher_gives_its_stem(
    tiny: Plan, teacher: str, stem: bool, d: int, objective: str, gives: bool
) -> None:
    net = replace(tiny.net, d=d, stem="residual", patch=2, pool="mean")
    rules = DistillationRules(teacher=teacher, stem=stem)
    plan = replace(
        tiny,
        net=net,
        search=replace(tiny.search, objective=objective),
        retrain=replace(tiny.retrain, distillation=rules),
    )
    assert plan.gives_stem == gives
