"""The rules by which a plan is proposed: every survey gives a plan that can be built."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hnas.architecture.arch import SKIPPED, Arch
from hnas.architecture.stem import convolutions, layers
from hnas.cost.flops import cost, shared_cost
from hnas.data import Survey, split
from hnas.data.decode import shorter_side
from hnas.errors import BudgetError, InputError
from hnas.network.cnn import Cnn
from hnas.settings import DataRules
from hnas.studies.plan import recipe
from hnas.studies.plan.budget import ANY, Asked
from hnas.studies.plan.change import override
from hnas.studies.plan.limits import LIMITS
from hnas.studies.plan.proposal import STEM, grid, parts, propose, size
from hnas.studies.plan.toml import from_toml, load_preset
from hnas.studies.search.network import own_teacher

PHOTOS = Survey(images=3000, classes=5, side=224, channels=3, own_test=False)


@st.composite
def surveys(draw: st.DrawFn) -> Survey:
    classes = draw(st.integers(2, 1000))
    fewest = draw(st.integers(2, 2000))
    return Survey(
        images=draw(st.integers(fewest * classes, 3_000_000)),
        classes=classes,
        side=draw(st.integers(1, 4000)),
        channels=draw(st.sampled_from((1, 3))),
        own_test=draw(st.booleans()),
        packed=(packed := draw(st.booleans())),
        whole=packed and draw(st.booleans()),
    )


@given(surveys(), st.sampled_from(sorted(LIMITS)))
def test_every_survey_gives_a_plan_that_holds(survey: Survey, device: str) -> None:
    proposal = propose(survey, "photos", device=device)
    plan, net = proposal.plan, proposal.plan.net
    assert (net.classes, net.channels) == (survey.classes, survey.channels)
    squares = survey.packed and not survey.whole
    assert net.image == survey.side or (net.image < survey.side and not squares)
    assert not survey.whole or shorter_side(net.image, plan.data.crop_pct) <= survey.side
    assert net.image // net.patch <= LIMITS[device].grid
    assert plan.stage1.K in plan.stage2.K and max(plan.stage2.K) <= max(1, 2 * net.side - 1)
    assert plan.retrain.start == "supernet"
    assert plan.score.recalibration == min(256, parts(survey, plan.data)[0])
    assert plan.retrain.training.epochs < plan.stage1.training.epochs
    assert plan.stage1.training.batch <= max(2, parts(survey, plan.data)[0])
    assert plan.budget() == cost(net, net.all_global()).macs
    assert propose(survey, "photos", device=device) == proposal


@given(surveys(), st.sampled_from(sorted(LIMITS)))
def test_it_is_written_as_a_plan_with_its_reasons(survey: Survey, device: str) -> None:
    proposal = propose(survey, "photos", device=device)
    text = proposal.toml()
    assert from_toml(text) == proposal.plan
    comments = text.split("\n\n")[0].splitlines()
    assert all(line.startswith("# ") for line in comments)
    assert len(comments) == len(proposal.reasons)
    assert f"{survey.images:,} training images of {survey.classes} classes" in comments[0]


@pytest.mark.parametrize(
    ("images", "smallest", "said"),
    [
        (640, 32, ["few images"]),
        (640, 3, ["few images", "unequal classes"]),
        (20_000, 499, ["unequal classes"]),
        (20_000, 500, []),
    ],
)
def test_few_images_and_unequal_classes_are_said(
    images: int, smallest: int, said: list[str]
) -> None:
    counts = {"owl": smallest, **{str(i): images // 20 for i in range(18)}}
    counts["rest"] = images - sum(counts.values())
    found = replace(PHOTOS, images=images, classes=20, counts=counts)
    reasons = dict(propose(found, "photos", device="cpu").reasons)
    assert [name for name in reasons if name in ("few images", "unequal classes")] == said
    if "few images" in said:
        assert "32 of a class on average" in reasons["few images"]
        assert "hnas baselines --data photos" in reasons["few images"]
    if "unequal classes" in said:
        assert f"owl has {smallest} images, {images // 20:,}" in reasons["unequal classes"]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("images", "stem", "M"),
    [(640, "residual", 2), (25_000, "residual", 2), (25_100, "conv", 8)],
)
def test_few_images_get_residual_blocks(images: int, channels: int, stem: str, M: int) -> None:
    """A fifth of the images is held out: 20,000 of 25,000 train."""
    survey = replace(PHOTOS, images=images, channels=channels, own_test=True)
    plan = propose(survey, "photos", device="cuda").plan
    assert (plan.net.stem, plan.net.M) == (stem, M)
    bare = Arch((SKIPPED,) * M)
    assert (bare in plan.space1()) == (bare in plan.space2()) == (stem == "residual")
    net = propose(survey, "photos", device="cpu").plan.net  # takes 10,000
    assert (net.stem, net.M) == ("residual", 2)


@pytest.mark.parametrize("side", [32, 64])
def test_a_residual_stem_is_the_small_cnn(side: int) -> None:
    """Layer by layer, but for the shape of their weights' names."""
    net = propose(replace(PHOTOS, side=side), "photos", device="cpu").plan.net
    cnn = Cnn(image=net.image, channels=net.channels, classes=net.classes)
    theirs = [tuple(one.weight.shape) for one in cnn.modules() if isinstance(one, nn.Conv2d)]
    strides = [one.stride[0] for one in cnn.modules() if isinstance(one, nn.Conv2d)]
    ours = convolutions(layers(net))
    assert [(c.outputs, c.inputs, c.kernel, c.kernel) for c in ours] == theirs
    assert [c.stride for c in ours] == strides
    assert (net.side, net.d, net.M) == (4, 192, 2)


