"""Initial weights: the ways to draw them, one function each, by the name of a weight.

Names are those inside a block (`hnas.architecture.layout`) or outside of it (`Trunk`).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

Initialise = Callable[[str, Tensor, int, torch.Generator], None]
"""Draws a weight in place, by its name; the inputs that each of its outputs has; a generator."""

STD = 0.02
"""Standard deviation of DeiT's linear maps, positions and class token."""


def glorot(name: str, weight: Tensor, inputs: int, generator: torch.Generator) -> None:
    """Glorot's normal for linear maps, 0.02 for tokens, nn.Conv's uniform for kernels, ones for
    norms, zeros for biases.

    DeiT has 0.02 for linear maps too, which is Glorot's at a width of 2,500: narrow networks learn
    slowly from it, the all-global one most of all.
    """
    with torch.no_grad():
        if name.endswith("bias"):
            weight.zero_()
        elif "norm" in name:
            weight.fill_(1.0)
        elif name.startswith("depthwise") or "conv" in name:
            bound = 1 / math.sqrt(inputs)
            weight.uniform_(-bound, bound, generator=generator)
        elif name.endswith(("cls_token", "pos_embed")):
            weight.normal_(std=STD, generator=generator)
        else:
            std = math.sqrt(2 / (inputs + weight.shape[0]))
            weight.normal_(std=std, generator=generator)


def deit(name: str, weight: Tensor, inputs: int, generator: torch.Generator) -> None:
    """As DeiT and GLiT's release: a normal of 0.02, truncated, for tokens and nn.Linear, whose
    biases are zeros; nn.Conv's uniform for weights and biases of the patches' convolution and of
    the local heads, whose pointwise maps are convolutions there; ones and zeros for norms."""
    with torch.no_grad():
        if "norm" in name:
            weight.fill_(1.0 if name.endswith("weight") else 0.0)
        elif name.startswith(("patch_embed", "expand", "depthwise", "project")):
            bound = 1 / math.sqrt(inputs)
            weight.uniform_(-bound, bound, generator=generator)
        elif name.endswith("bias"):
            weight.zero_()
        else:
            nn.init.trunc_normal_(weight, std=STD, a=-2.0, b=2.0, generator=generator)


INITIAL: dict[str, Initialise] = {"glorot": glorot, "deit": deit}
"""By `TrainingRules.initial`."""


def reset(net: nn.Module, seed: int, initial: str = "glorot") -> None:
    """Draws all weights of a network in place, in the order of its parameters."""
    generator = torch.Generator().manual_seed(seed)
    named = dict(net.named_parameters())
    for name, weight in named.items():
        inside = name.split(".", 2)[2] if name.startswith("blocks.") else name
        fed = named.get(name.removesuffix("bias") + "weight", weight)  # a bias has as many inputs
        INITIAL[initial](inside, weight, fed[0].numel(), generator)
