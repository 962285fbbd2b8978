"""Linear maps of tokens, by the library that is faster at their size.

On a CPU PyTorch gives a matrix product to MKL and a convolution to oneDNN, which is the faster one
on an AMD processor. A convolution with a 1 x 1 kernel is the same map, and costs more to begin:
`benchmarks.speed.linear` measures where it pays.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LARGE = 2**23
"""Multiply-accumulates from which on a convolution pays."""
IMAGES = 16
"""Fewer are not given to oneDNN by PyTorch on one thread."""


def linear(x: Tensor, weight: Tensor, bias: Tensor, *, keep: bool = False) -> Tensor:
    """x (B, T, inputs), weight (outputs, inputs), bias (outputs,) -> (B, T, outputs).

    `torch.nn.functional.linear` but for rounding. The choice depends on sizes alone, so that equal
    sizes give equal bits. On a CPU a weight in bf16 is multiplied in bf16, and the sums are in
    float32; `keep` keeps them in bf16, for an activation or `wide`.
    """
    B, T, _ = x.shape
    if weight.dtype == torch.bfloat16 and x.device.type == "cpu":
        y = F.linear(x.flatten(0, 1).to(weight.dtype), weight, bias).view(B, T, -1)
        return y if keep else y.float()
    if (
        not torch.compiler.is_compiling()  # first: a traced batch has no size to compare
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and B >= IMAGES
        and B * T * weight.numel() >= LARGE
        and torch.backends.mkldnn.is_available()
    ):
        # Tokens are in memory a channels-last image of height 1.
        image = x.transpose(1, 2).unsqueeze(2)
        return F.conv2d(image, weight[:, :, None, None], bias).squeeze(2).transpose(1, 2)
    # Flattened: two dimensions keep a slice of channels a view inside the matrix product.
    return F.linear(x.flatten(0, 1), weight, bias).view(B, T, -1)


def wide(x: Tensor) -> Tensor:
    """In float32, if it is what `linear` kept in bf16 on a CPU."""
    return x.float() if x.dtype == torch.bfloat16 and x.device.type == "cpu" else x


class Linear(nn.Linear):
    """nn.Linear's weights, applied to tokens (B, T, inputs) by `linear`."""

    products: torch.dtype | None = None
    """What its weights are cast to, by `hnas.network.precision.compute_in`."""
    keep = False
    """Of `linear`."""

    def forward(self, input: Tensor) -> Tensor:
        if self.products is None:
            return linear(input, self.weight, self.bias)
        weight, bias = self.weight.to(self.products), self.bias.to(self.products)
        return linear(input, weight, bias, keep=self.keep)


class Hidden(Linear):
    """A `Linear` whose answer only an activation or `wide` reads."""

    keep = True
