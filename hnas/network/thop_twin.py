"""The network in a textbook's layers, for counters that know PyTorch's layers by their exact type.

It computes what `hnas.network.glit.Glit` does: the depthwise convolution is an nn.Conv1d over (B,
C, T), or an nn.Conv2d over the grid of patches (B, C, side, side), and the last norm sees all
tokens, as in DeiT and the authors' release, though only one is used.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame
from hnas.network.glit import Glit
from hnas.network.linear import Linear
from hnas.network.local_head import TokenConv1d


class Transpose(nn.Module):
    """(B, T, C) -> (B, C, T) and back."""

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


class Patches(nn.Module):
    """(B, T, C) -> what `inner` makes of the patches (B, C, side, side) -> (B, T, C); the class
    token passes aside."""

    def __init__(self, side: int, inner: nn.Module) -> None:
        super().__init__()
        self.side = side
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        image = x[:, 1:].transpose(1, 2).unflatten(2, (self.side, self.side))
        return torch.cat((x[:, :1], self.inner(image).flatten(2).transpose(1, 2)), dim=1)


class Textbook(Glit):
    """The twin of a Glit; a block's `depthwise.weight` is its `depthwise.1.weight` (of a Conv1d) or
    `depthwise.inner.weight` (of a Conv2d)."""

    def __init__(self, frame: Frame, arch: Arch) -> None:
        super().__init__(frame, arch)
        for block in self.blocks:
            for name, part in list(block.named_children()):
                if isinstance(part, Linear):
                    block.add_module(name, nn.Linear(part.in_features, part.out_features))
            conv = getattr(block, "depthwise", None)
            if conv is None:
                continue
            C, K = conv.in_channels, conv.kernel_size[0]
            if isinstance(conv, TokenConv1d):
                plain = nn.Conv1d(C, C, K, padding=K // 2, groups=C)
                block.add_module("depthwise", nn.Sequential(Transpose(), plain, Transpose()))
            else:
                grid = nn.Conv2d(C, C, K, padding=K // 2, groups=C)
                block.add_module("depthwise", Patches(frame.side, grid))

    def logits(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.norm(x)[:, 0])
        return logits
