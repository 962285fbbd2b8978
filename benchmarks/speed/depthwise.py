"""Ways to convolve tokens (B, T, C) depthwise with "same" padding, forward and backward.

Each takes x (B, T, C), weight (C, 1, K) and bias (C,), and gives (B, T, C). `CANDIDATES` has them
by name; the first is what the networks use, `hnas.network.local.conv1d`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from hnas.network.local.conv1d import depthwise1d

Convolve = Callable[[Tensor, Tensor, Tensor], Tensor]


def lying(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A channels-last image of height 1; the networks' has width 1."""
    image = x.transpose(1, 2).unsqueeze(2)
    pad = (0, weight.shape[-1] // 2)
    y = F.conv2d(image, weight.unsqueeze(2), bias, padding=pad, groups=len(weight))
    return y.squeeze(2).transpose(1, 2)


def textbook(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """nn.Conv1d over (B, C, T)."""
    pad = weight.shape[-1] // 2
    return F.conv1d(x.transpose(1, 2), weight, bias, padding=pad, groups=len(weight)).transpose(
        1, 2
    )


def fourier(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """By FFT over the tokens, in float32."""
    T, K = x.shape[1], weight.shape[-1]
    n = T + K - 1
    kernel = weight.squeeze(1).flip(-1).t().float()
    y = torch.fft.irfft(
        torch.fft.rfft(x.float(), n, dim=1) * torch.fft.rfft(kernel, n, dim=0), n, dim=1
    )
    return (y[:, K // 2 : K // 2 + T] + bias.float()).to(x.dtype)


def toeplitz(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A T x T matrix a channel, out of its kernel, times all images' tokens."""
    T, K = x.shape[1], weight.shape[-1]
    padded = F.pad(weight.squeeze(1), (T - 1, T - 1))
    # Row t of a channel's matrix is its kernel, shifted so that its centre meets token t.
    start = T - 1 + K // 2 - torch.arange(T, device=x.device)
    matrix = padded[:, start[:, None] + torch.arange(T, device=x.device)]
    y = torch.bmm(matrix, x.permute(2, 1, 0))
    return y.permute(2, 1, 0) + bias


CANDIDATES: dict[str, Convolve] = {
    "channels-last conv2d": depthwise1d,
    "the same, height 1": lying,
    "nn.Conv1d": textbook,
    "FFT": fourier,
    "Toeplitz": toeplitz,
}


def triton_candidate() -> Convolve:
    """A kernel of its own. Raises ImportError where Triton is not installed."""
    if importlib.util.find_spec("triton") is None:
        raise ImportError("Triton is not installed")
    from benchmarks.speed.depthwise_triton import convolve

    return convolve
