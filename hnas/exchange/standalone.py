"""A Global-Local image Transformer (GLiT, arXiv 2107.02960), found by hnas, on its own.

Needs torch and safetensors, for image files Pillow, and nothing of hnas. Beside this file lie
NAME.json, which says what the network is, and NAME.safetensors, its weights; NAME is this file's.

    from NAME import load
    model = load()                              # in eval mode, on the CPU
    logits = model(model.normalise(pixels))     # uint8 (B, C, image, image) -> (B, classes)

    python NAME.py photo.jpg ...                # the likeliest classes of image files

B images, C colour channels, T tokens (a class token if there is one, then the patches by rows), d
token width; of a block's N head groups G are global (self-attention) and L local (by default
convolution), G + L = N, and they split a token's channels: the first d G/N are global, the last
d L/N local.
"""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hnas.data.decode import decode

FORMAT = "hnas-network-1"
FRAME = {
    *("image", "channels", "patch", "classes", "d", "M", "N", "heads"),
    *("activation", "local", "stem", "pool"),
}
"""Keys of NAME.json for the whole network. A file with more of them is of a newer hnas."""


class TokenConv1d(nn.Conv1d):
    """Depthwise convolution over tokens: (B, T, C) -> (B, T, C).

    Tokens are in memory a channels-last image of width 1, and convolved as one: no transpose.
    """

    def forward(self, x: Tensor) -> Tensor:
        image, weight = x.unsqueeze(2).permute(0, 3, 1, 2), self.weight.unsqueeze(3)
        padding = (self.kernel_size[0] // 2, 0)
        y = F.conv2d(image, weight, self.bias, padding=padding, groups=self.groups)
        return y.permute(0, 2, 3, 1).squeeze(2)


class PatchConv2d(nn.Conv2d):
    """Depthwise convolution over the grid of patches; a class token passes aside."""

    def forward(self, x: Tensor) -> Tensor:
        side = math.isqrt(x.shape[1])
        aside = x.shape[1] - side**2
        image = x[:, aside:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
        y = super().forward(image).permute(0, 2, 3, 1).flatten(1, 2)
        return torch.cat((x[:, :aside], y), dim=1)


def window(T: int, K: int, device: torch.device) -> Tensor:
    """The tokens (columns) that each token (row) sees in local attention, booleans (T, T): a patch
    sees those of the K x K around it, a class token only itself."""
    side = math.isqrt(T)
    aside = T - side**2
    at = torch.arange(side, device=device)
    near = (at[:, None] - at).abs() <= K // 2
    patches = (near[:, None, :, None] & near[None, :, None, :]).reshape(side**2, side**2)
    itself = torch.eye(T, dtype=torch.bool, device=device)
    return F.pad(patches, (aside, 0, aside, 0)) | itself


class Residual(nn.Module):
    """Two convolutions beside a shortcut (arXiv 1512.03385); sides are divided by the stride."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            self.shortcut.add_module("conv", nn.Conv2d(inputs, outputs, 1, stride, bias=False))
            self.shortcut.add_module("norm", nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


def stem(frame: dict[str, Any]) -> nn.Module:
    """Images (B, C, image, image) -> a grid of patches (B, d, side, side): by one convolution, or
    by several (arXiv 2106.14881), perhaps in residual blocks, whose strides multiply to a patch."""
    d, channels, patch, kind = frame["d"], frame["channels"], frame["patch"], frame.get("stem")
    if kind in (None, "patch"):
        return nn.Conv2d(channels, d, patch, stride=patch)
    twos = (patch & -patch).bit_length() - 1
    strides = [2] * twos + [patch >> twos] * (patch >> twos > 1)
    keeps = kind == "residual" and frame["image"] < 48
    strides = strides if len(strides) > 1 and not keeps else [1, *strides]
    steps = []
    for i, stride in enumerate(strides, 1):
        after, kernel = len(strides) - i, max(stride, 3)
        part = d / 2**after / 8
        rounded = math.ceil(part) if kind == "conv" else max(1, int(part + 0.5))
        width = 8 * rounded if after else d
        steps.append((channels, width, kernel, stride, (kernel - stride + 1) // 2))
        channels = width
    plain, blocks = steps, []
    if kind == "residual":
        width = steps[0][1]
        plain, blocks = steps[:1], [(width, width, 3, 1, 1), *steps[1:]]
    made = nn.Sequential()
    for i, step in enumerate(plain, 1):
        made.add_module(f"conv{i}", nn.Conv2d(*step, bias=False))
        made.add_module(f"norm{i}", nn.BatchNorm2d(step[1]))
        made.add_module(f"relu{i}", nn.ReLU())
    for i, step in enumerate(blocks, 2):
        made.add_module(f"block{i}", Residual(*step))
    return made


class Block(nn.Module):
    """x + mix(LN(x)), then x + FFN(LN(x)): (B, T, d) -> (B, T, d); x if the block is skipped."""

    def __init__(self, frame: dict[str, Any], block: dict[str, int]) -> None:
        super().__init__()
        d, N, G, L = frame["d"], frame["N"], block["G"], block["L"]
        self.cut = [d * G // N, d * L // N]
        Cg, Cl = self.cut
        self.skipped = block["d_z"] == 0
        if self.skipped:
            return
        self.norm1 = nn.LayerNorm(d, eps=1e-6)
        if G:
            self.heads = frame["heads"] * G
            inner = block["d_k"] // (N * frame["heads"]) * self.heads
            self.qkv = nn.Linear(Cg, 3 * inner)
            self.proj = nn.Linear(inner, Cg)
        if L:
            inner, K = block["E"] * Cl, block["K"]
            kind = frame.get("local", "conv1d")
            self.expand = nn.Linear(Cl, (3 if kind == "attention" else 2) * inner)
            if kind == "attention":
                self.local_heads, self.K = frame["heads"] * L, K
            else:
                convolution = PatchConv2d if kind == "conv2d" else TokenConv1d
                self.depthwise = convolution(inner, inner, K, padding=K // 2, groups=inner)
                self.norm = nn.BatchNorm1d(inner)
            self.project = nn.Linear(inner, Cl)
        self.norm2 = nn.LayerNorm(d, eps=1e-6)
        self.fc1 = nn.Linear(d, d * block["d_z"])
        self.fc2 = nn.Linear(d * block["d_z"], d)
        self.activation = nn.GELU() if frame["activation"] == "gelu" else nn.SiLU()

    def attention(self, x: Tensor) -> Tensor:
        """Self-attention among the global channels, (B, T, Cg) -> the same."""
        out: Tensor = self.proj(self.attend(self.qkv(x), self.heads))
        return out

    def attend(self, qkv: Tensor, heads: int, mask: Tensor | None = None) -> Tensor:
        """Attention's two products, (B, T, 3 C) -> (B, T, C)."""
        B, T, _ = qkv.shape
        q, k, v = qkv.view(B, T, 3, heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return y.transpose(1, 2).flatten(2)

    def local(self, x: Tensor) -> Tensor:
        """Pointwise, GLU, depthwise, BatchNorm, Swish, pointwise, (B, T, Cl) -> the same; or
        attention in windows between two pointwise maps."""
        y = self.expand(x)
        if hasattr(self, "depthwise"):
            y = self.depthwise(F.glu(y, dim=-1))
            y = F.silu(self.norm(y.flatten(0, 1)).view(y.shape))
        else:
            y = self.attend(y, self.local_heads, window(x.shape[1], self.K, x.device))
        out: Tensor = self.project(y)
        return out

    def mix(self, x: Tensor) -> Tensor:
        if not self.cut[1]:
            return self.attention(x)
        if not self.cut[0]:
            return self.local(x)
        first, last = x.split(self.cut, dim=-1)
        return torch.cat((self.attention(first), self.local(last)), dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        if self.skipped:
            return x
        x = x + self.mix(self.norm1(x))
        out: Tensor = x + self.fc2(self.activation(self.fc1(self.norm2(x))))
        return out


class Glit(nn.Module):
    """The network of a NAME.json: normalised images (B, C, image, image) -> logits (B, classes).

    What timm's models offer is here under timm's names: forward_features, forward_intermediates,
    forward_head, get_classifier, reset_classifier, num_classes, num_features, default_cfg. It
    exports for any batch: torch.export.export(model, (images,), dynamic_shapes=...).
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        if config.get("format") != FORMAT:
            raise ValueError(f"the format must be {FORMAT!r}, got {config.get('format')!r}")
        frame = config["frame"]
        if newer := set(frame) - FRAME:
            raise ValueError(f"this file does not know {sorted(newer)}: take that of a newer hnas")
        d, side = frame["d"], frame["image"] // frame["patch"]
        self.image, self.channels = frame["image"], frame["channels"]
        self.classes = tuple(config["classes"])
        self.background = config.get("background", "white")
        self.interpolation = config.get("interpolation", "bilinear")
        self.crop_pct = config.get("crop_pct", 1.0)
        self.num_classes, self.num_features = frame["classes"], d
        self.embed_dim = self.head_hidden_size = d
        self.default_cfg = {
            "input_size": (self.channels, self.image, self.image),
            "num_classes": self.num_classes,
            "mean": tuple(config["mean"]),
            "std": tuple(config["std"]),
            "interpolation": self.interpolation,
            "crop_pct": self.crop_pct,
            "first_conv": "patch_embed" + ".conv1" * (frame.get("stem", "patch") != "patch"),
            "classifier": "head",
        }
        self.pretrained_cfg = self.default_cfg
        self.patch_embed = stem(frame)
        self.has_class_token = frame.get("pool", "class") == "class"
        if self.has_class_token:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, d))
        self.pos_embed = nn.Parameter(torch.zeros(1, side**2 + self.has_class_token, d))
        self.blocks = nn.Sequential(*(Block(frame, block) for block in config["arch"]["blocks"]))
        self.norm = nn.LayerNorm(d, eps=1e-6)
        self.head: nn.Module = nn.Linear(d, self.num_classes)

    def normalise(self, pixels: Tensor) -> Tensor:
        """uint8 (B, C, image, image) -> float32: (pixels / 255 - mean) / std, by channel."""
        mean, std = (
            torch.tensor(self.default_cfg[name], device=pixels.device).view(-1, 1, 1)
            for name in ("mean", "std")
        )
        return (pixels - 255 * mean) / (255 * std)

    def embed(self, images: Tensor) -> Tensor:
        """Normalised images (B, C, image, image) -> tokens (B, T, d) before the first block."""
        x = self.patch_embed(images).flatten(2).transpose(1, 2).contiguous()
        if self.has_class_token:  # not len(x), which torch.export would take for a constant
            x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1)
        tokens: Tensor = x + self.pos_embed
        return tokens

    def forward_features(self, images: Tensor) -> Tensor:
        """Normalised images (B, C, image, image) -> tokens (B, T, d) after the last norm."""
        tokens: Tensor = self.norm(self.blocks(self.embed(images)))
        return tokens

    def forward_intermediates(
        self,
        images: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> Any:
        """The tokens after the last norm and what some blocks give, or that alone: the patches as
        grids (B, d, side, side), or as tokens (B, patches, d) if `output_fmt` is NLC.

        `indices` are blocks, counted from 0 or from the end by -1; a number means the last so many.
        """
        blocks = range(len(self.blocks))
        taken = range(-indices, 0) if isinstance(indices, int) else indices
        wanted = [blocks[i] for i in (blocks if taken is None else taken)]  # raises IndexError
        x, found = self.embed(images), {}
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in wanted:
                patches = (self.norm(x) if norm else x)[:, int(self.has_class_token) :]
                side = math.isqrt(patches.shape[1])
                grid = patches.transpose(1, 2).unflatten(2, (side, side))
                found[i] = grid if output_fmt == "NCHW" else patches
        shown = [found[i] for i in wanted]
        return shown if intermediates_only else (self.norm(x), shown)

    def forward_head(self, tokens: Tensor, pre_logits: bool = False) -> Tensor:
        """Tokens (B, T, d) -> logits (B, classes); with `pre_logits` what the classifier sees
        (B, d): the class token, or the mean of the patches if there is none."""
        seen = tokens[:, 0] if self.has_class_token else tokens.mean(dim=1)
        out: Tensor = seen if pre_logits else self.head(seen)
        return out

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(images))

    def get_classifier(self) -> nn.Module:
        return self.head

    def reset_classifier(self, num_classes: int) -> None:
        """A new, untrained classifier for other classes; with 0, none: features come out."""
        self.num_classes = num_classes
        self.classes = tuple(map(str, range(num_classes)))
        self.head = nn.Linear(self.num_features, num_classes) if num_classes else nn.Identity()

    def open(self, file: str | Path) -> Tensor:
        """An image file as the training saw its own (`decode` says how): uint8 (C, image, image),
        turned upright, without transparency, its middle cut out and resized."""
        pixels = decode(
            file,
            image=self.image,
            channels=self.channels,
            background=self.background,
            interpolation=self.interpolation,
            crop_pct=self.crop_pct,
        )
        return torch.from_numpy(pixels).permute(2, 0, 1)


def load(path: str | Path = __file__) -> Glit:
    """The trained network whose files are called as `path` is, apart from the suffix."""
    from safetensors.torch import load_file

    name = re.sub(r"\.(py|json|safetensors)$", "", str(path))
    model = Glit(json.loads(Path(f"{name}.json").read_text("utf-8")))
    model.load_state_dict(load_file(f"{name}.safetensors"))
    return model.eval()


def main(files: list[str]) -> None:
    """Prints the five likeliest classes of each image."""
    model = load()
    for file in files:
        with torch.inference_mode():
            logits = model(model.normalise(model.open(file)[None]))[0]
        best = logits.softmax(-1).topk(min(5, len(model.classes)))
        guesses = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        print(f"{file}: " + ", ".join(f"{model.classes[i]} {p:.4f}" for i, p in guesses))


if __name__ == "__main__":
    main(sys.argv[1:])
