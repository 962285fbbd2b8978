"""The GLiT block (2107.02960, section 3.2), once for standalone networks and subnets.

B images, T tokens, d token width; Cg and Cl channels of the global and the local part (they add
up to d), H heads of width h, E expansion, K kernel, m FFN width.

The functions take `Parts`: callables under the names of `hnas.architecture.layout`. A standalone
`Block` passes itself, its parts are modules; a supernet passes linear maps over slices of the
shared weights.
"""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hnas.architecture import arch as archs
from hnas.architecture import layout
from hnas.architecture.space import Frame
from hnas.network.linear import Hidden, Linear
from hnas.network.local import HEADS, head
from hnas.network.local.attention import attend
from hnas.network.local.head import Map


class Parts(head.Parts, Protocol):
    """The parts of a block; without global (or local) groups it lacks the maps of that side."""

    @property
    def norm1(self) -> Map: ...
    @property
    def norm2(self) -> Map: ...
    @property
    def fc1(self) -> Map: ...
    @property
    def fc2(self) -> Map: ...
    @property
    def qkv(self) -> Map: ...
    @property
    def proj(self) -> Map: ...


def attention(x: Tensor, parts: Parts) -> Tensor:
    """Self-attention among the global channels: (B, T, Cg) -> (B, T, Cg), scale h^-1/2."""
    qkv = parts.qkv(x).unflatten(-1, (3, parts.sizes["H"], parts.sizes["h"]))
    return parts.proj(attend(qkv))


def local(x: Tensor, parts: Parts) -> Tensor:
    """The local head: (B, T, Cl) -> (B, T, Cl), by `Frame.local`."""
    return HEADS[parts.frame.local].forward(x, parts)


def mix(x: Tensor, parts: Parts) -> Tensor:
    """The first Cg channels to attention, the last Cl to the local head: (B, T, d) -> (B, T, d)."""
    Cg, Cl = parts.sizes["Cg"], parts.sizes["Cl"]
    if not Cl:
        return attention(x, parts)
    if not Cg:
        return local(x, parts)
    first, last = torch.split(x, [Cg, Cl], dim=-1)
    return torch.cat((attention(first, parts), local(last, parts)), dim=-1)


def ffn(x: Tensor, parts: Parts) -> Tensor:
    """Linear d -> m, Swish or GELU, Linear m -> d."""
    y = parts.fc1(x)
    y = F.gelu(y) if parts.frame.activation == "gelu" else F.silu(y)
    return parts.fc2(parts.dropout(y))


def forward(x: Tensor, parts: Parts, drop: Map = lambda branch: branch) -> Tensor:
    """Pre-norm residual block: (B, T, d) -> (B, T, d). `drop` is stochastic depth of a branch."""
    x = x + drop(mix(parts.norm1(x), parts))
    return x + drop(ffn(parts.norm2(x), parts))


class DropPath(nn.Module):
    """Stochastic depth (1603.09382): a residual branch is dropped for whole images."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, branch: Tensor) -> Tensor:
        if not self.p or not self.training:
            return branch
        kept = torch.rand(branch.shape[0], 1, 1, device=branch.device) >= self.p
        return branch * (kept.to(branch.dtype) / (1 - self.p))


class Block(nn.Module):
    """A block with weights of its own, made of modules that counters like thop see."""

    expand: Map
    depthwise: Map
    norm: Map
    project: Map

    def __init__(
        self, frame: Frame, block: archs.Block, *, dropout: float = 0.0, drop_path: float = 0.0
    ) -> None:
        super().__init__()
        s = self.sizes = layout.sizes(frame, block)
        d, m, Cg, Cl = s["d"], s["m"], s["Cg"], s["Cl"]
        self.frame = frame
        self.dropout = nn.Dropout(dropout)
        self.drop_path = DropPath(drop_path)
        if not m:
            return  # it is skipped
        self.norm1 = nn.LayerNorm(d, eps=1e-6)
        if Cg:
            inner = s["H"] * s["h"]
            self.qkv, self.proj = Hidden(Cg, 3 * inner), Linear(inner, Cg)
        if Cl:
            for name, layer in HEADS[frame.local].layers(s).items():
                self.add_module(name, layer)
        self.norm2 = nn.LayerNorm(d, eps=1e-6)
        self.fc1, self.fc2 = Hidden(d, m), Linear(m, d)

    def forward(self, x: Tensor) -> Tensor:
        return forward(x, self, self.drop_path) if self.sizes["m"] else x
