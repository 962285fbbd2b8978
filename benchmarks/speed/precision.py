"""A supernet's step in bf16 against fp32, on a CPU that multiplies in both: forward and backward.

Random subnets of stage 2, one thread. `glit-tiny` has images of 224 pixels, 16 at a time.
"""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.common import Row, alternate, compare, main, paper_preset
from hnas.architecture.arch import Arch
from hnas.network.precision import compute_in
from hnas.network.supernet import Supernet

SIZES = {"digits": 128, "fashion-mnist": 128, "cifar10": 128, "glit-tiny": 16}
"""Images of a step."""
ARCHS, PAIRS = 9, 3


def row(name: str, batch: int, archs: int, pairs: int) -> Row:
    plan = paper_preset(name)
    space, frame = plan.space2(), plan.net
    net = Supernet(space).reset(0).train()
    images = torch.randn(batch, frame.channels, frame.image, frame.image)
    rng = np.random.default_rng(0)

    def step(arch: Arch, precision: str) -> None:
        compute_in(net, precision)
        net(images, arch).square().mean().backward()

    ours: list[float] = []
    theirs: list[float] = []
    for arch in [space.sample(rng) for _ in range(archs)]:
        lower, exact = alternate(
            lambda arch=arch: step(arch, "bf16"),  # type: ignore[misc]
            lambda arch=arch: step(arch, "fp32"),  # type: ignore[misc]
            pairs=pairs,
        )
        ours += lower
        theirs += exact
    return compare(f"step in bf16, {name}, batch {batch}", ours, theirs, ">= 1.5")


def measure(quick: bool) -> list[Row]:
    sizes = {"digits": 16} if quick else SIZES
    return [
        row(name, batch, *((1, 1) if quick else (ARCHS, PAIRS))) for name, batch in sizes.items()
    ]


if __name__ == "__main__":
    main(measure, __doc__)
