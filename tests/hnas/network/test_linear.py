"""Linear maps by two libraries are one map."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.profiler import ProfilerActivity, profile

from hnas.network.linear import IMAGES, LARGE, Linear, linear

SMALL = (2, 17, 48, 96)
FEW = (IMAGES - 1, 640, 48, 96)
BIG = (64, 17, 96, 96)


def kernels(size: tuple[int, int, int, int], dtype: torch.dtype = torch.float32) -> set[str]:
    B, T, inputs, outputs = size
    x, layer = torch.randn(B, T, inputs, dtype=dtype), Linear(inputs, outputs, dtype=dtype)
    with profile(activities=[ProfilerActivity.CPU]) as found, torch.inference_mode():
        layer(x)
    return {event.key for event in found.key_averages()}


@pytest.mark.parametrize("size", [SMALL, FEW, BIG])
@pytest.mark.parametrize("sliced", [False, True])
def test_it_is_the_linear_map_and_its_gradients(size, sliced: bool) -> None:
    torch.manual_seed(0)
    B, T, inputs, outputs = size
    whole = torch.randn(B, T, inputs + 16) if sliced else torch.randn(B, T, inputs)
    layer = Linear(inputs, outputs)
    towards = torch.randn(B, T, outputs)
    found = []
    for apply in (linear, F.linear):
        x = whole.clone().requires_grad_()
        y = apply(x[..., :inputs], layer.weight, layer.bias)
        assert y.shape == towards.shape and y.is_contiguous()
        found.append((y, *torch.autograd.grad(y, (x, layer.weight, layer.bias), towards)))
    for ours, theirs in zip(*found, strict=True):
        # Sums of B T products: their rounding grows with the root of how many there are.
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6 * (B * T) ** 0.5 * 4)
    assert torch.equal(layer(whole[..., :inputs]), found[0][0])


def test_it_goes_by_size_alone() -> None:
    assert BIG[0] * BIG[1] * BIG[2] * BIG[3] >= LARGE
    assert FEW[0] * FEW[1] * FEW[2] * FEW[3] >= LARGE
    assert "aten::mkldnn_convolution" in kernels(BIG)
    for size in (SMALL, FEW):
        assert "aten::addmm" in kernels(size)
        assert "aten::mkldnn_convolution" not in kernels(size)
    assert "aten::mkldnn_convolution" not in kernels(BIG, torch.float64)


def test_a_traced_network_has_linear_layers() -> None:
    B, T, inputs, outputs = BIG
    program = torch.export.export(Linear(inputs, outputs), (torch.randn(B, T, inputs),))
    called = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert "aten.linear.default" in called
    assert not {name for name in called if "conv" in name}
