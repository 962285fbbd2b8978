"""Random search: the baseline that every other search has to beat."""

import itertools
from collections.abc import Iterator

import numpy as np

from hnas.architecture.arch import Arch
from hnas.studies.proposers.base import Proposer, Turn
from hnas.studies.proposers.optuna_sampler import TRIES, others


def propose(turn: Turn) -> list[Arch]:
    """Random architectures, whatever was found before."""
    return turn.first_new(draws(turn, turn.rng()))


def draws(turn: Turn, rng: np.random.Generator) -> Iterator[Arch]:
    """Random architectures, TRIES times the population of each of two kinds.

    The first come as they are drawn, so that those within the limits are equally likely. The rest
    are drawn towards the limits, for a space that has hardly any within them.
    """
    tries = TRIES * turn.population
    return itertools.chain((turn.space.sample(rng) for _ in range(tries)), others(turn, tries, rng))


RANDOM = Proposer(name="random", propose=propose, elites=lambda *_: [])
"""Chance alone."""
