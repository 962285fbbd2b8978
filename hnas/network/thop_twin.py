"""A network's twin in textbook layers, for counters that know PyTorch's layers by exact type.

It computes what `hnas.network.glit.Glit` does: the depthwise convolution is an nn.Conv1d over (B,
C, T), or an nn.Conv2d over the grid of patches (B, C, side, side), and the last norm sees all
tokens, as in DeiT and the authors' release, though only one is used.
"""

from torch import Tensor, nn

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame
from hnas.network.block import Block
from hnas.network.glit import Glit
from hnas.network.linear import Linear
from hnas.network.local import HEADS


class Textbook(Glit):
    """The twin of a Glit; a block's `depthwise.weight` is its `depthwise.1.weight` (of a Conv1d) or
    `depthwise.inner.weight` (of a Conv2d)."""

    def __init__(self, frame: Frame, arch: Arch) -> None:
        super().__init__(frame, arch)
        for block in self.blocks:
            assert isinstance(block, Block)
            for name, part in list(block.named_children()):
                if isinstance(part, Linear):
                    block.add_module(name, nn.Linear(part.in_features, part.out_features))
            if block.sizes["Cl"]:
                for name, layer in HEADS[frame.local].textbook(block.sizes).items():
                    block.add_module(name, layer)

    def logits(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        logits: Tensor = self.head(x.mean(dim=1) if self.frame.pool == "mean" else x[:, 0])
        return logits