@pytest.mark.parametrize(("asked", "begins"), [(ANY, True), (Asked(flops="30M"), False)])
def test_it_is_said_if_the_stem_begins_with_the_small_cnn(asked: Asked, begins: bool) -> None:
    found = propose(replace(PHOTOS, side=64), "photos", device="cpu", asked=asked)
    assert found.plan.retrain.distillation.teacher == "cnn"
    assert found.plan.gives_stem == begins
    [why] = [why for what, why in found.reasons if what.startswith("retrain.start")]
    assert ("whose convolutions the stem begins with" in why) == begins


@pytest.mark.parametrize(
    ("side", "patch", "d", "M"),
    [(8, 2, 48, 3), (16, 4, 96, 2), (24, 3, 48, 3), (28, 4, 96, 3), (48, 6, 72, 3)],
)
def test_other_sides_have_as_much_of_it_as_their_patches_allow(
    side: int, patch: int, d: int, M: int
) -> None:
    """PHOTOS train a width of 48 at least; 20 classes need 72."""
    survey = replace(PHOTOS, side=side, classes=20 if side == 48 else 10)
    net = propose(survey, "photos", device="cpu").plan.net
    assert (net.patch, net.stem, net.d, net.M) == (patch, "residual", d, M)
    assert shared_cost(net).macs <= STEM * cost(net, net.all_global()).macs


@pytest.mark.parametrize(
    ("images", "side", "teacher"),
    [(640, 64, "cnn"), (25_000, 64, "cnn"), (25_100, 64, ""), (640, 8, "cnn"), (640, 7, "")],
)
def test_few_images_have_a_teacher_if_they_are_large_enough(
    images: int, side: int, teacher: str
) -> None:
    survey = replace(PHOTOS, images=images, side=side, own_test=True)
    plan = propose(survey, "photos", device="cuda").plan
    assert plan.retrain.distillation.teacher == teacher
    if teacher:
        assert plan.net.image >= recipe.SMALLEST
        own_teacher(plan.net)


def test_the_smallest_image_is_the_cnn_s() -> None:
    Cnn(image=recipe.SMALLEST, channels=1, classes=2)
    with pytest.raises(InputError, match="at least 8 pixels"):
        Cnn(image=recipe.SMALLEST - 1, channels=1, classes=2)


def test_a_stem_does_not_take_most_of_a_network() -> None:
    """Patches of 7 x 7 pixels: its blocks would be at the image's own side."""
    net = propose(replace(PHOTOS, side=56), "photos", device="cpu").plan.net
    assert (net.patch, net.stem, net.M) == (7, "conv", 6)
    kept = replace(net, stem="residual", M=3)
    assert shared_cost(kept).macs > STEM * cost(kept, kept.all_global()).macs


@pytest.mark.parametrize(
    ("flops", "stem"), [("40M", "residual"), ("8M", "residual"), ("2M", "conv")]
)
def test_a_small_budget_does_not_go_to_the_stem(flops: str, stem: str) -> None:
    net = propose(PHOTOS, "photos", device="cpu", asked=Asked(flops=flops)).plan.net
    assert (net.stem, net.M) == (stem, {"residual": 2, "conv": 6}[stem])
    if stem == "residual":
        assert shared_cost(net).macs <= STEM * cost(net, net.all_global()).macs


@given(st.integers(10_000_000, 2_000_000_000), st.sampled_from(sorted(LIMITS)))
def test_a_budget_decides_on_the_width(flops: int, device: str) -> None:
    plan = propose(PHOTOS, "photos", device=device, asked=Asked(flops=flops)).plan
    assert plan.budget() == flops
    wider = replace(plan.net, d=plan.net.d + 12)
    assert cost(wider, wider.all_global()).macs > flops
    assert plan.net.d % 6 == 0


def test_a_budget_is_told_as_it_is_counted() -> None:
    proposal = propose(PHOTOS, "photos", device="cpu", asked=Asked(flops="40M"))
    for convention, words in (("exact", "40,000,000 MACs,"), ("glit", "40,000,000 MACs (glit),")):
        reasons = dict(proposal.reasons_for(override(proposal.plan, convention=convention)))
        assert words in reasons[f"net.d {proposal.plan.net.d}, M {proposal.plan.net.M}"]


