"""Counts of multiply-accumulates: published ones, and thop as a second count of the exact ones."""

from __future__ import annotations

import math
from typing import Any

import pytest
import thop
import torch
from hypothesis import given, settings
from torch import nn

from hnas.architecture import layout
from hnas.architecture.arch import SKIPPED
from hnas.architecture.stem import convolutions, layers
from hnas.cost.conventions import (
    BUDGETS,
    CONVENTIONS,
    block_macs,
    macs_by_part,
    most_exact,
)
from hnas.cost.flops import cost
from hnas.errors import InputError
from hnas.network.block import Block
from hnas.network.glit import Glit
from hnas.network.linear import Hidden, Linear
from hnas.network.local.conv1d import TokenConv1d
from hnas.network.local.conv2d import PatchConv2d
from hnas.network.thop_twin import Textbook
from tests.support.generators import spaces_and_archs
from tests.support.references import glit_tiny, published


@pytest.mark.parametrize(
    ("convention", "count"),
    [("exact", 1_472_873_280), ("glit", 1_332_470_592), ("thop", 1_383_116_928)],
)
def test_glit_tiny_as_released(convention: str, count: int) -> None:
    assert sum(macs_by_part(published(192), glit_tiny(), convention)) == count


@pytest.mark.parametrize(
    ("d", "params", "exact", "seen"),
    [
        (192, 5_717_416, 1_253_683_200, 1_078_633_728),
        (384, 22_050_664, 4_598_882_304, 4_248_783_360),
        (768, 86_567_656, 17_563_828_224, 16_863_630_336),
    ],
)
def test_deit(d: int, params: int, exact: int, seen: int) -> None:
    frame = published(d)
    arch = frame.all_global()
    assert cost(frame, arch).params == params
    assert [sum(macs_by_part(frame, arch, c)) for c in CONVENTIONS] == [exact, exact, seen]


@settings(max_examples=50)
@given(spaces_and_archs())
def test_what_thop_misses_and_what_it_adds(drawn) -> None:
    """Part by part: no attention products, but 4 operations for each number that is normed."""
    space, arch = drawn
    frame = space.frame
    exact, seen = (macs_by_part(frame, arch, c) for c in ("exact", "thop"))
    for i, block in enumerate(arch.blocks):
        s = layout.sizes(frame, block)
        attention = 2 * frame.T**2 * s["H"] * s["h"]
        normed = frame.T * 2 * frame.d * (block != SKIPPED)
        if frame.local == "attention":
            attention += 2 * frame.T**2 * s["E"] * s["Cl"]
        else:
            normed += frame.T * s["E"] * s["Cl"]
        assert seen[i] == exact[i] - attention + 4 * normed
    stem = convolutions(layers(frame)) if frame.stem != "patch" else ()
    normed = frame.T * frame.d + sum(one.side**2 * one.outputs for one in stem)
    assert seen[-1] == exact[-1] + 4 * normed


def free(m: nn.Module, inputs: Any, output: Any) -> None:
    """thop's rule for a layer that the exact count leaves out."""


def convolved(m: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
    m.total_ops += output.numel() * m.weight[0].numel()


def convolved_patches(m: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
    grid = math.isqrt(output.shape[1]) ** 2
    m.total_ops += output[:, :grid].numel() * m.weight[0].numel()


def block(m: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
    """thop does not look into a module that has a rule: its layers are added to what they miss."""
    m.total_ops += sum(part.total_ops for part in m.children())
    B, T, _ = output.shape
    attending = ("qkv", "expand") if m.frame.local == "attention" else ("qkv",)
    for part in (m.get_submodule(name) for name in attending if hasattr(m, name)):
        m.total_ops += 2 * B * T * T * part.out_features // 3


RULES = {
    nn.LayerNorm: free,
    nn.BatchNorm1d: free,
    nn.BatchNorm2d: free,
    Linear: convolved,
    Hidden: convolved,
    TokenConv1d: convolved,
    PatchConv2d: convolved_patches,
    Block: block,
}


@settings(max_examples=50)
@given(spaces_and_archs())
def test_thop_with_rules_for_the_rest_counts_as_cost_does(drawn) -> None:
    space, arch = drawn
    frame = space.frame
    images = torch.zeros(1, frame.channels, frame.image, frame.image)
    found, _ = thop.profile(Glit(frame, arch), (images,), custom_ops=RULES, verbose=False)
    assert found == cost(frame, arch).macs == sum(macs_by_part(frame, arch, "exact"))


@settings(max_examples=25)
@given(spaces_and_archs())
def test_the_textbook_s_network_computes_the_same(drawn) -> None:
    space, arch = drawn
    net = Glit(space.frame, arch).reset(0).eval().double()
    twin = Textbook(space.frame, arch).eval().double()
    inner = "depthwise.inner." if space.frame.local == "conv2d" else "depthwise.1."
    state = {k.replace("depthwise.", inner): v for k, v in net.state_dict().items()}
    twin.load_state_dict(state)
    images = torch.randn(
        2,
        space.frame.channels,
        space.frame.image,
        space.frame.image,
        dtype=torch.float64,
        generator=torch.Generator().manual_seed(0),
    )
    torch.testing.assert_close(twin(images), net(images), rtol=0, atol=1e-9)


@given(spaces_and_archs())
def test_no_network_has_more_than_half_as_much_again_as_the_release_counts(drawn) -> None:
    """And an all-global one exactly as much."""
    space, arch = drawn
    frame = space.frame
    exact, glit = (sum(macs_by_part(frame, arch, name)) for name in BUDGETS)
    assert glit <= exact <= most_exact(glit, "glit") and most_exact(exact, "exact") == exact
    gates = [
        (block.E or 0) * frame.T * (frame.d * block.L // frame.N) ** 2 for block in arch.blocks
    ]
    assert exact - glit == (0 if frame.local == "attention" else sum(gates))
    plain = frame.all_global()
    assert len({sum(macs_by_part(frame, plain, name)) for name in BUDGETS}) == 1


def test_a_convention_that_is_none() -> None:
    frame = published(192)
    with pytest.raises(InputError, match="must be one of exact, glit, thop, got 'fvcore'"):
        macs_by_part(frame, frame.all_global(), "fvcore")
    with pytest.raises(InputError, match="of a budget must be one of exact, glit, got 'thop'"):
        block_macs(frame, "thop")
