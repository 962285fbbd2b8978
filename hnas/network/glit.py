"""The standalone Global-Local image Transformer, to be retrained, exported and compared with."""

from typing import Self

import torch
from torch import Tensor, nn

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame
from hnas.network.block import Block
from hnas.network.initial import reset
from hnas.network.stem import stem


class Trunk(nn.Module):
    """The part that all networks of a frame share: stem, class token, positions, classifier."""

    def __init__(self, frame: Frame) -> None:
        super().__init__()
        self.frame = frame
        self.patch_embed = stem(frame)
        if frame.pool == "class":
            self.cls_token = nn.Parameter(torch.zeros(1, 1, frame.d))
        self.pos_embed = nn.Parameter(torch.zeros(1, frame.T, frame.d))
        self.norm = nn.LayerNorm(frame.d, eps=1e-6)
        self.head = nn.Linear(frame.d, frame.classes)

    def tokens(self, images: Tensor) -> Tensor:
        """Normalised float images (B, channels, image, image) -> tokens (B, T, d)."""
        patches: Tensor = self.patch_embed(images).flatten(2).transpose(1, 2)
        if self.frame.pool == "mean":
            return patches.contiguous() + self.pos_embed  # else all blocks keep its strides
        first = self.cls_token.expand(patches.shape[0], -1, -1)
        return torch.cat((first.to(patches.dtype), patches), dim=1) + self.pos_embed

    def logits(self, x: Tensor) -> Tensor:
        """Tokens (B, T, d) -> logits (B, classes), from the class token or the mean of all.

        In fp32 under autocast too: bf16 would tie classes that are not equally likely.
        """
        seen = self.norm(x).mean(dim=1) if self.frame.pool == "mean" else self.norm(x[:, 0])
        logits: Tensor
        if torch.is_autocast_enabled(seen.device.type):
            with torch.autocast(seen.device.type, enabled=False):
                logits = self.head(seen.float())
        else:
            logits = self.head(seen)
        return logits

    def reset(self, seed: int, initial: str = "glorot") -> Self:
        """Initialises all weights from a seed, in place, in one of the ways of INITIAL
        (`hnas.network.initial`)."""
        reset(self, seed, initial)
        return self


class Glit(Trunk):
    """The network of one architecture: normalised images (B, channels, image, image) -> logits.

    Raises InputError if `arch` does not fit the frame.
    """

    def __init__(
        self, frame: Frame, arch: Arch, *, dropout: float = 0.0, drop_path: float = 0.0
    ) -> None:
        super().__init__(frame)
        frame.check_arch(arch)
        self.arch = arch
        last = max(frame.M - 1, 1)
        self.blocks = nn.ModuleList(
            Block(frame, block, dropout=dropout, drop_path=drop_path * i / last)
            for i, block in enumerate(arch.blocks)
        )

    def forward(self, images: Tensor) -> Tensor:
        x = self.tokens(images)
        for block in self.blocks:
            x = block(x)
        return self.logits(x)
