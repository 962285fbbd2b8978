"""The three local heads against loops over tokens and patches, values and gradients."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from hnas.architecture import layout
from hnas.architecture.arch import Arch
from hnas.architecture.arch import Block as Choice
from hnas.architecture.space import LOCALS, Frame
from hnas.network.block import Block, local
from hnas.network.glit import Glit
from hnas.network.local_head import CONVOLUTIONS, DEPTHWISE, depthwise1d, depthwise2d, window
from tests.support.references import attended_by_loops, convolved_by_loops

SIDES_AND_KERNELS = [(side, K) for side in range(1, 5) for K in range(1, 2 * side, 2)]


def normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64, requires_grad=True)


def assert_same(ours: Tensor, theirs: Tensor, inputs: list[Tensor]) -> None:
    """Values, and the gradients of all inputs for a random gradient of the output."""
    torch.testing.assert_close(ours, theirs)
    above = normal(*ours.shape, seed=1).detach()
    for mine, other in zip(
        torch.autograd.grad(ours, inputs, above),
        torch.autograd.grad(theirs, inputs, above),
        strict=True,
    ):
        torch.testing.assert_close(mine, other)


def test_every_local_head_has_its_weights_and_layers() -> None:
    assert set(layout.LOCAL) == set(LOCALS)
    assert set(CONVOLUTIONS) == set(DEPTHWISE) == set(LOCALS) - {"attention"}


@settings(deadline=None)
@given(st.integers(1, 3), st.integers(1, 20), st.integers(1, 9), st.sampled_from((1, 3, 5, 17, 45)))
def test_depthwise1d_is_conv1d_over_tokens(B: int, T: int, C: int, K: int) -> None:
    x = normal(B, T, C)
    conv = nn.Conv1d(C, C, K, padding=K // 2, groups=C).double()
    expected = conv(x.transpose(1, 2)).transpose(1, 2)
    assert_same(depthwise1d(x, conv.weight, conv.bias), expected, [x, conv.weight, conv.bias])


@pytest.mark.parametrize(("side", "K"), SIDES_AND_KERNELS)
def test_depthwise2d_convolves_the_patches_and_passes_the_class_token(side: int, K: int) -> None:
    B, C = 2, 3
    x, weight, bias = normal(B, side**2 + 1, C), normal(C, 1, K, K, seed=2), normal(C, seed=3)
    ours = depthwise2d(x, weight, bias)
    patches = x[:, 1:].reshape(B, side, side, C)
    grid = torch.stack([convolved_by_loops(image, weight, bias) for image in patches])
    assert_same(ours[:, 1:], grid.reshape(B, -1, C), [x, weight, bias])
    assert torch.equal(ours[:, 0], x[:, 0])


@pytest.mark.parametrize(("side", "K"), SIDES_AND_KERNELS)
def test_a_window_is_what_is_near_on_both_axes(side: int, K: int) -> None:
    mask = window(side, K, torch.device("cpu"))
    at = [(y, x) for y in range(side) for x in range(side)]
    near = [[max(abs(a - c), abs(b - d)) <= K // 2 for c, d in at] for a, b in at]
    assert mask[1:, 1:].tolist() == near
    assert mask[0].tolist() == mask[:, 0].tolist() == [True] + [False] * side**2


def test_the_widest_window_is_the_whole_grid() -> None:
    assert window(4, 7, torch.device("cpu"))[1:, 1:].all()
    assert not window(4, 5, torch.device("cpu"))[1:, 1:].all()


def head(side: int, choice: Choice, *, local: str, heads: int = 1) -> Block:
    frame = Frame(
        image=2 * side, channels=1, patch=2, classes=2, d=12, M=1, N=3, heads=heads, local=local
    )
    return Block(frame, choice).double()


@pytest.mark.parametrize(("side", "K", "E", "heads"), [(1, 1, 1, 1), (3, 3, 2, 2), (4, 7, 1, 2)])
def test_local_attention_written_out(side: int, K: int, E: int, heads: int) -> None:
    """Patch by patch over explicit windows; E widens query, key and value."""
    choice = Choice(G=1, L=2, d_k=12, d_z=1, E=E, K=K)
    block = head(side, choice, local="attention", heads=heads)
    B, C, H, h = 2, 8, 2 * heads, E * 4 // heads
    x = normal(B, side**2 + 1, C)
    q, k, v = F.linear(x, block.expand.weight, block.expand.bias).chunk(3, dim=-1)
    assert q.shape[-1] == H * h == E * C
    images = []
    for i in range(B):
        columns = []
        for j in range(H):
            own = slice(j * h, (j + 1) * h)
            grids = [t[i, 1:, own].reshape(side, side, h) for t in (q, k, v)]
            patches = attended_by_loops(*grids, K).reshape(-1, h)
            columns.append(torch.cat((v[i, :1, own], patches)))  # the class token sees itself
        images.append(torch.cat(columns, dim=-1))
    expected = F.linear(torch.stack(images), block.project.weight, block.project.bias)
    weights = [block.get_parameter(f"{part}.weight") for part in ("expand", "project")]
    assert_same(local(x, block), expected, [x, *weights])


@pytest.mark.parametrize(("side", "K", "E"), [(1, 1, 1), (3, 5, 2), (4, 3, 1)])
def test_a_local_head_on_the_grid_written_out(side: int, K: int, E: int) -> None:
    """conv2d: as the paper's local head, with loops over the patches for its kernel."""
    block = head(side, Choice(G=1, L=2, d_k=12, d_z=1, E=E, K=K), local="conv2d")
    block.train()
    B, C = 2, 8
    x = normal(B, side**2 + 1, C)
    value, gate = F.linear(x, block.expand.weight, block.expand.bias).chunk(2, dim=-1)
    y = value * torch.sigmoid(gate)
    grids = [
        convolved_by_loops(
            image[1:].reshape(side, side, -1), block.depthwise.weight, block.depthwise.bias
        )
        for image in y
    ]
    y = torch.stack([torch.cat((i[:1], g.flatten(0, 1))) for i, g in zip(y, grids, strict=True)])
    mean, var = y.mean((0, 1)), y.var((0, 1), unbiased=False)
    y = (y - mean) / torch.sqrt(var + 1e-5) * block.norm.weight + block.norm.bias
    expected = F.linear(y * torch.sigmoid(y), block.project.weight, block.project.bias)
    weights = [block.get_parameter(f"{p}.weight") for p in ("expand", "depthwise", "project")]
    assert_same(local(x, block), expected, [x, *weights])


