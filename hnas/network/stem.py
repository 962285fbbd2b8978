"""Stems: an image becomes a grid of patches. `hnas.architecture.stem` says of what convolutions."""

import torch
from torch import Tensor, nn

from hnas.architecture.space import Frame
from hnas.architecture.stem import convolutions


class Convolutions(nn.Sequential):
    """Convolutions with BatchNorm and ReLU, channels last: in half the time on a CPU, and its grid
    is tokens without a copy."""

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
    layers = [
        nn.Conv2d(
            one.inputs,
            one.outputs,
            one.kernel,
            one.stride,
            one.padding,
            bias=frame.stem == "patch",
        )
        for one in convolutions(frame)
    ]
    if frame.stem == "patch":
        return layers[0]
    made = Convolutions()
    for i, layer in enumerate(layers, 1):
        made.add_module(f"conv{i}", layer)
        made.add_module(f"norm{i}", nn.BatchNorm2d(layer.out_channels))
        made.add_module(f"relu{i}", nn.ReLU(inplace=True))
    return made
