"""attention: each patch attends to the patches of the K x K around it that are in the grid.

Pointwise to query, key and value, each E wide, attention in windows, pointwise. A class token
attends only to itself, and no patch sees it.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from hnas.architecture.layout import Sizes
from hnas.network.linear import Hidden, Linear, linear, wide
from hnas.network.local.head import Layers, LocalHead, Map, Norm, Parts, Weights, on_grid, over


def attend(qkv: Tensor, mask: Tensor | None = None) -> Tensor:
    """Attention's two products, of global heads too: (B, T, 3, H, h) -> (B, T, H h).

    `mask` (T, T), booleans, says which token (row) sees which (column). Chunks of channels, not an
    axis of three: their gradients are put together without a further copy.
    """
    H, chunks = qkv.shape[3], qkv.flatten(2).chunk(3, dim=-1)
    q, k, v = (wide(one).unflatten(-1, (H, -1)).transpose(1, 2) for one in chunks)
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return y.transpose(1, 2).flatten(2)


def forward(x: Tensor, parts: Parts) -> Tensor:
    """(B, T, Cl) -> (B, T, Cl)."""
    s = parts.sizes
    mask = window(x.shape[1], s["K"], x.device)
    y = attend(parts.expand(x).unflatten(-1, (3, s["Hl"], s["hl"])), mask)
    return parts.project(parts.dropout(y))


def window(T: int, K: int, device: torch.device) -> Tensor:
    """The tokens (columns) that each token (row) sees: booleans (T, T).

    They are made at every use: a few operations on T x T bytes, and no cache to keep right.
    """
    side, aside = on_grid(T)
    at = torch.arange(side, device=device)
    near = (at[:, None] - at).abs() <= K // 2
    patches = (near[:, None, :, None] & near[None, :, None, :]).reshape(side**2, side**2)
    itself = torch.eye(T, dtype=torch.bool, device=device)
    return F.pad(patches, (aside, 0, aside, 0)) | itself  # a class token comes first


def layers(sizes: Sizes) -> Layers:
    Cl, inner = sizes["Cl"], sizes["E"] * sizes["Cl"]
    return {"expand": Hidden(Cl, 3 * inner), "project": Linear(inner, Cl)}


def maps(weights: Weights, norm: Norm) -> dict[str, Map]:
    calls: dict[str, Callable[..., Tensor]] = {
        "expand": partial(linear, keep=True),
        "project": linear,
    }
    return {name: over(call, weights, name) for name, call in calls.items()}


ATTENTION = LocalHead(forward=forward, layers=layers, maps=maps)
