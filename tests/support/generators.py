"""Hypothesis strategies: random frames, spaces and architectures."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from hnas.architecture.arch import Arch
from hnas.architecture.space import (
    NAMED,
    Frame,
    Own,
    Space,
    distribution_space,
    size_space,
    skippable,
)


@st.composite
def frames(draw: st.DrawFn, *, width: int | None = None) -> Frame:
    """Small frames; with `width`, every group and every head is a multiple of it wide."""
    N, heads = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    unit = width or draw(st.integers(1, 5))
    patch = draw(st.sampled_from((1, 2, 3, 4)))
    return Frame(
        image=patch * draw(st.integers(1, 4)),
        channels=draw(st.sampled_from((1, 3))),
        patch=patch,
        classes=draw(st.integers(2, 7)),
        d=N * heads * unit * 2,
        M=draw(st.integers(1, 3)),
        N=N,
        heads=heads,
        **{name: draw(st.sampled_from(known)) for name, known in NAMED.items()},
    )


def kernels(frame: Frame, *wanted: int) -> tuple[int, ...]:
    """The kernels wanted, no larger than the frame allows; distinct."""
    most = max(wanted) if frame.local == "conv1d" else 2 * frame.side - 1
    return tuple(dict.fromkeys(min(K, most) for K in wanted))


@st.composite
def spaces(draw: st.DrawFn, *, width: int | None = None) -> Space:
    """The whole space of a frame, its stage 1, or the stage 2 of a random distribution; whole and
    stage 2 perhaps with candidates by kind of block; all perhaps with blocks that may be
    skipped."""
    frame, skip = draw(frames(width=width)), draw(st.booleans())
    d = frame.d
    own = {}
    if draw(st.booleans()):
        own = {
            "mixed": Own(d_k=(d,), K=kernels(frame, 5)),
            "local": Own(d_z=(4,), E=(2, 3), K=kernels(frame, 5, 3, 7)),
        }
    whole = size_space(
        frame, None, d_k=(d // 2, d, 2 * d), d_z=(1, 2, 4), E=(1, 2, 4), K=kernels(frame, 3, 5, 9),
        **own,
    )  # fmt: skip
    whole = skippable(whole) if skip else whole
    kind = draw(st.sampled_from(("whole", "stage1", "stage2")))
    if kind == "whole":
        return whole
    first = distribution_space(frame, d_k=d, d_z=4, E=1, K=max(kernels(frame, 5)))
    first = skippable(first) if skip else first
    if kind == "stage1":
        return first
    distribution = first.sample(np.random.default_rng(draw(st.integers(0, 2**32))))
    return size_space(
        frame, distribution, d_k=(d // 2, d), d_z=(2, 4), E=(1, 2), K=kernels(frame, 3, 5), **own
    )


@st.composite
def spaces_and_archs(draw: st.DrawFn, *, width: int | None = None) -> tuple[Space, Arch]:
    space = draw(spaces(width=width))
    return space, draw(archs(space))


@st.composite
def archs(draw: st.DrawFn, space: Space) -> Arch:
    """Any architecture of a space."""
    return Arch(tuple(draw(st.sampled_from(choices)) for choices in space.choices))
