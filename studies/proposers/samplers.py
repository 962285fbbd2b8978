"""Proposers by name: what a plan's `search.sampler` may be."""

from collections.abc import Callable
from functools import cache, partial

from optuna.samplers import BaseSampler, GPSampler, NSGAIIISampler, TPESampler

from hnas.errors import InputError
from hnas.studies.proposers.base import Proposer
from hnas.studies.proposers.nsga2 import NSGA2
from hnas.studies.proposers.optuna_sampler import proposer_of
from hnas.studies.proposers.random_search import RANDOM
from hnas.studies.proposers.spos import SPOS


def _tpe(population: int, seed: int) -> BaseSampler:
    # Its constant liar counts what the generation has asked so far as bad.
    return TPESampler(multivariate=True, constant_liar=True, seed=seed)


def _nsga3(population: int, seed: int) -> BaseSampler:
    return NSGAIIISampler(population_size=population, seed=seed)


def _gp(population: int, seed: int) -> BaseSampler:
    return GPSampler(seed=seed)


SAMPLERS = {
    proposer.name: proposer
    for proposer in (
        NSGA2,
        proposer_of("tpe", _tpe),
        SPOS,
        RANDOM,
        proposer_of("nsga3", _nsga3),
        proposer_of("gp", _gp),
    )
}
"""By name: multivariate TPE, NSGA-II and III and a Gaussian process are Optuna's."""


@cache
def sampler(name: str) -> Proposer:
    """The proposer of a name of SAMPLERS, or of `module:function`: a function of the population and
    a seed that gives a sampler of Optuna's.

    A function is imported when it proposes; that raises InputError if there is none, or if it gives
    no sampler.
    """
    return SAMPLERS.get(name) or proposer_of(name, partial(_theirs, name))


def _theirs(name: str, population: int, seed: int) -> BaseSampler:
    from hnas.data.sources.functions import function  # here, as it imports torch

    make: Callable[[int, int], object] = function(name)
    found = make(population, seed)
    if not isinstance(found, BaseSampler):
        raise InputError(
            f"the sampler {name}, called with a population and a seed, must give a sampler of "
            f"Optuna's (optuna.samplers.BaseSampler), got {found!r}"
        )
    return found
