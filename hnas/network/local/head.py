"""A kind of local head: how it mixes tokens, and the layers that it is made of."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from torch import Tensor, nn

from hnas.architecture.layout import Sizes
from hnas.architecture.space import Frame
from hnas.network.local.layouts import Convolve

Map = Callable[[Tensor], Tensor]
Weights = Mapping[str, Tensor]
Layers = dict[str, nn.Module]


class Parts(Protocol):
    """The parts of a block that its local head uses, under the names of its weights."""

    @property
    def sizes(self) -> Sizes: ...
    @property
    def frame(self) -> Frame: ...
    @property
    def dropout(self) -> Map: ...
    @property
    def expand(self) -> Map: ...
    @property
    def depthwise(self) -> Map: ...
    @property
    def norm(self) -> Map: ...
    @property
    def project(self) -> Map: ...


class Norm(Protocol):
    """A BatchNorm: (x (B T, C), weight (C,), bias (C,)) -> (B T, C)."""

    def __call__(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor: ...


@dataclass(frozen=True, kw_only=True)
class LocalHead:
    """A kind of local head. B images, T tokens, Cl channels."""

    forward: Callable[[Tensor, Parts], Tensor]
    """(B, T, Cl) -> (B, T, Cl)."""
    layers: Callable[[Sizes], Layers]
    """A standalone block's layers by their names, in the order of the weights."""
    maps: Callable[[Weights, Norm], dict[str, Map]]
    """The same as maps over slices of a supernet's weights."""
    textbook: Callable[[Sizes], Layers] = lambda sizes: {}
    """PyTorch's own layers for those that counters do not know."""
    layouts: Mapping[str, Convolve] = field(default_factory=dict)
    """By name, the ways to compute its convolution; none if it has none."""


def on_grid(T: int) -> tuple[int, int]:
    """Of T tokens: (patches a side of the grid, class tokens before them, 0 or 1)."""
    side = math.isqrt(T)
    return side, T - side**2


def over(call: Callable[..., Tensor], weights: Weights, name: str) -> Map:
    """A call with a weight and a bias, as a map over slices of a supernet's."""
    return partial(call, weight=weights[f"{name}.weight"], bias=weights[f"{name}.bias"])
