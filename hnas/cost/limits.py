"""Limits on the cost of an architecture, and random architectures within them.

A limit is on something that blocks cost independently of each other, in whole numbers, so that a
sum depends on no order: multiply-accumulates, parameters, or nanoseconds by a table.
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from operator import le

import numpy as np

from hnas.architecture.arch import Arch, Block
from hnas.architecture.space import Frame, Space
from hnas.cost.conventions import block_macs
from hnas.cost.flops import block_cost, extreme, shared_cost
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
        return self.shared + sum(map(self.block, blocks))


def flops_limit(frame: Frame, most: int, convention: str = "exact") -> Limit:
    """At most so many multiply-accumulates of one image, by a convention of
    `hnas.cost.conventions`."""
    counted = "" if convention == "exact" else f", by the convention {convention}"
    return Limit(
        option="flops",
        unit=f" (multiply-accumulates{counted})",
        most=most,
        shared=shared_cost(frame).macs,
        block=block_macs(frame, convention),
        ends=("smallest needs", "largest"),
        show=lambda macs: f"{macs:,}",
    )


def params_limit(frame: Frame, most: int) -> Limit:
    """At most so many learned parameters."""
    return Limit(
        option="params",
        unit="",
        most=most,
        shared=shared_cost(frame).params,
        block=lambda block: block_cost(frame, block).params,
        ends=("smallest has", "largest"),
        show=lambda params: f"{params:,}",
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


@lru_cache(maxsize=256)
def check_within(space: Space, limits: tuple[Limit, ...]) -> Arch:
    """An architecture within all limits: of the first cost the least that there is.

    Raises BudgetError, naming the least and the most that is possible, if nothing fits.
    """
    for limit in limits:
        least = limit.of(extreme(space, limit.block, min).blocks)
        if least > limit.most:
            most = limit.of(extreme(space, limit.block, max).blocks)
            low, high = limit.ends
            raise BudgetError(
                f"no architecture of the space fits {limit.option} {limit.show(limit.most)}"
                f"{limit.unit}: the {low} {limit.show(least)}, the {high} {limit.show(most)}. "
                f"Raise {limit.option} to at least {limit.show(least).replace(',', '')}"
            )
    found = _thriftiest(space, limits)
    if found is None:
        shown = [(one.option, one.show(one.most)) for one in limits]
        raise BudgetError(
            f"no architecture of the space fits {' and '.join(map(' '.join, shown))} together, "
            f"though each alone: raise {' or '.join(map(' above '.join, shown))}"
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


Sum = tuple[tuple[int, ...], tuple[Block, ...]]
"""The costs of some blocks by the limits, and the blocks."""


def _thriftiest(space: Space, limits: tuple[Limit, ...]) -> Arch | None:
    """The architecture within all limits with least of the first cost, or None.

    Block by block, keep the sums that no other undercuts: with one limit a single sum, with three
    some hundreds.
    """
    sums: list[Sum] = [(tuple(limit.shared for limit in limits), ())]
    for choices in space.choices:
        own = _undercut_by_none((tuple(limit.block(c) for limit in limits), (c,)) for c in choices)
        sums = _undercut_by_none(
            (tuple(map(sum, zip(total, more, strict=True))), blocks + block)
            for (total, blocks), (more, block) in itertools.product(sums, own)
        )
    for total, blocks in sums:
        if all(have <= limit.most for have, limit in zip(total, limits, strict=True)):
            return Arch(blocks)
    return None


def _undercut_by_none(sums: Iterable[Sum]) -> list[Sum]:
    """The sums by rising first cost; none before one of them costs as little in every way."""
    kept: list[Sum] = []
    for one in sorted(sums, key=lambda one: one[0]):
        if not any(all(map(le, before[0], one[0])) for before in kept):
            kept.append(one)
    return kept
