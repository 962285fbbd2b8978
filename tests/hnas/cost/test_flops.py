from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from hnas.architecture.arch import SKIPPED, Arch
from hnas.architecture.space import Frame, distribution_space, size_space
from hnas.cost.flops import (
    CLOSE,
    cheapest,
    cost,
    costs,
    dearest,
    plain_behind,
    plain_vit,
    small_cnn_macs,
)
from hnas.network.cnn import Cnn
from hnas.network.glit import Glit
from tests.support.generators import spaces, spaces_and_archs
from tests.support.references import glit_tiny, published


def test_glit_tiny_as_released():
    found = cost(published(192), glit_tiny())
    assert (found.macs, found.params) == (1_472_873_280, 7_264_456)


@pytest.mark.parametrize(
    ("d", "params", "macs"),
    [
        (192, 5_717_416, 1_253_683_200),
        (384, 22_050_664, 4_598_882_304),
        (768, 86_567_656, 17_563_828_224),
    ],
)
def test_the_all_global_network_is_deit(d, params, macs):
    frame = published(d)
    found = cost(frame, frame.all_global())
    assert (found.params, found.macs) == (params, macs)


@settings(deadline=None)
@given(spaces_and_archs())
def test_cost_is_what_the_dispatcher_counts(drawn):
    """Invariant 2, as integers: two operations are one multiply-accumulate."""
    space, arch = drawn
    frame = space.frame
    net = Glit(frame, arch).eval()
    images = torch.zeros(1, frame.channels, frame.image, frame.image)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        net(images)
    found = cost(frame, arch)
    assert 2 * found.macs == counter.get_total_flops()
    assert found.params == sum(weight.numel() for weight in net.parameters())


@pytest.mark.parametrize(("image", "channels"), [(8, 1), (27, 3), (64, 3)])
def test_the_cost_of_the_small_cnn_is_what_the_dispatcher_counts(image, channels):
    frame = replace(published(192), image=image, patch=1, channels=channels, classes=7)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        Cnn(image=image, channels=channels, classes=7).eval()(
            torch.zeros(1, channels, image, image)
        )
    assert 2 * small_cnn_macs(frame) == counter.get_total_flops()


@settings(deadline=None)
@given(spaces_and_archs())
def test_cheapest_and_dearest_bound_every_arch(drawn):
    space, arch = drawn
    macs = cost(space.frame, arch).macs
    assert cost(space.frame, cheapest(space)).macs <= macs
    assert macs <= cost(space.frame, dearest(space)).macs


@settings(deadline=None)
@given(spaces(), st.integers(0, 2**32))
def test_costs_of_many_are_those_of_each(space, seed):
    sizes = [len(choices) for choices in space.choices]
    index = np.random.default_rng(seed).integers(sizes, size=(20, len(sizes)))
    macs, params = costs(space, index)
    for row, *found in zip(index, macs, params, strict=True):
        picked = (choices[i] for choices, i in zip(space.choices, row, strict=True))
        expected = cost(space.frame, Arch(tuple(picked)))
        assert found == [expected.macs, expected.params]


def test_a_choice_that_does_not_exist_has_no_cost():
    space = distribution_space(published(192), d_k=192, d_z=4, E=1, K=31)
    with pytest.raises(IndexError):
        costs(space, np.full((1, 12), 4))
    with pytest.raises(ValueError, match="argument 2"):
        costs(space, np.zeros((1, 11), dtype=int))


@given(st.floats(0.01, 10), st.sampled_from(["patch", "conv", "residual"]))
def test_the_plain_vit_is_the_width_nearest_in_cost(share, stem):
    """A stem's widths follow the tokens'."""
    frame = replace(published(192), stem=stem)
    target = int(share * cost(frame, frame.all_global()).macs)
    found = plain_vit(frame, target)

    def gap(other: Frame, arch: Arch) -> float:
        return abs(cost(other, arch).macs / target - 1)

    plain = [
        (other, other.all_global()) for d in range(3, 700, 3) for other in (replace(frame, d=d),)
    ]
    nearest = min(plain, key=lambda one: gap(*one))
    assert found == nearest if gap(*nearest) <= CLOSE else gap(*found) <= gap(*nearest)
    own = cost(frame, frame.all_global()).macs
    assert plain_vit(frame, own) == (frame, frame.all_global())


