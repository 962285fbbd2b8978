"""Uniform subnets in an order in which neighbours cost alike (after ElasticViT, 2303.09730,
section 3.2: the FLOPs of adjacent steps' subnets differ little, all sizes are visited).

ElasticViT steps between levels of FLOPs and draws around each. Here PERIOD uniform subnets are
trained by rising MACs, the next PERIOD by falling ones, and so on: each stays as likely as under
the uniform rule.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.cost.flops import cost
from hnas.sampling.rule import Rule

PERIOD = 32
"""Steps from one end of the range to the other."""


def near(space: Space, *, seed: int, step: int) -> tuple[Arch, ...]:
    period, at = divmod(step, PERIOD)
    return (_ordered(space, seed, period)[at],)


@lru_cache(maxsize=2)
def _ordered(space: Space, seed: int, period: int) -> tuple[Arch, ...]:
    rng = np.random.default_rng((seed, period))
    drawn = [space.sample(rng) for _ in range(PERIOD)]
    by_macs = sorted(drawn, key=lambda arch: cost(space.frame, arch).macs, reverse=period % 2 == 1)
    return tuple(by_macs)


NEAR = Rule(draw=near)
