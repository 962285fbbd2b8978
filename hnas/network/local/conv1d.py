"""conv1d: a depthwise convolution over all tokens, a class token among them (the paper's)."""

import torch.nn.functional as F
from torch import Tensor, nn

from hnas.network.local.convolution import convolution


def depthwise1d(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Depthwise 1-D convolution, "same" zero padding: x (B, T, C), weight (C, 1, K) -> (B, T, C).

    Tokens (B, T, C) are in memory a channels-last image, and so convolved without a transpose:
    several times faster than nn.Conv1d over (B, C, T). The image is T high and 1 wide: oneDNN has
    fast gradients of kernels that are at most 3 wide, and of any height.
    """
    K = weight.shape[-1]
    image = x.unsqueeze(2).permute(0, 3, 1, 2)
    y = F.conv2d(image, weight.unsqueeze(3), bias, padding=(K // 2, 0), groups=weight.shape[0])
    return y.permute(0, 2, 3, 1).squeeze(2)


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


CONV1D = convolution(TokenConv1d, depthwise1d, nn.Conv1d, textbook)
