"""conv2d: a depthwise convolution over the grid of patches; a class token passes aside."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hnas.network.local.convolution import convolution
from hnas.network.local.head import on_grid


def depthwise2d(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Depthwise 2-D convolution of the patches, "same" zero padding; a class token stays as it
    is: x (B, T, C), weight (C, 1, K, K) -> (B, T, C). Patches are a channels-last image too.
    """
    (side, aside), K = on_grid(x.shape[1]), weight.shape[-1]
    image = x[:, aside:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
    y = F.conv2d(image, weight, bias, padding=K // 2, groups=weight.shape[0])
    patches = y.permute(0, 2, 3, 1).flatten(1, 2)
    return torch.cat((x[:, :aside], patches), dim=1) if aside else patches


class PatchConv2d(nn.Conv2d):
    """nn.Conv2d's weights, applied to the patches of (B, T, C)."""

    def forward(self, input: Tensor) -> Tensor:
        assert self.bias is not None
        return depthwise2d(input, self.weight, self.bias)


class Patches(nn.Module):
    """An nn.Conv2d, `inner`, over the patches (B, C, side, side) of (B, T, C)."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        side, aside = on_grid(x.shape[1])
        image = x[:, aside:].transpose(1, 2).unflatten(2, (side, side))
        return torch.cat((x[:, :aside], self.inner(image).flatten(2).transpose(1, 2)), dim=1)


CONV2D = convolution(PatchConv2d, depthwise2d, nn.Conv2d, Patches)
