"""Random search: what every other search has to beat."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence, Set

import numpy as np

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.studies.objective.costs import Costs
from hnas.studies.proposers.base import Proposer, new_within
from hnas.studies.proposers.nsga2 import TRIES, others
from hnas.studies.trials.record import Record


def propose(
    space: Space,
    *,
    seed: int,
    generation: int,
    parents: Sequence[Record],
    population: int,
    costs: Costs,
    seen: Set[Arch],
    count: int,
) -> list[Arch]:
    """New architectures by chance, whatever was found before:
    `hnas.studies.proposers.base.Propose`."""
    costs.check(space)
    rng = np.random.default_rng([seed, generation])
    drawn = draws(space, costs, population, rng)
    return new_within(drawn, costs=costs, seen=seen, count=count)


def draws(space: Space, costs: Costs, population: int, rng: np.random.Generator) -> Iterator[Arch]:
    """Random architectures: first TRIES times the population as they come, so that those within
    the limits are as likely as each other's draws; then as many drawn towards them, for
    where hardly any is within them."""
    tries = TRIES * population
    return itertools.chain(
        (space.sample(rng) for _ in range(tries)), others(space, costs, tries, rng)
    )


RANDOM = Proposer(name="random", propose=propose, elites=lambda *_: [])
"""Chance alone."""
