"""The paper's local head around any depthwise convolution of tokens.

Pointwise to 2E, GLU (value, gate), depthwise, BatchNorm, Swish, pointwise.
"""

from collections.abc import Callable, Mapping
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from hnas.architecture.layout import Sizes
from hnas.network.linear import Hidden, Linear, linear, wide
from hnas.network.local.head import Layers, LocalHead, Map, Norm, Parts, Weights, over
from hnas.network.local.layouts import Convolve

Conv = type[nn.Conv1d] | type[nn.Conv2d]


def convolution(
    ours: Conv,
    depthwise: Convolve,
    plain: Conv,
    textbook: Callable[[nn.Module], nn.Module],
    layouts: Mapping[str, Convolve],
) -> LocalHead:
    """The head of a depthwise convolution: as a layer, as a function of (x, weight, bias), and as
    PyTorch's own layer, which `textbook` applies to tokens; `layouts` are all ways to compute it,
    of which the function takes one."""

    def layer(kind: Conv, sizes: Sizes) -> nn.Module:
        inner, K = sizes["E"] * sizes["Cl"], sizes["K"]
        return kind(inner, inner, K, padding=K // 2, groups=inner)

    def layers(sizes: Sizes) -> Layers:
        Cl, inner = sizes["Cl"], sizes["E"] * sizes["Cl"]
        expand, mixed = Hidden(Cl, 2 * inner), layer(ours, sizes)
        norm, project = nn.BatchNorm1d(inner), Linear(inner, Cl)
        return {"expand": expand, "depthwise": mixed, "norm": norm, "project": project}

    def maps(weights: Weights, norm: Norm) -> dict[str, Map]:
        calls: dict[str, Callable[..., Tensor]] = {
            "expand": partial(linear, keep=True),
            "depthwise": depthwise,
            "norm": norm,
            "project": linear,
        }
        return {name: over(call, weights, name) for name, call in calls.items()}

    return LocalHead(
        forward=forward,
        layers=layers,
        maps=maps,
        textbook=lambda sizes: {"depthwise": textbook(layer(plain, sizes))},
        layouts=layouts,
    )


def forward(x: Tensor, parts: Parts) -> Tensor:
    """(B, T, Cl) -> (B, T, Cl)."""
    y = parts.depthwise(wide(F.glu(parts.expand(x), dim=-1)))
    y = F.silu(parts.norm(y.flatten(0, 1))).view_as(y)
    return parts.project(parts.dropout(y))
