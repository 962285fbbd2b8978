"""A pretended GPU that counts what it is asked for: kernels, their bytes and operations, memory.

Its tensors have shapes and no numbers, so that networks of any size take seconds on a CPU.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from tests.support.pretend_cuda import IDLE, META, PretendCuda, is_view


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A GPU's rates, by its data sheet, dense."""

    bandwidth: float
    """Bytes a second."""
    low: float
    """bf16 operations a second; 0 if hnas computes in fp32 on it."""
    full: float
    """fp32 operations a second."""


GPUS = {
    "H100": Gpu(bandwidth=3.35e12, low=989e12, full=67e12),
    "A100": Gpu(bandwidth=2.04e12, low=312e12, full=19.5e12),
    "4090": Gpu(bandwidth=1.01e12, low=165e12, full=82.6e12),
    "T4": Gpu(bandwidth=0.32e12, low=0, full=8.1e12),
}


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """An operation that a GPU is asked for."""

    name: str
    bytes: float
    flops: float
    is_low: bool
    """Whether its operations are in bf16."""


class CountedCuda(PretendCuda):
    """A pretended GPU without numbers, which counts what it is asked for. Values that are read from
    it are ones."""

    holds = META

    def __init__(self) -> None:
        super().__init__()
        self.kernels: list[Kernel] = []
        self.held = self.peak = 0
        self._seen: weakref.WeakSet[Any] = weakref.WeakSet()

    def _computed(self, func: Any, args: Any, kwargs: Any) -> Any:
        name = func._schema.name.split("::")[1]
        if name == "_local_scalar_dense":
            return 1
        if name == "_to_copy" and kwargs.get("device") == torch.device("cpu"):
            return torch.ones(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype)
        args, kwargs = tree_map(_shape, args), tree_map(_shape, kwargs)
        found = func(*args, **kwargs)
        self._hold(found)
        if name not in IDLE and not is_view(func):
            self.kernels.append(kernel(name, args, kwargs, found))
        return found

    def _hold(self, found: Any) -> None:
        for tensor in tree_leaves(found):
            if not isinstance(tensor, Tensor):
                continue
            storage = tensor.untyped_storage()
            if storage not in self._seen:
                self._seen.add(storage)
                size = -(-storage.nbytes() // 512) * 512  # as PyTorch's allocator rounds
                self.held += size
                self.peak = max(self.peak, self.held)
                weakref.finalize(storage, self._free, size)

    def _free(self, size: int) -> None:
        self.held -= size


def _shape(value: Any) -> Any:
    return value.to(META) if isinstance(value, Tensor) else value


def kernel(name: str, args: Any, kwargs: Any, found: Any) -> Kernel:
    """The bytes and operations of one call of an operator of PyTorch's."""
    given = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
    gives = [t for t in tree_leaves(found) if isinstance(t, Tensor)]
    moved = sum(_stored(t) for t in (*given, *gives))
    is_low = bool(given) and given[0].dtype in (torch.bfloat16, torch.float16)
    return Kernel(name=name, bytes=moved, flops=2 * macs(name, args, found), is_low=is_low)


def _stored(tensor: Tensor) -> int:
    """Bytes of a tensor; what is expanded is read once."""
    pairs = zip(tensor.shape, tensor.stride(), strict=True)
    return tensor.element_size() * math.prod(n for n, stride in pairs if stride)


def macs(name: str, args: Any, found: Any) -> float:
    """Multiply-accumulates of products, convolutions and attention; 0 for all else."""
    if name in ("mm", "bmm"):
        return float(found.numel() * args[0].shape[-1])
    if name in ("addmm", "baddbmm"):
        return float(found.numel() * args[1].shape[-1])
    if name == "convolution":
        return float(found.numel() * args[1][0].numel())
    if name == "convolution_backward":
        wanted = args[-1]
        return float(args[0].numel() * args[2][0].numel() * (wanted[0] + wanted[1]))
    if name.startswith("_scaled_dot_product"):
        q, k = (args[1], args[2]) if "backward" in name else (args[0], args[1])
        return float(q.numel() * k.shape[-2] * (5 if "backward" in name else 2))
    return 0.0


def _attention(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None) -> Tensor:
    """As a GPU's: one kernel, by cuDNN."""
    fused = torch.ops.aten._scaled_dot_product_cudnn_attention
    if attn_mask is not None:
        attn_mask = attn_mask.expand(q.shape[0], q.shape[1], -1, -1)
    if torch.is_autocast_enabled("cuda"):
        q, k, v = (t.to(torch.get_autocast_dtype("cuda")) for t in (q, k, v))
    return fused(q, k, v, attn_mask, q.requires_grad)[0]


class _Silu(torch.autograd.Function):
    """As on a GPU: one kernel forward, and one back that reads two tensors."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.ops.aten.silu(x)

    @staticmethod
    def backward(ctx: Any, above: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return above * x


def seconds(kernels: list[Kernel], gpu: Gpu) -> float:
    """As long as the kernels take one after the other, at the least."""
    return sum(
        max(
            (1 if gpu.low or not k.is_low else 2) * k.bytes / gpu.bandwidth,
            k.flops / (gpu.low if gpu.low and k.is_low else gpu.full),
        )
        for k in kernels
    )


@contextmanager
def counted() -> Iterator[CountedCuda]:
    with (
        CountedCuda() as gpu,
        mock.patch("torch.nn.functional.scaled_dot_product_attention", _attention),
        mock.patch("torch.nn.functional.silu", _Silu.apply),
    ):
        yield gpu
