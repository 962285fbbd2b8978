"""Limits on the cost of an architecture, and random architectures within them.

A limit is on something that blocks cost independently of each other, in whole numbers, so that a
sum depends on no order: multiply-accumulates, or nanoseconds by a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hnas.architecture.arch import Arch, Block
from hnas.architecture.space import Frame, Space
from hnas.cost.flops import block_cost, shared_cost
from hnas.cost.latency_table import LatencyTable, milliseconds
from hnas.errors import BudgetError


@dataclass(frozen=True, kw_only=True, eq=False)
class Limit:
    """Most of one cost. Known by identity: make it once and keep it."""

    option: str
    """The option that asks for it, for messages."""
    unit: str
    most: int
    shared: int
    """What every network of the frame has."""
    block: Callable[[Block], int]
    """What one block has."""
    ends: tuple[str, str]
    """What has least, and what has most of it."""
    show: Callable[[int], str]

    def of(self, blocks: Iterable[Block]) -> int:
        """The cost of a network of these blocks."""
        return self.shared + sum(self.block(block) for block in blocks)


def flops_limit(frame: Frame, most: int) -> Limit:
    """At most so many multiply-accumulates of one image."""
    return Limit(
        option="flops",
        unit=" (multiply-accumulates)",
        most=most,
        shared=shared_cost(frame).macs,
        block=lambda block: block_cost(frame, block).macs,
        ends=("smallest needs", "largest"),
        show=lambda macs: f"{macs:,}",
    )


def latency_limit(table: LatencyTable, most: int) -> Limit:
    """At most so many nanoseconds of a batch, by the table."""
    return Limit(
        option="latency",
        unit="",
        most=most,
        shared=table.shared,
        block=table.block,
        ends=("fastest takes", "slowest"),
        show=milliseconds,
    )


def check_within(space: Space, limits: tuple[Limit, ...]) -> Arch:
    """An architecture within all limits: of the first cost the least that there is.

    Raises BudgetError, naming the least and the most that is possible, if nothing fits.
    """
    for limit in limits:
        least = limit.of(_extreme(space, limit, min).blocks)
        if least > limit.most:
            most = limit.of(_extreme(space, limit, max).blocks)
            low, high = limit.ends
            raise BudgetError(
                f"no architecture of the space fits {limit.option} {limit.show(limit.most)}"
                f"{limit.unit}: the {low} {limit.show(least)}, the {high} {limit.show(most)}. "
                f"Raise {limit.option} to at least {limit.show(least).replace(',', '')}"
            )
    found = _thriftiest(space, limits)
    if found is None:
        (_, flops), (_, latency) = shown = [(one.option, one.show(one.most)) for one in limits]
        raise BudgetError(
            f"no architecture of the space fits {' and '.join(map(' '.join, shown))} together, "
            f"though each alone: raise flops above {flops} or latency above {latency}"
        )
    return found


def sample_within(space: Space, limits: tuple[Limit, ...], rng: np.random.Generator) -> Arch:
    """A random architecture within all limits, in bounded time.

    Uniform if that fits; else random blocks are made cheaper until it does.
    Raises BudgetError if nothing fits.
    """
    last_resort = check_within(space, limits)
    blocks = list(space.sample(rng).blocks)
    for i in rng.permutation(len(blocks)):
        over = [limit.of(blocks) - limit.most for limit in limits]
        if max(over, default=0) <= 0:
            break
        most = [limit.block(blocks[i]) - excess for limit, excess in zip(limits, over, strict=True)]
        cheaper = [
            choice
            for choice in space.choices[i]
            if all(limit.block(choice) <= its for limit, its in zip(limits, most, strict=True))
        ] or [last_resort.blocks[i]]
        blocks[i] = cheaper[rng.integers(len(cheaper))]
    return Arch(tuple(blocks))


@lru_cache(maxsize=256)
def _extreme(space: Space, limit: Limit, pick: Callable[..., Block]) -> Arch:
    return Arch(tuple(pick(choices, key=limit.block) for choices in space.choices))


@lru_cache(maxsize=256)
def _thriftiest(space: Space, limits: tuple[Limit, ...]) -> Arch | None:
    """The architecture within all limits (at most two) with least of the first cost, or None.

    Block by block, keep the sums that no other undercuts: with one limit a single sum.
    """
    sums: list[tuple[tuple[int, ...], tuple[Block, ...]]]
    sums = [(tuple(limit.shared for limit in limits), ())]
    for choices in space.choices:
        own = _undercut_by_none(
            (tuple(limit.block(choice) for limit in limits), (choice,)) for choice in choices
        )
        sums = _undercut_by_none(
            (tuple(map(sum, zip(total, more, strict=True))), (*blocks, *block))
            for total, blocks in sums
            for more, block in own
        )
    most = [limit.most for limit in limits]
    within = (
        blocks
        for total, blocks in sums
        if all(have <= allowed for have, allowed in zip(total, most, strict=True))
    )
    found = next(within, None)
    return None if found is None else Arch(found)


def _undercut_by_none(
    sums: Iterable[tuple[tuple[int, ...], tuple[Block, ...]]],
) -> list[tuple[tuple[int, ...], tuple[Block, ...]]]:
    """The sums by rising first cost, without those whose last is not less than all before."""
    kept: list[tuple[tuple[int, ...], tuple[Block, ...]]] = []
    for one in sorted(sums, key=lambda one: one[0]):
        if not kept or (one[0] and one[0][-1] < kept[-1][0][-1]):
            kept.append(one)
    return kept