def test_images_are_as_a_pack_has_them_or_sharp() -> None:
    data = propose(PHOTOS, "photos", device="cpu").plan.data
    assert (data.background, data.interpolation) == ("white", "bicubic")
    pack = replace(PHOTOS, packed=True, background="grey", interpolation="bilinear")
    data = propose(pack, "photos", device="cpu").plan.data
    assert (data.background, data.interpolation) == ("grey", "bilinear")


def test_a_budget_that_nothing_fits() -> None:
    with pytest.raises(BudgetError, match=r"no architecture of the space fits flops 1,000"):
        propose(PHOTOS, "photos", device="cpu", asked=Asked(flops=1000))


@pytest.mark.parametrize("name", ["digits", "cifar10"])
def test_the_presets_frames_are_what_the_rules_say(name: str) -> None:
    """The rules extend what was measured, and must not contradict it. The presets have plain
    patches and blocks in the place of a residual stem's, cifar10 the paper's token and local head
    too."""
    preset = load_preset(name).net
    side, images = {"digits": (8, 1797), "cifar10": (32, 10_000)}[name]
    survey = Survey(
        images=images,
        classes=10,
        side=side,
        channels=preset.channels,
        own_test=name != "digits",
    )
    image, patch = grid(side, LIMITS["cpu"])
    d, M = size({"digits": 1_078, "cifar10": 8_000}[name], 10, LIMITS["cpu"])
    found = replace(
        propose(survey, name, device="cpu").plan.net, image=image, patch=patch, d=d, M=M
    )
    kinds = {part: getattr(preset, part) for part in recipe.KIND}
    assert name == "cifar10" or kinds == recipe.KIND
    assert replace(found, **kinds) == preset


@pytest.mark.parametrize(
    ("side", "cpu", "cuda"),
    [
        (1, (1, 1), (1, 1)),
        (8, (8, 2), (8, 2)),
        (28, (28, 4), (28, 2)),
        (32, (32, 4), (32, 4)),
        (52, (48, 6), (48, 4)),
        (500, (64, 8), (224, 16)),
    ],
)
def test_image_and_patch(side: int, cpu: tuple[int, int], cuda: tuple[int, int]) -> None:
    assert (grid(side, LIMITS["cpu"]), grid(side, LIMITS["cuda"])) == (cpu, cuda)


@pytest.mark.parametrize(
    ("trained", "classes", "expected"),
    [
        (500, 10, (48, 6)),
        (500, 20, (72, 6)),
        (500, 100, (96, 6)),
        (10_000, 10, (96, 6)),
        (50_000, 10, (144, 8)),
        (1_000_000, 1000, (192, 12)),
    ],
)
def test_width_and_blocks_on_a_gpu(trained: int, classes: int, expected: tuple[int, int]) -> None:
    assert size(trained, classes, LIMITS["cuda"]) == expected
    cpu = size(trained, classes, LIMITS["cpu"])
    assert cpu == (min(expected[0], 96), 6)


def test_what_is_held_out_is_not_trained_on() -> None:
    assert parts(PHOTOS, DataRules(held_out=0.5, test=0.5)) == (750, 750)
    assert parts(PHOTOS, DataRules(held_out=0.2, test=0.5, limit=100)) == (40, 10)
    assert parts(replace(PHOTOS, own_test=True), DataRules(held_out=0.5)) == (1500, 1500)


@pytest.mark.parametrize("own_test", [True, False])
@pytest.mark.parametrize("each", [(600,) * 5, (16, 16, 17, 18, 733)])
def test_the_parts_are_those_of_the_split(own_test: bool, each: tuple[int, ...]) -> None:
    """A class at a time is rounded: of 16 images not what all of them together would be."""
    labels, counts = np.repeat(range(5), each), dict(zip("abcde", each, strict=True))
    for limit in (0, 500):
        rules = DataRules(held_out=0.3, test=0.1, limit=limit)
        made = split(labels, rules, own_test=own_test, seed=0)
        found = parts(replace(PHOTOS, own_test=own_test, images=sum(each), counts=counts), rules)
        assert found == (len(made.train), len(made.held_out))


@pytest.mark.parametrize(
    ("found", "own_test", "held_out", "needs"),
    [(1, True, 0, 2), (2, False, 0, 3), (1, False, 0, 3)],
)
def test_a_class_too_small_to_be_divided_is_told(found, own_test, held_out, needs) -> None:
    counts = {str(i): 750 for i in range(4)}
    survey = replace(PHOTOS, own_test=own_test, held_out=held_out, counts=counts | {"cat": found})
    with pytest.raises(
        InputError, match=f"class 'cat' has {found} images, it needs at least {needs}"
    ):
        propose(survey, "photos", device="cpu")
    propose(replace(survey, counts=counts | {"cat": needs}), "photos", device="cpu")


def test_a_held_out_part_of_ones_own_is_counted() -> None:
    assert parts(replace(PHOTOS, own_test=True, held_out=70), DataRules()) == (3000, 70)
