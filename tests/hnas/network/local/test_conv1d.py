"""conv1d against nn.Conv1d, values and gradients."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hnas.network.local.conv1d import depthwise1d
from tests.support.local_heads import assert_same, normal


@settings(deadline=None)
@given(st.integers(1, 3), st.integers(1, 20), st.integers(1, 9), st.sampled_from((1, 3, 5, 17, 45)))
def test_depthwise1d_is_conv1d_over_tokens(B: int, T: int, C: int, K: int) -> None:
    x = normal(B, T, C)
    conv = nn.Conv1d(C, C, K, padding=K // 2, groups=C).double()
    expected = conv(x.transpose(1, 2)).transpose(1, 2)
    assert_same(depthwise1d(x, conv.weight, conv.bias), expected, [x, conv.weight, conv.bias])
