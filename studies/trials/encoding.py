"""Encoding of an architecture as the parameters of an Optuna trial, and back.

A parameter is named by its block, counted from 1, and its size: `b01.G`, `b12.d_k`. It exists if
the space leaves a choice that the block can use. A `G` of -1 (SKIP) says that the block is skipped.
What mixed or local blocks choose from lists of their own are other parameters: `b01.K.local`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from hnas.architecture.arch import SKIP, Arch, Block
from hnas.architecture.space import SIZES as BESIDE_G
from hnas.architecture.space import Space
from hnas.errors import InputError

SIZES = ("G", *BESIDE_G)


@dataclass(frozen=True)
class _Parameter:
    """A choice of one block."""

    block: int
    """From 0."""
    size: str
    kind: str
    """`mixed` or `local` if it is a choice of such blocks alone; else empty."""
    candidates: tuple[int, ...]
    groups: tuple[int, ...]
    """The numbers of global groups (`Block.choice`) with which a block makes this choice."""

    @cached_property
    def name(self) -> str:
        return ".".join(filter(None, (f"b{self.block + 1:02d}", self.size, self.kind)))


@lru_cache(maxsize=16)
def _parameters(space: Space) -> tuple[_Parameter, ...]:
    """Every parameter with a choice, in the order of blocks and SIZES."""
    return tuple(_each(space))


def _each(space: Space) -> Iterator[_Parameter]:
    N = space.frame.N
    for i, block in enumerate(space.blocks):
        for size in SIZES:
            makers: dict[str, list[int]] = {}
            for G in block.G:
                kind, own = block.own(G, N)
                is_own = size != "G" and getattr(own, size)
                if _uses(size, G, N):
                    makers.setdefault(kind if is_own else "", []).append(G)
            for kind, groups in sorted(makers.items()):
                source = getattr(block, kind) if kind else block
                candidates = getattr(source, size)
                if len(candidates) > 1:
                    yield _Parameter(i, size, kind, candidates, tuple(groups))


def _uses(size: str, G: int, N: int) -> bool:
    """Whether a block with G of N groups global has the size."""
    if G == SKIP:
        return size == "G"
    return {"d_k": G > 0, "E": G < N, "K": G < N}.get(size, True)


def value(block: Block, size: str) -> int | None:
    """What a block has of one of SIZES; None if it has no use for it."""
    if size == "G":
        return block.choice
    found: int | None = getattr(block, size)
    return found or None  # a skipped block's d_z is 0


def _distribution(size: str, candidates: tuple[int, ...]) -> BaseDistribution:
    low, high = min(candidates), max(candidates)
    if size == "G" and high - low + 1 == len(candidates):
        return IntDistribution(low, high)
    # Real sizes as categories: readable in the dashboard, and gaps are no matter.
    return CategoricalDistribution(candidates)


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """The parameters of a trial in `space` and what each may be, first block first."""
    return {one.name: _distribution(one.size, one.candidates) for one in _parameters(space)}


def used(space: Space, arch: Arch) -> dict[str, Any]:
    """The parameters of `arch` that its blocks use.

    Raises InputError if `arch` is not of the space.
    """
    if arch not in space:
        raise InputError(
            f"an architecture must be one of the space's {space.distinct:,} to be a trial of its "
            f"study, got {arch.to_json()}"
        )
    return {
        one.name: value(block, one.size)
        for one in _parameters(space)
        if (block := arch.blocks[one.block]).choice in one.groups
    }


def encode(space: Space, arch: Arch) -> dict[str, Any]:
    """The parameters of `arch`; one that its block does not use gets the first candidate.

    Raises InputError if `arch` is not of the space.
    """
    chosen = used(space, arch)
    return {one.name: chosen.get(one.name, one.candidates[0]) for one in _parameters(space)}


def decode(space: Space, params: Mapping[str, Any]) -> Arch:
    """The canonical architecture of a trial's parameters: the inverse of `encode`.

    Raises InputError if a parameter is missing, unknown or not one of its candidates.
    """
    known = _parameters(space)
    for one in known:
        if (found := params.get(one.name)) not in one.candidates:
            raise InputError(f"{one.name} must be one of {one.candidates}, got {found!r}")
    if unknown := sorted(set(params) - {one.name for one in known}):
        raise InputError(f"a trial of this space has no parameters {', '.join(unknown)}")
    groups = {one.block: params[one.name] for one in known if one.size == "G"}
    chosen = []
    for i, block in enumerate(space.blocks):
        G = groups.get(i, block.G[0])
        first = (values[0] for values in block.of(G, space.frame.N))
        chosen.append({"G": G, **dict(zip(BESIDE_G, first, strict=True))})
    for one in known:
        if chosen[one.block]["G"] in one.groups:
            chosen[one.block][one.size] = params[one.name]
    return Arch(tuple(space.frame.block(**sizes) for sizes in chosen))
