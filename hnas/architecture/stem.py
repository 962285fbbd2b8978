"""Stems, the part without torch: the convolutions that turn an image into the grid of patches.

    patch   one convolution, as wide as a patch, from patch to patch (ViT, 2010.11929)
    conv    3 x 3 convolutions whose strides multiply to `patch`, each with BatchNorm and ReLU
            ("Early Convolutions Help Transformers See Better", 2106.14881; CCT, 2104.05704)

2106.14881 ends with a 1 x 1 convolution, as its last 3 x 3 is narrower than a token. Here that one
is d wide, and nothing follows it.
"""

import math
from dataclasses import dataclass

from hnas.architecture.space import Frame

MULTIPLE = 8
"""Of the channels between two convolutions."""


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
        return (self.kernel - self.stride + 1) // 2

    @property
    def weights(self) -> int:
        return self.kernel**2 * self.inputs * self.outputs


def convolutions(frame: Frame) -> tuple[Convolution, ...]:
    """From the image to the grid of patches, (channels, image, image) -> (d, side, side)."""
    strides = _strides(frame.patch) if frame.stem == "conv" else [frame.patch]
    made: list[Convolution] = []
    inputs, side = frame.channels, frame.image
    for after, stride in zip(range(len(strides) - 1, -1, -1), strides, strict=True):
        outputs = MULTIPLE * math.ceil(frame.d / 2**after / MULTIPLE) if after else frame.d
        kernel = max(stride, 3) if frame.stem == "conv" else stride
        side //= stride
        made.append(
            Convolution(inputs=inputs, outputs=outputs, kernel=kernel, stride=stride, side=side)
        )
        inputs = outputs
    return tuple(made)


def _strides(patch: int) -> list[int]:
    """Twos, then the odd factor that is left; two at least, if a patch is more than a pixel."""
    strides, odd = [], patch
    while odd % 2 == 0:
        strides.append(2)
        odd //= 2
    if odd > 1:
        strides.append(odd)
    return strides if len(strides) > 1 else [1, *strides]
