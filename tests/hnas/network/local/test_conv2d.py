"""conv2d against loops over patches, values and gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from hnas.architecture.arch import Block as Choice
from hnas.network.block import local
from hnas.network.local.conv2d import convolved, depthwise2d
from tests.support.local_heads import SIDES_AND_KERNELS, assert_same, head, normal
from tests.support.references import convolved_by_loops


@pytest.mark.parametrize(("side", "K"), SIDES_AND_KERNELS)
def test_depthwise2d_convolves_the_patches_and_passes_the_class_token(side: int, K: int) -> None:
    B, C = 2, 3
    x, weight, bias = normal(B, side**2 + 1, C), normal(C, 1, K, K, seed=2), normal(C, seed=3)
    ours = depthwise2d(x, weight, bias)
    patches = x[:, 1:].reshape(B, side, side, C)
    grid = torch.stack([convolved_by_loops(image, weight, bias) for image in patches])
    assert_same(ours[:, 1:], grid.reshape(B, -1, C), [x, weight, bias])
    assert torch.equal(ours[:, 0], x[:, 0])
    assert torch.equal(depthwise2d(x[:, 1:], weight, bias), ours[:, 1:])  # without a class token


SLOW = {(5, 5): True, (9, 5): True, (10, 7): True, (11, 11): True, (6, 11): True, (8, 3): False}
"""By (side, K): whether oneDNN is slow to find the kernel's gradient; larger than the grid once."""


@pytest.mark.parametrize(("side", "K"), SLOW)
def test_faster_gradients_are_those_of_pytorch(side: int, K: int) -> None:
    """The kernel's in strips of three columns, or by products of patches if it is larger than the
    grid."""
    x, weight, bias = normal(3, side**2, 4), normal(4, 1, K, K, seed=2), normal(4, seed=3)
    ours = depthwise2d(x, weight, bias)
    assert ("_Grid" in type(ours.grad_fn).__name__) is SLOW[side, K]
    assert_same(ours, convolved(x, weight, bias), [x, weight, bias])


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
