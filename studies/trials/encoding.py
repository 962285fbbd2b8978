"""Encoding of an architecture as the parameters of an Optuna trial, and back.

A parameter is named by its block, counted from 1, and its size: `b01.G`, `b12.d_k`. It exists if
the space leaves a choice that the block can use.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.errors import InputError

SIZES = ("G", "d_k", "d_z", "E", "K")


def _parameters(space: Space) -> Iterator[tuple[int, str, str, tuple[int, ...]]]:
    """Every parameter: block (from 0), size, name, candidates."""
    for i, block in enumerate(space.blocks):
        has_local = min(block.G) < space.frame.N
        usable = {"d_k": max(block.G) > 0, "E": has_local, "K": has_local}
        for size in SIZES:
            candidates = getattr(block, size)
            if len(candidates) > 1 and usable.get(size, True):
                yield i, size, f"b{i + 1:02d}.{size}", candidates


def _distribution(size: str, candidates: tuple[int, ...]) -> BaseDistribution:
    low, high = min(candidates), max(candidates)
    if size == "G" and high - low + 1 == len(candidates):
        return IntDistribution(low, high)
    # Real sizes as categories: readable in the dashboard, and gaps are no matter.
    return CategoricalDistribution(candidates)


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """The parameters of a trial in `space` and what each may be, first block first."""
    return {
        name: _distribution(size, candidates) for _, size, name, candidates in _parameters(space)
    }


def used(space: Space, arch: Arch) -> dict[str, Any]:
    """The parameters of `arch` that its blocks use.

    Raises InputError if `arch` is not of the space.
    """
    if arch not in space:
        raise InputError(
            f"an architecture must be one of the space's {space.distinct:,} to be a trial of its "
            f"study, got {arch.to_json()}"
        )
    values = ((name, getattr(arch.blocks[i], size)) for i, size, name, _ in _parameters(space))
    return {name: value for name, value in values if value is not None}


def encode(space: Space, arch: Arch) -> dict[str, Any]:
    """The parameters of `arch`; one that its block does not use gets the first candidate.

    Raises InputError if `arch` is not of the space.
    """
    chosen = used(space, arch)
    return {name: chosen.get(name, candidates[0]) for _, _, name, candidates in _parameters(space)}


def decode(space: Space, params: Mapping[str, Any]) -> Arch:
    """The canonical architecture of a trial's parameters: the inverse of `encode`.

    Raises InputError if a parameter is missing, unknown or not one of its candidates.
    """
    chosen = [{size: getattr(block, size)[0] for size in SIZES} for block in space.blocks]
    names = set()
    for i, size, name, candidates in _parameters(space):
        if params.get(name) not in candidates:
            raise InputError(f"{name} must be one of {candidates}, got {params.get(name)!r}")
        chosen[i][size] = params[name]
        names.add(name)
    if unknown := sorted(set(params) - names):
        raise InputError(f"a trial of this space has no parameters {', '.join(unknown)}")
    return Arch(tuple(space.frame.block(**sizes) for sizes in chosen))
