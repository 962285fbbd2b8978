"""conv2d: a depthwise convolution over the grid of patches; a class token passes aside."""

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_weight

from hnas.network.local.convolution import convolution
from hnas.network.local.head import on_grid
from hnas.network.local.layouts import USUAL, Convolve, layout

FAST = 3
"""Patches a side of the largest kernel whose gradient oneDNN finds fast; a strip is as wide."""
SMALL = 8
"""Patches a side of the largest grid that a kernel's gradient may be products of."""


def depthwise2d(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Depthwise 2-D convolution of the patches, "same" zero padding; a class token stays as it
    is: x (B, T, C), weight (C, 1, K, K) -> (B, T, C).
    """
    side, aside = on_grid(x.shape[1])
    patches = x[:, aside:]
    convolve = _Grid.apply if _pays(side, weight) else layout(patches, weight, LAYOUTS)
    patches = convolve(patches, weight, bias)
    return torch.cat((x[:, :aside], patches), dim=1) if aside else patches


def convolved(patches: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Depthwise convolution of patches alone, (B, side x side, C), in memory a channels-last image
    -> the same."""
    side, _ = on_grid(patches.shape[1])
    image = patches.unflatten(1, (side, side)).permute(0, 3, 1, 2)
    padding = weight.shape[-1] // 2
    y = F.conv2d(image, weight, bias, padding=padding, groups=weight.shape[0])
    return y.permute(0, 2, 3, 1).flatten(1, 2)


def _pays(side: int, weight: Tensor) -> bool:
    """Whether the kernel's gradient is wanted and oneDNN is slow to find it."""
    K = weight.shape[-1]
    return (
        weight.requires_grad
        and torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and weight.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
        and K > FAST
        and (side >= K or side <= SMALL)
    )


class _Grid(torch.autograd.Function):
    """`convolved`, with faster gradients on a CPU: the kernel's by strips, or by products if it is
    larger than the grid; the patches' as a convolution with the turned kernel."""

    @staticmethod
    def forward(ctx: Any, patches: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(patches, weight)
        return convolved(patches, weight, bias)

    @staticmethod
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        patches, weight = ctx.saved_tensors
        side, _ = on_grid(above.shape[1])
        by = _by_strips if side >= weight.shape[-1] else _by_products
        of_patches = convolved(above, weight.flip(2, 3), None)
        return of_patches, by(patches, above, weight), above.sum(dim=(0, 1))


def _by_strips(patches: Tensor, above: Tensor, weight: Tensor) -> Tensor:
    """A kernel's gradient, FAST columns of the kernel at a time, each over the grid moved to them.
    Two strips may share a column."""
    K, side = weight.shape[-1], on_grid(above.shape[1])[0]
    grid, gradient = (t.unflatten(1, (side, side)) for t in (patches, above))
    wide = F.pad(grid, (0, 0, K // 2, K // 2))
    found = torch.empty_like(weight)
    for first in {*range(0, K - FAST, FAST), K - FAST}:
        strip = slice(first, first + FAST)
        found[..., strip] = conv2d_weight(
            wide[:, :, first : first + side + FAST - 1].contiguous().permute(0, 3, 1, 2),
            weight[..., strip].shape,
            gradient.permute(0, 3, 1, 2),
            padding=(K // 2, 0),
            groups=weight.shape[0],
        )
    return found


def _by_products(patches: Tensor, above: Tensor, weight: Tensor) -> Tensor:
    """A kernel's gradient by products of patches: T x T of them a channel, summed by their distance
    on the grid."""
    B, T, C = above.shape
    first, second = (t.reshape(B * T, C).t().contiguous() for t in (patches, above))
    products = first.view(C, B, T).transpose(1, 2) @ second.view(C, B, T)
    tap = _taps(T, weight.shape[-1]).to(weight.dtype)
    return (products.view(C, T * T) @ tap).view_as(weight)


@lru_cache(maxsize=32)
def _taps(T: int, K: int) -> Tensor:
    """1 where two patches (rows, T x T pairs) meet at a kernel's tap (columns, K x K), else 0."""
    side, _ = on_grid(T)
    at = torch.arange(side)
    taps = torch.arange(K) - K // 2
    apart = (at[:, None] - at).unsqueeze(-1) == taps  # side, side, K: along one axis
    both = torch.einsum("aci,bdj->abcdij", apart.float(), apart.float())
    return both.reshape(T * T, K * K)


def channels_first(patches: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`convolved` over (B, C, side, side), copied: PyTorch has its own kernels for it on a GPU."""
    side, _ = on_grid(patches.shape[1])
    image = patches.transpose(1, 2).unflatten(2, (side, side)).contiguous()
    padding = weight.shape[-1] // 2
    y = F.conv2d(image, weight, bias, padding=padding, groups=weight.shape[0])
    return y.flatten(2).transpose(1, 2)


LAYOUTS: dict[str, Convolve] = {USUAL: convolved, "channels-first": channels_first}
"""Of patches alone, without a class token."""


class PatchConv2d(nn.Conv2d):
    """nn.Conv2d's weights, applied to the patches of (B, T, C)."""

    def forward(self, input: Tensor) -> Tensor:
        assert self.bias is not None
        return depthwise2d(input, self.weight, self.bias)


class Patches(nn.Module):
    """An nn.Conv2d, `inner`, over the patches (B, C, side, side) of (B, T, C)."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        side, aside = on_grid(x.shape[1])
        image = x[:, aside:].transpose(1, 2).unflatten(2, (side, side))
        return torch.cat((x[:, :aside], self.inner(image).flatten(2).transpose(1, 2)), dim=1)


CONV2D = convolution(PatchConv2d, depthwise2d, nn.Conv2d, Patches, LAYOUTS)
