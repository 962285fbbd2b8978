"""The paper's local head around any depthwise convolution of tokens.

Pointwise to 2E, GLU (value, gate), depthwise, BatchNorm, Swish, pointwise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor, nn

from hnas.architecture.layout import Sizes
from hnas.network.linear import Linear
from hnas.network.local.head import Layers, LocalHead, Map, Norm, Parts, Weights, linear_map


class Layer(Protocol):
    """A depthwise convolution's module, made as PyTorch's own are."""

    def __call__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, padding: int, groups: int
    ) -> nn.Module: ...


def convolution(
    layer: Layer,
    depthwise: Callable[[Tensor, Tensor, Tensor], Tensor],
    textbook: Callable[[nn.Module, int], nn.Module],
    plain: Layer,
) -> LocalHead:
    """The head of a depthwise convolution: as a module, as a function of (x, weight, bias), and in
    PyTorch's own layers, `textbook(plain(...), side)`."""

    def made(kind: Layer, sizes: Sizes) -> nn.Module:
        inner, K = sizes["E"] * sizes["Cl"], sizes["K"]
        return kind(inner, inner, K, padding=K // 2, groups=inner)

    def layers(sizes: Sizes) -> Layers:
        Cl, inner = sizes["Cl"], sizes["E"] * sizes["Cl"]
        return {
            "expand": Linear(Cl, 2 * inner),
            "depthwise": made(layer, sizes),
            "norm": nn.BatchNorm1d(inner),
            "project": Linear(inner, Cl),
        }

    def maps(weights: Weights, norm: Norm) -> dict[str, Map]:
        def over(call: Callable[..., Tensor], name: str) -> Map:
            return partial(call, weight=weights[f"{name}.weight"], bias=weights[f"{name}.bias"])

        return {
            "expand": linear_map(weights, "expand"),
            "depthwise": over(depthwise, "depthwise"),
            "norm": over(norm, "norm"),
            "project": linear_map(weights, "project"),
        }

    return LocalHead(
        forward=forward,
        layers=layers,
        maps=maps,
        textbook=lambda sizes, side: {"depthwise": textbook(made(plain, sizes), side)},
    )


def forward(x: Tensor, parts: Parts) -> Tensor:
    """(B, T, Cl) -> (B, T, Cl)."""
    B, T, _ = x.shape
    y = parts.depthwise(F.glu(parts.expand(x), dim=-1))
    y = F.silu(parts.norm(y.flatten(0, 1))).view(B, T, -1)
    return parts.project(parts.dropout(y))
