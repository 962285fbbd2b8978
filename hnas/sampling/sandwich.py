"""The largest, the smallest and two random subnets a step; all but the largest learn from it
(BigNAS, 2003.11142, section 3: the sandwich rule and in-place distillation).

Large and small are by MACs: of global and local groups neither is a part of the other.
"""

from __future__ import annotations

import numpy as np

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.cost.flops import cheapest, dearest
from hnas.sampling.rule import Rule

RANDOM = 2


def sandwich(space: Space, *, seed: int, step: int) -> tuple[Arch, ...]:
    rng = np.random.default_rng((seed, step))
    return (dearest(space), cheapest(space), *(space.sample(rng) for _ in range(RANDOM)))


SANDWICH = Rule(draw=sandwich, distils=True)
