"""One subnet a step, all choices equally likely (SPOS, 1904.00420, section 3.3)."""

from __future__ import annotations

import numpy as np

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.sampling.rule import Rule


def uniform(space: Space, *, seed: int, step: int) -> tuple[Arch, ...]:
    return (space.sample(np.random.default_rng((seed, step))),)


UNIFORM = Rule(draw=uniform)
