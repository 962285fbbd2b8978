"""Rules that draw a supernet's subnets for a training step.

A rule gives the subnets of a step as a pure function of the space, the seed and the step, so that a
training that was interrupted sees what it would have seen. All subnets of a step see the same
images; an epoch has so many times fewer steps, so that every rule costs as many forward and
backward passes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.cost.flops import cheapest, cost, dearest

PERIOD = 32
"""Steps of `near` from one end of the range to the other."""


class Draw(Protocol):
    def __call__(self, space: Space, *, seed: int, step: int) -> tuple[Arch, ...]:
        """The subnets of a step, as many in every step."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule: how a supernet's subnets are drawn, and what they learn from."""

    draw: Draw
    distils: bool = False
    """The first subnet of a step learns from the labels, the others from what it answers."""

    def passes(self, space: Space) -> int:
        """Subnets a step."""
        return len(self.draw(space, seed=0, step=0))


def uniform(space: Space, *, seed: int, step: int) -> tuple[Arch, ...]:
    """One subnet, all choices equally likely (SPOS, 1904.00420, section 3.3)."""
    return (space.sample(np.random.default_rng((seed, step))),)


def sandwich(space: Space, *, seed: int, step: int) -> tuple[Arch, ...]:
    """The largest, the smallest and two random subnets; all but the largest learn from it
    (BigNAS, 2003.11142, section 3: the sandwich rule and in-place distillation).

    Large and small are by MACs: of global and local groups neither is a part of the other.
    """
    rng = np.random.default_rng((seed, step))
    return (dearest(space), cheapest(space), space.sample(rng), space.sample(rng))


def fair(space: Space, *, seed: int, step: int) -> tuple[Arch, ...]:
    """Every candidate of every block once (FairNAS, 1907.01845, section 3: strict fairness).

    A step has as many subnets as the longest list of candidates: N + 1 in stage 1, one more if
    blocks may be skipped. A block's candidates are dealt to them in random order; a shorter list
    is dealt again when it is used up, and is fair over many steps.
    """
    rng, frame = np.random.default_rng((seed, step)), space.frame
    lists = {values for b in space.blocks for G in b.G for values in (b.G, *b.of(G, frame.N))}
    count = max(map(len, lists))
    dealt = []
    for block in space.blocks:
        groups = _deal(block.G, count, rng)
        kinds = zip(*(block.of(G, frame.N) for G in groups), strict=True)
        sizes = zip(*(_deal_each(size, rng) for size in kinds), strict=True)
        dealt.append([frame.block(G, *each) for G, each in zip(groups, sizes, strict=True)])
    return tuple(Arch(blocks) for blocks in zip(*dealt, strict=True))


def _deal_each(lists: Sequence[tuple[int, ...]], rng: np.random.Generator) -> list[int]:
    """One candidate of each list; equal lists are dealt together."""
    decks = {values: iter(_deal(values, len(lists), rng)) for values in dict.fromkeys(lists)}
    return [next(decks[values]) for values in lists]


def _deal(values: tuple[int, ...], count: int, rng: np.random.Generator) -> list[int]:
    rounds = -(-count // len(values))
    return [values[i] for _ in range(rounds) for i in rng.permutation(len(values))][:count]


def near(space: Space, *, seed: int, step: int) -> tuple[Arch, ...]:
    """A uniform subnet, in an order in which neighbours cost alike (after ElasticViT, 2303.09730,
    section 3.2: the FLOPs of adjacent steps' subnets differ little, all sizes are visited).

    ElasticViT steps between levels of FLOPs and draws around each. Here PERIOD uniform subnets are
    trained by rising MACs, the next PERIOD by falling ones, and so on: each stays as likely as
    under the uniform rule.
    """
    period, at = divmod(step, PERIOD)
    return (_ordered(space, seed, period)[at],)


@lru_cache(maxsize=2)
def _ordered(space: Space, seed: int, period: int) -> list[Arch]:
    rng = np.random.default_rng((seed, period))
    drawn = [space.sample(rng) for _ in range(PERIOD)]
    return sorted(drawn, key=lambda arch: cost(space.frame, arch).macs, reverse=period % 2 == 1)


RULES = {
    "uniform": Rule(draw=uniform),
    "sandwich": Rule(draw=sandwich, distils=True),
    "fair": Rule(draw=fair),
    "near": Rule(draw=near),
}
"""By the name that a plan calls them."""
