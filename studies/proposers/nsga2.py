"""How the next generation is proposed: NSGA-II (Deb et al. 2002), as Optuna has it.

A generation is a pure function of the seed, its number and the trials of earlier generations. It is
asked of an `NSGAIISampler` on a fresh in-memory study whose generation 0 are the parents; nothing
is stored before it is scored. (Sampler methods called without `ask` reuse a stale cache of trials:
that was silently random search.)
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence, Set

import numpy as np
import optuna
from optuna.samplers import NSGAIISampler

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.cost.limits import sample_within
from hnas.studies.objective.costs import Costs
from hnas.studies.proposers.base import Proposer, new_within
from hnas.studies.trials.encoding import decode, distributions, encode
from hnas.studies.trials.record import Record
from hnas.studies.trials.study import GENERATION, directions, quiet

TRIES = 10
"""Asks, then random draws, per member of the population before a generation is left smaller."""
ENUMERABLE = 20_000
"""A space of at most so many architectures is listed, so that its end is known exactly."""


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
    """At most `count` new architectures that `costs` allow: children of `parents`.

    `parents` are the `population` elites of the earlier generations; with fewer, as in generation
    0, the children are random. `seen` is every architecture of earlier generations. Fewer, possibly
    none, come back where no more are found: in a space of at most ENUMERABLE architectures, where
    no more exist. A smaller `count` gives the first of the same list.

    Raises BudgetError where nothing fits.
    """
    costs.check(space)
    rng = np.random.default_rng([seed, generation])
    sampler_seed = int(rng.integers(2**32))
    candidates = itertools.chain(
        _children(space, costs, parents, population, sampler_seed),
        others(space, costs, TRIES * population, rng),
    )
    return new_within(candidates, costs=costs, seen=seen, count=count)


def elites(space: Space, costs: Costs, pool: Sequence[Record], population: int) -> list[Record]:
    """The `population` trials of `pool` that become parents: by front, then by crowding distance.

    `pool` is the last generation and its parents. Its order does not matter.
    """
    if len(pool) <= population:
        return _ordered(pool)
    sampler = NSGAIISampler(population_size=population, seed=0)
    study = _study(space, costs, pool, sampler)
    # The first trial of generation 1 makes the sampler select (and keep) its parents.
    study.ask(distributions(space))
    kept = {trial.number for trial in sampler.get_parent_population(study, 1)}
    return [record for i, record in enumerate(_ordered(pool)) if i in kept]


def _ordered(pool: Sequence[Record]) -> list[Record]:
    """By architecture, so that nothing depends on the order in which trials finished."""
    return sorted(pool, key=lambda record: record.arch.key)


def _study(
    space: Space, costs: Costs, pool: Sequence[Record], sampler: NSGAIISampler
) -> optuna.Study:
    """A study in memory with `pool`, ordered, as generation 0."""
    with quiet():
        study = optuna.create_study(directions=directions(costs.objective), sampler=sampler)
    free = distributions(space)
    for record in _ordered(pool):
        study.add_trial(
            optuna.trial.create_trial(
                values=costs.values(record),
                params=encode(space, record.arch),
                distributions=free,
                system_attrs={GENERATION: 0},
            )
        )
    return study


def _children(
    space: Space, costs: Costs, parents: Sequence[Record], population: int, seed: int
) -> Iterator[Arch]:
    """What the sampler answers, TRIES times the population at most."""
    free = distributions(space)
    sampler = NSGAIISampler(population_size=population, seed=seed)
    study = _study(space, costs, parents, sampler)
    for _ in range(TRIES * population):
        yield decode(space, study.ask(free).params)


def others(space: Space, costs: Costs, draws: int, rng: np.random.Generator) -> Iterator[Arch]:
    """What is left of a small space, in random order, or random architectures of a large one."""
    if space.distinct <= ENUMERABLE:
        everything = [Arch(blocks) for blocks in itertools.product(*space.choices)]
        yield from (everything[i] for i in rng.permutation(len(everything)))
    else:
        yield from (sample_within(space, costs.limits, rng) for _ in range(draws))


NSGA2 = Proposer(name="nsga2", propose=propose, elites=elites)
"""More accurate and cheaper, all at once."""
