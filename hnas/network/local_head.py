"""How a local head mixes tokens, by `Frame.local`: three ways, on the same tokens.

B images, T tokens (the class token, then a square of patches by rows), C channels, K kernel.

    conv1d      a depthwise convolution over all tokens, K of them; the class token is one of them
    conv2d      a depthwise convolution over the grid of patches, K x K of them
    attention   each patch attends to the patches of the K x K around it that are in the grid

conv2d and attention pass the class token aside: its own row is not convolved, it attends to itself
alone, and no patch sees it. Only global groups then bring it news of the image.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def depthwise1d(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Depthwise 1-D convolution, "same" zero padding: x (B, T, C), weight (C, 1, K) -> (B, T, C).

    Tokens (B, T, C) are in memory a channels-last image of height 1, and so convolved without a
    transpose: several times faster than nn.Conv1d over (B, C, T).
    """
    K = weight.shape[-1]
    image = x.transpose(1, 2).unsqueeze(2)
    y = F.conv2d(image, weight.unsqueeze(2), bias, padding=(0, K // 2), groups=weight.shape[0])
    return y.squeeze(2).transpose(1, 2)


def depthwise2d(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Depthwise 2-D convolution of the patches, "same" zero padding; the class token stays as it
    is: x (B, T, C), weight (C, 1, K, K) -> (B, T, C). Patches are a channels-last image too.
    """
    side, K = math.isqrt(x.shape[1] - 1), weight.shape[-1]
    image = x[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
    y = F.conv2d(image, weight, bias, padding=K // 2, groups=weight.shape[0])
    return torch.cat((x[:, :1], y.permute(0, 2, 3, 1).flatten(1, 2)), dim=1)


DEPTHWISE = {"conv1d": depthwise1d, "conv2d": depthwise2d}
"""By `Frame.local`: (x, weight, bias) -> tokens."""


def window(side: int, K: int, device: torch.device) -> Tensor:
    """Which token (row) sees which (column) in local attention: booleans (T, T).

    Made anew at every use: a few operations on T x T bytes, and no cache to keep right.
    """
    at = torch.arange(side, device=device)
    near = (at[:, None] - at).abs() <= K // 2
    patches = (near[:, None, :, None] & near[None, :, None, :]).reshape(side**2, side**2)
    itself = torch.eye(side**2 + 1, dtype=torch.bool, device=device)
    return F.pad(patches, (1, 0, 1, 0)) | itself  # the class token comes first


class TokenConv1d(nn.Conv1d):
    """nn.Conv1d's weights, applied to (B, T, C)."""

    def forward(self, input: Tensor) -> Tensor:
        assert self.bias is not None
        return depthwise1d(input, self.weight, self.bias)


class PatchConv2d(nn.Conv2d):
    """nn.Conv2d's weights, applied to the patches of (B, T, C)."""

    def forward(self, input: Tensor) -> Tensor:
        assert self.bias is not None
        return depthwise2d(input, self.weight, self.bias)


CONVOLUTIONS: dict[str, type[TokenConv1d | PatchConv2d]] = {
    "conv1d": TokenConv1d,
    "conv2d": PatchConv2d,
}
"""By `Frame.local`: PyTorch's layers, made as these are, for (B, T, C)."""
