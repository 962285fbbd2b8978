"""Stems, the part without torch: the convolutions that turn an image into the grid of patches.

    patch     one convolution, as wide as a patch, from patch to patch (ViT, 2010.11929)
    conv      3 x 3 convolutions whose strides multiply to `patch`, each with BatchNorm and ReLU
              ("Early Convolutions Help Transformers See Better", 2106.14881; CCT, 2104.05704)
    residual  the first of these, then a residual block without a stride, then one in the place of
              each of the others: the first stages of a ResNet (1512.03385). As that does for small
              images, it first keeps the side of one below LARGE

2106.14881 ends with a 1 x 1 convolution, as its last 3 x 3 is narrower than a token. Here that one
is d wide, and nothing follows it.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from hnas.architecture.space import Frame

MULTIPLE = 8
"""Of the channels between two convolutions."""
LARGE = 48
"""Pixels a side from which on the first convolution of residual blocks halves the image."""
CNN_WIDTHS = (24, 48, 96, 192)
"""Channels of the small CNN, the first and of each halving (`hnas.network.cnn`)."""


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """A convolution of square images, without a gap between its windows."""

    inputs: int
    """Channels."""
    outputs: int
    """Channels."""
    kernel: int
    """Pixels a side."""
    stride: int
    side: int
    """Pixels a side of what it gives."""

    @property
    def padding(self) -> int:
        """Pixels on every edge, so that a side is divided by the stride."""
        return max(0, self.kernel - self.stride + 1) // 2

    @property
    def weights(self) -> int:
        return self.kernel**2 * self.inputs * self.outputs


@dataclass(frozen=True, kw_only=True)
class Residual:
    """Two convolutions beside a shortcut, which is one too if sides or channels change."""

    conv1: Convolution
    """The one with the stride."""

    @property
    def conv2(self) -> Convolution:
        return replace(self.conv1, inputs=self.conv1.outputs, kernel=3, stride=1)

    @property
    def shortcut(self) -> Convolution | None:
        changes = self.conv1.stride > 1 or self.conv1.inputs != self.conv1.outputs
        return replace(self.conv1, kernel=1) if changes else None


def layers(frame: Frame) -> tuple[Convolution | Residual, ...]:
    """From the image to the grid of patches, (channels, image, image) -> (d, side, side)."""
    steps = _steps(frame)
    return _residual(steps) if frame.stem == "residual" else steps


def small_cnn(
    *, image: int, channels: int, widths: Sequence[int] = CNN_WIDTHS
) -> tuple[Convolution | Residual, ...]:
    """The layers of the small CNN before its mean; an odd side is halved and rounded up."""
    strides = [2 if image >= LARGE else 1, *(2 for _ in widths[1:])]
    return _residual(_chain(channels, image, zip(strides, widths, strict=True)))


def of_small_cnn(frame: Frame) -> bool:
    """Whether the frame's stem is the first layers of the small CNN for its images."""
    own, its = layers(frame), small_cnn(image=frame.image, channels=frame.channels)
    return own == its[: len(own)]


def _residual(steps: Sequence[Convolution]) -> tuple[Convolution | Residual, ...]:
    first, *later = steps
    same = replace(first, inputs=first.outputs, kernel=3, stride=1)
    return (first, *(Residual(conv1=step) for step in (same, *later)))


def convolutions(layers: Iterable[Convolution | Residual]) -> tuple[Convolution, ...]:
    """All that some layers have, shortcuts too."""
    found: list[Convolution | None] = []
    for layer in layers:
        if isinstance(layer, Residual):
            found += [layer.conv1, layer.conv2, layer.shortcut]
        else:
            found.append(layer)
    return tuple(one for one in found if one)


def _steps(frame: Frame) -> tuple[Convolution, ...]:
    """A convolution for each stride."""
    if frame.stem == "patch":
        return _chain(frame.channels, frame.image, [(frame.patch, frame.d)], least=1)
    steps = strides(frame)
    outputs = [*(_channels(frame, after) for after in range(len(steps) - 1, 0, -1)), frame.d]
    return _chain(frame.channels, frame.image, zip(steps, outputs, strict=True))


def _chain(
    inputs: int, side: int, steps: Iterable[tuple[int, int]], *, least: int = 3
) -> tuple[Convolution, ...]:
    """A convolution for each stride and its channels, on what the one before gives, with a kernel
    as wide as its stride and the `least`."""
    made: list[Convolution] = []
    for stride, outputs in steps:
        side, kernel = -(-side // stride), max(stride, least)
        made.append(
            Convolution(inputs=inputs, outputs=outputs, kernel=kernel, stride=stride, side=side)
        )
        inputs = outputs
    return tuple(made)


def _channels(frame: Frame, after: int) -> int:
    """A token's width halved so often, in multiples: rounded up, but of residual blocks, in which
    the first channels cost most, to the nearest."""
    exact = frame.d / 2**after / MULTIPLE
    return MULTIPLE * (math.ceil(exact) if frame.stem == "conv" else max(1, int(exact + 0.5)))


def strides(frame: Frame) -> list[int]:
    """Of a stem of several convolutions: twos, then the odd factor that is left; two at least, if a
    patch is more than a pixel."""
    found, odd = [], frame.patch
    while odd % 2 == 0:
        found.append(2)
        odd //= 2
    if odd > 1:
        found.append(odd)
    keeps = frame.stem == "residual" and frame.image < LARGE
    return found if len(found) > 1 and not keeps else [1, *found]
