"""conv1d: a depthwise convolution over all tokens, a class token among them (the paper's)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hnas.network.local.convolution import convolution
from hnas.network.local.layouts import USUAL, Convolve, layout


def depthwise1d(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Depthwise 1-D convolution, "same" zero padding: x (B, T, C), weight (C, 1, K) -> (B, T, C),
    in the layout of LAYOUTS that is chosen for the device and size."""
    return layout(x, weight, LAYOUTS)(x, weight, bias)


def channels_last(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Tokens (B, T, C) are in memory a channels-last image, and so convolved without a transpose:
    on a CPU several times faster than nn.Conv1d over (B, C, T). The image is T high and 1 wide:
    oneDNN has fast gradients of kernels that are at most 3 wide, and of any height.
    """
    K = weight.shape[-1]
    image = x.unsqueeze(2).permute(0, 3, 1, 2)
    y = F.conv2d(image, weight.unsqueeze(3), bias, padding=(K // 2, 0), groups=weight.shape[0])
    return y.permute(0, 2, 3, 1).squeeze(2)


def channels_first(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Over (B, C, T), copied: PyTorch has its own kernels for it on a GPU."""
    tokens = x.transpose(1, 2).contiguous()
    y = F.conv1d(tokens, weight, bias, padding=weight.shape[-1] // 2, groups=weight.shape[0])
    return y.transpose(1, 2)


def fourier(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """By FFT over the tokens, in float32."""
    T, K = x.shape[1], weight.shape[-1]
    n = T + K - 1
    kernel = weight.squeeze(1).flip(-1).t().float()
    spectrum = torch.fft.rfft(x.float(), n, dim=1) * torch.fft.rfft(kernel, n, dim=0)
    y: Tensor = torch.fft.irfft(spectrum, n, dim=1)
    return (y[:, K // 2 : K // 2 + T] + bias.float()).to(x.dtype)


def by_triton(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """By a kernel of our own. Raises ImportError where Triton is not installed."""
    from hnas.network.local.conv1d_triton import convolve

    return convolve(x, weight, bias)


LAYOUTS: dict[str, Convolve] = {
    USUAL: channels_last,
    "channels-first": channels_first,
    "FFT": fourier,
    "Triton": by_triton,
}


class TokenConv1d(nn.Conv1d):
    """nn.Conv1d's weights, applied to (B, T, C)."""

    def forward(self, input: Tensor) -> Tensor:
        assert self.bias is not None
        return depthwise1d(input, self.weight, self.bias)


class Transpose(nn.Module):
    """(B, T, C) -> (B, C, T) and back."""

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


def textbook(plain: nn.Module) -> nn.Module:
    """An nn.Conv1d over (B, C, T)."""
    return nn.Sequential(Transpose(), plain, Transpose())


CONV1D = convolution(TokenConv1d, depthwise1d, nn.Conv1d, textbook, LAYOUTS)
