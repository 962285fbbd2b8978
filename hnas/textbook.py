"""The network in a textbook's layers, for counters that know PyTorch's layers by their exact type.

It computes what `hnas.glit.Glit` does: the depthwise convolution is an nn.Conv1d over (B, C, T),
and the last norm sees all tokens, as in DeiT and the authors' release, though only one is used.
"""

from __future__ import annotations

from torch import Tensor, nn

from hnas.arch import Arch
from hnas.block import TokenConv1d
from hnas.glit import Glit
from hnas.space import Frame


class Transpose(nn.Module):
    """(B, T, C) -> (B, C, T) and back."""

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


class Textbook(Glit):
    """The twin of a Glit; a block's `depthwise.weight` is its `depthwise.1.weight`."""

    def __init__(self, frame: Frame, arch: Arch) -> None:
        super().__init__(frame, arch)
        for block in self.blocks:
            conv = getattr(block, "depthwise", None)
            if isinstance(conv, TokenConv1d):
                C, K = conv.in_channels, conv.kernel_size[0]
                plain = nn.Conv1d(C, C, K, padding=K // 2, groups=C)
                block.add_module("depthwise", nn.Sequential(Transpose(), plain, Transpose()))

    def logits(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.norm(x)[:, 0])
        return logits
