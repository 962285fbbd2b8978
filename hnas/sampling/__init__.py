"""Rules that draw a supernet's subnets for a training step, one rule a file.

A rule gives the subnets of a step as a pure function of the space, the seed and the step, so that a
training that was broken off sees what it would have seen. All subnets of a step see the same
images; an epoch has so many times fewer steps, so that every rule costs as many forward and
backward passes.
"""

from __future__ import annotations

from hnas.sampling.fair import FAIR
from hnas.sampling.near import NEAR
from hnas.sampling.rule import Rule
from hnas.sampling.sandwich import SANDWICH
from hnas.sampling.uniform import UNIFORM

RULES: dict[str, Rule] = {
    "uniform": UNIFORM,
    "sandwich": SANDWICH,
    "fair": FAIR,
    "near": NEAR,
}
"""By the name that a plan calls them."""