@pytest.mark.parametrize("kind", LOCALS)
def test_without_global_groups_only_conv1d_sees_the_image(kind: str) -> None:
    """What the module's docstring warns of: the class token meets no patch."""
    frame = Frame(image=8, channels=1, patch=2, classes=5, d=12, M=2, N=3, local=kind)
    images = normal(3, 1, 8, 8).detach().float()
    for G, sees in ((0, kind == "conv1d"), (1, True)):
        choice = Choice.of(G=G, L=3 - G, d_k=12, d_z=1, E=1, K=3)
        logits = Glit(frame, Arch((choice,) * 2)).reset(0).eval()(images)
        assert torch.equal(logits, logits[:1].expand_as(logits)) is not sees


@pytest.mark.parametrize("kind", LOCALS)
def test_a_kernel_begins_as_pytorchs_own_layers_do(kind: str) -> None:
    """Uniform within 1 / sqrt(fan in)."""
    frame = Frame(image=16, channels=1, patch=2, classes=2, d=96, M=1, N=3, local=kind)
    net = Glit(frame, Arch((Choice(G=0, L=3, d_z=1, E=4, K=5),))).reset(0)
    if kind == "attention":
        assert float(net.blocks[0].expand.weight.detach().std()) == pytest.approx(
            math.sqrt(2 / (96 + 3 * 4 * 96)), rel=0.02
        )
        return
    kernel = net.blocks[0].depthwise.weight.detach()
    bound = 1 / math.sqrt(kernel[0].numel())
    assert bound * 0.99 < float(kernel.abs().max()) <= bound
