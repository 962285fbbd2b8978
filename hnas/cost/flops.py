"""Multiply-accumulates and parameters of an architecture: exact integers, no torch.

FLOPs in vision papers are multiply-accumulates (MACs); so they are here. Counted: every
convolution, linear layer and attention product (q k^T and its product with v). Not counted, as by
PyTorch's own FlopCounterMode: norms, activations, softmax, additions.

Local attention counts all T x T products, for it computes them all and masks those outside of its
windows: K does not change what it costs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hnas.architecture import layout
from hnas.architecture.arch import SKIPPED, Arch, Block
from hnas.architecture.local import KINDS
from hnas.architecture.space import Frame, Space
from hnas.architecture.stem import CNN_WIDTHS, Convolution, convolutions, layers, small_cnn


@dataclass(frozen=True)
class Cost:
    """Multiply-accumulates for one image, and learned parameters."""

    macs: int
    params: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.macs + other.macs, self.params + other.params)


@lru_cache(maxsize=65536)
def block_cost(frame: Frame, block: Block) -> Cost:
    """The cost of one block on T tokens."""
    s = layout.sizes(frame, block)
    weights = layout.tensors(frame, s)
    maps = sum(
        _positions(frame, name) * tensor.numel(s)
        for name, tensor in weights.items()
        if len(tensor.groups) > 1
    )
    attention = 2 * frame.T * frame.T * (s["H"] * s["h"] + s["Hl"] * s["hl"])
    return Cost(macs=maps + attention, params=sum(tensor.numel(s) for tensor in weights.values()))


def _positions(frame: Frame, name: str) -> int:
    """The tokens that a weight meets: all, but a kernel on the grid of patches no class token."""
    on_grid = name == "depthwise.weight" and KINDS[frame.local].on_grid
    return frame.side**2 if on_grid else frame.T


def shared_cost(frame: Frame) -> Cost:
    """The cost that all networks share: stem, tokens, last norm, classifier."""
    stem = convolutions(layers(frame))
    each = 1 if frame.stem == "patch" else 2  # a bias, or a BatchNorm's weight and bias
    return Cost(
        macs=_macs(stem) + frame.d * frame.classes,
        params=sum(one.weights + each * one.outputs for one in stem)
        + (frame.pool == "class") * frame.d
        + frame.T * frame.d  # positions
        + 2 * frame.d  # last norm
        + (frame.d + 1) * frame.classes,
    )


def small_cnn_macs(frame: Frame) -> int:
    """Multiply-accumulates of the small CNN for one of a frame's images."""
    own = convolutions(small_cnn(image=frame.image, channels=frame.channels))
    return _macs(own) + CNN_WIDTHS[-1] * frame.classes


def _macs(convolutions: Iterable[Convolution]) -> int:
    return sum(one.side**2 * one.weights for one in convolutions)


def cost(frame: Frame, arch: Arch) -> Cost:
    """The cost of a whole network. Raises InputError if `arch` does not fit the frame."""
    frame.check_arch(arch)
    return sum((block_cost(frame, block) for block in arch.blocks), shared_cost(frame))


def costs(space: Space, index: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """MACs (n,) and params (n,) of n architectures, millions in seconds: `index` (n, M) has each
    block's choice, in the order of `Space.choices`.

    Raises IndexError if a choice does not exist; a negative one counts from the last.
    """
    shared = shared_cost(space.frame)
    macs, params = np.full(len(index), shared.macs), np.full(len(index), shared.params)
    for choice, blocks in zip(index.T, space.choices, strict=True):
        each = [block_cost(space.frame, block) for block in blocks]
        macs += np.array([one.macs for one in each], dtype=np.int64)[choice]
        params += np.array([one.params for one in each], dtype=np.int64)[choice]
    return macs, params


def extreme(space: Space, of: Callable[[Block], int], pick: Callable[..., Block]) -> Arch:
    """The architecture that has least (`min`) or most (`max`) of what its blocks have."""
    return Arch(tuple(pick(choices, key=of) for choices in space.choices))


@lru_cache(maxsize=256)
def cheapest(space: Space) -> Arch:
    """The architecture with the fewest MACs (blocks cost independently of each other)."""
    return extreme(space, lambda block: block_cost(space.frame, block).macs, min)


def dearest(space: Space) -> Arch:
    """The architecture with the most MACs."""
    return extreme(space, lambda block: block_cost(space.frame, block).macs, max)


CLOSE = 0.02
"""Most relative difference of costs that are called equal."""


def plain_vit(frame: Frame, macs: int) -> tuple[Frame, Arch]:
    """The frame and architecture of an all-global network that costs nearly `macs`.

    The width is the multiple of N x heads whose plain ViT (d_k = d) is nearest. If that is not
    CLOSE, queries and keys as wide as tokens are given up: of the widths beside each other and the
    d_k from d / 2 to 2 d, the d_k nearest to d that is CLOSE, else the nearest cost.
    """
    step = frame.N * frame.heads

    def gap(one: tuple[Frame, Arch]) -> float:
        return abs(cost(*one).macs / macs - 1)

    def plain(width: int) -> tuple[Frame, Arch]:
        other = replace(frame, d=width)
        return other, other.all_global()

    width = step
    while gap(plain(width + step)) < gap(plain(width)):
        width += step
    if gap(nearest := plain(width)) <= CLOSE:
        return nearest
    found = [
        (other, _with_d_k(arch, d_k))
        for other, arch in map(plain, {max(step, width - step), width, width + step})
        for d_k in range(max(step, other.d // 2 // step * step), 2 * other.d + 1, step)
    ]
    return min(found, key=lambda one: (max(gap(one), CLOSE), _stretch(*one), gap(one), one[0].d))


NEAR = 0.005
"""Most relative difference of costs up to which `plain_behind` prefers a ViT's proportions."""


def plain_behind(frame: Frame, macs: int) -> tuple[Frame, Arch]:
    """An all-global network that costs nearly `macs` behind the frame's own stem, so that it has
    other blocks in place of other tokens: fewer of them, other d_k and d_z.

    Of those that are NEAR the one whose blocks are most like a ViT's; else the nearest cost.
    """
    step, shared, found = frame.N * frame.heads, shared_cost(frame).macs, []
    d_ks = range(step, max(step, 2 * frame.d) + 1, step)
    for d_z, d_k in itertools.product(range(1, 9), d_ks):
        block = Block(G=frame.N, L=0, d_k=d_k, d_z=d_z)
        each = block_cost(frame, block).macs
        for blocks in range(1, frame.M + 1):
            gap = abs((shared + blocks * each) / macs - 1)
            unlike = frame.M / blocks * _ratio(d_k, frame.d) * _ratio(d_z, 4)
            found.append(((max(gap, NEAR), unlike, gap), blocks, block))
    _, blocks, block = min(found, key=lambda one: one[0])
    return frame, Arch((block,) * blocks + (SKIPPED,) * (frame.M - blocks))


def _with_d_k(arch: Arch, d_k: int) -> Arch:
    return Arch(tuple(replace(block, d_k=d_k) for block in arch.blocks))


def _stretch(frame: Frame, arch: Arch) -> float:
    """How far queries and keys are from the tokens' width: 1 if they have it, 2 at half of it."""
    return _ratio(arch.blocks[0].d_k or frame.d, frame.d)


def _ratio(a: int, b: int) -> float:
    return max(a / b, b / a)
