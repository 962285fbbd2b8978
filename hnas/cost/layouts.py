"""The layout in which a GPU computes a depthwise convolution fastest: timed there, size by size.

A layout that fails (for want of Triton, or of memory) or computes something else is not taken.
"""

import math
import time
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from hnas.architecture import layout
from hnas.architecture.arch import Block
from hnas.architecture.space import Frame
from hnas.cost.timing import Clock
from hnas.device import synchronise
from hnas.network.local import HEADS
from hnas.network.local.head import on_grid
from hnas.network.local.layouts import USUAL, Convolve, size

ROUNDS = 3
"""Timed passes, forward and backward, after one that is not; the fastest counts."""
SAME = 2e-2
"""Most relative difference of what two layouts compute in bf16."""


def fastest(
    frame: Frame,
    blocks: Iterable[Block],
    device: torch.device,
    *,
    batch: int,
    dtype: torch.dtype,
    known: Mapping[str, str],
    clock: Clock = time.perf_counter,
) -> dict[str, str]:
    """The name of the fastest layout of each size that `blocks` have, for `batch` images in a
    precision; of sizes that are `known`, that. Raises RuntimeError if the usual one does
    not fit in memory."""
    ways = HEADS[frame.local].layouts
    found = {name: way for name, way in known.items() if way in ways}
    for kernel in sorted(_kernels(frame, blocks)) if ways else []:
        T = frame.T if len(kernel) == 3 else on_grid(frame.T)[0] ** 2  # a grid is of patches alone
        if (name := size(T, kernel)) not in found:
            given = _given((batch, T, kernel[0]), kernel, device, dtype)
            right = _passed(ways[USUAL], given)
            seconds = {way: _seconds(call, given, right, clock) for way, call in ways.items()}
            found[name] = min(ways, key=seconds.__getitem__)
    return found


def _kernels(frame: Frame, blocks: Iterable[Block]) -> set[tuple[int, ...]]:
    """The shapes of the depthwise kernels of blocks."""
    sizes = [layout.sizes(frame, block) for block in blocks]
    weights = [(layout.tensors(frame, each).get("depthwise.weight"), each) for each in sizes]
    return {weight.shape(each) for weight, each in weights if weight is not None}


def _given(
    tokens: tuple[int, ...], kernel: tuple[int, ...], device: torch.device, dtype: torch.dtype
) -> list[Tensor]:
    """Random tokens, kernel and bias, and a gradient of the result."""
    generator = torch.Generator(device).manual_seed(0)
    shapes = tokens, kernel, kernel[:1], tokens
    return [
        torch.randn(shape, generator=generator, device=device).to(dtype).requires_grad_()
        for shape in shapes
    ]


def _passed(way: Convolve, given: list[Tensor]) -> list[Tensor]:
    """The result and the gradients of one pass."""
    *inputs, above = given
    y = way(*inputs)
    return [y.detach(), *torch.autograd.grad(y, inputs, above)]


def _seconds(way: Convolve, given: list[Tensor], right: list[Tensor], clock: Clock) -> float:
    """Seconds of a pass; infinitely many if it fails or computes something else than is right."""
    spent = []
    try:
        pairs = zip(_passed(way, given), right, strict=True)
        if any(not (a - b).float().norm() <= SAME * b.float().norm() for a, b in pairs):
            return math.inf
        for _ in range(ROUNDS):
            synchronise(given[0].device)
            began = clock()
            _passed(way, given)
            synchronise(given[0].device)
            spent.append(clock() - began)
    except Exception:  # whatever a library or a compiler raises: another layout is as right
        return math.inf
    return min(spent)
