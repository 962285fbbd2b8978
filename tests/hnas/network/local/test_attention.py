"""Local attention against loops over patches, values and gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from hnas.architecture.arch import Block as Choice
from hnas.network.block import local
from hnas.network.local.attention import window
from tests.support.local_heads import SIDES_AND_KERNELS, assert_same, head, normal
from tests.support.references import attended_by_loops


@pytest.mark.parametrize(("side", "K"), SIDES_AND_KERNELS)
def test_a_window_is_what_is_near_on_both_axes(side: int, K: int) -> None:
    mask = window(side**2 + 1, K, torch.device("cpu"))
    at = [(y, x) for y in range(side) for x in range(side)]
    near = [[max(abs(a - c), abs(b - d)) <= K // 2 for c, d in at] for a, b in at]
    assert mask[1:, 1:].tolist() == near
    assert mask[0].tolist() == mask[:, 0].tolist() == [True] + [False] * side**2
    assert window(side**2, K, torch.device("cpu")).tolist() == near  # without a class token


def test_the_widest_window_is_the_whole_grid() -> None:
    assert window(17, 7, torch.device("cpu"))[1:, 1:].all()
    assert not window(17, 5, torch.device("cpu"))[1:, 1:].all()


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
