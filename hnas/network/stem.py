"""Stems: an image becomes a grid of patches. `hnas.architecture.stem` says of what convolutions."""

import torch
from torch import Tensor, nn

from hnas.architecture.space import Frame
from hnas.architecture.stem import Convolution, layers
from hnas.network.cnn import Residual


class Convolutions(nn.Sequential):
    """Convolutions with BatchNorm and ReLU, or residual blocks of them, channels last: in half the
    time on a CPU, and its grid is tokens without a copy."""

    def forward(self, images: Tensor) -> Tensor:
        # A copy, as a grey image has both layouts at once and would be taken for the other.
        grid = images.clone(memory_format=torch.channels_last)
        for layer in self:
            grid = layer(grid)
        return grid


def stem(frame: Frame) -> nn.Module:
    """The frame's stem: images (B, channels, image, image) -> (B, d, side, side).

    All subnets of a supernet share it and it sees only images, so its BatchNorm is an ordinary one:
    the batch's statistics in training, running ones in eval mode.
    """
    first, *later = layers(frame)
    assert isinstance(first, Convolution)
    if frame.stem == "patch":
        return _convolution(first, bias=True)
    made = Convolutions()
    for i, layer in enumerate((first, *later), 1):
        if isinstance(layer, Convolution):
            made.add_module(f"conv{i}", _convolution(layer, bias=False))
            made.add_module(f"norm{i}", nn.BatchNorm2d(layer.outputs))
            made.add_module(f"relu{i}", nn.ReLU(inplace=True))
        else:
            one = layer.conv1
            made.add_module(f"block{i}", Residual(one.inputs, one.outputs, one.stride))
    return made


def _convolution(one: Convolution, *, bias: bool) -> nn.Conv2d:
    return nn.Conv2d(one.inputs, one.outputs, one.kernel, one.stride, one.padding, bias=bias)
