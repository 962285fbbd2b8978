"""Networks as others write them, from their descriptions: what weights from elsewhere come out of.

`Reference` with release=False is a ViT under timm's names (DeiT, 2012.12877); with release=True the
authors' GLiT: blocks nested once more, and local heads of layers over (B, C, T).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from hnas.architecture.arch import Arch, Block
from hnas.architecture.space import Frame

GLIT_TINY = Path(__file__).parents[2] / "docs" / "glit-tiny.json"


def published(d: int) -> Frame:
    """DeiT's and GLiT's frame on ImageNet: Tiny is 192 wide, Small 384, Base 768."""
    return Frame(
        image=224,
        channels=3,
        patch=16,
        classes=1000,
        d=d,
        M=12,
        N=3,
        heads=d // 192,
        activation="gelu",
    )


def glit_tiny() -> Arch:
    """GLiT-Tiny as its authors released it."""
    return Arch.from_json(GLIT_TINY.read_text("utf-8"))


def convolved_by_loops(patches: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A depthwise convolution of a grid, number by number; what is outside of it is zero.

    patches (side, side, C), weight (C, 1, K, K), bias (C) -> (side, side, C).
    """
    side, _, C = patches.shape
    K = weight.shape[-1]
    rows = []
    for y in range(side):
        for x in range(side):
            total = bias
            for i in range(K):
                for j in range(K):
                    at = y + i - K // 2, x + j - K // 2
                    if 0 <= at[0] < side and 0 <= at[1] < side:
                        total = total + weight[:, 0, i, j] * patches[at]
            rows.append(total)
    return torch.stack(rows).view(side, side, C)


def attended_by_loops(q: Tensor, k: Tensor, v: Tensor, K: int) -> Tensor:
    """One head of local attention on a grid, patch by patch, without a mask: (side, side, h)."""
    side, _, h = q.shape
    rows = []
    for y in range(side):
        for x in range(side):
            own = (
                slice(max(y - K // 2, 0), y + K // 2 + 1),
                slice(max(x - K // 2, 0), x + K // 2 + 1),
            )
            keys, values = k[own].reshape(-1, h), v[own].reshape(-1, h)
            rows.append(torch.softmax(keys @ q[y, x] / h**0.5, dim=0) @ values)
    return torch.stack(rows).view(side, side, h)


class GLU(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        value, gate = x[:, : x.shape[1] // 2], x[:, x.shape[1] // 2 :]
        return value * torch.sigmoid(gate)


class Padded(nn.Module):
    """A depthwise convolution that pads by itself, "same"."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, kernel, groups=width)

    def forward(self, x: Tensor) -> Tensor:
        side = x.new_zeros(*x.shape[:2], self.conv.kernel_size[0] // 2)
        return self.conv(torch.cat((side, x, side), dim=2))


class Transposed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 1)


class Attention(nn.Module):
    """The first channels attend, the last are convolved; either side may be absent."""

    def __init__(self, frame: Frame, block: Block) -> None:
        super().__init__()
        self.split = frame.d * block.G // frame.N
        self.heads = frame.heads * block.G
        if block.G:
            assert block.d_k
            self.width = block.d_k // (frame.N * frame.heads)
            self.qkv = nn.Linear(self.split, 3 * self.heads * self.width)
            self.proj = nn.Linear(self.heads * self.width, self.split)
        if block.L:
            assert block.E and block.K
            channels = frame.d - self.split
            inner = block.E * channels
            self.net = nn.Sequential(
                Transposed(),
                nn.Conv1d(channels, 2 * inner, 1),
                GLU(),
                Padded(inner, block.K),
                nn.BatchNorm1d(inner),
                nn.SiLU(),
                nn.Conv1d(inner, channels, 1),
                Transposed(),
            )

    def attend(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        heads = []
        for i in range(self.heads):
            own = slice(i * self.width, (i + 1) * self.width)
            scores = q[..., own] @ k[..., own].mT / self.width**0.5
            heads.append(torch.softmax(scores, dim=-1) @ v[..., own])
        return self.proj(torch.cat(heads, dim=-1))

    def forward(self, x: Tensor) -> Tensor:
        parts = []
        if hasattr(self, "qkv"):
            parts.append(self.attend(x[..., : self.split]))
        if hasattr(self, "net"):
            parts.append(self.net(x[..., self.split :]))
        return torch.cat(parts, dim=-1)


class Layer(nn.Module):
    def __init__(self, frame: Frame, block: Block) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(frame.d, eps=1e-6)
        self.attn = Attention(frame, block)
        self.norm2 = nn.LayerNorm(frame.d, eps=1e-6)
        self.mlp = nn.Module()
        self.mlp.fc1 = nn.Linear(frame.d, frame.d * block.d_z)
        self.mlp.fc2 = nn.Linear(frame.d * block.d_z, frame.d)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp.fc2(nn.functional.gelu(self.mlp.fc1(self.norm2(x))))


class Reference(nn.Module):
    """In eval mode, its weights random and its BatchNorm statistics too."""

    def __init__(self, frame: Frame, arch: Arch, *, release: bool, seed: int = 0) -> None:
        super().__init__()
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(frame.channels, frame.d, frame.patch, frame.patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, frame.d))
        self.pos_embed = nn.Parameter(
            torch.zeros(1, (frame.image // frame.patch) ** 2 + 1, frame.d)
        )
        layers = [Layer(frame, block) for block in arch.blocks]
        self.blocks = nn.ModuleList(nn.ModuleList([x]) if release else x for x in layers)
        self.layers = tuple(layers)  # no submodules: named once, as blocks
        self.norm = nn.LayerNorm(frame.d, eps=1e-6)
        self.head = nn.Linear(frame.d, frame.classes)
        generator = torch.Generator().manual_seed(seed)
        for name, value in self.state_dict().items():
            if name.endswith("num_batches_tracked"):
                value.fill_(7)
            elif name.endswith("running_var") or (value.dim() == 1 and name.endswith("weight")):
                value.uniform_(0.5, 1.5, generator=generator)
            else:
                fan_in = value[0].numel() if value.dim() > 1 and "conv" not in name else 16
                value.normal_(std=fan_in**-0.5, generator=generator)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patch_embed.proj(images).flatten(2).permute(0, 2, 1)
        x = torch.cat((self.cls_token.repeat(len(images), 1, 1), patches), dim=1) + self.pos_embed
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x)[:, 0])
