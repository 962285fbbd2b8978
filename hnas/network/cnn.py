"""A small residual CNN (He et al., 1512.03385): what one would train instead of a search.

B images, C channels. A yardstick beside the answer, and a teacher: DeiT's best is a CNN too
(2012.12877, table 2).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hnas.errors import InputError
from hnas.network.initial import reset

WIDTHS = (24, 48, 96, 192)
LARGE = 64
"""Pixels a side from which on the first convolution halves the image too."""


class Residual(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut: (B, inputs, H, W) -> (B, outputs, H, W), sides
    divided by the stride and rounded up. The kernel of the first is as wide as its stride at least;
    with a stride above 2 sides must divide by it."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        kernel = max(stride, 3)
        padding = (kernel - stride + 1) // 2
        self.conv1 = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential()
            self.shortcut.add_module("conv", nn.Conv2d(inputs, outputs, 1, stride, bias=False))
            self.shortcut.add_module("norm", nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class Cnn(nn.Module):
    """Normalised images (B, channels, image, image) -> logits (B, classes).

    A 3 x 3 convolution, a residual block for each width, the mean over the grid, a linear map. The
    blocks after the first halve the sides, and so does the first convolution of images of 64 pixels
    or more. 0.7M weights by default; 35M multiply-accumulates at 32 and at 64 pixels a side.
    Raises InputError if an image is smaller than 8 pixels, or a size is below 1.
    """

    def __init__(
        self, *, image: int, channels: int, classes: int, widths: Sequence[int] = WIDTHS
    ) -> None:
        super().__init__()
        if image < 8:
            raise InputError(f"image must be at least 8 pixels a side for a CNN, got {image}")
        if min(channels, classes, *widths, len(widths)) < 1:
            raise InputError(
                "a CNN's channels, classes and widths must be >= 1, at least one width, got "
                f"{channels}, {classes} and {list(widths)}"
            )
        first = widths[0]
        self.conv = nn.Conv2d(channels, first, 3, 2 if image >= LARGE else 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(first)
        steps = ((1, first, first), *((2, *pair) for pair in pairwise(widths)))
        self.blocks = nn.Sequential(*(Residual(inputs, out, step) for step, inputs, out in steps))
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        images = images.clone(memory_format=torch.channels_last)  # on a CPU 1.4 times as fast
        grid = self.blocks(F.relu(self.norm(self.conv(images))))
        logits: Tensor = self.head(grid.mean(dim=(2, 3)))
        return logits

    def reset(self, seed: int) -> Self:
        """Initialises all weights from a seed, in place."""
        reset(self, seed)
        return self
