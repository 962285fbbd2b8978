"""Which subnets a supernet's training step sees: a pure function of the seed and the step."""

from __future__ import annotations

import numpy as np

from hnas.arch import Arch
from hnas.space import Space


def uniform(space: Space, *, seed: int, step: int) -> Arch:
    """One architecture a step, all choices equally likely (SPOS, 1904.00420, section 3.3)."""
    return space.sample(np.random.default_rng((seed, step)))
