"""The depthwise convolution of tokens as Triton kernels; imported only where there is Triton.

x (B, T, C) contiguous, weight (C, 1, K). A program takes CHANNELS; accumulates in float32.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

CHANNELS, TOKENS = tl.constexpr(64), tl.constexpr(32)
"""What a program computes at a time."""
PARTS = 8
"""Programs that share the images of a kernel's gradient."""


@triton.jit
def _forward(x, w, y, T, C, K: tl.constexpr):
    image = tl.program_id(0).to(tl.int64) * T * C  # a batch may have more than 2^31 numbers
    t = tl.program_id(1) * TOKENS + tl.arange(0, TOKENS)
    c = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    inside = c < C
    total = tl.zeros((TOKENS, CHANNELS), dtype=tl.float32)
    for k in range(K):
        s = t + k - K // 2
        mask = (s >= 0)[:, None] & (s < T)[:, None] & inside[None, :]
        tokens = tl.load(x + image + s[:, None] * C + c[None, :], mask=mask, other=0.0)
        weights = tl.load(w + c * K + k, mask=inside, other=0.0)
        total += tokens.to(tl.float32) * weights.to(tl.float32)[None, :]
    mask = (t < T)[:, None] & inside[None, :]
    tl.store(y + image + t[:, None] * C + c[None, :], total.to(y.dtype.element_ty), mask=mask)


@triton.jit
def _weight_gradient(x, g, dw, B, T, C, K: tl.constexpr):
    k, c = tl.program_id(0), tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    inside = c < C
    total = tl.zeros((TOKENS, CHANNELS), dtype=tl.float32)
    for b in range(tl.program_id(2).to(tl.int64), B, tl.num_programs(2)):
        image = b * T * C
        for t0 in range(0, T, TOKENS):
            t = t0 + tl.arange(0, TOKENS)
            s = t + k - K // 2
            there = (t < T)[:, None] & inside[None, :]
            mask = there & (s >= 0)[:, None] & (s < T)[:, None]
            tokens = tl.load(x + image + s[:, None] * C + c[None, :], mask=mask, other=0.0)
            gradient = tl.load(g + image + t[:, None] * C + c[None, :], mask=there, other=0.0)
            total += tokens.to(tl.float32) * gradient.to(tl.float32)
    tl.atomic_add(dw + c * K + k, tl.sum(total, axis=0), mask=inside)


def _convolved(x: Tensor, weight: Tensor) -> Tensor:
    B, T, C = x.shape
    y = torch.empty_like(x)
    grid = (B, triton.cdiv(T, TOKENS.value), triton.cdiv(C, CHANNELS.value))
    _forward[grid](x, weight, y, T, C, K=weight.shape[-1])
    return y


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        x, weight = x.contiguous(), weight.contiguous()
        ctx.save_for_backward(x, weight)
        return _convolved(x, weight) + bias.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        B, T, C = x.shape
        K = weight.shape[-1]
        dw = torch.zeros(weight.shape, device=x.device, dtype=torch.float32)
        grid = (K, triton.cdiv(C, CHANNELS.value), PARTS)
        _weight_gradient[grid](x, gradient, dw, B, T, C, K=K)
        dx = _convolved(gradient, weight.flip(-1).contiguous())
        return dx, dw.to(weight.dtype), gradient.sum((0, 1))


def convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    result: Tensor = _Convolve.apply(x, weight, bias)
    return result
