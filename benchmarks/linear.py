"""Linear maps of tokens by oneDNN's convolution, against F.linear (MKL, where PyTorch has it).

Sizes around the bound from which `hnas.linear` takes the convolution, and those of the presets: the
FFN's first map at a training batch, forward and backward.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.common import Row, alternate, compare, main
from hnas.linear import LARGE, linear

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
    return rows


if __name__ == "__main__":
    main(measure, __doc__)
