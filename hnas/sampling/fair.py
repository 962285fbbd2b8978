"""Every candidate of every block once a step (FairNAS, 1907.01845, section 3: strict fairness).

A step has as many subnets as the longest list of candidates: N + 1 in stage 1. A block's candidates
are dealt to them in random order; a shorter list is dealt again when it is used up, and is fair
over many steps.
"""

from __future__ import annotations

import numpy as np

from hnas.architecture.arch import Arch, Block
from hnas.architecture.space import Space
from hnas.sampling.rule import Rule

SIZES = ("G", "d_k", "d_z", "E", "K")


def fair(space: Space, *, seed: int, step: int) -> tuple[Arch, ...]:
    rng = np.random.default_rng((seed, step))
    count = max(len(getattr(block, name)) for block in space.blocks for name in SIZES)
    dealt: list[tuple[Block, ...]] = []
    for block in space.blocks:
        sizes = {name: _deal(getattr(block, name), count, rng) for name in SIZES}
        dealt.append(
            tuple(
                Block.of(L=space.frame.N - G, **{name: sizes[name][i] for name in SIZES})
                for i, G in enumerate(sizes["G"])
            )
        )
    return tuple(Arch(blocks) for blocks in zip(*dealt, strict=True))


def _deal(values: tuple[int, ...], count: int, rng: np.random.Generator) -> list[int]:
    rounds = -(-count // len(values))
    return [values[i] for _ in range(rounds) for i in rng.permutation(len(values))][:count]


FAIR = Rule(draw=fair)