SMALL_CNN = Frame(
    image=32, channels=3, patch=8, classes=10, d=192, M=2, N=3, stem="residual", pool="mean"
)


@given(st.floats(0.05, 2))
def test_an_all_global_network_behind_the_same_stem_is_equal_in_cost(share):
    """Whatever its blocks cost, from a twentieth of a ViT's on."""
    bare, whole = (
        cost(SMALL_CNN, arch).macs
        for arch in (Arch((SKIPPED,) * SMALL_CNN.M), SMALL_CNN.all_global())
    )
    macs = int(bare + share * (whole - bare))
    frame, arch = plain_behind(SMALL_CNN, macs)
    assert frame == SMALL_CNN and abs(cost(frame, arch).macs / macs - 1) <= CLOSE
    [block] = set(arch.blocks) - {SKIPPED}
    assert (block.G, block.L) == (frame.N, 0)
    frame.check_arch(arch)


def test_a_vit_s_own_cost_behind_a_stem_gets_the_vit():
    own = cost(SMALL_CNN, SMALL_CNN.all_global()).macs
    assert plain_behind(SMALL_CNN, own) == (SMALL_CNN, SMALL_CNN.all_global())


def test_behind_a_stem_with_nothing_else_the_least_block_is_the_nearest():
    bare = cost(SMALL_CNN, Arch((SKIPPED,) * SMALL_CNN.M)).macs
    frame, arch = plain_behind(SMALL_CNN, bare)
    assert [(block.d_k, block.d_z) for block in arch.blocks] == [(3, 1), (None, 0)]
    assert cost(frame, arch).macs / bare - 1 > CLOSE


def test_heads_that_need_more_than_twice_the_width_still_get_a_block():
    frame = replace(SMALL_CNN, d=48, heads=40, patch=2, image=8)
    _, arch = plain_behind(frame, 10**7)
    assert {block.d_k for block in arch.blocks if block != SKIPPED} == {120}


DIGITS = Frame(image=8, channels=1, patch=2, classes=10, d=48, M=6, N=3)


@settings(deadline=None)
@given(st.floats(0, 1), st.sampled_from([DIGITS, published(192)]))
def test_an_all_global_network_is_equal_in_cost_to_whatever_is_found(share, net):
    """Within 2%, by queries and keys not far off the tokens' width."""
    sizes = {"d_z": (2, 4, 6), "E": (1, 2, 4), "K": (5, 9, 17)}
    space = size_space(net, None, d_k=(net.d // 2, net.d, 2 * net.d), **sizes)
    least, most = (cost(space.frame, find(space)).macs for find in (cheapest, dearest))
    macs = int(least + share * (most - least))
    frame, arch = plain_vit(space.frame, macs)
    assert abs(cost(frame, arch).macs / macs - 1) <= CLOSE == 0.02
    [block] = set(arch.blocks)
    assert (block.G, block.L, block.d_z) == (frame.N, 0, 4) and block.d_k is not None
    assert 2 / 3 <= block.d_k / frame.d <= 3 / 2
    assert replace(frame, d=space.frame.d) == space.frame


def test_a_cost_that_no_plain_vit_comes_near_gets_the_nearest():
    frame = Frame(image=4, channels=1, patch=4, classes=2, d=12, M=1, N=3, heads=2)
    macs = 3 * cost(replace(frame, d=6), replace(frame, d=6).all_global()).macs // 5
    found = plain_vit(frame, macs)
    assert found[0].d == 6 and cost(*found).macs / macs - 1 > CLOSE
