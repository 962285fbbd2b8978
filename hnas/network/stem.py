"""Stems: an image becomes a grid of patches. `hnas.architecture.stem` says of what convolutions."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hnas.architecture import stem as arch
from hnas.architecture.space import Frame


class Residual(nn.Module):
    """Two convolutions beside a shortcut: (B, inputs, H, W) -> (B, outputs, H, W), sides divided by
    the first one's stride."""

    def __init__(self, layer: arch.Residual) -> None:
        super().__init__()
        outputs = layer.conv1.outputs
        self.conv1 = _convolution(layer.conv1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = _convolution(layer.conv2, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if layer.shortcut:
            self.shortcut = nn.Sequential()
            self.shortcut.add_module("conv", _convolution(layer.shortcut, bias=False))
            self.shortcut.add_module("norm", nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class Convolutions(nn.Sequential):
    """Convolutions with BatchNorm and ReLU, or residual blocks of them, channels last: in half the
    time on a CPU, and its grid is tokens without a copy."""

    def __init__(self, layers: Sequence[arch.Convolution | arch.Residual]) -> None:
        super().__init__()
        for i, layer in enumerate(layers, 1):
            if isinstance(layer, arch.Convolution):
                self.add_module(f"conv{i}", _convolution(layer, bias=False))
                self.add_module(f"norm{i}", nn.BatchNorm2d(layer.outputs))
                self.add_module(f"relu{i}", nn.ReLU(inplace=True))
            else:
                self.add_module(f"block{i}", Residual(layer))

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
    layers = arch.layers(frame)
    if frame.stem == "patch":
        [layer] = layers
        assert isinstance(layer, arch.Convolution)
        return _convolution(layer, bias=True)
    return Convolutions(layers)


def _convolution(one: arch.Convolution, *, bias: bool) -> nn.Conv2d:
    return nn.Conv2d(one.inputs, one.outputs, one.kernel, one.stride, one.padding, bias=bias)
