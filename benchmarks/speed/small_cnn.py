"""The small CNN's step, whose images are channels-last, against the same with channels first."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.common import Row, alternate, compare, main
from hnas.network.cnn import Cnn

SIZES = ((64, 32), (32, 128))
"""Pixels a side, images of a step: photos', CIFAR-10's."""
PAIRS = 9


def row(image: int, batch: int, pairs: int) -> Row:
    net = Cnn(image=image, channels=3, classes=20).reset(0).train()
    images, labels = torch.randn(batch, 3, image, image), torch.arange(batch) % 20
    first = nn.Sequential(*net.stem, nn.AdaptiveAvgPool2d(1), nn.Flatten(), net.head)
    last, plain = alternate(
        lambda: F.cross_entropy(net(images), labels).backward(),
        lambda: F.cross_entropy(first(images), labels).backward(),
        pairs=pairs,
    )
    return compare(f"step of the CNN, {batch} images of {image} x {image}", last, plain, ">= 1.2")


def measure(quick: bool) -> list[Row]:
    return [row(8, 4, 1)] if quick else [row(image, batch, PAIRS) for image, batch in SIZES]


if __name__ == "__main__":
    main(measure, __doc__)
