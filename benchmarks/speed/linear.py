"""Linear maps of tokens by oneDNN's convolution, against F.linear (MKL, where PyTorch has it).

Sizes around the bound from which `hnas.network.linear` takes the convolution, and those of the
presets: the FFN's first map at a training batch, forward and backward. Then whole steps of stage
2's supernet, with and without it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.common import Row, alternate, compare, main, paper_preset
from hnas.architecture.arch import Arch
from hnas.network.linear import LARGE, linear
from hnas.network.supernet import Supernet

SIZES = {
    "at the bound": (64, 17, 48, 161),
    "digits": (128, 17, 48, 192),
    "fashion-mnist": (128, 17, 96, 384),
    "cifar10": (128, 65, 192, 768),
    "glit-tiny, 16 images": (16, 197, 192, 768),
}


def step(apply: Callable[[Tensor, Tensor, Tensor], Tensor], *leaves: Tensor) -> Callable[[], None]:
    """Forward and backward, gradients of the tokens, the weight and the bias."""
    own = [leaf.clone().requires_grad_() for leaf in leaves]
    towards = torch.randn_like(apply(*own).detach())

    def run() -> None:
        apply(*own).backward(towards)

    return run


def whole(name: str, quick: bool) -> Row:
    """Forward and backward of random subnets at the preset's batch."""
    plan = paper_preset(name)
    space, batch = plan.space2(), 16 if quick else plan.stage2.training.batch
    frame, rng = plan.net, np.random.default_rng(0)
    net = Supernet(space).reset(0).train()
    images = torch.randn(batch, frame.channels, frame.image, frame.image)
    ours: list[float] = []
    theirs: list[float] = []

    def one(arch: Arch, large: int) -> None:
        with mock.patch("hnas.network.linear.LARGE", large):
            net(images, arch).square().mean().backward()

    for arch in [space.sample(rng) for _ in range(2 if quick else 9)]:
        mine, other = alternate(partial(one, arch, LARGE), partial(one, arch, 2**62), pairs=1)
        ours += mine
        theirs += other
    return compare(f"supernet's forward + backward, {name}, batch {batch}", ours, theirs, None)


def measure(quick: bool) -> list[Row]:
    rows = []
    for name, (B, T, inputs, outputs) in SIZES.items():
        if quick:
            B = 16
        assert quick or B * T * inputs * outputs >= LARGE
        torch.manual_seed(0)
        leaves = torch.randn(B, T, inputs), torch.randn(outputs, inputs), torch.randn(outputs)
        rows.append(
            compare(
                f"linear map, {name}, {B} x {T}, {inputs} to {outputs}",
                *alternate(
                    step(linear, *leaves), step(F.linear, *leaves), pairs=2 if quick else 25
                ),
                None,
            )
        )
    return rows + [whole(name, quick) for name in ("digits", "fashion-mnist", "cifar10")]


if __name__ == "__main__":
    main(measure, __doc__)
