"""Attention's two products, for global and local heads."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def attend(qkv: Tensor, mask: Tensor | None = None) -> Tensor:
    """(B, T, 3, H, h) -> (B, T, H h). `mask` (T, T), booleans, says which token (row) sees which
    (column)."""
    B, T, _, H, h = qkv.shape
    q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return y.transpose(1, 2).reshape(B, T, H * h)
