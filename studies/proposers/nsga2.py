"""NSGA-II (Deb et al. 2002), as Optuna has it: children of the best by accuracy and costs.

An `NSGAIISampler` proposes on a fresh in-memory study whose generation 0 are the parents. Nothing
is stored before it is scored. (Sampler methods called without `ask` reuse a stale cache of trials:
that was silently random search.)
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import optuna
from optuna.samplers import NSGAIISampler

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.studies.objective.costs import Costs, values
from hnas.studies.proposers.base import Proposer, Turn
from hnas.studies.trials.encoding import decode, distributions, encode
from hnas.studies.trials.record import Record
from hnas.studies.trials.study import directions, quiet
from hnas.studies.trials.trial import GENERATION

TRIES = 10
"""Asks, then random draws, per member of the population before a generation is left smaller."""
ENUMERABLE = 20_000
"""A space of at most so many architectures is listed, so that its end is known exactly."""


def propose(turn: Turn) -> list[Arch]:
    """Children of the parents; random architectures while there are fewer than `population`.

    In a space of at most ENUMERABLE architectures fewer than `count` come back only if no more
    exist. See `hnas.studies.proposers.base.Propose`.
    """
    rng = turn.rng()
    children = _children(turn, seed=int(rng.integers(2**32)))
    return turn.first_new(itertools.chain(children, others(turn, TRIES * turn.population, rng)))


def elites(space: Space, costs: Costs, pool: Sequence[Record], population: int) -> list[Record]:
    """The `population` trials of `pool` that become parents: by front, then by crowding distance.

    `pool` is the last generation with its parents. Its order does not matter.
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
                values=values(record.accuracy, record, costs.objective),
                params=encode(space, record.arch),
                distributions=free,
                system_attrs={GENERATION: 0},
            )
        )
    return study


def _children(turn: Turn, seed: int) -> Iterator[Arch]:
    """What the sampler answers, at most TRIES times the population."""
    free = distributions(turn.space)
    sampler = NSGAIISampler(population_size=turn.population, seed=seed)
    study = _study(turn.space, turn.costs, turn.parents, sampler)
    for _ in range(TRIES * turn.population):
        yield decode(turn.space, study.ask(free).params)


def others(turn: Turn, draws: int, rng: np.random.Generator) -> Iterator[Arch]:
    """All of a small space in random order, or random architectures of a large one."""
    space = turn.space
    if space.distinct <= ENUMERABLE:
        everything = [Arch(blocks) for blocks in itertools.product(*space.choices)]
        yield from (everything[i] for i in rng.permutation(len(everything)))
    else:
        yield from (turn.costs.sample(space, rng) for _ in range(draws))


NSGA2 = Proposer(name="nsga2", propose=propose, elites=elites)
"""More accurate and cheaper, all at once."""
