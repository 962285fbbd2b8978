"""Ways to convolve tokens (B, T, C) depthwise with "same" padding, forward and backward.

Each takes x (B, T, C), weight (C, 1, K) and bias (C,), and gives (B, T, C). `CANDIDATES` has them
by name; the first is the usual layout of the networks, `hnas.network.local.conv1d`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from hnas.network.local.conv1d import LAYOUTS
from hnas.network.local.layouts import Convolve


def lying(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A channels-last image of height 1; the networks' has width 1."""
    image = x.transpose(1, 2).unsqueeze(2)
    pad = (0, weight.shape[-1] // 2)
    y = F.conv2d(image, weight.unsqueeze(2), bias, padding=pad, groups=len(weight))
    return y.squeeze(2).transpose(1, 2)


def toeplitz(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A T x T matrix a channel, out of its kernel, times all images' tokens."""
    T, K = x.shape[1], weight.shape[-1]
    padded = F.pad(weight.squeeze(1), (T - 1, T - 1))
    # Row t of a channel's matrix is its kernel, shifted so that its centre meets token t.
    start = T - 1 + K // 2 - torch.arange(T, device=x.device)
    matrix = padded[:, start[:, None] + torch.arange(T, device=x.device)]
    y = torch.bmm(matrix, x.permute(2, 1, 0))
    return y.permute(2, 1, 0) + bias


CANDIDATES: dict[str, Convolve] = {**LAYOUTS, "the same, height 1": lying, "Toeplitz": toeplitz}
